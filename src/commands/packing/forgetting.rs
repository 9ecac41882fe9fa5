//! Keys that the directory forgets on purpose, once the sealed bundle that has them is written.

use crate::cli::context::Context;
use crate::cluster::profile::CertificateSpec;
use crate::store::credentials;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;

/// Forgets the keys of `leaves`, whose bundles are on the disk.
///
/// # Errors
/// What the ledger or the system says; what is not forgotten then is still there.
pub(crate) fn forget(
    leaves: &[CertificateSpec],
    ledger: &mut Ledger,
    context: &mut Context<'_>,
) -> Result<(), StoreError> {
    let count = credentials::discard_keys(&context.env.layout, ledger, leaves, &context.env.audit())?;
    context.screen.step(format_args!(
        "forgot {count} key{}: none but those whom the bundles are sealed to have them now",
        if count == 1 { "" } else { "s" },
    ));
    Ok(())
}

/// Says which hosts were passed over.
pub(crate) fn tell_kept(kept: usize, context: &mut Context<'_>) {
    if kept > 0 {
        context.screen.warn(format_args!(
            "{kept} host{} the sealed bundle that is there, as the keys in it were forgotten here; what changed since is \
             not in it. New keys come with: clusterctl issue-node --reissue HOST",
            if kept == 1 { " keeps" } else { "s keep" },
        ));
    }
}
