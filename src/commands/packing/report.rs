//! What `bundle` says of a run: which bundles changed, which did not, and which hosts were refused.

use std::collections::HashSet;
use std::path::Path;

use serde_json::json;

use super::finishing::Finish;
use crate::bundle::input::Roles;
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;

/// How many hosts a line names.
const NAMED: usize = 20;

/// The outcome of a run.
pub(crate) struct Report<'a> {
    /// The hosts whose bundles were made, in order.
    pub(crate) hosts: &'a [Roles<'a>],
    /// Those of them whose bundles are new or other than before.
    pub(crate) changed: &'a HashSet<String>,
    /// The hosts that were refused, in order.
    pub(crate) refused: Vec<String>,
    /// How the bundles were made.
    pub(crate) finish: &'a Finish<'a>,
    /// The folder of bundles.
    pub(crate) folder: &'a Path,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
}

impl Report<'_> {
    /// Prints the answer, and the commentary.
    pub(crate) fn print(&self, output: OutputFormat, context: &mut Context<'_>) {
        match (output, self.hosts) {
            (OutputFormat::Json, _) => context.screen.answer(format_args!("{:#}", self.json())),
            (_, [one]) => context.screen.answer(self.folder.join(self.finish.name(one.host())).display()),
            _ => context.screen.answer(self.folder.display()),
        }
        let count = self.hosts.len();
        context.screen.step(format_args!(
            "packed {count} bundle{}, in {:.1} s ({:.0} a second). Each holds its host's keys: {}",
            if count == 1 { "" } else { "s" },
            self.seconds,
            count as f64 / self.seconds.max(0.001),
            self.finish.advice(),
        ));
        let changed = self.names(true);
        context.screen.step(match changed.as_slice() {
            [] => format!("0 of {count} changed"),
            names => format!("{} of {count} changed: {}", names.len(), listed(names)),
        });
    }

    fn names(&self, changed: bool) -> Vec<&str> {
        let names = self.hosts.iter().map(|roles| roles.host().as_str());
        names.filter(|name| self.changed.contains(*name) == changed).collect()
    }

    fn json(&self) -> serde_json::Value {
        let file = |roles: &Roles<'_>| {
            let host = roles.host();
            let path = self.folder.join(self.finish.name(host));
            json!({ "host": host.as_str(), "file": path, "changed": self.changed.contains(host.as_str()) })
        };
        json!({
            "schemaVersion": 1,
            "folder": self.folder,
            "bundles": self.hosts.iter().map(file).collect::<Vec<_>>(),
            "changed": self.names(true),
            "unchanged": self.names(false),
            "refused": self.refused,
        })
    }
}

/// The first names, and how many more there are.
pub(crate) fn listed(names: &[&str]) -> String {
    match names.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..NAMED].join(", ")),
    }
}
