//! Holders of CAs' keys outside of the cluster directory.
//!
//! Each implements [`SigningKey`]. What it signs is verified before it is believed.

mod exec;
pub mod pins;
pub(crate) mod process;
mod protocol;
// A static binary cannot load the module of a token.
#[cfg(all(feature = "pkcs11", not(target_feature = "crt-static")))]
mod token;
#[cfg(not(all(feature = "pkcs11", not(target_feature = "crt-static"))))]
#[path = "no_token.rs"]
mod token;

use std::path::PathBuf;

use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::ClusterName;
use crate::cluster::profile::CaRole;
use crate::cluster::signer::Signer;
use crate::pki::public_key::PublicKey;
use crate::pki::signing_key::{SigningError, SigningKey};

use exec::ExecKey;
use pins::Pins;

/// The facts about this process that holders depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignerEnv {
    /// Whether a program may ask on the terminal. If not, all of its processes are ended together with it.
    pub has_terminal: bool,
    /// The PKCS#11 module of tokens for which the cluster file names none.
    pub module: Option<String>,
}

/// The cluster, the CA and the process for which a holder is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The cluster directory: the folder in which programs run.
    pub folder: PathBuf,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The role of the CA.
    pub role: CaRole,
    /// The facts about this process.
    pub signer_env: SignerEnv,
}

/// Returns the key of a CA. A program is not asked before something is to be signed; a token is opened.
///
/// # Errors
/// Returns an error if a token or its key is missing, or the PIN is wrong.
pub fn key(
    signer: &Signer,
    access: Access,
    public_key: PublicKey,
    pins: &mut dyn Pins,
) -> Result<Box<dyn SigningKey>, SigningError> {
    Ok(match signer {
        Signer::Exec(program) => Box::new(ExecKey::new(program.clone(), access, public_key)),
        Signer::Pkcs11(token) => Box::new(token::open(token, &access, public_key, pins)?),
    })
}

/// Asks a holder for its public key, and returns the key. A holder that has none may make one of the kind `new`, if that
/// is given.
///
/// # Errors
/// Returns an error if it does not answer, or with another kind of key than a CA can have.
pub fn key_of_holder(
    signer: &Signer,
    access: Access,
    new: Option<KeyKind>,
    pins: &mut dyn Pins,
) -> Result<Box<dyn SigningKey>, SigningError> {
    Ok(match signer {
        Signer::Exec(program) => {
            let public_key = exec::public_key(program, &access, new)?;
            Box::new(ExecKey::new(program.clone(), access, public_key))
        }
        Signer::Pkcs11(token) => Box::new(token::open_or_make(token, &access, new, pins)?),
    })
}
