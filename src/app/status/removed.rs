//! Hosts that are no longer in the cluster file and still have valid certificates.

use super::row::{CertificateId, Credential, StatusRow, Subject};
use super::source::Sink;
use super::state::State;
use crate::app::revoke::removed_host::RemovedHost;
use crate::cluster::profile::TABLE;

/// Reports each valid certificate of removed hosts.
pub(super) fn rows(left: impl Iterator<Item = RemovedHost>, sink: Sink<'_>) {
    for removed in left {
        let remedy = removed.remedy();
        for issued in removed.certificates {
            // `RemovedHost` only has certificates of known profiles.
            let Some(policy) = TABLE.iter().find(|row| row.name == issued.profile) else { continue };
            let subject = Subject::Host(removed.host.clone());
            let row = StatusRow::new(subject, Credential::Leaf(policy.profile), State::Left).remedy(remedy.clone());
            let not_after = Some(issued.not_after);
            sink(StatusRow { not_after, certificate: Some(CertificateId::from(issued)), ..row });
        }
    }
}
