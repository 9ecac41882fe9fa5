//! The part of a target that the checks need: everything except the keys. Recordings contain it.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::denials::ExpectedDenials;
use super::observation::Der;
use super::phase::PhaseFacts;
use super::recording_error::{MAX_ADDRESSES, MAX_PAIRS, RecordingError, at_most, damaged};
use super::remedy::TargetKind;
use super::target::{EtcdMembers, ExpectedAccount, Peer, Place, Target};
use super::token_keys::ExpectedTokenKeys;
use crate::cluster::address::Address;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::sanitize::sanitized;

/// The limits of a recording; a run stays well below them.
const MAX_NODES: usize = 100_000;
const MAX_MASTERS: usize = 1000;
const MAX_ROOTS: usize = 64;
const MAX_NAME: usize = 300;

/// The part of a target that the checks need: everything except the keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Facts {
    pub(super) cluster: String,
    /// A recording of an earlier version does not contain it.
    #[serde(default)]
    pub(super) kind: TargetKind,
    #[serde(serialize_with = "roots_as_pem", deserialize_with = "roots_from_pem")]
    pub(super) roots: Vec<Certificate>,
    pub(super) trust_faults: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) trust_notes: Vec<String>,
    pub(super) endpoint: Option<PeerFacts>,
    pub(super) masters: Vec<PeerFacts>,
    pub(super) nodes: Vec<PeerFacts>,
    pub(super) verifier_missing: Option<String>,
    pub(super) crls: Vec<Der>,
    pub(super) crl_faults: Vec<String>,
    pub(super) revoked: Option<BTreeSet<Fingerprint>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) denials: Option<ExpectedDenials>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<PhaseFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etcd: Option<EtcdFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token_keys: Option<ExpectedTokenKeys>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EtcdFacts {
    #[serde(serialize_with = "roots_as_pem", deserialize_with = "roots_from_pem")]
    roots: Vec<Certificate>,
    pub(super) sockets: Vec<PeerFacts>,
}

fn roots_as_pem<S: Serializer>(roots: &[Certificate], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(roots.iter().map(|root| Der(root.der().to_vec())))
}

fn roots_from_pem<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Certificate>, D::Error> {
    let ders = Vec::<Der>::deserialize(deserializer)?;
    ders.into_iter().map(|der| Certificate::from_der(der.0).map_err(de::Error::custom)).collect()
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PeerFacts {
    pub(super) name: String,
    #[serde(serialize_with = "as_texts", deserialize_with = "from_texts")]
    pub(super) addresses: Vec<Address>,
    pub(super) port: u16,
    #[serde(serialize_with = "as_texts", deserialize_with = "from_texts")]
    pub(super) names: Vec<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub(super) tls_name: Option<Address>,
    pub(super) issued: Option<Fingerprint>,
    pub(super) account: Option<AccountFacts>,
    pub(super) dialled: bool,
    #[serde(rename = "askedFor")]
    pub(super) account_checked: bool,
}

fn as_texts<S: Serializer>(addresses: &[Address], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(addresses.iter().map(ToString::to_string))
}

fn from_texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Address>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| Address::parse(text).map_err(de::Error::custom)).collect()
}

fn as_text<S: Serializer>(address: &Option<Address>, serializer: S) -> Result<S::Ok, S::Error> {
    address.as_ref().map(ToString::to_string).serialize(serializer)
}

fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Address::parse(&text).map_err(de::Error::custom)).transpose()
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountFacts {
    pub(super) user: String,
    pub(super) groups: Vec<String>,
}

impl Facts {
    pub(super) fn of(target: &Target) -> Self {
        // Every field is listed, so that a new field has to be recorded or left out on purpose.
        let Target {
            cluster,
            kind,
            roots,
            trust_faults,
            trust_notes,
            endpoint,
            masters,
            nodes,
            verifier: _,
            verifier_missing,
            crls,
            crl_faults,
            revoked,
            denials,
            phase,
            etcd,
            token_keys,
        } = target;
        Self {
            cluster: cluster.clone(),
            kind: *kind,
            roots: roots.clone(),
            trust_faults: trust_faults.clone(),
            trust_notes: trust_notes.clone(),
            endpoint: endpoint.as_ref().map(PeerFacts::of),
            masters: masters.iter().map(PeerFacts::of).collect(),
            nodes: nodes.iter().map(PeerFacts::of).collect(),
            verifier_missing: verifier_missing.clone(),
            crls: crls.iter().cloned().map(Der).collect(),
            crl_faults: crl_faults.clone(),
            revoked: revoked.clone(),
            denials: denials.clone(),
            phase: phase.as_ref().map(PhaseFacts::of),
            token_keys: token_keys.clone(),
            etcd: etcd.as_ref().map(|etcd| EtcdFacts {
                roots: etcd.roots.clone(),
                sockets: etcd.sockets.iter().map(PeerFacts::of).collect(),
            }),
        }
    }

    pub(super) fn to_target(&self) -> Target {
        Target {
            cluster: self.cluster.clone(),
            kind: self.kind,
            roots: self.roots.clone(),
            trust_faults: self.trust_faults.clone(),
            trust_notes: self.trust_notes.clone(),
            endpoint: self.endpoint.as_ref().map(PeerFacts::to_peer),
            masters: self.masters.iter().map(PeerFacts::to_peer).collect(),
            nodes: self.nodes.iter().map(PeerFacts::to_peer).collect(),
            verifier: None,
            verifier_missing: self.verifier_missing.clone(),
            crls: self.crls.iter().map(|list| list.0.clone()).collect(),
            crl_faults: self.crl_faults.clone(),
            revoked: self.revoked.clone(),
            denials: self.denials.clone(),
            phase: self.phase.as_ref().and_then(PhaseFacts::to_expected),
            token_keys: self.token_keys.clone(),
            etcd: self.etcd.as_ref().map(|etcd| EtcdMembers {
                roots: etcd.roots.clone(),
                sockets: etcd.sockets.iter().map(PeerFacts::to_peer).collect(),
            }),
        }
    }

    /// Returns the peers in the order of [`Target::peers`].
    pub(super) fn peers(&self) -> impl Iterator<Item = (Place, &PeerFacts)> {
        let endpoint = self.endpoint.iter().map(|peer| (Place::Endpoint, peer));
        let masters = self.masters.iter().map(|peer| (Place::Master, peer));
        endpoint.chain(masters).chain(self.nodes.iter().map(|peer| (Place::Node, peer)))
    }

    /// Returns the sockets of etcd's members.
    pub(super) fn sockets(&self) -> impl Iterator<Item = &PeerFacts> {
        self.etcd.iter().flat_map(|etcd| &etcd.sockets)
    }

    pub(super) fn check(&self) -> Result<(), RecordingError> {
        at_most("masters", self.masters.len(), MAX_MASTERS)?;
        at_most("nodes", self.nodes.len(), MAX_NODES)?;
        at_most("pairs of a master and a node", self.masters.len() * self.nodes.len(), MAX_PAIRS)?;
        at_most("roots", self.roots.len(), MAX_ROOTS)?;
        at_most("faults of the trust file", self.trust_faults.len().max(self.trust_notes.len()), MAX_ROOTS)?;
        at_most("revocation lists", self.crls.len().max(self.crl_faults.len()), MAX_ROOTS)?;
        if self.token_keys.as_ref().is_some_and(|keys| keys.rotation().is_none()) {
            return Err(damaged("the phase of its rotation cannot be read"));
        }
        if let Some(etcd) = &self.etcd {
            at_most("roots", etcd.roots.len(), MAX_ROOTS)?;
            at_most("sockets of etcd", etcd.sockets.len(), MAX_MASTERS * 2)?;
        }
        for peer in self.peers().map(|(_, peer)| peer).chain(self.sockets()) {
            name(&peer.name)?;
            at_most("addresses of a host", peer.addresses.len().max(peer.names.len()), MAX_ADDRESSES)?;
        }
        if let Some(denials) = &self.denials {
            denials.check().map_err(|reason| damaged(&reason))?;
        }
        if let Some(phase) = &self.phase {
            phase.check()?;
            phase.names().try_for_each(|text| name(text))?;
        }
        name(&self.cluster)
    }
}

impl PeerFacts {
    pub(super) fn of(peer: &Peer) -> Self {
        let Peer {
            name,
            addresses,
            port,
            names,
            tls_name,
            issued,
            client: _,
            client_missing: _,
            account,
            dialled,
            account_checked,
        } = peer;
        let account = account.as_ref();
        Self {
            name: name.clone(),
            addresses: addresses.clone(),
            port: *port,
            names: names.clone(),
            tls_name: tls_name.clone(),
            issued: *issued,
            account: account.map(|a| AccountFacts { user: a.user.clone(), groups: a.groups.clone() }),
            dialled: *dialled,
            account_checked: *account_checked,
        }
    }

    pub(super) fn to_peer(&self) -> Peer {
        let account = self.account.as_ref();
        Peer {
            name: self.name.clone(),
            addresses: self.addresses.clone(),
            port: self.port,
            names: self.names.clone(),
            tls_name: self.tls_name.clone(),
            issued: self.issued,
            client: None,
            client_missing: None,
            account: account.map(|a| ExpectedAccount { user: a.user.clone(), groups: a.groups.clone() }),
            dialled: self.dialled,
            account_checked: self.account_checked,
        }
    }
}

/// Checks a name. Names are printed unchanged, so that they can be copied; a name with control characters is refused.
pub(super) fn name(text: &str) -> Result<(), RecordingError> {
    if text.is_empty() || text.len() > MAX_NAME || sanitized(text) != text {
        return Err(damaged(&format!("{text:?} is not a name")));
    }
    Ok(())
}
