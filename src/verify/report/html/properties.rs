//! The matrix of the six properties by hosts.

use maud::{Markup, html};

use super::alike::{Alike, alike};
use super::status::{cell, legend};
use crate::html::{named, scrolling};
use crate::verify::finding::{Property, Status};
use crate::verify::report::matrix::Cells;
use crate::verify::report::summary::Report;
use crate::verify::target::Place;

/// The number of hosts of one role above which equal hosts share a row.
const FEW: usize = 12;

impl Report {
    /// Returns the matrix; nothing for a directory, which proves none of the properties.
    pub(super) fn properties(&self) -> Markup {
        if !self.has_connections() {
            return html! {};
        }
        let cells = self.cells_of_hosts();
        let of = |wanted: Place| {
            let hosts = cells.iter().filter(|(place, ..)| *place == wanted).map(|(_, host, cells)| (*host, *cells));
            let mut groups = alike(hosts.collect(), FEW);
            // The worst groups first; a few hosts stay in the order of the cluster file.
            let few = groups.len() <= FEW && groups.iter().all(|group| group.hosts.len() == 1);
            if few {
                return groups;
            }
            groups.sort_by_key(|group| std::cmp::Reverse(worst(&group.results).filter(|one| *one != Status::Pass)));
            groups
        };
        let table = html! {
            table.grid {
                thead {
                    tr {
                        th scope="col" { "Host" }
                        @for property in Property::ALL {
                            th scope="col" { (property.as_str()) span.words { br; (property.title()) } }
                        }
                    }
                }
                tbody {
                    @for place in [Place::Cluster, Place::Endpoint, Place::Master, Place::Node] {
                        @for group in of(place) { (row(place, &group)) }
                    }
                }
            }
        };
        html! {
            (scrolling("The six properties", &table))
            (legend())
            p.quiet {
                "1: masters to nodes, 2: nodes to masters. i: the address is found and connects, ii: the server is authenticated, iii: the "
                "permitted client is accepted and all others are rejected."
            }
        }
    }
}

fn worst(cells: &Cells) -> Option<Status> {
    cells.iter().copied().max().flatten()
}

fn row(place: Place, group: &Alike<'_, Cells>) -> Markup {
    let role = if place == Place::Cluster { "root" } else { place.as_str() };
    html! {
        tr {
            th scope="row" {
                @if group.hosts.len() == 1 { (role) " " }
                @if place != Place::Cluster { (named(&group.hosts, &format!("{role}s"))) }
            }
            @for status in group.results { td { (cell(status)) } }
        }
    }
}
