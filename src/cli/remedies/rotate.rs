//! The remedies for rotations that cannot go on.

use crate::app::rotate::{Behind, RotateError};
use crate::sanitize::sanitized;

/// The number of hosts that a remedy names.
const NAMED: usize = 8;

/// Returns the remedy, as text.
pub(super) fn words(error: &RotateError) -> String {
    match error {
        RotateError::NotRotating(_) => "begin with: clusterctl rotate-ca start".to_owned(),
        RotateError::UnderWay { .. } => {
            "go on with it: clusterctl rotate-ca next   (or give it up: clusterctl rotate-ca abort)".to_owned()
        }
        RotateError::KeyElsewhere(_) => {
            "import the new CA into a new cluster directory; docs/src/operate/rotation.md describes the outage"
                .to_owned()
        }
        RotateError::SameSubject { .. } => "make the new CA with another name".to_owned(),
        RotateError::Known { .. } => "make a CA with a key of its own".to_owned(),
        RotateError::SharedKey(_) => "give each CA its own key".to_owned(),
        RotateError::UnknownCanary(_) => "name hosts as cluster.yaml has them".to_owned(),
        RotateError::Gate { behind, .. } => gate(behind),
        RotateError::Wait { .. } => {
            "run it again then: programs may still use what they read before. If all of them were restarted: --no-wait"
                .to_owned()
        }
        RotateError::Report { .. } => {
            "make a report of this phase: clusterctl verify --phase --output json >report.json".to_owned()
        }
        RotateError::NoBackup => "back it up first: clusterctl backup FILE".to_owned(),
        RotateError::Due(_) => {
            "renew them first: clusterctl renew --all --within 30d, then clusterctl apply, and deliver the bundles"
                .to_owned()
        }
        RotateError::TooLate { .. } => {
            "clients already have certificates of the new root: finish this rotation, and begin another one".to_owned()
        }
        RotateError::Confirm(_) => {
            "say --yes, or keep the key with --keep-old-key; a backup of before the rotation has it, too".to_owned()
        }
    }
}

/// Names the hosts that are behind, with what was observed.
fn gate(behind: &[Behind]) -> String {
    let line = |one: &Behind| format!("{} {}: {}", sanitized(&one.host), one.check, one.observed);
    let mut lines: Vec<String> = behind.iter().take(NAMED).map(line).collect();
    if behind.len() > NAMED {
        lines.push(format!("and {} more", behind.len() - NAMED));
    }
    lines.push(
        "on each of these hosts: install its newest bundle (clusterctl apply, install.sh), restart what clusterctl rotate-ca \
         status names, wait until programs have read their files again, and run this again. A host that is gone: \
         clusterctl remove"
            .to_owned(),
    );
    lines.join("\n")
}
