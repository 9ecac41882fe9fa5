//! Who verified whom: for each node and each master, whether each accepted the other.

use std::collections::{HashMap, HashSet};

use maud::{Markup, html};

use super::alike::{Alike, alike};
use super::status::cell;
use crate::html::{named, scrolling};
use crate::verify::finding::{Aspect, Status};
use crate::verify::report::summary::Report;
use crate::verify::target::Place;

/// The number of nodes above which equal nodes share a row, and of masters above which equal masters share a column.
const FEW_NODES: usize = 6;
const FEW_MASTERS: usize = 4;

/// The results between a node and a master: from the master to the node, and from the node to the master.
type Pair = [Option<Status>; 2];

/// The worst results of each node and each master.
type Pairs<'a> = HashMap<(&'a str, &'a str), Pair>;

impl Report {
    /// Returns the table; nothing where there were no connections between hosts.
    pub(super) fn connections(&self) -> Markup {
        let (nodes, masters, pairs) = self.pairs();
        let results = |node: &str, master: &str| pairs.get(&(node, master)).copied().unwrap_or_default();
        let columns: Vec<(&str, Vec<Pair>)> =
            masters.iter().map(|master| (*master, nodes.iter().map(|node| results(node, master)).collect())).collect();
        let columns: Vec<Vec<&str>> = alike(columns, FEW_MASTERS).into_iter().map(|group| group.hosts).collect();
        // The masters of a column have equal results, so the first one represents all.
        let of_node = |node: &str| -> Vec<Pair> {
            columns
                .iter()
                .map(|masters| masters.first().map(|master| results(node, master)).unwrap_or_default())
                .collect()
        };
        let rows = alike(nodes.iter().map(|node| (*node, of_node(node))).collect(), FEW_NODES);
        if pairs.is_empty() {
            return html! {};
        }
        html! {
            (scrolling("Who verified whom", &table(&columns, &rows)))
            p.quiet {
                "→ node: the kubelet presented its own certificate to the master and accepted the master's. → master: the API server presented "
                "its own certificate to the node, accepted the node's, and knew its account."
            }
        }
    }

    /// Returns the nodes and the masters in the order of the report, and the worst result of each pair.
    fn pairs(&self) -> (Vec<&str>, Vec<&str>, Pairs<'_>) {
        let (mut nodes, mut masters) = (Names::default(), Names::default());
        let mut pairs = Pairs::new();
        for finding in &self.findings {
            let (Some(client), host) = (finding.client.as_deref(), finding.host.as_str()) else { continue };
            let accepts = matches!(finding.id.1, Aspect::Caller | Aspect::Whoami | Aspect::Scope | Aspect::Admission);
            let (node, master, direction) = match finding.place {
                Place::Node if finding.id.1 == Aspect::Caller => (host, client, 0),
                Place::Endpoint | Place::Master if accepts => (client, host, 1),
                _ => continue,
            };
            nodes.add(node);
            masters.add(master);
            let worst = &mut pairs.entry((node, master)).or_default()[direction];
            *worst = (*worst).max(Some(finding.status));
        }
        (nodes.order, masters.order, pairs)
    }
}

/// Names, each once.
#[derive(Default)]
struct Names<'a> {
    order: Vec<&'a str>,
    known: HashSet<&'a str>,
}

impl<'a> Names<'a> {
    fn add(&mut self, name: &'a str) {
        if self.known.insert(name) {
            self.order.push(name);
        }
    }
}

fn table(columns: &[Vec<&str>], rows: &[Alike<'_, Vec<Pair>>]) -> Markup {
    // The endpoint connects to no node.
    let is_used = |column: usize, direction: usize| {
        rows.iter().any(|row| row.results.get(column).is_some_and(|pair| pair[direction].is_some()))
    };
    let directions = |column| [0, 1].into_iter().filter(move |direction| is_used(column, *direction));
    html! {
        table.grid {
            thead {
                tr {
                    th scope="col" rowspan="2" { "Node" }
                    @for (column, masters) in columns.iter().enumerate() {
                        th scope="colgroup" colspan=(directions(column).count()) { (named(masters, "masters")) }
                    }
                }
                tr {
                    @for column in 0..columns.len() {
                        @for direction in directions(column) {
                            th scope="col" { @if direction == 0 { "→ node" } @else { "→ master" } }
                        }
                    }
                }
            }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" { (named(&row.hosts, "nodes")) }
                        @for (column, pair) in row.results.iter().enumerate() {
                            @for direction in directions(column) { td { (cell(pair[direction])) } }
                        }
                    }
                }
            }
        }
    }
}
