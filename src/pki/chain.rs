//! The paths that lead from a certificate to a trust anchor, judged as Kubernetes judges them (Go's crypto/x509): every certificate
//! of a path counts, and what was sent beside it does not. Signatures are verified by ring, and a path that is found good has to be
//! good for rustls-webpki too (RFC 5280 § 6).

use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use time::OffsetDateTime;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert, ring};

use super::certificate::{Certificate, PublicKeyKind, SignatureKind, SignedBy};

/// Why no path leads from a leaf to an anchor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// There is none, or it breaks a rule.
    #[error("{0}")]
    Path(String),
    /// There may be one, but something of it cannot be verified here.
    #[error("{0}")]
    Unproven(String),
}

/// What a path is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To prove a server.
    Server,
    /// To prove a client.
    Client,
}

impl Purpose {
    /// Returns the extended key usage that stands for it.
    #[must_use]
    pub fn usage(self) -> &'static str {
        match self {
            Self::Server => "serverAuth",
            Self::Client => "clientAuth",
        }
    }
}

/// Which check a flaw of a path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// The path itself: who signed what, and whether it was allowed to.
    Chain,
    /// The dates.
    Dates,
    /// The extended key usages.
    Usage,
    /// Something that cannot be verified here.
    Unproven,
}

/// One reason why a path is not good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathFlaw {
    /// What it is about.
    pub concern: Concern,
    /// Which certificate of the path: 0 is the leaf, the last one the anchor.
    pub at: usize,
    /// In words.
    pub reason: String,
}

/// A path from a leaf to an anchor. Each of its signatures was verified, but for those of which a flaw says otherwise.
#[derive(Debug, Clone)]
pub struct Path<'a> {
    /// The leaf, then the intermediates.
    pub sent: Vec<&'a Certificate>,
    /// The anchor: the leaf itself where that is in the trust file.
    pub anchor: &'a Certificate,
    /// What Kubernetes would refuse it for.
    pub flaws: Vec<PathFlaw>,
}

impl<'a> Path<'a> {
    /// Returns every certificate of it once, leaf first.
    pub fn certificates(&self) -> impl Iterator<Item = &'a Certificate> {
        let anchor = (!self.is_anchored_in_its_leaf()).then_some(self.anchor);
        self.sent.iter().copied().chain(anchor)
    }

    /// Returns the moment at which the first of its certificates ends.
    #[must_use]
    pub fn ends(&self) -> OffsetDateTime {
        self.certificates().map(|certificate| certificate.not_after).min().unwrap_or(self.anchor.not_after)
    }

    /// Returns the reasons that belong to one check.
    pub fn flaws_of(&self, concern: Concern) -> impl Iterator<Item = &PathFlaw> {
        self.flaws.iter().filter(move |flaw| flaw.concern == concern)
    }

    /// Returns whether the leaf is in the trust file itself.
    #[must_use]
    pub fn is_anchored_in_its_leaf(&self) -> bool {
        self.sent.len() == 1 && self.sent[0].der() == self.anchor.der()
    }

    fn push(&mut self, concern: Concern, at: usize, reason: impl Into<String>) {
        self.flaws.push(PathFlaw { concern, at, reason: reason.into() });
    }

    /// How far it is from being good: what cannot be verified is better than what is wrong.
    fn distance(&self) -> (bool, usize) {
        (self.flaws.iter().any(|flaw| flaw.concern != Concern::Unproven), self.flaws.len())
    }
}

/// Returns the best path from `leaf` over some of `others` to one of `anchors`, with what is wrong with it at `now`. Where several
/// are good it is the one that lasts longest.
///
/// # Errors
/// Why there is no path at all.
pub fn best_path<'a>(
    leaf: &'a Certificate,
    others: &'a [Certificate],
    anchors: &'a [Certificate],
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<Path<'a>, ChainError> {
    let mut search = Search { others, anchors, found: Vec::new(), checked: 0, misled: None };
    if let Some(anchor) = anchors.iter().find(|anchor| anchor.der() == leaf.der()) {
        search.found.push(Path { sent: vec![leaf], anchor, flaws: Vec::new() });
    } else {
        search.extend(&mut vec![leaf], &mut Vec::new());
    }
    let mut best: Option<Path<'a>> = None;
    for mut path in search.found {
        judge(&mut path, purpose, now);
        let better = best.as_ref().is_none_or(|best| {
            let (this, that) = (path.distance(), best.distance());
            this < that || (this == that && path.ends() > best.ends())
        });
        if better {
            best = Some(path);
        }
    }
    best.ok_or_else(|| {
        let stranger = || "no path leads to this root: it was signed by somebody else".to_owned();
        ChainError::Path(search.misled.unwrap_or_else(stranger))
    })
}

/// Checks that a path leads from `leaf` over `others` to one of `anchors`. Dates and extended key usages are judged elsewhere.
///
/// # Errors
/// Why there is no such path.
pub fn verify_chain(leaf: &Certificate, others: &[Certificate], anchors: &[Certificate]) -> Result<(), ChainError> {
    let path = best_path(leaf, others, anchors, Purpose::Server, leaf.not_before)?;
    if let Some(flaw) = path.flaws_of(Concern::Chain).next() {
        return Err(ChainError::Path(flaw.reason.clone()));
    }
    match path.flaws_of(Concern::Unproven).next() {
        Some(flaw) => Err(ChainError::Unproven(flaw.reason.clone())),
        None => Ok(()),
    }
}

/// Go's smallest RSA key, in bits.
const SMALLEST_RSA: usize = 1024;

/// As many signatures are verified for one leaf, as by Go (`maxChainSignatureChecks`).
const MAX_SIGNATURES: usize = 100;

struct Search<'a> {
    others: &'a [Certificate],
    anchors: &'a [Certificate],
    found: Vec<Path<'a>>,
    checked: usize,
    /// Why a certificate that has an issuer's name is not by that issuer.
    misled: Option<String>,
}

impl<'a> Search<'a> {
    fn extend(&mut self, sent: &mut Vec<&'a Certificate>, unproven: &mut Vec<PathFlaw>) {
        let (at, Some(&child)) = (sent.len(), sent.last()) else { return };
        let (anchors, others) = (self.anchors, self.others);
        let candidates = anchors.iter().map(|anchor| (anchor, true)).chain(others.iter().map(|other| (other, false)));
        for (candidate, is_anchor) in candidates {
            if candidate.subject.der != child.issuer.der || sent.iter().any(|before| is_the_same(before, candidate)) {
                continue;
            }
            self.checked += 1;
            if self.checked > MAX_SIGNATURES {
                return;
            }
            let before = unproven.len();
            match child.signed_by(candidate) {
                SignedBy::It => {}
                SignedBy::Another => {
                    self.misled.get_or_insert_with(|| misled(candidate));
                    continue;
                }
                SignedBy::Unverifiable(reason) => {
                    unproven.push(PathFlaw { concern: Concern::Unproven, at: at - 1, reason });
                }
            }
            if is_anchor {
                self.found.push(Path { sent: sent.clone(), anchor: candidate, flaws: unproven.clone() });
            } else {
                sent.push(candidate);
                self.extend(sent, unproven);
                sent.pop();
            }
            unproven.truncate(before);
        }
    }
}

/// Why a certificate that has an issuer's name was not signed by it.
fn misled(issuer: &Certificate) -> String {
    match &issuer.key {
        PublicKeyKind::Rsa(bits) if *bits < SMALLEST_RSA => {
            format!("the key of {} is RSA {bits}, by which Kubernetes takes no signature", issuer.subject.text)
        }
        _ => "a signature is not by the key of the issuer that it names (a twin with the same name?)".to_owned(),
    }
}

/// Whether two certificates are of one authority, by which Go tells a loop.
fn is_the_same(one: &Certificate, other: &Certificate) -> bool {
    one.subject.der == other.subject.der && one.spki == other.spki && one.names == other.names
}

/// What Kubernetes would refuse a path for.
fn judge(path: &mut Path<'_>, purpose: Purpose, now: OffsetDateTime) {
    let certificates: Vec<&Certificate> = path.certificates().collect();
    let last = path.sent.len();
    for (at, certificate) in certificates.iter().enumerate() {
        let who = who(at, last, certificate);
        if let Some(reason) = &certificate.go_refuses {
            path.push(Concern::Chain, at, format!("{who} is refused by Kubernetes (Go): {reason}"));
        }
        if let Some(oid) = certificate.unknown_critical.first() {
            path.push(
                Concern::Chain,
                at,
                format!("{who} has a critical extension that Kubernetes does not know: {oid}"),
            );
        }
        if certificate.has_policy_rules && last > 0 {
            path.push(
                Concern::Unproven,
                at,
                format!("{who} has rules for certificate policies, which are not judged here"),
            );
        }
        if !(certificate.not_before..=certificate.not_after).contains(&now) {
            path.push(Concern::Dates, at, format!("{who} is not in date"));
        }
        if !allows(certificate, purpose) {
            let usages = certificate.extended_key_usage.iter().flatten().cloned().collect::<Vec<_>>().join(" + ");
            let wanted = purpose.usage();
            path.push(Concern::Usage, at, format!("the extended key usage of {who} is {usages}, without {wanted}"));
        }
        if at < last
            && !path.is_anchored_in_its_leaf()
            && let SignatureKind::WeakHash(hash) = certificate.signature
        {
            path.push(Concern::Chain, at, format!("{who} is signed with {hash}, which Kubernetes refuses"));
        }
        if let PublicKeyKind::Rsa(bits) = certificate.key
            && bits < SMALLEST_RSA
        {
            path.push(Concern::Chain, at, format!("the key of {who} is RSA {bits}, which Kubernetes refuses"));
        }
        if at > 0 {
            issuer_flaws(path, at, &who, certificate);
        }
    }
    let is_wrong = path.flaws.iter().any(|flaw| !matches!(flaw.concern, Concern::Dates | Concern::Usage));
    if !is_wrong && !path.is_anchored_in_its_leaf() {
        confirm(path, now);
    }
}

/// What a certificate is refused for as an issuer (Go: `CheckSignatureFrom`, `isValid`).
fn issuer_flaws(path: &mut Path<'_>, at: usize, who: &str, certificate: &Certificate) {
    let is_anchor = at == path.sent.len();
    match certificate.basic_constraints {
        Some(constraints) if constraints.ca => {
            let allowed = constraints.path_len.and_then(|limit| usize::try_from(limit).ok());
            if allowed.is_some_and(|allowed| at - 1 > allowed) {
                let reason = format!("{who} allows fewer intermediates below it than there are (its path length)");
                path.push(Concern::Chain, at, reason);
            }
        }
        Some(_) => path.push(Concern::Chain, at, format!("{who} is no CA (CA:FALSE), but signed another certificate")),
        None if is_anchor && certificate.version < 3 => {}
        None => {
            let reason = format!("{who} is no CA (it has no basicConstraints), but signed another certificate");
            path.push(Concern::Chain, at, reason);
        }
    }
    if certificate.key_usage.is_some_and(|usage| usage.is_set() && !usage.cert_sign) {
        let reason = format!("{who} may not sign certificates (its key usage lacks keyCertSign)");
        path.push(Concern::Chain, at, reason);
    }
}

/// Whether a certificate's extended key usage, if it has one, is good for this (Go: `checkChainForKeyUsage`).
fn allows(certificate: &Certificate, purpose: Purpose) -> bool {
    let wanted = [purpose.usage(), "anyExtendedKeyUsage"];
    let usages = certificate.extended_key_usage.as_deref().unwrap_or_default();
    usages.is_empty() || usages.iter().any(|usage| wanted.contains(&usage.as_str()))
}

/// What a certificate of a path is called.
pub(crate) fn who(at: usize, last: usize, certificate: &Certificate) -> String {
    match at {
        0 => "the certificate".to_owned(),
        _ if at == last => format!("the root {}", certificate.subject.text),
        _ => format!("the intermediate {}", certificate.subject.text),
    }
}

/// The signatures that a chain may bear: SHA-256 or better, RSA from 2048 bits.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    ring::ECDSA_P256_SHA256,
    ring::ECDSA_P256_SHA384,
    ring::ECDSA_P384_SHA256,
    ring::ECDSA_P384_SHA384,
    ring::ED25519,
    ring::RSA_PKCS1_2048_8192_SHA256,
    ring::RSA_PKCS1_2048_8192_SHA384,
    ring::RSA_PKCS1_2048_8192_SHA512,
    ring::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    ring::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    ring::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Has webpki verify this very path: it alone judges name constraints. Where it is stricter than Kubernetes, which it is of CAs that
/// serve and of old versions, its refusal counts only if there are constraints that nothing else judges.
fn confirm(path: &mut Path<'_>, now: OffsetDateTime) {
    use webpki::Error;
    let outdated = path.flaws_of(Concern::Dates).next().is_some();
    let Err(error) = verify_by_webpki(path, if outdated { latest_begin(path) } else { now }) else { return };
    let reason = match error {
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } | Error::InvalidCertValidity if outdated => return,
        Error::NameConstraintViolation
            if path.certificates().any(|certificate| certificate.constrains_uris_or_mail) =>
        {
            "name constraints on URIs or mail addresses are not judged here"
        }
        Error::NameConstraintViolation => {
            path.push(Concern::Chain, 0, "a name is outside its issuer's name constraints");
            return;
        }
        Error::CaUsedAsEndEntity
        | Error::EmptyEkuExtension
        | Error::UnsupportedCertVersion
        | Error::UnsupportedCriticalExtension
        | Error::MaximumPathDepthExceeded => {
            if path.certificates().any(|certificate| certificate.has_name_constraints) {
                "the name constraints of its issuers cannot be judged for such a certificate"
            } else {
                return;
            }
        }
        Error::InvalidSignatureForPublicKey => "a signature is not by the key of the issuer that it names",
        Error::SignatureAlgorithmMismatch => "it names two different algorithms for one signature",
        Error::MalformedNameConstraint | Error::InvalidNetworkMaskConstraint => "name constraints are malformed",
        Error::UnknownIssuer => "no path leads to this root: it was signed by somebody else",
        _ => "it could not be verified here: a certificate of the path is encoded in an unusual way",
    };
    path.push(Concern::Unproven, 0, reason);
}

fn verify_by_webpki(path: &Path<'_>, at: OffsetDateTime) -> Result<(), webpki::Error> {
    let anchor = CertificateDer::from(path.anchor.der());
    let anchors = [anchor_from_trusted_cert(&anchor)?];
    let between: Vec<CertificateDer<'_>> = path.sent[1..].iter().map(|between| between.der().into()).collect();
    let leaf = CertificateDer::from(path.sent[0].der());
    let leaf = EndEntityCert::try_from(&leaf)?;
    let moment = Duration::from_secs(u64::try_from(at.unix_timestamp()).unwrap_or(0));
    let time = UnixTime::since_unix_epoch(moment);
    leaf.verify_for_usage(ALGORITHMS, &anchors, &between, time, AnyUsage, None, None).map(drop)
}

fn latest_begin(path: &Path<'_>) -> OffsetDateTime {
    path.sent.iter().map(|certificate| certificate.not_before).max().unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Extended key usages are judged with the other rules of a path, for the anchor too.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        KeyUsagePurpose,
    };
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
    type Issuer = CertifiedIssuer<'static, KeyPair>;

    fn params(name: &str, is_ca: bool) -> CertificateParams {
        let mut params = CertificateParams::new(vec![format!("{name}.example")]).expect("names");
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (NOW - time::Duration::DAY, NOW + time::Duration::days(30));
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params.subject_alt_names = Vec::new();
        } else {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }
        params
    }

    fn key() -> KeyPair {
        KeyPair::generate().expect("a key")
    }

    fn root(change: impl Fn(&mut CertificateParams)) -> Issuer {
        let mut params = params("root", true);
        change(&mut params);
        CertifiedIssuer::self_signed(params, key()).expect("a root")
    }

    fn between(by: &Issuer, change: impl Fn(&mut CertificateParams)) -> Issuer {
        let mut params = params("between", true);
        change(&mut params);
        CertifiedIssuer::signed_by(params, key(), by).expect("an intermediate")
    }

    fn leaf(by: &Issuer) -> Certificate {
        read(params("leaf", false).signed_by(&key(), by).expect("a leaf").der())
    }

    fn read(der: &[u8]) -> Certificate {
        Certificate::from_der(der.to_vec()).expect("a certificate")
    }

    fn cert(issuer: &Issuer) -> Certificate {
        read(issuer.der())
    }

    /// What a path is refused for; nothing where it is good.
    fn refused(leaf: &Certificate, others: &[Certificate], anchors: &[Certificate]) -> Vec<Concern> {
        match best_path(leaf, others, anchors, Purpose::Server, NOW) {
            Ok(path) => path.flaws.iter().map(|flaw| flaw.concern).collect(),
            Err(ChainError::Path(_)) => vec![Concern::Chain],
            Err(ChainError::Unproven(_)) => vec![Concern::Unproven],
        }
    }

    /// A change of a certificate, and what a path is refused for then.
    type Change = (fn(&mut CertificateParams), &'static [Concern]);

    const OF_ANY_ISSUER: [Change; 9] = [
        (|_| (), &[]),
        (|p| p.key_usages.clear(), &[]),
        (|p| p.key_usages = vec![KeyUsagePurpose::DigitalSignature], &[Concern::Chain]),
        (|p| p.is_ca = IsCa::ExplicitNoCa, &[Concern::Chain]),
        (|p| p.is_ca = IsCa::NoCa, &[Concern::Chain]),
        (|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth], &[Concern::Usage]),
        (|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any], &[]),
        (|p| p.not_after = NOW - time::Duration::HOUR, &[Concern::Dates]),
        (|p| p.not_before = NOW + time::Duration::HOUR, &[Concern::Dates]),
    ];

    #[test]
    fn every_issuer_of_a_path_is_judged_as_go_judges_it() {
        for (at, (change, expected)) in OF_ANY_ISSUER.iter().enumerate() {
            let odd = root(change);
            assert_eq!(refused(&leaf(&odd), &[], &[cert(&odd)]), *expected, "root {at}");
            let good = root(|_| ());
            let odd = between(&good, change);
            assert_eq!(refused(&leaf(&odd), &[cert(&odd)], &[cert(&good)]), *expected, "intermediate {at}");
            // The intermediate itself as the anchor, without its root and with it.
            let roots = [cert(&odd), cert(&good)];
            assert_eq!(refused(&leaf(&odd), &[], &roots[..1]), *expected, "anchored in the intermediate {at}");
            assert_eq!(refused(&leaf(&odd), &[], &roots), *expected, "anchored in either {at}");
        }
    }

    #[test]
    fn an_issuer_that_issued_itself_is_no_exception() {
        let root = root(|_| ());
        // A new key of the root's name, signed by the old one, and out of date.
        let rolled = between(&root, |p| {
            p.distinguished_name.push(DnType::CommonName, "root");
            p.not_after = NOW - time::Duration::HOUR;
        });
        assert!(cert(&rolled).is_self_issued());
        assert_eq!(refused(&leaf(&rolled), &[cert(&rolled)], &[cert(&root)]), [Concern::Dates]);
    }

    #[test]
    fn what_is_sent_beside_the_path_does_not_count() {
        let (old, new) = (root(|_| ()), root(|p| p.distinguished_name.push(DnType::CommonName, "new root")));
        let issuer = between(&new, |_| ());
        let leaf = leaf(&issuer);
        // Of the same name and key: signed by an unknown root, out of date, not yet valid, no CA.
        let twin = |by: &Issuer, change: fn(&mut CertificateParams)| {
            let mut params = params("between", true);
            change(&mut params);
            read(params.signed_by(issuer.key(), by).expect("a twin").der())
        };
        let beside = [
            twin(&old, |_| ()),
            twin(&new, |p| p.not_after = NOW - time::Duration::DAY),
            twin(&new, |p| p.not_before = NOW + time::Duration::DAY),
            twin(&new, |p| p.is_ca = IsCa::ExplicitNoCa),
            twin(&new, |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            cert(&old),
        ];
        for first in [true, false] {
            let mut others = beside.to_vec();
            others.insert(if first { 0 } else { beside.len() }, cert(&issuer));
            assert_eq!(refused(&leaf, &others, &[cert(&old), cert(&new)]), []);
        }
        assert_ne!(refused(&leaf, &beside, &[cert(&new)]), []);
    }

    #[test]
    fn of_two_good_paths_the_one_that_lasts_longer_counts() {
        let short = root(|p| p.not_after = NOW + time::Duration::DAY);
        let mut longer = params("root", true);
        longer.not_after = NOW + time::Duration::days(20);
        let longer = read(longer.self_signed(short.key()).expect("a root").der());
        let leaf = leaf(&short);
        for anchors in [[cert(&short), longer.clone()], [longer, cert(&short)]] {
            let path = best_path(&leaf, &[], &anchors, Purpose::Server, NOW).expect("a path");
            assert_eq!((path.ends(), path.flaws.len()), (NOW + time::Duration::days(20), 0));
        }
    }

    #[test]
    fn path_lengths_count_and_the_roots_too() {
        let limited =
            |limit: u8| move |p: &mut CertificateParams| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(limit));
        for (limit, expected) in [(0, vec![Concern::Chain]), (1, vec![])] {
            let root = root(limited(limit));
            let below = between(&root, |_| ());
            assert_eq!(refused(&leaf(&below), &[cert(&below)], &[cert(&root)]), expected, "root {limit}");
            let top = self::root(|_| ());
            let limiting = between(&top, limited(limit));
            let below = between(&limiting, |p| p.distinguished_name.push(DnType::CommonName, "below"));
            let others = [cert(&below), cert(&limiting)];
            assert_eq!(refused(&leaf(&below), &others, &[cert(&top)]), expected, "intermediate {limit}");
        }
    }

    #[test]
    fn name_constraints_hold_for_what_is_below_them() {
        let permits = |name: &'static str| {
            move |p: &mut CertificateParams| {
                let permitted_subtrees = vec![rcgen::GeneralSubtree::DnsName(name.to_owned())];
                p.name_constraints = Some(rcgen::NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
            }
        };
        for (name, expected) in [("example", vec![]), ("elsewhere", vec![Concern::Chain])] {
            let root = root(permits(name));
            assert_eq!(refused(&leaf(&root), &[], &[cert(&root)]), expected, "{name}");
            let top = self::root(|_| ());
            let limiting = between(&top, permits(name));
            assert_eq!(refused(&leaf(&limiting), &[cert(&limiting)], &[cert(&top)]), expected, "{name}");
        }
    }

    #[test]
    fn a_certificate_of_the_trust_file_stands_for_itself() {
        let root = root(|_| ());
        let leaf = leaf(&root);
        assert_eq!(refused(&leaf, &[], std::slice::from_ref(&leaf)), []);
        // It is no CA, and issues for no other.
        let other = self::leaf(&root);
        assert_eq!(refused(&other, &[], &[leaf]), [Concern::Chain]);
    }
}
