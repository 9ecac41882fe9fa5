//! The context of a description: the data of the cluster directory, and the other files that were given.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::piece::Piece;
use crate::cluster::profile::CertificateSpec;
use crate::cluster::spec::Cluster;
use crate::pki::certificate::Certificate;
use crate::pki::crl::Crl;
use crate::pki::fingerprint::Fingerprint;

/// The data that descriptions may refer to. Everything except the time is optional, because `show` also works without a
/// cluster directory.
pub struct ExplainContext<'a> {
    /// The directory's roots, each with its file.
    pub roots: Vec<(String, Certificate)>,
    /// The directory's cluster.
    pub cluster: Option<Cluster>,
    /// A lookup of a certificate in the directory's ledger; `None` if there is no ledger.
    pub ledger: Option<&'a dyn Fn(Fingerprint) -> Result<Option<LedgerEntry>, String>>,
    /// The time at which items are described.
    pub now: OffsetDateTime,
    given: Given,
}

/// A certificate in the ledger.
pub struct LedgerEntry {
    /// The host that it was issued to; `None` for a CA, a person or the verifier.
    pub host: Option<String>,
    /// Its revocation, if it was revoked.
    pub revocation: Option<LedgerRevocation>,
}

/// A revocation in the ledger.
pub struct LedgerRevocation {
    /// The revocation as text.
    pub text: String,
    /// The time of the revocation.
    pub at: OffsetDateTime,
    /// RFC 5280's name of the reason.
    pub reason: &'static str,
}

/// The content of all given files.
#[derive(Default)]
struct Given {
    certificates: Vec<(String, Certificate)>,
    keys: BTreeSet<Fingerprint>,
    /// The public keys of requests, and those in separate files.
    public_keys: BTreeSet<Fingerprint>,
    crls: Vec<Crl>,
}

/// A certificate whose key signed another one.
pub(super) struct Signer<'a> {
    pub(super) certificate: &'a Certificate,
    /// The file that it is in.
    pub(super) place: &'a str,
}

impl<'a> ExplainContext<'a> {
    /// Returns a context without any file.
    #[must_use]
    pub fn new(now: OffsetDateTime) -> Self {
        Self { roots: Vec::new(), cluster: None, ledger: None, now, given: Given::default() }
    }

    /// Adds the content of a file, so that other items can be linked to it.
    pub fn add(&mut self, place: &str, pieces: &[Piece]) {
        for piece in pieces {
            match piece {
                Piece::Certificate(certificate, _) => {
                    self.given.certificates.push((place.to_owned(), (**certificate).clone()));
                }
                Piece::Key(facts, _) => self.given.keys.extend(facts.fingerprint),
                Piece::Request(request) => drop(self.given.public_keys.insert(request.spki_fingerprint)),
                Piece::PublicKey(pin) => drop(self.given.public_keys.insert(*pin)),
                Piece::Crl(crl) => self.given.crls.push((**crl).clone()),
                Piece::EncryptedKey | Piece::Damaged { .. } => {}
            }
        }
    }

    /// Returns the certificate whose key signed `issued`. The directory's certificates are searched first, then those
    /// of the given files.
    pub(super) fn signer_of(&self, issued: &Certificate) -> Option<Signer<'_>> {
        let known = self.roots.iter().chain(&self.given.certificates);
        let mut named = known.filter(|(_, certificate)| certificate.subject.der == issued.issuer.der);
        named.find(|(_, certificate)| issued.is_signed_by(certificate)).map(signer)
    }

    /// Returns the certificate that `issued` names as its issuer, even if another CA signed it.
    pub(super) fn named_issuer_of(&self, issued: &Certificate) -> Option<Signer<'_>> {
        let mut known = self.roots.iter().chain(&self.given.certificates);
        known.find(|(_, certificate)| certificate.subject.der == issued.issuer.der).map(signer)
    }

    /// Returns the certificate whose key signed a CRL.
    pub(super) fn signer_of_crl(&self, crl: &Crl) -> Option<Signer<'_>> {
        let known = self.roots.iter().chain(&self.given.certificates);
        let mut named = known.filter(|(_, certificate)| certificate.subject.der == crl.issuer.der);
        named.find(|(_, certificate)| crl.is_signed_by(certificate)).map(signer)
    }

    /// Returns the certificates whose subject is the issuer of a CRL.
    pub(super) fn named_issuers_of_crl(&self, crl: &Crl) -> impl Iterator<Item = &Certificate> {
        let known = self.roots.iter().chain(&self.given.certificates).map(|(_, certificate)| certificate);
        known.filter(|certificate| certificate.subject.der == crl.issuer.der)
    }

    /// Returns the given CRL that revokes `certificate`.
    pub(super) fn crl_that_revokes(&self, certificate: &Certificate, signer: &Certificate) -> Option<&Crl> {
        let mut crls = self.given.crls.iter().filter(|crl| crl.issuer.der == signer.subject.der);
        crls.find(|crl| crl.serials.contains(&certificate.serial) && crl.is_signed_by(signer))
    }

    /// Returns true if a CRL of `signer` was given.
    pub(super) fn has_crl_of(&self, signer: &Certificate) -> bool {
        self.given.crls.iter().any(|crl| crl.issuer.der == signer.subject.der && crl.is_signed_by(signer))
    }

    /// Returns the given certificates with this public key.
    pub(super) fn certificates_of_key(&self, key: Fingerprint) -> Vec<&(String, Certificate)> {
        self.given.certificates.iter().filter(|(_, certificate)| certificate.spki_fingerprint() == key).collect()
    }

    /// Returns the files in which a certificate was given, by the SHA-256 of its DER.
    pub fn places_of(&self, certificate: Fingerprint) -> impl Iterator<Item = &str> {
        let given = self.given.certificates.iter();
        given.filter(move |(_, one)| one.fingerprint() == certificate).map(|(place, _)| place.as_str())
    }

    /// Returns true if certificates, requests or public keys were given, and the key belongs to none of them.
    pub(super) fn is_unmatched_key(&self, key: Fingerprint) -> bool {
        let some = !self.given.certificates.is_empty() || !self.given.public_keys.is_empty();
        some && !self.given.public_keys.contains(&key) && self.certificates_of_key(key).is_empty()
    }

    /// Returns true if the private key of `certificate` was also given.
    pub(super) fn has_key_of(&self, certificate: &Certificate) -> bool {
        self.given.keys.contains(&certificate.spki_fingerprint())
    }

    /// Returns the host that a certificate was issued to, according to the ledger, if the cluster file does not have that host.
    pub(super) fn removed_host_of(&self, certificate: &Certificate) -> Option<String> {
        let (host, cluster) = (self.host_of(certificate)?, self.cluster.as_ref()?);
        (cluster.master(&host).is_none() && cluster.node(&host).is_none()).then_some(host)
    }

    /// Returns the host that a certificate was issued to, according to the ledger.
    fn host_of(&self, certificate: &Certificate) -> Option<String> {
        self.ledger?(certificate.fingerprint()).ok()??.host
    }

    /// Returns the certificate that the cluster file requires for this certificate's account and usage, of the host that the
    /// ledger names.
    pub(super) fn wanted(&self, certificate: &Certificate) -> Option<(CertificateSpec, &Cluster)> {
        let cluster = self.cluster.as_ref()?;
        let (account, host) = (certificate.account(), self.host_of(certificate));
        let is_of_host = |leaf: &CertificateSpec| {
            host.as_ref().is_none_or(|host| leaf.host.as_ref().is_some_and(|one| one.as_str() == host))
        };
        let fits = |leaf: &CertificateSpec| {
            leaf.subject == account
                && is_of_host(leaf)
                && leaf.policy().usage.names().iter().all(|usage| certificate.has_extended_usage(usage))
        };
        let nodes = cluster.nodes.iter().flat_map(|node| cluster.node_specs(node));
        let masters = cluster.masters.iter().flat_map(|master| cluster.master_specs(master));
        let candidates: Vec<CertificateSpec> =
            nodes.chain(masters).chain([cluster.verifier_spec()]).filter(fits).collect();
        // All API servers have the same account, so the one whose names match best is used.
        let missing =
            |leaf: &CertificateSpec| leaf.names.iter().filter(|name| !certificate.names_address(name)).count();
        candidates.into_iter().min_by_key(missing).map(|leaf| (leaf, cluster))
    }
}

fn signer((place, certificate): &(String, Certificate)) -> Signer<'_> {
    Signer { certificate, place }
}
