//! The state of a rotation of the cluster's CA in a record, so that hosts that joined know when to replace their certificates.

use serde::{Deserialize, Serialize};

use crate::cluster::name::HostName;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::rotation::Phase;

/// The largest number of canaries.
const MOST: usize = 64;

/// The rotation that is under way when a record is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRotation {
    /// The phase.
    pub phase: Phase,
    /// The pin of the new root.
    pub new: Fingerprint,
    /// The hosts that get certificates issued by the new CA first.
    pub canaries: Vec<HostName>,
}

/// A [`RecordRotation`] as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RotationFields {
    phase: String,
    new: String,
    canaries: Vec<String>,
}

/// A certificate of a host, compared with what a phase requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Present {
    /// Whether it is a serving certificate.
    pub is_server: bool,
    /// Whether it leads to the new root.
    pub is_new: bool,
    /// Whether the host requested it in this phase.
    pub is_of_phase: bool,
}

impl RecordRotation {
    pub(super) fn fields(&self) -> RotationFields {
        RotationFields {
            phase: self.phase.as_str().to_owned(),
            new: self.new.as_pin(),
            canaries: self.canaries.iter().take(MOST).map(ToString::to_string).collect(),
        }
    }

    /// Returns true if the phase requires the host to replace a certificate. The same is required of hosts whose certificates are
    /// issued on the admin machine.
    #[must_use]
    pub fn replaces(&self, host: &HostName, present: Present) -> bool {
        let Present { is_server, is_new, is_of_phase } = present;
        let is_canary = self.canaries.contains(host);
        match self.phase {
            Phase::Prepare => false,
            // A host has one issued by the new CA only if the rotation is aborted, and only the old root is trusted next.
            Phase::TrustBoth => is_new,
            Phase::Canary => !is_new && is_canary,
            Phase::Servers => !is_new && (is_server || is_canary),
            // A new serving certificate, which `verify` sees from outside, shows that the host has its new client certificate, too.
            Phase::Clients => !is_new || (is_server && !is_of_phase),
            Phase::DropOld => !is_new,
        }
    }

    /// Returns the phase and the pin of the new root as text, for the state of a host.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} {}", self.phase.as_str(), self.new.as_pin())
    }
}

impl RotationFields {
    pub(super) fn parse(&self) -> Option<RecordRotation> {
        if self.canaries.len() > MOST {
            return None;
        }
        Some(RecordRotation {
            phase: Phase::parse(&self.phase)?,
            new: self.new.strip_prefix("sha256:").and_then(Fingerprint::parse)?,
            canaries: self.canaries.iter().map(|name| HostName::parse(name).ok()).collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_require_what_they_require_of_other_hosts() {
        let host = HostName::parse("node-1").expect("a name");
        let required = |phase, canaries: &[&str], is_server, is_new, is_of_phase| {
            let canaries = canaries.iter().map(|name| HostName::parse(name).expect("a name")).collect();
            let rotation = RecordRotation { phase, new: Fingerprint::of(b"new"), canaries };
            rotation.replaces(&host, Present { is_server, is_new, is_of_phase })
        };
        for (is_server, is_new) in [(true, true), (true, false), (false, true), (false, false)] {
            assert!(!required(Phase::Prepare, &["node-1"], is_server, is_new, false));
            assert_eq!(required(Phase::TrustBoth, &["node-1"], is_server, is_new, false), is_new, "an abort");
            assert!(!required(Phase::Canary, &["node-2"], is_server, is_new, false));
            assert_eq!(required(Phase::Canary, &["node-1"], is_server, is_new, false), !is_new);
            assert_eq!(required(Phase::Servers, &[], is_server, is_new, false), is_server && !is_new);
            assert_eq!(required(Phase::Clients, &[], is_server, is_new, false), is_server || !is_new);
            assert_eq!(required(Phase::Clients, &[], is_server, is_new, true), !is_new);
            assert_eq!(required(Phase::DropOld, &[], is_server, is_new, false), !is_new);
        }
    }
}
