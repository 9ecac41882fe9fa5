//! The graph of CAs and what they signed, from rows.

use std::collections::{BTreeMap, HashMap};

use time::Date;

use super::tone::tone;
use crate::app::status::{Credential, FileKind, StatusRow};
use crate::html::{Graph, GraphNode, Tone};
use crate::pki::fingerprint::Fingerprint;

/// The maximum number of names that are listed for a group.
const NAMED: usize = 2_000;

/// CAs, and groups of certificates by their issuer.
#[derive(Default)]
pub(super) struct Trust {
    /// The CAs in the order of the rows: roots come before intermediates.
    cas: Vec<Ca>,
    groups: BTreeMap<GroupKey, Group>,
}

struct Ca {
    fingerprint: Fingerprint,
    issuer: Option<Fingerprint>,
    node: GraphNode,
}

/// What the certificates of a group have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct GroupKey {
    issuer: Option<Fingerprint>,
    credential: String,
    tone: Tone,
}

#[derive(Default)]
struct Group {
    count: usize,
    days: Option<(Date, Date)>,
    names: Vec<String>,
}

impl Trust {
    /// Adds a row, if it is a certificate's.
    pub(super) fn add(&mut self, row: &StatusRow) {
        let Some(certificate) = &row.certificate else { return };
        let is_ca = match &row.credential {
            Credential::Root(_)
            | Credential::Intermediate(_)
            | Credential::File { kind: FileKind::Root | FileKind::Intermediate, .. } => true,
            Credential::Crl(_)
            | Credential::Bundle
            | Credential::Rotation(_)
            | Credential::TokenRotation
            | Credential::File { kind: FileKind::Crl, .. } => return,
            _ => false,
        };
        if is_ca {
            let until = row.not_after.map(|until| format!("until {}", until.date())).unwrap_or_default();
            let node = GraphNode {
                title: format!("{} ({})", row.credential.name(), certificate.account),
                detail: format!("{}, {until}", row.credential.kind()),
                tone: tone(row.state),
                ..GraphNode::default()
            };
            return self.cas.push(Ca { fingerprint: certificate.fingerprint, issuer: certificate.issuer, node });
        }
        let (credential, name) = match &row.credential {
            // Names of files differ, so that they would make no group.
            Credential::File { name, .. } => (format!("{}s in files", row.credential.kind()), name.clone()),
            other => (other.name().into_owned(), row.subject.name().to_owned()),
        };
        let key = GroupKey { issuer: certificate.issuer, credential, tone: tone(row.state) };
        let group = self.groups.entry(key).or_default();
        group.count += 1;
        if let Some(day) = row.not_after.map(time::OffsetDateTime::date) {
            let (first, last) = group.days.unwrap_or((day, day));
            group.days = Some((first.min(day), last.max(day)));
        }
        if group.names.len() < NAMED && !name.is_empty() {
            group.names.push(name);
        }
    }

    /// Returns the graph.
    pub(super) fn graph(&self) -> Graph {
        let mut graph = Graph::default();
        let mut added: HashMap<Fingerprint, usize> = HashMap::new();
        let mut open: Vec<&Ca> = self.cas.iter().collect();
        while !open.is_empty() {
            let is_here = |issuer: Fingerprint| self.cas.iter().any(|ca| ca.fingerprint == issuer);
            let waits = |ca: &&Ca| ca.issuer.is_some_and(|issuer| !added.contains_key(&issuer) && is_here(issuer));
            let (waiting, ready): (Vec<&Ca>, Vec<&Ca>) = open.into_iter().partition(waits);
            if ready.is_empty() {
                break;
            }
            for ca in ready {
                let parent = ca.issuer.and_then(|issuer| added.get(&issuer).copied());
                added.insert(ca.fingerprint, graph.add(GraphNode { parent, ..ca.node.clone() }));
            }
            open = waiting;
        }
        let mut unknown = None;
        for (key, group) in &self.groups {
            let known = key.issuer.and_then(|issuer| added.get(&issuer).copied());
            let parent = known.unwrap_or_else(|| *unknown.get_or_insert_with(|| graph.add(unknown_issuer())));
            graph.add(group.node(key, parent));
        }
        graph
    }
}

fn unknown_issuer() -> GraphNode {
    GraphNode {
        title: "unknown issuer".to_owned(),
        detail: "its certificate is not here".to_owned(),
        tone: Tone::Unknown,
        ..GraphNode::default()
    }
}

impl Group {
    fn node(&self, key: &GroupKey, parent: usize) -> GraphNode {
        let until = match self.days {
            Some((first, last)) if first < last => format!(" until {first} to {last}"),
            Some((first, _)) => format!(" until {first}"),
            None => String::new(),
        };
        GraphNode {
            title: key.credential.clone(),
            detail: format!("{} ×{until}", self.count),
            tone: key.tone,
            parent: Some(parent),
            is_leaf: true,
            names: self.names.clone(),
            what: "owners",
        }
    }
}
