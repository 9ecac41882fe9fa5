//! The key pair that signs service accounts' tokens.

use super::error::IssuanceError;
use super::notice::Notice;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::cluster::key_kind::KeyKind;
use crate::pki::issuer::IssueError;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::service_account::{self, Found};

/// What the key pair that signs service accounts' tokens needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceAccountStep {
    /// It is made.
    Create,
    /// Its public key is written: the private key is there.
    WritePublicKey,
}

/// Returns what the key pair needs, if anything.
///
/// # Errors
/// [`IssuanceError::ServiceAccountKey`]
pub(super) fn step(layout: &Layout) -> Result<Option<ServiceAccountStep>, IssuanceError> {
    Ok(match service_account::look(layout).map_err(IssuanceError::ServiceAccountKey)? {
        Found::Whole(_) => None,
        Found::Half(_) => Some(ServiceAccountStep::WritePublicKey),
        Found::Nothing => Some(ServiceAccountStep::Create),
    })
}

/// Makes the key pair, or completes it.
///
/// # Errors
/// When it cannot be used, made or written.
pub(super) fn complete(
    keys: KeyKind,
    ledger: &mut Ledger,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    match service_account::look(&env.layout).map_err(IssuanceError::ServiceAccountKey)? {
        Found::Whole(_) => {}
        Found::Half(key) => {
            service_account::write_public(&env.layout, &key)?;
            observer.notice(Notice::ServiceAccountPublicKeyWritten { pin: key.fingerprint() }.into());
        }
        Found::Nothing => {
            let key = service_account::make(keys).map_err(IssueError::Key)?;
            service_account::write(&env.layout, &key, ledger, &env.audit())?;
            observer.notice(Notice::ServiceAccountKeyCreated { pin: key.fingerprint() }.into());
        }
    }
    Ok(())
}
