//! The texts of remedies for rotations that cannot continue.

use std::collections::BTreeSet;

use crate::app::rotate::tokens::TokenRotationError;
use crate::app::rotate::{Behind, LeftCertificate, LeftHolder, RotateError};
use crate::cluster::profile::CaRole;
use crate::sanitize::sanitized;

/// The number of hosts that a remedy names.
const NAMED: usize = 8;

/// Returns the remedy, as text.
pub(super) fn words(error: &RotateError) -> String {
    match error {
        RotateError::NotRotating(role) => format!("begin with: clusterctl rotate-ca start{}", flag(*role)),
        RotateError::OtherRole { rotated, .. } => {
            format!("another rotation is under way: use --role {rotated}, and see clusterctl rotate-ca status")
        }
        RotateError::UnderWay { role, phase } => {
            let flag = flag(*role);
            let next = format!("continue it: clusterctl rotate-ca next{flag}");
            match phase.can_abort() {
                true => format!("{next}   (or abort it: clusterctl rotate-ca abort{flag})"),
                false => next,
            }
        }
        RotateError::SameSubject { .. } => "make the new CA with another name".to_owned(),
        RotateError::Known { .. } => "make a CA with a key of its own".to_owned(),
        RotateError::SharedKey(_) => "give each CA its own key".to_owned(),
        RotateError::UnknownCanary(_) => "name hosts of cluster.yaml that have certificates of this CA".to_owned(),
        RotateError::Gate { behind, .. } => gate(behind),
        RotateError::Wait { .. } => {
            "run it again then: programs may still use what they read before. If all of them were restarted: --no-wait"
                .to_owned()
        }
        RotateError::OldReport { .. } => {
            "until then programs could still use what they had read before. Make a new report: clusterctl verify --phase --output \
             json >report.json. If all of them were restarted: --no-wait"
                .to_owned()
        }
        RotateError::Report { .. } => {
            "make a report of this phase: clusterctl verify --phase --output json >report.json".to_owned()
        }
        RotateError::NoBackup => "back it up first: clusterctl backup FILE".to_owned(),
        RotateError::NoCanary(_) => {
            "restore the folder pki/rotation from the backup of this rotation; before there is one, delete it, and start again"
                .to_owned()
        }
        RotateError::NoNewKey { role, can_abort, .. } => {
            let abort = format!("; if there is none: clusterctl rotate-ca abort{}", flag(*role));
            let abort = if *can_abort { abort.as_str() } else { "" };
            format!("bring it back if you keep it elsewhere, or restore it from the backup of this rotation{abort}")
        }
        RotateError::Due(_) => {
            "renew them first: clusterctl renew --all --within 30d, then clusterctl apply, and deliver the bundles"
                .to_owned()
        }
        RotateError::Left { left, .. } => of_left(left),
        RotateError::ConfirmEmergency => {
            "use --yes if the cluster may be cut off; if no key was stolen, leave out --emergency".to_owned()
        }
        RotateError::Aborting(role) => {
            let flag = flag(*role);
            format!("finish the abort: clusterctl rotate-ca abort{flag}   (or go forward again: clusterctl rotate-ca next{flag} --resume)")
        }
        RotateError::TooLate { .. } => {
            "clients already have certificates issued by the new CA: finish this rotation, and begin another one".to_owned()
        }
        RotateError::Confirm(_) => {
            "use --yes, or keep the key with --keep-old-key; a backup from before the rotation contains it, too".to_owned()
        }
    }
}

/// Returns the remedy for a rotation of the key of service accounts, as text.
pub(super) fn of_tokens(error: &TokenRotationError) -> String {
    match error {
        TokenRotationError::NoKey => "make it first: clusterctl issue-master --all".to_owned(),
        TokenRotationError::NotRotating => "begin with: clusterctl rotate-ca start --role service-account".to_owned(),
        TokenRotationError::UnderWay(phase) => {
            let next = "continue it: clusterctl rotate-ca next --role service-account";
            match phase.can_abort() {
                true => format!("{next}   (or abort it: clusterctl rotate-ca abort --role service-account)"),
                false => next.to_owned(),
            }
        }
        TokenRotationError::CaUnderWay { .. } => "finish that rotation first".to_owned(),
        TokenRotationError::Gate { behind, .. } => gate(behind),
        TokenRotationError::Wait { .. } => {
            "run it again then: programs outside of the cluster may still use the keys that they got before. If there are none: \
             --no-wait"
                .to_owned()
        }
        TokenRotationError::Tokens { .. } => {
            "run it again then. If every pod was restarted and every Secret with a token was created again: --tokens-replaced"
                .to_owned()
        }
        TokenRotationError::NoBackup => "back it up first: clusterctl backup FILE".to_owned(),
        TokenRotationError::TooLate(_) => {
            "tokens of the new key are in use: finish this rotation, and begin another one".to_owned()
        }
        TokenRotationError::Confirm => {
            "use --yes, or keep the key with --keep-old-key; a backup from before the rotation contains it, too".to_owned()
        }
    }
}

/// Returns the remedy for each kind of holder.
fn of_left(left: &[LeftCertificate]) -> String {
    let has = |holder| left.iter().any(|one| one.holder == holder);
    let mut lines = Vec::new();
    if has(LeftHolder::Host) {
        lines.push("hosts: clusterctl apply, and deliver the bundles".to_owned());
    }
    let former = left.iter().filter(|one| one.holder == LeftHolder::FormerHost).map(|one| one.name.as_str());
    let former: BTreeSet<&str> = former.collect();
    if !former.is_empty() {
        let named = former.iter().take(NAMED).copied().collect::<Vec<_>>().join(" ");
        let of_all = if former.len() > NAMED { ", and each of the others" } else { "" };
        lines.push(format!(
            "hosts that are not in cluster.yaml: clusterctl remove {named}{of_all}; or write them into the file again"
        ));
    }
    if has(LeftHolder::Account) {
        lines.push("accounts: clusterctl issue-admin NAME --reissue, or clusterctl revoke NAME".to_owned());
    }
    lines.join("\n")
}

/// Returns the flag that names a role, with a space before it; nothing for the role that is the default.
fn flag(role: CaRole) -> String {
    if role == CaRole::Cluster { String::new() } else { format!(" --role {}", role.name()) }
}

/// Names the hosts that are behind, with what was observed.
fn gate(behind: &[Behind]) -> String {
    let line = |one: &Behind| format!("{} {}: {}", sanitized(&one.host), one.check, one.observed);
    let mut lines: Vec<String> = behind.iter().take(NAMED).map(line).collect();
    if behind.len() > NAMED {
        lines.push(format!("and {} more", behind.len() - NAMED));
    }
    let kinds: BTreeSet<Kind> = behind.iter().map(|one| Kind::of(&one.check)).collect();
    lines.extend(kinds.into_iter().map(|kind| kind.remedy().to_owned()));
    lines.join("\n")
}

/// What a check shows of a host that is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// It cannot be reached.
    Unreached,
    /// It has another bundle, or programs that did not read it.
    Phase,
    /// A property that does not belong to the rotation does not hold.
    Other,
}

impl Kind {
    fn of(check: &str) -> Self {
        match check.split('.').next_back() {
            Some("connect" | "resolve" | "tls") => Self::Unreached,
            Some("new-root" | "old-root" | "served-root" | "installed" | "token-keys") => Self::Phase,
            _ => Self::Other,
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Unreached => {
                "a host that does not answer: start it, and what listens at this port. A host that is gone: take it out of cluster.yaml, \
                 and clusterctl remove"
            }
            Self::Phase => {
                "a host of another phase: install its newest bundle (clusterctl apply, install.sh), restart what clusterctl rotate-ca \
                 status names for the present phase, wait until programs have read their files again, and run this again"
            }
            Self::Other => "any other check: clusterctl verify --phase names its remedy",
        }
    }
}
