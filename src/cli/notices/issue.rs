//! Notices of issuing in words.

use crate::app::count::certificates;
use crate::app::issue::Notice;
use crate::cli::output::reasons;
use crate::cli::remedies::send_request;
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::ui::Screen;

/// Shows a notice.
pub(super) fn show(notice: &Notice, screen: &mut Screen<'_>) {
    match notice {
        Notice::NotCached(error) => screen.warn(format_args!(
            "the ledger cannot store which files were verified, so the next run takes longer: {error}"
        )),
        Notice::ServiceAccountKeyCreated { pin } => {
            screen.step(format_args!("made the key pair that signs service accounts' tokens: {}", pin.as_pin()));
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
        Notice::RequestNeeded { certificates } => {
            for one in certificates {
                screen.warn(format_args!(
                    "{} is not issued here, because its key is on its host alone ({}). Send a new request: {}",
                    one.credential,
                    reasons::of(one),
                    send_request(one.credential.host.as_ref().map_or("HOST", HostName::as_str)),
                ));
            }
        }
        Notice::Recorded { count, serial } => screen.warn(format_args!(
            "{} that the ledger lacked {} recorded in it, and can be revoked, for example with: clusterctl revoke {serial}",
            certificates(*count),
            if *count == 1 { "is" } else { "are" },
        )),
    }
}
