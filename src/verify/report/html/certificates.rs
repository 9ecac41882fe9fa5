//! The certificates of a run: the trust graph and the timeline.

use std::collections::BTreeMap;

use maud::html;
use time::{Date, OffsetDateTime};

use super::CertificateDrawings;
use crate::html::{Expiry, Graph, GraphNode, Timeline, Tone};
use crate::verify::certificate_map::{CertificateMap, Freshness, GroupKey, LeafGroup, MappedCa, Signer, Use};
use crate::verify::target::Place;

impl CertificateDrawings {
    /// Returns the drawings of the certificates of a run.
    pub(crate) fn of(map: &CertificateMap, now: OffsetDateTime) -> Self {
        let mut timeline = Timeline::default();
        for ca in &map.cas {
            let (day, tone) = (ca.not_after.date(), tone(ca.freshness));
            let lane = if ca.is_trusted { "trusted roots" } else { "CAs that servers sent" };
            timeline.add(Expiry { lane, day, tone, count: 1 });
        }
        for (key, group) in &map.groups {
            let (lane, tone) = (title(key), tone(key.freshness));
            for (&day, &count) in &group.days {
                timeline.add(Expiry { lane, day, tone, count });
            }
        }
        let graph = graph(map).drawing();
        let graph = html! {
            (graph)
            @if map.left_out > 0 { p.quiet { (map.left_out) " more CA certificates were sent." } }
        };
        let is_empty = map.cas.is_empty() && map.groups.is_empty();
        let graph = if is_empty {
            html! {}
        } else {
            graph
        };
        Self { graph, timeline: timeline.drawing(now) }
    }
}

fn graph(map: &CertificateMap) -> Graph {
    let mut graph = Graph::default();
    // CAs first: a position in the map is one in the graph.
    for ca in &map.cas {
        graph.add(ca_node(ca));
    }
    let mut unknown: BTreeMap<&Signer, usize> = BTreeMap::new();
    for (key, group) in &map.groups {
        let parent = match &key.signer {
            Signer::Ca(at) => *at,
            signer => *unknown.entry(signer).or_insert_with(|| graph.add(unknown_node(signer))),
        };
        graph.add(leaf_node(key, group, parent, map));
    }
    graph
}

fn ca_node(ca: &MappedCa) -> GraphNode {
    let what = match (ca.is_trusted, ca.issuer) {
        (true, _) => "trusted root",
        (false, Some(_)) => "intermediate",
        (false, None) => "CA that is not trusted",
    };
    GraphNode {
        title: ca.subject.clone(),
        detail: format!("{what}, until {}", ca.not_after.date()),
        tone: match (ca.is_trusted, ca.issuer) {
            (false, None) => Tone::Bad,
            _ => tone(ca.freshness),
        },
        parent: ca.issuer,
        ..GraphNode::default()
    }
}

fn unknown_node(signer: &Signer) -> GraphNode {
    let title = match signer {
        Signer::Unknown(name) if name.is_empty() => "an issuer without a name".to_owned(),
        Signer::Unknown(name) => name.clone(),
        Signer::Ca(_) | Signer::Others => "other issuers".to_owned(),
    };
    GraphNode {
        title,
        detail: "unknown issuer: its certificate is not here".to_owned(),
        tone: Tone::Bad,
        ..GraphNode::default()
    }
}

fn leaf_node(key: &GroupKey, group: &LeafGroup, parent: usize, map: &CertificateMap) -> GraphNode {
    let is_trusted = matches!(key.signer, Signer::Ca(at) if leads_to_a_root(map, at));
    GraphNode {
        title: title(key).to_owned(),
        detail: format!("{} × {}", group.days.values().sum::<usize>(), until(&group.days)),
        tone: if is_trusted { tone(key.freshness) } else { Tone::Bad },
        parent: Some(parent),
        is_leaf: true,
        names: group.hosts.iter().cloned().collect(),
        what: "hosts",
    }
}

/// Returns true if a CA is trusted, or was signed by one that is.
fn leads_to_a_root(map: &CertificateMap, at: usize) -> bool {
    let mut ca = map.cas.get(at);
    while let Some(one) = ca {
        if one.is_trusted {
            return true;
        }
        // An issuer comes before the CAs that it signed, so this terminates.
        ca = one.issuer.and_then(|issuer| map.cas.get(issuer));
    }
    false
}

fn until(days: &BTreeMap<Date, usize>) -> String {
    match (days.keys().next(), days.keys().next_back()) {
        (Some(first), Some(last)) if first < last => format!("until {first} to {last}"),
        (Some(first), _) => format!("until {first}"),
        _ => String::new(),
    }
}

/// Returns a title for the certificates of a group.
fn title(key: &GroupKey) -> &'static str {
    match (key.place, key.usage) {
        (Place::Node, Use::Serves) => "kubelets' serving certificates",
        (Place::Node, Use::Presents) => "nodes' client certificates",
        (Place::Master | Place::Endpoint, Use::Serves) => "API servers' certificates",
        (Place::Master | Place::Endpoint, Use::Presents) => "masters' client certificates",
        (Place::Cluster, _) => "clusterctl's own client certificates",
    }
}

fn tone(freshness: Freshness) -> Tone {
    match freshness {
        Freshness::Valid => Tone::Good,
        Freshness::Expiring => Tone::Soon,
        Freshness::Expired => Tone::Bad,
    }
}
