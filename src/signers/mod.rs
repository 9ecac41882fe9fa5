//! Holders of CAs' keys outside of the cluster directory.
//!
//! Each implements [`SigningKey`]. What it signs is verified before it is believed.

mod exec;
mod process;
mod protocol;

use std::path::PathBuf;

use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::ClusterName;
use crate::cluster::profile::CaRole;
use crate::cluster::signer::Signer;
use crate::pki::public_key::PublicKey;
use crate::pki::signing_key::{SigningError, SigningKey};

use exec::ExecKey;

/// Where and for what a holder is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The cluster directory: the folder in which programs run.
    pub folder: PathBuf,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The role of the CA.
    pub role: CaRole,
    /// Whether a program may ask on the terminal. If not, all of its processes are ended together with it.
    pub has_terminal: bool,
}

/// Returns the key of a CA, which signs when it is asked. Nothing is asked yet.
#[must_use]
pub fn key(signer: &Signer, access: Access, public_key: PublicKey) -> Box<dyn SigningKey> {
    match signer {
        Signer::Exec(program) => Box::new(ExecKey::new(program.clone(), access, public_key)),
    }
}

/// Asks a holder for its public key. One that has none may make one of the kind `new`, if that is given.
///
/// # Errors
/// When it does not answer, or with another kind of key than a CA can have.
pub fn public_key(signer: &Signer, access: &Access, new: Option<KeyKind>) -> Result<PublicKey, SigningError> {
    match signer {
        Signer::Exec(program) => exec::public_key(program, access, new),
    }
}
