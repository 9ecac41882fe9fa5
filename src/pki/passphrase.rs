//! The passphrase of a CA's key: wiped on drop, never shown.

use std::fmt;

use zeroize::Zeroizing;

/// A passphrase. No `Clone`, no `Display`; `Debug` says nothing.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes the text; what it was read from is the caller's to wipe.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns true if nothing was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many characters it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.chars().count()
    }

    /// The bytes, for the key derivation.
    pub(super) fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl PartialEq for Passphrase {
    /// For "type it again": both sides came from the same terminal, so constant time is not needed.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}
