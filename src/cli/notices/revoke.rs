//! Notices of revoking as text.

use crate::app::revoke::Notice;
use crate::app::revoke::removed_host::RemovedHost;
use crate::cli::finding_remedies;
use crate::cluster::profile::CaRole;
use crate::ui::Screen;
use crate::verify::remedy::TargetKind;

/// The maximum number of removed hosts that are shown.
const SHOWN: usize = 5;

/// Shows a notice.
pub(super) fn show(notice: &Notice, screen: &mut Screen<'_>) {
    match notice {
        Notice::CrlReplaced { path, why } => {
            screen.warn(format_args!("{} is replaced by a CRL from the ledger: {why}", path.display()));
        }
        Notice::NoCrl(CaRole::Cluster) => screen.warn(
            "the cluster's CA cannot sign CRLs: its key usage lacks cRLSign. API servers deny revoked certificates by \
             their rules; nodes' serving certificates, and certificates that other programs accept, stay valid until \
             they expire",
        ),
        Notice::NoCrl(role) => screen.warn(format_args!(
            "the {} CA cannot sign CRLs: its key usage lacks cRLSign. What it issued stays valid until it expires, or until another CA \
             replaces it",
            role.as_str(),
        )),
        Notice::RemovedHosts(removed) => removed_hosts(removed, screen),
    }
}

fn removed_hosts(removed: &[RemovedHost], screen: &mut Screen<'_>) {
    for one in removed.iter().take(SHOWN) {
        let remedy = finding_remedies::words(&one.remedy().into(), TargetKind::Directory);
        screen.warn(format_args!("{}: {one}; {remedy}", one.host));
    }
    if let Some(more) = removed.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        screen.warn(format_args!("and {more} more removed hosts: clusterctl verify --offline lists all"));
    }
}
