//! Advice for all rows together: one command for many hosts instead of one for each row.

use std::collections::BTreeSet;

use crate::app::status::{Remedy, StatusRow};
use crate::cli::remedies;
use crate::sanitize::sanitized;
use crate::verify::remedy::{self as finding, DirectoryRemedy, FileRemedy};
use crate::verify::target::Place;

/// The maximum number of hosts that a command names; for more it has `--all`.
const NAMED: usize = 6;
/// The maximum number of other remedies that are shown.
const OTHERS: usize = 20;

/// The advice for all rows.
#[derive(Default)]
pub(super) struct Advice {
    masters: Hosts,
    nodes: Hosts,
    bundles: Hosts,
    /// Whether a rotation requires certificates: one command issues and packs all of them.
    applies: bool,
    /// Remedies that are not combined.
    others: BTreeSet<String>,
    /// Whether there are more remedies than are shown.
    has_more: bool,
}

/// The hosts that a command is for.
#[derive(Default)]
struct Hosts {
    names: BTreeSet<String>,
    is_all: bool,
}

impl Hosts {
    fn add(&mut self, host: &str) {
        if self.names.len() <= NAMED {
            self.names.insert(host.to_owned());
        }
        self.is_all |= self.names.len() > NAMED;
    }

    /// Returns the arguments that name them; `None` if there are none.
    fn arguments(&self) -> Option<String> {
        if self.is_all {
            return Some("--all".to_owned());
        }
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join(" "))
    }
}

impl Advice {
    /// Takes the remedy of a row.
    pub(super) fn add(&mut self, row: &StatusRow) {
        let Some(remedy) = &row.remedy else { return };
        match remedy {
            Remedy::OfFinding(finding::Remedy::Directory(DirectoryRemedy::Issue { server, reissue: false })) => {
                match server.place {
                    Place::Node => self.nodes.add(&server.host),
                    Place::Master => self.masters.add(&server.host),
                    // The verifier's certificate is issued with the masters'.
                    Place::Cluster | Place::Endpoint => self.masters.is_all = true,
                }
            }
            Remedy::OfFinding(finding::Remedy::File(FileRemedy::PackBundle { host, format: None })) => {
                self.bundles.add(host);
            }
            Remedy::OfFinding(finding::Remedy::Directory(DirectoryRemedy::Apply)) => self.applies = true,
            other if self.others.len() < OTHERS => drop(self.others.insert(sanitized(&remedies::of_status(other)))),
            _ => self.has_more = true,
        }
    }

    /// Returns the steps in the order in which to take them; empty if there is nothing to do.
    pub(super) fn steps(&self) -> Vec<String> {
        let mut steps = Vec::new();
        if self.applies {
            steps.push("clusterctl apply   # then install what changed on its host".to_owned());
            steps.extend(self.rest());
            return steps;
        }
        let (masters, nodes) = (self.masters.arguments(), self.nodes.arguments());
        let is_issued = masters.is_some() || nodes.is_some();
        steps.extend(masters.map(|hosts| format!("clusterctl issue-master {hosts}")));
        steps.extend(nodes.map(|hosts| format!("clusterctl issue-node {hosts}")));
        let bundles = if is_issued { Some("--all".to_owned()) } else { self.bundles.arguments() };
        steps.extend(
            bundles.map(|hosts| format!("clusterctl bundle {hosts}   # then install what changed on its host")),
        );
        steps.extend(self.rest());
        steps
    }

    /// Returns the remedies that are not combined.
    fn rest(&self) -> impl Iterator<Item = String> {
        let more = self.has_more.then(|| "more is in the answer as JSON (--output json)".to_owned());
        self.others.iter().cloned().chain(more)
    }
}
