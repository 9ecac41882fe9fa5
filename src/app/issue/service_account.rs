//! The key pair that signs service account tokens.

use super::error::IssuanceError;
use super::notice::Notice;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::cluster::key_kind::KeyKind;
use crate::pki::issuer::IssueError;
use crate::pki::service_account_key::ServiceAccountKey;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::service_account::{self, KeyPairState};

/// The missing step for the key pair that signs service account tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceAccountStep {
    /// Generate the pair.
    Create,
    /// Write the public key of the existing private key.
    WritePublicKey,
}

/// Returns the missing step for the key pair, if there is one.
///
/// # Errors
/// Returns [`IssuanceError::ServiceAccountKey`].
pub(super) fn step(layout: &Layout) -> Result<Option<ServiceAccountStep>, IssuanceError> {
    Ok(match service_account::read(layout).map_err(IssuanceError::ServiceAccountKey)? {
        KeyPairState::Complete(_) => None,
        KeyPairState::PrivateKeyOnly(_) => Some(ServiceAccountStep::WritePublicKey),
        KeyPairState::Missing => Some(ServiceAccountStep::Create),
    })
}

/// Generates the key pair, or writes its missing public key.
///
/// # Errors
/// Returns an error if it cannot be used, generated or written.
pub(super) fn complete(
    keys: KeyKind,
    ledger: &mut Ledger,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    match service_account::read(&env.layout).map_err(IssuanceError::ServiceAccountKey)? {
        KeyPairState::Complete(_) => {}
        KeyPairState::PrivateKeyOnly(key) => {
            service_account::write_public(&env.layout, &key)?;
            observer.notice(Notice::ServiceAccountPublicKeyWritten { pin: key.fingerprint() }.into());
        }
        KeyPairState::Missing => {
            let key = ServiceAccountKey::generate(keys).map_err(IssueError::Key)?;
            service_account::write(&env.layout, &key, ledger, &env.audit())?;
            observer.notice(Notice::ServiceAccountKeyCreated { pin: key.fingerprint() }.into());
        }
    }
    Ok(())
}
