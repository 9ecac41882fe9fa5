//! Hosts without good credentials, and what helps them.

use crate::bundle::input::Roles;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::remedies;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CertificateSpec, Holder};
use crate::commands::packing::report::listed;
use crate::pki::violation::COMPARE_CLOCKS;
use crate::store::credentials::CredentialProblem;
use crate::store::error::StoreError;

/// How many hosts without credentials an error names.
const NAMED: usize = 5;
/// How many a command names that must not be given `--all`.
const NAMED_AT_MOST: usize = 50;

/// A host whose credentials are not there, or no longer good.
pub(super) struct Lacking<'c> {
    roles: Roles<'c>,
    what: &'static str,
    why: String,
    master: bool,
    remedy: Remedy,
}

/// What helps a host that lacks a good credential.
#[derive(Clone, PartialEq)]
enum Remedy {
    Issue,
    /// Its key was forgotten on purpose; all else is good.
    Reissue,
    /// A file cannot be read: what is in it may well be good.
    MakeReadable(Box<StoreError>),
    /// Its time has not come, as this machine's clock has it.
    SetTheClock,
}

impl Remedy {
    fn of(troubles: &[CredentialProblem]) -> Self {
        match troubles {
            [CredentialProblem::KeyDiscarded { .. }] => Self::Reissue,
            [CredentialProblem::Unreadable(error)] => Self::MakeReadable(Box::new(error.clone())),
            _ if troubles.iter().all(CredentialProblem::is_early) => Self::SetTheClock,
            _ => Self::Issue,
        }
    }
}

impl<'c> Lacking<'c> {
    pub(super) fn of(roles: &Roles<'c>, leaf: &CertificateSpec, troubles: &[CredentialProblem]) -> Self {
        Self {
            roles: *roles,
            what: leaf.policy().name,
            why: troubles.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            master: leaf.policy().holder == Holder::Master,
            remedy: Remedy::of(troubles),
        }
    }

    pub(super) fn host(&self) -> &'c HostName {
        self.roles.host()
    }

    pub(super) fn into_roles(self) -> Roles<'c> {
        self.roles
    }

    /// Whether its key was forgotten on purpose, and all else is good.
    pub(super) fn is_only_forgotten(&self) -> bool {
        self.remedy == Remedy::Reissue
    }

    /// Its files changed while others were being packed. Or their bytes did and nothing else, and nobody looked at those.
    pub(super) fn after_the_first_look(self) -> CliError {
        let (host, what, why) = (self.host(), self.what, &self.why);
        if let Remedy::MakeReadable(error) = self.remedy {
            return CliError::new(Exit::Environment, format!("the {what} credential of {host} cannot be read"))
                .because(*error);
        }
        let command = if self.master { "issue-master" } else { "issue-node" };
        CliError::new(Exit::Refused, format!("the {what} credential of {host} is not good: {why}"))
            .hint(format!("look at all with: clusterctl verify --offline   and issue it again with: clusterctl {command} {host} --reissue"))
    }
}

/// The error that tells of all of them, of which there is one at least, with what helps, in the order in which it helps.
/// `packed` are the hosts whose bundles are made nevertheless.
pub(super) fn told(all: &[Lacking<'_>], packed: &[&str]) -> CliError {
    let mut lines: Vec<String> =
        all.iter().take(NAMED).map(|l| format!("{} {}: {}", l.host(), l.what, l.why)).collect();
    if all.len() > NAMED {
        lines.push(format!("and {} more", all.len() - NAMED));
    }
    let unreadable: Vec<&StoreError> = all
        .iter()
        .filter_map(|l| match &l.remedy {
            Remedy::MakeReadable(error) => Some(error.as_ref()),
            _ => None,
        })
        .collect();
    let (exit, lack) = match unreadable.len() == all.len() {
        true => (Exit::Environment, "credentials that cannot be read"),
        false => (Exit::Refused, "no good credentials"),
    };
    let who = match all {
        [one] => format!("{} has", one.host()),
        _ => format!("{} hosts have", all.len()),
    };
    let mut hints = Vec::new();
    if let Some(hint) = unreadable.iter().find_map(|error| remedies::of_store(error)) {
        hints.push(match unreadable.len() - 1 {
            0 => hint,
            more => format!("{hint}, and so for {more} more"),
        });
    }
    if all.iter().any(|l| l.remedy == Remedy::SetTheClock) {
        hints.push(COMPARE_CLOCKS.to_owned());
    }
    let commands = commands(all);
    if !commands.is_empty() {
        hints.push(format!(
            "issue {} with: {}",
            if hints.is_empty() { "them" } else { "the others" },
            commands.join(" ; ")
        ));
    }
    let lines = lines.join("\n  ");
    let what = match packed {
        [] => format!("{who} {lack}, so nothing was packed:\n  {lines}"),
        packed => {
            let hosts: Vec<&str> = all.iter().take(NAMED_AT_MOST).map(|l| l.host().as_str()).collect();
            format!(
                "{who} {lack}, so not all was packed. Refused (pack them afterwards with: clusterctl bundle {}):\n  {lines}\n\
                 Packed: {}",
                hosts.join(" "),
                listed(packed)
            )
        }
    };
    let failure = CliError::new(exit, what);
    if hints.is_empty() { failure } else { failure.hint(hints.join("; then ")) }
}

/// The commands that issue what can be issued.
fn commands(all: &[Lacking<'_>]) -> Vec<String> {
    let of = |master: bool, remedy: Remedy| -> Vec<&str> {
        all.iter().filter(|l| l.master == master && l.remedy == remedy).map(|l| l.host().as_str()).collect()
    };
    let issue = |command: &str, hosts: Vec<&str>| match hosts.len() {
        0 => None,
        1..=NAMED => Some(format!("{command} {}", hosts.join(" "))),
        // It keeps what is good.
        _ => Some(format!("{command} --all")),
    };
    let reissue = |hosts: Vec<&str>| match hosts.len() {
        0 => None,
        1..=NAMED_AT_MOST => Some(format!("clusterctl issue-node --reissue {}", hosts.join(" "))),
        // With --all it would issue again what is good, too.
        count => Some(format!(
            "clusterctl issue-node --reissue {}   (and {} more: run this again to see them)",
            hosts[..NAMED_AT_MOST].join(" "),
            count - NAMED_AT_MOST
        )),
    };
    [
        issue("clusterctl issue-master", of(true, Remedy::Issue)),
        issue("clusterctl issue-node", of(false, Remedy::Issue)),
        reissue(of(false, Remedy::Reissue)),
    ]
    .into_iter()
    .flatten()
    .collect()
}
