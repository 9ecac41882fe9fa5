//! The list of one root, signed from what the ledger knows.

use super::{lists, revocations};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::CaRole;
use crate::pki::crl::Revoked;
use crate::pki::issuer::Issuer;
use crate::store::files::{self, PUBLIC};
use crate::store::ledger::Ledger;

/// Signs and writes the list of one root.
///
/// # Errors
/// What the ledger or the system says.
pub(crate) fn sign(
    kind: CaRole,
    authority: &Issuer,
    lifetime: Lifetime,
    ledger: &mut Ledger,
    context: &mut Context<'_>,
) -> Result<()> {
    let root = authority.ca().certificate().fingerprint();
    let of_root = revocations::listed(ledger, context.env.now)?.into_iter().filter(|issued| issued.issuer == root);
    let unrecorded = ledger.unrecorded()?.into_iter().filter_map(|one| {
        let (issuer, serial) = one.serial?;
        (issuer == root).then_some(Revoked { serial, at: one.revocation.at, reason: one.revocation.reason })
    });
    let entries: Vec<Revoked> = of_root
        .filter_map(|issued| {
            let revocation = issued.revocation?;
            Some(Revoked { serial: issued.serial, at: revocation.at, reason: revocation.reason })
        })
        .chain(unrecorded)
        .collect();
    let next_update = context.env.now + lifetime.duration();
    // A ledger from a backup may have forgotten the last numbers; the list in the directory has not, unless it is from that
    // backup, too. The time has not gone back in any case.
    let path = context.env.layout.revocation_list(kind);
    let present = lists::present(&context.env.layout, kind, authority.ca().certificate()).unwrap_or_else(|why| {
        context.screen.warn(format_args!("{} is replaced by what the ledger knows: {why}", path.display()));
        None
    });
    let at_least = present.and_then(|list| list.number).map_or(1, |number| number.saturating_add(1));
    let at_least = at_least.max(u64::try_from(context.env.now.unix_timestamp()).unwrap_or(1));
    let number = ledger.next_crl_number(root, at_least, context.env.now, next_update)?;
    let list = authority.revocation_list(&entries, number, context.env.now, next_update).map_err(|error| {
        CliError::new(Exit::Bug, format!("the revocation list of the {} could not be made", kind.as_str()))
            .because(error)
    })?;
    files::replace(&path, list.to_pem().as_bytes(), PUBLIC)?;
    context.screen.answer(path.display());
    Ok(())
}
