//! The matrix of properties by hosts; equal hosts share a line.

use std::collections::HashMap;
use std::fmt::Write;

use anstyle::Style;

use super::super::finding::{Aspect, Property, Status};
use super::super::target::Place;
use super::lines::{Paint, line};
use super::summary::Report;
use crate::sanitize::sanitized;

/// The width of a property's column.
const CELL: usize = 7;
/// The number of hosts of one role above which equal hosts share a line.
const MAX_UNGROUPED: usize = 12;

impl Report {
    pub(super) fn matrix(&self, out: &mut String, columns: usize, paint: Paint) {
        let rows = self.rows();
        let names = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0);
        let width = names.clamp(4, columns - CELL * Property::ALL.len() - 1);
        let mut header = " ".repeat(width + 1);
        for property in Property::ALL {
            let _ = write!(header, "{:>CELL$}", property.as_str());
        }
        line(out, &header);
        for row in rows {
            let label = row.label.as_str();
            let mut text = if label.chars().count() > width {
                // Names are not truncated, so that they can be copied.
                line(out, label);
                " ".repeat(width + 1)
            } else {
                format!("{label:<width$} ")
            };
            for cell in row.cells {
                let (word, style) = match cell {
                    None => ("-", Style::new()),
                    Some(status) => (short(status), paint.of(status)),
                };
                let pad = " ".repeat(CELL - word.len());
                let _ = write!(text, "{pad}{}", paint.with(style, word));
            }
            line(out, &text);
        }
        line(out, "");
        line(out, "1: masters to nodes, 2: nodes to masters");
        line(out, "i: connected, ii: server authenticated, iii: client authorized");
        line(out, "");
    }

    /// Returns the worst status of each property for every host, by role, in the order of the report.
    pub(super) fn cells_of_hosts(&self) -> Vec<(Place, &str, Cells)> {
        let mut order: Vec<(Place, &str)> = Vec::new();
        let mut cells: HashMap<(Place, &str), Cells> = HashMap::new();
        for finding in &self.findings {
            let host = (finding.place, finding.host.as_str());
            let of_a_node = matches!(finding.id.1, Aspect::Caller | Aspect::Whoami | Aspect::Scope);
            let calls = matches!(finding.place, Place::Endpoint | Place::Master) && of_a_node;
            let calls = calls.then_some(finding.client.as_deref());
            let client = calls.flatten().map(|client| (Place::Node, client));
            for key in std::iter::once(host).chain(client) {
                if !cells.contains_key(&key) {
                    order.push(key);
                }
                let row = cells.entry(key).or_default();
                for property in finding.properties() {
                    let cell = &mut row[*property as usize];
                    *cell = (*cell).max(Some(finding.status));
                }
            }
        }
        order.sort_by_key(|(place, _)| *place);
        let cells_of = |place, host| cells.get(&(place, host)).copied().unwrap_or_default();
        order.into_iter().map(|(place, host)| (place, host, cells_of(place, host))).collect()
    }

    /// Returns a row for each host, or for each group of equal hosts.
    fn rows(&self) -> Vec<Row> {
        let all = self.cells_of_hosts();
        let mut rows: Vec<Row> = Vec::new();
        for place in [Place::Cluster, Place::Endpoint, Place::Master, Place::Node] {
            let hosts: Vec<(&str, Cells)> =
                all.iter().filter(|(p, ..)| *p == place).map(|(_, host, cells)| (*host, *cells)).collect();
            let label = |host: &str| match place {
                Place::Cluster => "root".to_owned(),
                _ => format!("{} {}", place.as_str(), sanitized(host)),
            };
            if hosts.len() <= MAX_UNGROUPED {
                rows.extend(hosts.iter().map(|(host, cells)| Row { label: label(host), cells: *cells }));
                continue;
            }
            let mut groups: Vec<(Cells, Vec<&str>)> = Vec::new();
            for (host, of) in &hosts {
                match groups.iter_mut().find(|(cells, _)| cells == of) {
                    Some((_, members)) => members.push(host),
                    None => groups.push((*of, vec![host])),
                }
            }
            // Hosts that pass come first, even if they are few.
            groups.sort_by_key(|(cells, members)| (!passes(cells), std::cmp::Reverse(members.len())));
            let passing: usize =
                groups.iter().filter(|(cells, _)| passes(cells)).map(|(_, members)| members.len()).sum();
            let mut rest = Some(rest(hosts.len() - passing, &groups));
            for (cells, members) in groups {
                if members.len() <= 3 {
                    rows.extend(members.iter().map(|host| Row { label: label(host), cells }));
                    continue;
                }
                let count = format!("{} {}s", members.len(), place.as_str());
                let label = match passes(&cells) {
                    true => format!("{count} pass{}", rest.take().unwrap_or_default()),
                    false => format!("{count} equal"),
                };
                rows.push(Row { label, cells });
            }
        }
        rows
    }
}

/// The worst status of each property.
pub(super) type Cells = [Option<Status>; 6];

struct Row {
    label: String,
    cells: Cells,
}

fn passes(cells: &Cells) -> bool {
    cells.iter().all(|cell| cell.is_none_or(|status| status == Status::Pass))
}

/// Returns the number of hosts below those that pass: `; 3 fail:`
fn rest(count: usize, groups: &[(Cells, Vec<&str>)]) -> String {
    let fails = |cells: &Cells| cells.contains(&Some(Status::Fail));
    let how = if groups.iter().all(|(cells, _)| passes(cells) || fails(cells)) { "fail" } else { "do not" };
    if count == 0 { String::new() } else { format!("; {count} {how}:") }
}

fn short(status: Status) -> &'static str {
    match status {
        Status::Pass => "ok",
        Status::Skipped => "skip",
        Status::Warn => "warn",
        Status::NotProven => "?",
        Status::Fail => "FAIL",
    }
}
