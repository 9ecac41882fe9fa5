//! Notices of issuing as text.

use crate::app::count::{certificates, counted};
use crate::app::issue::{Notice, PlannedCertificate};
use crate::app::revoke::superseded::SupersededKept;
use crate::cli::output::reasons;
use crate::cli::remedies::request::send_request;
use crate::cluster::duration::stamp;
use crate::ui::Screen;

/// Shows a notice.
pub(super) fn show(notice: &Notice, screen: &mut Screen<'_>) {
    match notice {
        Notice::NotCached(error) => screen.warn(format_args!(
            "the ledger cannot store which files were verified, so the next run takes longer: {error}"
        )),
        Notice::ServiceAccountKeyCreated { pin } => {
            screen.step(format_args!("generated the key pair that signs service accounts' tokens: {}", pin.as_pin()));
        }
        Notice::ServiceAccountPublicKeyWritten { pin } => screen.step(format_args!(
            "wrote the missing public key of the pair that signs service accounts' tokens: {}",
            pin.as_pin()
        )),
        Notice::Shortened { count, ca_not_after } => screen.warn(format_args!(
            "the CA expires at {}, and {} with it, earlier than the cluster file says",
            stamp(*ca_not_after),
            certificates(*count),
        )),
        Notice::RequestNeeded { certificates } => show_requests(certificates, screen),
        Notice::SupersededKept(SupersededKept { count, prefix, error }) => screen.warn(format_args!(
            "{} of accounts {prefix}HOST stay valid, because the API servers' rules cannot deny so many: {error}. \
             Delete the objects that give them rights: clusterctl policy names them",
            certificates(*count),
        )),
        Notice::Recorded { count, serial } => screen.warn(format_args!(
            "{} that the ledger lacked {} recorded in it, and can be revoked, for example with: clusterctl revoke {serial}",
            certificates(*count),
            if *count == 1 { "is" } else { "are" },
        )),
    }
}

/// The maximum number of hosts that are named.
const NAMED: usize = 20;

/// Shows the hosts that have to send new requests, with the reasons of their certificates.
fn show_requests(due: &[PlannedCertificate], screen: &mut Screen<'_>) {
    let host = |one: &PlannedCertificate| one.credential.host.clone();
    let hosts: Vec<&[PlannedCertificate]> = due.chunk_by(|one, other| host(one) == host(other)).collect();
    for of_host in hosts.iter().take(NAMED) {
        let Some(name) = of_host.first().and_then(host) else { continue };
        let line = |one: &PlannedCertificate| format!("{}: {}", one.credential.profile.policy().name, reasons::of(one));
        screen.warn(format_args!(
            "only {name} has its keys, and it needs new certificates ({}): {}",
            of_host.iter().map(line).collect::<Vec<_>>().join("; "),
            send_request(name.as_str()),
        ));
    }
    if let Some(more @ 1..) = hosts.len().checked_sub(NAMED) {
        screen.warn(format_args!("{} more with their own keys need new certificates", counted(more, "host")));
    }
}
