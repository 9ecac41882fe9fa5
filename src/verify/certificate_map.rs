//! The certificates of a run, in groups: which CA signed them, which hosts have them, and when they expire.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use time::{Date, OffsetDateTime};

use super::checks::Clock;
use super::observation::{Client, Exchange, Observations};
use super::place::Place;
use super::target::Target;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;

/// The maximum number of CAs. A server may send hundreds of certificates.
const MAX_CAS: usize = 64;
/// The maximum number of CAs with one name whose signatures are tried.
const MAX_NAMESAKES: usize = 8;
/// The maximum number of names of unknown issuers.
const MAX_UNKNOWN: usize = 8;

/// The certificates of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateMap {
    /// The CAs, roots first; an issuer comes before the CAs that it signed.
    pub(super) cas: Vec<MappedCa>,
    /// All other certificates.
    pub(super) groups: BTreeMap<GroupKey, LeafGroup>,
    /// The number of further CA certificates that servers sent.
    pub(super) left_out: usize,
}

/// A CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MappedCa {
    pub(super) subject: String,
    pub(super) not_after: OffsetDateTime,
    pub(super) freshness: Freshness,
    /// The position of its issuer.
    pub(super) issuer: Option<usize>,
    /// Whether the trust file has it.
    pub(super) is_trusted: bool,
}

/// The properties that the certificates of a group share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupKey {
    pub(super) signer: Signer,
    pub(super) place: Place,
    pub(super) usage: Use,
    pub(super) freshness: Freshness,
}

/// The signer of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Signer {
    /// The CA at this position.
    Ca(usize),
    /// A CA whose certificate was not given; the name of the issuer.
    Unknown(String),
    /// A CA whose certificate was not given, beyond the first [`MAX_UNKNOWN`].
    Others,
}

/// How a host uses a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Use {
    /// As a server.
    Serves,
    /// As a client.
    Presents,
}

/// The rest of a certificate's lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Freshness {
    Valid,
    Expiring,
    Expired,
}

impl Freshness {
    fn of(not_after: OffsetDateTime, clock: Clock) -> Self {
        match not_after - clock.now {
            left if left.is_negative() => Self::Expired,
            left if left <= clock.expires_within => Self::Expiring,
            _ => Self::Valid,
        }
    }
}

/// Certificates with the same [`GroupKey`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LeafGroup {
    /// The number of certificates that expire on each day.
    pub(super) days: BTreeMap<Date, usize>,
    /// The hosts that have them.
    pub(super) hosts: BTreeSet<String>,
}

type Holders<'a> = HashMap<Fingerprint, BTreeSet<(Place, Use, &'a str)>>;

impl CertificateMap {
    /// Returns the certificates of a run. Only signatures and dates are evaluated.
    pub(super) fn of(target: &Target, seen: &Observations, clock: Clock) -> Self {
        let holders = holders(seen);
        let mut cas: Vec<Certificate> = target.roots.clone();
        let trusted: BTreeSet<Fingerprint> = cas.iter().map(Certificate::fingerprint).collect();
        let mut left_out = 0;
        for (_, certificate) in parsed(seen).filter(|(fingerprint, _)| !trusted.contains(fingerprint)) {
            match is_ca(&certificate) {
                true if cas.len() < MAX_CAS => cas.push(certificate),
                true => left_out += 1,
                false => {}
            }
        }
        let cas = Cas::of(cas);
        let mut map = Self { cas: cas.mapped(&trusted, clock), groups: BTreeMap::new(), left_out };
        let mut unknown = BTreeSet::new();
        for (fingerprint, certificate) in parsed(seen) {
            // The other certificates of a chain belong to no host.
            let Some(whose) = holders.get(&fingerprint) else { continue };
            let Some(&(place, usage, _)) = whose.last() else { continue };
            let signer = match cas.signer_of(&certificate) {
                Some(at) => Signer::Ca(at),
                None => named(&mut unknown, &certificate.issuer.text),
            };
            let freshness = Freshness::of(certificate.not_after, clock);
            let group = map.groups.entry(GroupKey { signer, place, usage, freshness }).or_default();
            *group.days.entry(certificate.not_after.date()).or_default() += 1;
            group.hosts.extend(whose.iter().map(|(_, _, host)| (*host).to_owned()));
        }
        map
    }
}

/// Returns the unknown signer of this name, as long as there are few.
fn named(unknown: &mut BTreeSet<String>, name: &str) -> Signer {
    if unknown.len() < MAX_UNKNOWN {
        unknown.insert(name.to_owned());
    }
    if unknown.contains(name) { Signer::Unknown(name.to_owned()) } else { Signer::Others }
}

fn is_ca(certificate: &Certificate) -> bool {
    certificate.basic_constraints.is_some_and(|constraints| constraints.ca)
}

/// Returns each certificate that can be parsed, one at a time: all of a large cluster do not fit into memory.
fn parsed(seen: &Observations) -> impl Iterator<Item = (Fingerprint, Certificate)> {
    let read = |der: &[u8]| Certificate::from_der(der.to_vec()).ok();
    seen.certificates.iter().filter_map(move |(fingerprint, der)| Some((*fingerprint, read(&der.0)?)))
}

/// Returns the hosts that have each certificate. The endpoint's certificate belongs to a master.
fn holders(seen: &Observations) -> Holders<'_> {
    let mut holders = Holders::new();
    for peer in &seen.peers {
        for dial in peer.locations.iter().flat_map(|location| &location.dials) {
            let handshakes = dial.tls.iter().chain(&dial.other_key).map(|tls| &tls.server_chain);
            let chains = handshakes.chain(dial.exchanges.iter().flat_map(Exchange::chains));
            for leaf in chains.filter_map(|chain| chain.first()) {
                holders.entry(*leaf).or_default().insert((peer.place, Use::Serves, peer.host.as_str()));
            }
            for exchange in &dial.exchanges {
                let client = match &exchange.client {
                    Client::Master(host) => (Place::Master, host.as_str()),
                    Client::Node(host) | Client::OtherNode(host) => (Place::Node, host.as_str()),
                    Client::Verifier => (Place::Cluster, "verifier"),
                    Client::NewRoot | Client::OldRoot => (Place::Cluster, "rotation"),
                    Client::Anonymous | Client::Untrusted(_) => continue,
                };
                if let Some(presented) = exchange.presented {
                    holders.entry(presented).or_default().insert((client.0, Use::Presents, client.1));
                }
            }
        }
    }
    holders
}

/// The CAs, with their issuers before them.
struct Cas {
    certificates: Vec<Certificate>,
    issuers: Vec<Option<usize>>,
    by_subject: HashMap<Vec<u8>, Vec<usize>>,
}

impl Cas {
    /// Sorts CAs so that each comes after its issuer.
    fn of(certificates: Vec<Certificate>) -> Self {
        let mut cas = Self { certificates: Vec::new(), issuers: Vec::new(), by_subject: HashMap::new() };
        let mut open = certificates;
        while !open.is_empty() {
            let (ready, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut open)
                .into_iter()
                .partition(|one| one.is_self_issued() || cas.signer_of(one).is_some());
            // The issuers of the remaining CAs are unknown, or sign each other.
            let is_stuck = ready.is_empty();
            let (ready, waiting) = if is_stuck { (waiting, ready) } else { (ready, waiting) };
            for one in ready {
                cas.add(one);
            }
            open = waiting;
        }
        cas
    }

    fn add(&mut self, certificate: Certificate) {
        let issuer = if certificate.is_self_issued() { None } else { self.signer_of(&certificate) };
        let same = self.by_subject.entry(certificate.subject.der.clone()).or_default();
        if same.len() < MAX_NAMESAKES {
            same.push(self.certificates.len());
        }
        self.issuers.push(issuer);
        self.certificates.push(certificate);
    }

    /// Returns the position of the CA that signed a certificate.
    fn signer_of(&self, certificate: &Certificate) -> Option<usize> {
        let same = self.by_subject.get(&certificate.issuer.der)?;
        same.iter().copied().find(|at| certificate.is_signed_by(&self.certificates[*at]))
    }

    fn mapped(&self, trusted: &BTreeSet<Fingerprint>, clock: Clock) -> Vec<MappedCa> {
        let each = self.certificates.iter().zip(&self.issuers);
        let mapped = each.map(|(certificate, issuer)| MappedCa {
            subject: certificate.subject.text.clone(),
            not_after: certificate.not_after,
            freshness: Freshness::of(certificate.not_after, clock),
            issuer: *issuer,
            is_trusted: trusted.contains(&certificate.fingerprint()),
        });
        mapped.collect()
    }
}
