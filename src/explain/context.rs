//! The context of a description: the data of the cluster directory, and the items of the other files that were given.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::file_item::FileItem;
use crate::cluster::profile::CertificateSpec;
use crate::cluster::spec::Cluster;
use crate::pki::certificate::Certificate;
use crate::pki::crl::Crl;
use crate::pki::fingerprint::Fingerprint;

/// The data that descriptions may refer to. Everything except the time is optional, because `show` also works without a
/// cluster directory.
pub struct ExplainContext<'a> {
    /// The certificates of the directory's trusted CAs, roots or intermediates, each with its file.
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

/// The items of all given files.
#[derive(Default)]
struct Given {
    /// The certificates, each with its file.
    certificates: Vec<(String, Certificate)>,
    /// The private keys, each as the SHA-256 of its SubjectPublicKeyInfo.
    private_keys: BTreeSet<Fingerprint>,
    /// The public keys of requests and in separate files, each as the SHA-256 of its SubjectPublicKeyInfo.
    public_keys: BTreeSet<Fingerprint>,
    crls: Vec<Crl>,
}

/// The certificate of an issuer: of the CA whose key signed a certificate or a CRL, or of a CA that only has the name that a
/// certificate gives as its issuer.
pub(super) struct IssuerCertificate<'a> {
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

    /// Adds the items of a file, so that other items can refer to them.
    pub fn add(&mut self, place: &str, items: &[FileItem]) {
        for item in items {
            match item {
                FileItem::Certificate(certificate, _) => {
                    self.given.certificates.push((place.to_owned(), (**certificate).clone()));
                }
                FileItem::Key(key, _) => self.given.private_keys.extend(key.fingerprint),
                FileItem::Request(request) => drop(self.given.public_keys.insert(request.spki_fingerprint)),
                FileItem::PublicKey(pin) => drop(self.given.public_keys.insert(*pin)),
                FileItem::Crl(crl) => self.given.crls.push((**crl).clone()),
                FileItem::EncryptedKey | FileItem::Damaged { .. } => {}
            }
        }
    }

    /// Returns the certificate whose key signed `issued`. The directory's CAs are searched first, then the certificates in
    /// the given files.
    pub(super) fn signer_of(&self, issued: &Certificate) -> Option<IssuerCertificate<'_>> {
        let known = self.roots.iter().chain(&self.given.certificates);
        let mut named = known.filter(|(_, certificate)| certificate.subject.der == issued.issuer.der);
        named.find(|(_, certificate)| issued.is_signed_by(certificate)).map(issuer)
    }

    /// Returns a certificate whose subject is the issuer of `issued`, even if its key did not sign `issued`.
    pub(super) fn named_issuer_of(&self, issued: &Certificate) -> Option<IssuerCertificate<'_>> {
        let mut known = self.roots.iter().chain(&self.given.certificates);
        known.find(|(_, certificate)| certificate.subject.der == issued.issuer.der).map(issuer)
    }

    /// Returns the certificate whose key signed a CRL.
    pub(super) fn signer_of_crl(&self, crl: &Crl) -> Option<IssuerCertificate<'_>> {
        let known = self.roots.iter().chain(&self.given.certificates);
        let mut named = known.filter(|(_, certificate)| certificate.subject.der == crl.issuer.der);
        named.find(|(_, certificate)| crl.is_signed_by(certificate)).map(issuer)
    }

    /// Returns the certificates whose subject is the issuer of a CRL.
    pub(super) fn named_issuers_of_crl(&self, crl: &Crl) -> impl Iterator<Item = &Certificate> {
        let known = self.roots.iter().chain(&self.given.certificates).map(|(_, certificate)| certificate);
        known.filter(|certificate| certificate.subject.der == crl.issuer.der)
    }

    /// Returns the given CRL of `signer` that revokes `certificate`.
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

    /// Returns the given files that contain the certificate with this fingerprint (SHA-256 of its DER).
    pub fn places_of(&self, certificate: Fingerprint) -> impl Iterator<Item = &str> {
        let given = self.given.certificates.iter();
        given.filter(move |(_, given)| given.fingerprint() == certificate).map(|(place, _)| place.as_str())
    }

    /// Returns true if no given certificate, request or public key has this key. False if none of these was given.
    pub(super) fn is_unmatched_key(&self, key: Fingerprint) -> bool {
        let has_candidates = !self.given.certificates.is_empty() || !self.given.public_keys.is_empty();
        has_candidates && !self.given.public_keys.contains(&key) && self.certificates_of_key(key).is_empty()
    }

    /// Returns true if the private key of `certificate` was also given.
    pub(super) fn has_key_of(&self, certificate: &Certificate) -> bool {
        self.given.private_keys.contains(&certificate.spki_fingerprint())
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

    /// Returns the specification, derived from the cluster file, that this certificate should meet, with the cluster: one for the same
    /// account and usage.
    ///
    /// If the ledger has the certificate's host, it is a specification of that host. Otherwise those of all hosts and of the verifier
    /// are considered.
    pub(super) fn required_spec(&self, certificate: &Certificate) -> Option<(CertificateSpec, &Cluster)> {
        let cluster = self.cluster.as_ref()?;
        let (account, host) = (certificate.account(), self.host_of(certificate));
        let is_of_host = |spec: &CertificateSpec| {
            host.as_ref().is_none_or(|host| spec.host.as_ref().is_some_and(|of_spec| of_spec.as_str() == host))
        };
        let fits = |spec: &CertificateSpec| {
            spec.subject == account
                && is_of_host(spec)
                && spec.policy().usage.names().iter().all(|usage| certificate.has_extended_usage(usage))
        };
        let nodes = cluster.nodes.iter().flat_map(|node| cluster.node_specs(node));
        let masters = cluster.masters.iter().flat_map(|master| cluster.master_specs(master));
        let candidates: Vec<CertificateSpec> =
            nodes.chain(masters).chain([cluster.verifier_spec()]).filter(fits).collect();
        // All API servers have the same account, so the specification with the fewest names that the certificate lacks is used.
        let missing =
            |spec: &CertificateSpec| spec.names.iter().filter(|name| !certificate.names_address(name)).count();
        candidates.into_iter().min_by_key(missing).map(|spec| (spec, cluster))
    }
}

fn issuer((place, certificate): &(String, Certificate)) -> IssuerCertificate<'_> {
    IssuerCertificate { certificate, place }
}
