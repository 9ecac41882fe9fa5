//! A test fixture: one control-plane node, two nodes, and observations of them.

use std::collections::HashMap;
use std::sync::Arc;

use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::super::finding::Finding;
use super::super::observation::{
    Answer, Client, Connect, Der, Dial, Exchange, FollowUp, Handshake, LocationObservation, Observations, Outcome,
    PeerObservation, Request, Resolution, Signature, Tls,
};
use super::super::target::{Identity, KnownCredential, Place, Target};
use super::context::Clock;
use super::judge::judge;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::{CaRole, CertificateSpec, Profile};
use crate::cluster::spec::{Cluster, RawCluster, RawHost};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::{Credential, Issuer, create_root};

pub(super) const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
pub(super) const PODS: &str = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}"#;

/// One control-plane node, two nodes, and observations of the first node or the control-plane node.
pub(super) struct Fixture {
    pub(super) cluster: Cluster,
    pub(super) root: Credential,
    pub(super) target: Target,
}

pub(super) fn fixture() -> Fixture {
    let host = |name: &str, address: &str| RawHost {
        name: Some(name.into()),
        addresses: vec![address.into()],
        ..RawHost::default()
    };
    let draft = RawCluster {
        name: Some("prod".into()),
        masters: vec![host("m1", "10.0.0.1")],
        nodes: vec![host("n1", "10.0.1.1"), host("n2", "10.0.1.2")],
        ..RawCluster::default()
    };
    let cluster = draft.check().expect("a good draft");
    let root = create_root(CaRole::Cluster, &cluster.name, cluster.keys, Lifetime::TEN_YEARS, NOW);
    let root = root.expect("a root").into_inner();
    let target = Target::of(&cluster, vec![root.certificate.clone()], |leaf| {
        let made = issue(&root, leaf, NOW);
        KnownCredential { issued: None, identity: Some(Identity::of(&made).expect("an identity")), missing: None }
    });
    Fixture { cluster, root, target }
}

pub(super) fn issuer(root: &Credential) -> Issuer {
    Issuer::open(CaRole::Cluster, root, NOW).expect("a valid root")
}

pub(super) fn issue(root: &Credential, leaf: &CertificateSpec, now: OffsetDateTime) -> Credential {
    Issuer::open(leaf.policy().signed_by, root, now)
        .expect("valid")
        .issue_credential(leaf, KeyKind::EcdsaP256, now)
        .expect("a leaf")
        .into_inner()
}

impl Fixture {
    pub(super) fn node_spec(&self) -> CertificateSpec {
        self.cluster.node_specs(&self.cluster.nodes[0]).remove(1)
    }

    pub(super) fn node_cert(&self) -> Certificate {
        issue(&self.root, &self.node_spec(), NOW).certificate
    }

    pub(super) fn master_cert(&self) -> Certificate {
        let leaf = self.cluster.master_specs(&self.cluster.masters[0]).remove(0);
        assert_eq!(leaf.profile, Profile::Apiserver);
        issue(&self.root, &leaf, NOW).certificate
    }

    /// Returns the first finding of each check of a peer at `place` that presents `leaf` and gives these responses.
    pub(super) fn judged(
        &self,
        place: Place,
        leaf: &Certificate,
        calls: &[(Client, Outcome)],
        now: OffsetDateTime,
    ) -> HashMap<String, Finding> {
        let mut first = HashMap::new();
        for finding in self.findings(place, leaf, calls, now) {
            let aspect = finding.id.to_string().split_once('.').expect("dotted").1.to_owned();
            first.entry(aspect).or_insert(finding);
        }
        first
    }

    /// Returns every finding of that peer.
    pub(super) fn findings(
        &self,
        place: Place,
        leaf: &Certificate,
        calls: &[(Client, Outcome)],
        now: OffsetDateTime,
    ) -> Vec<Finding> {
        self.findings_of_several(place, leaf, calls, &[], now)
    }

    /// Returns every finding of that peer, where each client that must be refused makes the follow-up requests `more`.
    pub(super) fn findings_of_several(
        &self,
        place: Place,
        leaf: &Certificate,
        calls: &[(Client, Outcome)],
        more: &[FollowUp],
        now: OffsetDateTime,
    ) -> Vec<Finding> {
        let server_chain: Arc<[Fingerprint]> = Arc::from([leaf.fingerprint()]);
        let exchange = |(client, outcome): &(Client, Outcome)| Exchange {
            client: client.clone(),
            presented: self.presented(client),
            request: match (place, client) {
                (Place::Node, _) => Request::Pods,
                (_, Client::Node(_)) => Request::WhoAmI,
                _ => Request::Nodes,
            },
            server_chain: server_chain.clone(),
            outcome: outcome.clone(),
            more: match client {
                Client::Untrusted(_) | Client::Anonymous => more.to_vec(),
                _ => Vec::new(),
            },
            decisions: Arc::default(),
            elapsed_ms: 1,
        };
        let dial = Dial {
            to: "10.0.1.1:10250".parse().expect("a socket"),
            connect: Connect::Open,
            tls: Some(Tls {
                outcome: Handshake::Done,
                version: Some("TLSv1.3".into()),
                cipher: Some("TLS13_AES_128_GCM_SHA256".into()),
                server_chain: server_chain.clone(),
                sent: 1,
                signature: Signature::Valid,
            }),
            other_key: None,
            old: None,
            exchanges: calls.iter().map(exchange).collect(),
            readonly: None,
            elapsed_ms: 2,
        };
        let peers = self.target.peers().map(|(at, peer)| {
            let dials =
                if at == place && ["m1", "n1"].contains(&peer.name.as_str()) { vec![dial.clone()] } else { vec![] };
            let location = LocationObservation {
                address: peer.addresses[0].to_string(),
                port: peer.port,
                resolution: Resolution::Literal,
                dials,
            };
            PeerObservation { place: at, host: peer.name.clone(), locations: vec![location] }
        });
        let clients =
            self.target.nodes.iter().filter_map(|node| node.client.as_ref()).map(|client| &*client.certificate);
        let all = clients.chain([leaf]);
        let certificates = all.map(|cert| (cert.fingerprint(), Der(cert.der().to_vec()))).collect();
        let seen = Observations { certificates, peers: peers.collect(), ..Observations::default() };
        let clock = Clock { now, expires_within: Duration::days(30) };
        let host = if place == Place::Node { "n1" } else { "m1" };
        let findings = judge(&self.target, &seen, clock).into_iter();
        findings.filter(|finding| finding.host == host && finding.place == place).collect()
    }

    pub(super) fn presented(&self, client: &Client) -> Option<Fingerprint> {
        if matches!(client, Client::Untrusted(_)) {
            return Some(Fingerprint::of(b"an untrusted client"));
        }
        let Client::Node(name) = client else { return None };
        let node = self.target.nodes.iter().find(|node| node.name == *name)?;
        Some(node.client.as_ref()?.certificate.fingerprint())
    }

    pub(super) fn review(&self, user: &str, groups: &[&str], credential: Option<&str>) -> Outcome {
        let mut info = serde_json::json!({"username": user, "groups": groups});
        if let Some(credential) = credential {
            info["extra"] = serde_json::json!({"authentication.kubernetes.io/credential-id": [credential]});
        }
        answer(201, &serde_json::json!({"kind": "SelfSubjectReview", "status": {"userInfo": info}}).to_string())
    }
}

pub(super) fn answer(status: u16, body: &str) -> Outcome {
    Outcome::Answer(Answer {
        status,
        version: "HTTP/2.0".into(),
        content_type: None,
        body: body.into(),
        truncated: false,
    })
}

pub(super) fn master() -> Client {
    Client::Master("m1".into())
}

pub(super) fn statuses(found: &HashMap<String, Finding>, checks: &[&str]) -> Vec<&'static str> {
    checks.iter().map(|check| found[*check].status.as_str()).collect()
}
