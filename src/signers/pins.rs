//! Where the PIN of a token comes from.

use std::path::PathBuf;

use crate::pki::passphrase::Passphrase;

/// A token that needs a PIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinQuestion {
    /// The token's label.
    pub token: String,
    /// The file with the PIN that the cluster file names.
    pub source: Option<PathBuf>,
    /// Whether a wrong PIN locks the token.
    pub is_last_try: bool,
}

/// Gives PINs. Each is tried once: tokens lock after a few wrong ones.
pub trait Pins {
    /// Returns the PIN of a token.
    ///
    /// # Errors
    /// Returns the reason why there is none.
    fn pin(&mut self, question: &PinQuestion) -> Result<Passphrase, String>;
}

/// No PINs: for programs, which ask for their own.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPins;

impl Pins for NoPins {
    fn pin(&mut self, _: &PinQuestion) -> Result<Passphrase, String> {
        Err("none was given".to_owned())
    }
}
