//! The matrix of checks by hosts, a table for each part of the catalogue. It names every check that was made.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use maud::{Markup, html};

use super::alike::{Alike, alike, at_most};
use super::status::{cell, legend};
use crate::html::{named, scrolling};
use crate::verify::checks::expectation;
use crate::verify::finding::{Aspect, CheckId, Scope, Status};
use crate::verify::report::summary::Report;
use crate::verify::target::Place;

/// The number of hosts of one role above which equal hosts share a column.
const FEW: usize = 4;
/// The maximum number of columns for the hosts of one role.
const COLUMNS: usize = 8;

type Statuses = Vec<Option<Status>>;

impl Report {
    pub(super) fn checks(&self) -> Markup {
        let scopes: BTreeSet<Scope> = self.findings.iter().map(|finding| finding.id.0).collect();
        html! {
            @if !scopes.is_empty() { (legend()) }
            @for scope in scopes { (self.of_scope(scope)) }
        }
    }

    fn of_scope(&self, scope: Scope) -> Markup {
        let ids: BTreeSet<CheckId> = self.findings.iter().map(|one| one.id).filter(|id| id.0 == scope).collect();
        let ids: Vec<CheckId> = ids.into_iter().collect();
        let columns = self.columns(&ids);
        let (name, about) = match scope {
            Scope::Trust => ("trust", "The roots, and the files that trust them"),
            Scope::Store => ("store", "The cluster directory"),
            Scope::Node => ("node", "Nodes, as masters see them"),
            Scope::Master => ("master", "Masters, as nodes see them"),
            Scope::Enrolment => ("enrolment", "The enrolment endpoint"),
            Scope::Etcd => ("etcd", "The members of etcd"),
        };
        let table = html! {
            table.grid {
                caption { (about) }
                thead {
                    tr {
                        th scope="col" { "Check" }
                        @for (place, group) in &columns { th scope="col" { (heading(*place, group)) } }
                    }
                }
                tbody {
                    @for (i, id) in ids.iter().enumerate() {
                        tr {
                            th scope="row" { code { (id) } span.asks { (asks(*id)) } }
                            @for (_, group) in &columns { td { (cell(group.results.get(i).copied().flatten())) } }
                        }
                    }
                }
            }
        };
        scrolling(&format!("Checks of {name}"), &table)
    }

    /// Returns the hosts of each role with their worst results, those that are alike as one column.
    fn columns(&self, ids: &[CheckId]) -> Vec<(Place, Alike<'_, Statuses>)> {
        let rows: HashMap<CheckId, usize> = ids.iter().enumerate().map(|(i, id)| (*id, i)).collect();
        let mut order: BTreeMap<Place, Vec<&str>> = BTreeMap::new();
        let mut results: HashMap<(Place, &str), Statuses> = HashMap::new();
        for finding in &self.findings {
            let Some(&row) = rows.get(&finding.id) else { continue };
            let (place, host) = (finding.place, finding.host.as_str());
            let statuses = results.entry((place, host)).or_insert_with(|| {
                order.entry(place).or_default().push(host);
                vec![None; ids.len()]
            });
            if let Some(status) = statuses.get_mut(row) {
                *status = (*status).max(Some(finding.status));
            }
        }
        let mut columns = Vec::new();
        for (place, hosts) in order {
            let hosts = hosts.into_iter().filter_map(|host| Some((host, results.remove(&(place, host))?))).collect();
            let mut groups = alike(hosts, FEW);
            if groups.len() > COLUMNS {
                // The smallest groups are merged in the last column.
                groups.sort_by_key(|group| std::cmp::Reverse(group.hosts.len()));
            }
            columns.extend(at_most(groups, COLUMNS).into_iter().map(|group| (place, group)));
        }
        columns
    }
}

fn heading(place: Place, group: &Alike<'_, Statuses>) -> Markup {
    html! {
        @if place != Place::Cluster && group.hosts.len() == 1 { (place.as_str()) " " }
        (named(&group.hosts, &format!("{}s", place.as_str())))
    }
}

/// Returns the expectation of a check.
fn asks(id: CheckId) -> &'static str {
    match id {
        CheckId(_, Aspect::Anchor) => "the roots are usable: CAs, in date, and readable by Kubernetes",
        CheckId(_, Aspect::Match) => "bundles contain this root and the current credentials",
        CheckId(_, Aspect::Credential) => "credentials match the cluster file and the ledger",
        CheckId(Scope::Node, aspect) => expectation(Place::Node, aspect),
        CheckId(_, aspect) => expectation(Place::Master, aspect),
    }
}
