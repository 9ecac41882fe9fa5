//! The first look at all hosts: nothing is packed before each has good credentials.

use rayon::iter::{Either, IntoParallelIterator, ParallelIterator};

use super::source::Source;
use crate::bundle::format::sealed_name;
use crate::bundle::input::Roles;
use crate::cluster::profile::{Holder, Leaf};
use crate::failure::{Exit, Failure};
use crate::store::credentials::Trouble;
use crate::store::files;
use crate::store::traces::Trace;

/// How many hosts without credentials an error names.
const NAMED: usize = 5;

/// A host whose credentials are not there, or no longer good.
pub(super) struct Lacking<'c> {
    roles: Roles<'c>,
    what: &'static str,
    why: String,
    master: bool,
    /// What helps.
    remedy: Remedy,
}

/// What helps a host that lacks a good credential.
#[derive(Clone, PartialEq)]
enum Remedy {
    Issue,
    /// Its key was forgotten on purpose; all else is good.
    Reissue,
    /// A file cannot be read: what is in it may well be good.
    MakeReadable(Option<String>),
}

impl<'c> Lacking<'c> {
    pub(super) fn of(roles: &Roles<'c>, leaf: &Leaf, troubles: &[Trouble]) -> Self {
        Self {
            roles: *roles,
            what: leaf.policy().name,
            why: troubles.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            master: leaf.policy().holder == Holder::Master,
            remedy: match troubles {
                [Trouble::Forgotten { .. }] => Remedy::Reissue,
                [Trouble::Unreadable(error)] => Remedy::MakeReadable(error.hint()),
                _ => Remedy::Issue,
            },
        }
    }

    /// Its files changed while others were being packed. Or their bytes did and nothing else, and nobody looked at those.
    pub(super) fn after_the_first_look(self) -> Failure {
        let Self { roles, what, why, master, .. } = self;
        let host = roles.host();
        let command = if master { "issue-master" } else { "issue-node" };
        Failure::new(Exit::Refused, format!("the {what} credential of {host} is not good: {why}"))
            .hint(format!("look at all with: clusterctl verify --offline   and issue it again with: clusterctl {command} {host} --reissue"))
    }
}

/// What the first look at all hosts found.
pub(crate) struct Ready<'c> {
    /// All of whose credentials are good.
    pub(crate) hosts: Vec<Roles<'c>>,
    /// Those that, where all are meant, keep the sealed bundle that has their forgotten keys.
    pub(crate) kept: Vec<Roles<'c>>,
    /// What may be remembered.
    pub(crate) found_good: Vec<Trace>,
}

/// Looks at every host before anything is written.
pub(crate) fn all_have_credentials<'c>(
    source: &Source<'_>,
    hosts: Vec<Roles<'c>>,
    all: bool,
) -> Result<Ready<'c>, Failure> {
    let (good, lacking): (Vec<(Roles<'c>, Vec<Trace>)>, Vec<Lacking<'c>>) =
        hosts.into_par_iter().partition_map(|roles| match source.judge(&roles) {
            Ok(traces) => Either::Left((roles, traces)),
            Err(lacking) => Either::Right(lacking),
        });
    let keeps = |l: &Lacking<'_>| {
        all && l.remedy == Remedy::Reissue && files::exists(&source.layout.bundles().join(sealed_name(l.roles.host())))
    };
    let (kept, lacking): (Vec<Lacking<'c>>, Vec<Lacking<'c>>) = lacking.into_iter().partition(keeps);
    let Some(first) = lacking.first() else {
        let (hosts, traces): (Vec<Roles<'c>>, Vec<Vec<Trace>>) = good.into_iter().unzip();
        let kept = kept.into_iter().map(|lacking| lacking.roles).collect();
        return Ok(Ready { hosts, kept, found_good: traces.into_iter().flatten().collect() });
    };
    let mut lines: Vec<String> =
        lacking.iter().take(NAMED).map(|l| format!("{} {}: {}", l.roles.host(), l.what, l.why)).collect();
    if lacking.len() > NAMED {
        lines.push(format!("and {} more", lacking.len() - NAMED));
    }
    let mut commands = Vec::new();
    let ways = [
        (true, Remedy::Issue, "clusterctl issue-master"),
        (false, Remedy::Issue, "clusterctl issue-node"),
        (false, Remedy::Reissue, "clusterctl issue-node --reissue"),
    ];
    for (master, remedy, command) in ways {
        let meant = lacking.iter().filter(|l| l.master == master && l.remedy == remedy);
        let of: Vec<&str> = meant.map(|l| l.roles.host().as_str()).collect();
        match of.len() {
            0 => {}
            1..=NAMED => commands.push(format!("{command} {}", of.join(" "))),
            _ => commands.push(format!("{command} --all")),
        }
    }
    let what = match lacking.len() {
        1 => {
            format!("{} has no good credentials, so nothing was packed:\n  {}", first.roles.host(), lines.join("\n  "))
        }
        count => format!("{count} hosts have no good credentials, so nothing was packed:\n  {}", lines.join("\n  ")),
    };
    let mut hints: Vec<String> = Vec::new();
    if !commands.is_empty() {
        hints.push(format!("issue them with: {}", commands.join(" ; ")));
    }
    for lacking in &lacking {
        if let Remedy::MakeReadable(Some(hint)) = &lacking.remedy
            && !hints.contains(hint)
        {
            hints.push(hint.clone());
        }
    }
    let failure = Failure::new(Exit::Refused, what);
    Err(if hints.is_empty() { failure } else { failure.hint(hints.join("; and ")) })
}
