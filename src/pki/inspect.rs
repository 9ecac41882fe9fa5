//! What is wrong with a certificate: pure functions from a certificate, the policy and a time to a list of [`Violation`]s.
//! The very same judgement stands before every write ([`Verified`]) and behind `verify --offline` and `show`.

use std::fmt;

use time::OffsetDateTime;

use super::certificate::{Certificate, PublicKeyKind, SignatureKind, SignedBy};
use super::issuer::{BACKDATED, Credential};
use crate::cluster::account::Account;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::ClusterName;
use crate::cluster::profile::{CaRole, CertificateSpec};

/// One thing that is wrong, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// Its time has not come.
    NotYetValid {
        /// Valid from.
        not_before: OffsetDateTime,
        /// The time it was judged at.
        now: OffsetDateTime,
    },
    /// Its time is over.
    Expired {
        /// Valid until.
        not_after: OffsetDateTime,
        /// The time it was judged at.
        now: OffsetDateTime,
    },
    /// The private key belongs to another certificate.
    KeyDoesNotFit,
    /// Names another issuer than the root.
    OtherIssuer {
        /// Whom it names.
        found: String,
        /// The root's subject.
        root: String,
    },
    /// Names the root as its issuer, but the root's key did not sign it.
    BadSignature,
    /// Authority key identifier and the root's key identifier differ.
    OtherKeyId,
    /// Outlives its root.
    OutlivesRoot {
        /// Valid until.
        not_after: OffsetDateTime,
        /// The root is valid until.
        root: OffsetDateTime,
    },
    /// Lives longer than it should.
    LivesTooLong {
        /// Valid until.
        not_after: OffsetDateTime,
        /// How long the cluster file lets it live.
        wanted: Lifetime,
    },
    /// Carries another account.
    OtherAccount {
        /// What it carries.
        found: Account,
        /// What the cluster file asks for.
        wanted: Account,
    },
    /// A name is missing.
    NameMissing(String),
    /// A name too many.
    NameTooMany(String),
    /// Another extended key usage.
    OtherUsage {
        /// What it has.
        found: String,
        /// What the profile asks for.
        wanted: &'static [&'static str],
    },
    /// A leaf that may sign certificates.
    LeafIsCa,
    /// It may not sign certificates: CA:FALSE.
    NotACa,
    /// It does not say that it may sign certificates, which version 3 has to.
    NoBasicConstraints,
    /// An extension that should be marked critical and is not.
    NotCritical(&'static str),
    /// A CA without key usage.
    NoKeyUsage,
    /// A key usage without keyCertSign.
    NoCertSign,
    /// A root whose extended key usage leaves servers out.
    RootUsage(String),
    /// Version 1 or 2, which have no extensions that could say what it is for.
    OldVersion(u32),
    /// What Go, and so Kubernetes, refuses to read.
    GoRefuses(String),
    /// A root under which intermediates may grow.
    PathLength,
    /// keyUsage is missing, not critical, or has other bits than the profile's.
    KeyUsage {
        /// The bits that belong there.
        wanted: &'static str,
    },
    /// An extension that has to be there is not, or is not critical.
    Extension(&'static str),
    /// A critical extension that nobody here understands.
    UnknownCritical(String),
    /// It names itself as its issuer, but its own key did not sign it.
    NotSelfSigned,
    /// It is signed by another: an intermediate.
    SignedByAnother(String),
    /// It names itself as its issuer; whether its own key signed it cannot be verified here.
    SelfSignatureUnverified(String),
    /// A key too weak, or of a kind that cannot be judged.
    WeakKey(String),
    /// A hash too weak, or of a kind that cannot be judged.
    WeakHash(&'static str),
    /// Another kind of key than the cluster file asks for.
    OtherKeyKind {
        /// What it has.
        found: String,
        /// What the file asks for.
        wanted: KeyKind,
    },
    /// An address that stands in the certificate as a DNS name.
    AddressAsDnsName(String),
    /// Not what RFC 5280 § 4.1.2.2 asks for; how.
    Serial(&'static str),
}

/// What to do about a certificate whose time has not come: most often it is the clock's fault.
pub const COMPARE_CLOCKS: &str = "compare this machine's clock (date) with the one that issued the certificate";

impl Violation {
    /// Whether it is that the certificate's time has not come.
    #[must_use]
    pub fn is_early(&self) -> bool {
        matches!(self, Self::NotYetValid { .. })
    }

    /// Returns whether Kubernetes refuses a trust anchor for it (Go's `CheckSignatureFrom` and `isValid`). The rest is no more than
    /// unwise in a root that another made.
    #[must_use]
    pub fn spoils_an_anchor(&self) -> bool {
        self.spoils_an_issuer()
            || matches!(
                self,
                Self::NotYetValid { .. } | Self::Expired { .. } | Self::GoRefuses(_) | Self::UnknownCritical(_)
            )
    }

    /// Returns whether Kubernetes refuses a trust anchor for it that has signed another certificate, and takes one that is itself what a
    /// server presents (Go's `CheckSignatureFrom`).
    #[must_use]
    pub fn spoils_an_issuer(&self) -> bool {
        matches!(self, Self::NotACa | Self::NoBasicConstraints | Self::NoCertSign)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYetValid { not_before, now } => {
                write!(f, "not valid before {}, and it is {}", stamp(*not_before), stamp(*now))
            }
            Self::Expired { not_after, now } => {
                write!(f, "expired {} on {}", ago(*now - *not_after), stamp(*not_after))
            }
            Self::KeyDoesNotFit => f.write_str("the private key does not belong to the certificate"),
            Self::OtherIssuer { found, root } => write!(f, "signed by {found}, not by {root}"),
            Self::BadSignature => f.write_str("names the root as its issuer, but the root's key did not sign it"),
            Self::OtherKeyId => f.write_str("its authority key identifier is not the root's key identifier"),
            Self::OutlivesRoot { not_after, root } => {
                write!(f, "valid until {}, longer than its root ({})", stamp(*not_after), stamp(*root))
            }
            Self::LivesTooLong { not_after, wanted } => {
                write!(f, "valid until {}, longer than the cluster file's {wanted}", stamp(*not_after))
            }
            Self::OtherAccount { found, wanted } => {
                write!(f, "carries {}, the cluster file asks for {}", subject(found), subject(wanted))
            }
            Self::NameMissing(name) => write!(f, "{name} is not in the certificate"),
            Self::NameTooMany(name) => write!(f, "{name} is in the certificate, but no longer in the cluster file"),
            Self::OtherUsage { found, wanted } => {
                write!(f, "its extended key usage is {found}, it must be {}", wanted.join(" + "))
            }
            Self::LeafIsCa => f.write_str("it may sign certificates (CA:TRUE), which only a root may"),
            Self::NotACa => f.write_str("it is not a CA (CA:FALSE)"),
            Self::NoBasicConstraints => f.write_str("it is not a CA: it has no basicConstraints"),
            Self::NotCritical(name) => write!(f, "its {name} should be marked critical and is not"),
            Self::NoKeyUsage => f.write_str("it has no key usage; a CA should have keyCertSign"),
            Self::NoCertSign => f.write_str("it may not sign certificates: its key usage lacks keyCertSign"),
            Self::RootUsage(found) => {
                write!(f, "its extended key usage is {found}, so that no server's certificate is good below it")
            }
            Self::OldVersion(version) => {
                write!(
                    f,
                    "it is of X.509 version {version}, which cannot say that it is a CA; version 3 should be used"
                )
            }
            Self::GoRefuses(reason) => write!(f, "Kubernetes refuses to read it ({reason})"),
            Self::PathLength => f.write_str("it allows intermediates; its path length must be 0"),
            Self::KeyUsage { wanted } => write!(f, "its key usage must be {wanted}, marked critical"),
            Self::Extension(name) => write!(f, "the extension {name} is missing or not marked as it must be"),
            Self::UnknownCritical(oid) => write!(f, "it has a critical extension that nobody here understands: {oid}"),
            Self::NotSelfSigned => f.write_str("it names itself as its issuer, but its own key did not sign it"),
            Self::SignedByAnother(issuer) => write!(f, "it is an intermediate, signed by {issuer}"),
            Self::SelfSignatureUnverified(reason) => write!(f, "whether it signed itself is not known: {reason}"),
            Self::WeakKey(kind) => write!(f, "its key is too weak or of an unknown kind: {kind}"),
            Self::WeakHash(kind) => write!(f, "its signature is too weak or of an unknown kind: {kind}"),
            Self::OtherKeyKind { found, wanted } => write!(f, "its key is {found}, the cluster file asks for {wanted}"),
            Self::AddressAsDnsName(name) => {
                write!(
                    f,
                    "the DNS name {name} is an address, which matches nothing there: it has to be an IP address's name"
                )
            }
            Self::Serial(how) => write!(f, "its serial number is {how}"),
        }
    }
}

/// A time as RFC 3339 in UTC, to the second.
#[must_use]
pub fn stamp(time: OffsetDateTime) -> String {
    let t = time.to_offset(time::UtcOffset::UTC);
    let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", t.hour(), t.minute(), t.second())
}

/// A span in words: `3 days ago`.
fn ago(span: time::Duration) -> String {
    format!("{} ago", in_words(span))
}

/// A span in its largest whole unit: `2 years`, `1 day`, `5 hours`, `12 minutes`, `40 seconds`.
#[must_use]
pub fn in_words(span: time::Duration) -> String {
    let seconds = span.whole_seconds().unsigned_abs();
    let (count, unit) = match seconds {
        s if s >= 2 * 365 * 86_400 => (s / (365 * 86_400), "year"),
        s if s >= 86_400 => (s / 86_400, "day"),
        s if s >= 3600 => (s / 3600, "hour"),
        s if s >= 60 => (s / 60, "minute"),
        s => (s, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn subject(account: &Account) -> String {
    match &account.group {
        Some(group) => format!("CN={} O={group}", account.user),
        None => format!("CN={}", account.user),
    }
}

/// What is wrong with a root, at `now` (RFC 5280 § 4.2.1; rustls and webpki look at none of this in a trust anchor). Of what another
/// made, [`Violation::spoils_an_anchor`] tells what counts.
#[must_use]
pub fn root_flaws(root: &Certificate, now: OffsetDateTime) -> Vec<Violation> {
    let mut flaws = authority_flaws(root, now);
    if !root.is_self_issued() {
        flaws.push(Violation::SignedByAnother(root.issuer.text.clone()));
        return flaws;
    }
    match root.signed_by(root) {
        SignedBy::It => {}
        SignedBy::Another => flaws.push(Violation::NotSelfSigned),
        SignedBy::Unverifiable(reason) => flaws.push(Violation::SelfSignatureUnverified(reason)),
    }
    flaws
}

/// What is wrong with a CA's certificate, a root's or an intermediate's, at `now`.
#[must_use]
pub fn authority_flaws(authority: &Certificate, now: OffsetDateTime) -> Vec<Violation> {
    let mut flaws = general_flaws(authority, now);
    if authority.version < 3 {
        flaws.push(Violation::OldVersion(authority.version));
        return flaws;
    }
    match authority.basic_constraints {
        None => flaws.push(Violation::NoBasicConstraints),
        Some(constraints) if !constraints.ca => flaws.push(Violation::NotACa),
        Some(constraints) if !constraints.critical => flaws.push(Violation::NotCritical("basicConstraints")),
        Some(_) => {}
    }
    match authority.key_usage {
        Some(usage) if usage.cert_sign => {}
        Some(usage) if usage.is_set() => flaws.push(Violation::NoCertSign),
        _ => flaws.push(Violation::NoKeyUsage),
    }
    let usages = authority.extended_key_usage.as_deref().unwrap_or_default();
    let serves = |usage: &String| ["serverAuth", "anyExtendedKeyUsage"].contains(&usage.as_str());
    if !usages.is_empty() && !usages.iter().any(serves) {
        flaws.push(Violation::RootUsage(usages.join(" + ")));
    }
    flaws
}

/// What is wrong with a root that we made: [`root_flaws`], and the rest of our profile.
#[must_use]
pub fn own_root_violations(root: &Certificate, now: OffsetDateTime) -> Vec<Violation> {
    let mut flaws = root_flaws(root, now);
    if root.basic_constraints.is_some_and(|bc| bc.path_len != Some(0)) {
        flaws.push(Violation::PathLength);
    }
    if root
        .key_usage
        .is_some_and(|ku| !(ku.critical && ku.cert_sign && ku.crl_sign) || ku.digital_signature || ku.others)
    {
        flaws.push(Violation::KeyUsage { wanted: "keyCertSign and cRLSign" });
    }
    if root.subject_key_id.is_none() {
        flaws.push(Violation::Extension("subjectKeyIdentifier"));
    }
    flaws
}

/// That a root is another cluster's: its subject is not the one that `cluster`'s would have.
#[must_use]
pub fn root_of_another_cluster(root: &Certificate, kind: CaRole, cluster: &ClusterName) -> Option<Violation> {
    let (found, wanted) = (root.account(), kind.subject(cluster));
    (found != wanted).then_some(Violation::OtherAccount { found, wanted })
}

/// What is wrong with a leaf that should be `wanted`, signed by `root`, at `now`.
#[must_use]
pub fn leaf_violations(
    leaf: &Certificate,
    wanted: &CertificateSpec,
    keys: KeyKind,
    root: &Certificate,
    now: OffsetDateTime,
) -> Vec<Violation> {
    let mut flaws = flaws_but_for_the_signature(leaf, wanted, keys, root, now);
    let names_the_root = leaf.issuer.der == root.subject.der;
    if names_the_root && !leaf.is_signed_by(root) {
        let behind = flaws.iter().take_while(|flaw| matches!(flaw, Violation::OtherKeyId)).count();
        flaws.insert(behind, Violation::BadSignature);
    }
    flaws
}

/// As [`leaf_violations`], of a leaf whose signature was verified before: what a signature proves of the very same bytes does not
/// change.
#[must_use]
pub fn flaws_but_for_the_signature(
    leaf: &Certificate,
    wanted: &CertificateSpec,
    keys: KeyKind,
    root: &Certificate,
    now: OffsetDateTime,
) -> Vec<Violation> {
    let mut flaws = Vec::new();
    issuer(leaf, root, &mut flaws);
    dates(leaf, now, &mut flaws);
    strength(leaf, &mut flaws);
    if leaf.not_after > root.not_after {
        flaws.push(Violation::OutlivesRoot { not_after: leaf.not_after, root: root.not_after });
    }
    if leaf.not_after - leaf.not_before > wanted.lifetime.duration() + BACKDATED {
        flaws.push(Violation::LivesTooLong { not_after: leaf.not_after, wanted: wanted.lifetime });
    }
    profile(leaf, wanted, &mut flaws);
    if leaf.key != PublicKeyKind::Ours(keys) {
        flaws.push(Violation::OtherKeyKind { found: leaf.key.to_string(), wanted: keys });
    }
    flaws
}

/// What is wrong with any certificate, whoever made it and whatever for, at `now`: its dates and its strength.
#[must_use]
pub fn general_flaws(certificate: &Certificate, now: OffsetDateTime) -> Vec<Violation> {
    let mut flaws = Vec::new();
    dates(certificate, now, &mut flaws);
    strength(certificate, &mut flaws);
    flaws
}

fn issuer(leaf: &Certificate, root: &Certificate, flaws: &mut Vec<Violation>) {
    if leaf.issuer.der != root.subject.der {
        let (found, root) = (leaf.issuer.text.clone(), root.subject.text.clone());
        flaws.push(Violation::OtherIssuer { found, root });
        return;
    }
    if leaf.authority_key_id.is_some() && leaf.authority_key_id != root.subject_key_id {
        flaws.push(Violation::OtherKeyId);
    }
}

fn dates(certificate: &Certificate, now: OffsetDateTime, flaws: &mut Vec<Violation>) {
    if now < certificate.not_before {
        flaws.push(Violation::NotYetValid { not_before: certificate.not_before, now });
    }
    if now > certificate.not_after {
        flaws.push(Violation::Expired { not_after: certificate.not_after, now });
    }
}

fn strength(certificate: &Certificate, flaws: &mut Vec<Violation>) {
    match &certificate.key {
        PublicKeyKind::Ours(_) => {}
        PublicKeyKind::Rsa(bits) if *bits >= 2048 => {}
        PublicKeyKind::Other(kind) if kind == "ecdsa-p521" => {}
        weak => flaws.push(Violation::WeakKey(weak.to_string())),
    }
    match certificate.signature {
        SignatureKind::Strong(_) => {}
        SignatureKind::WeakHash(hash) => flaws.push(Violation::WeakHash(hash)),
        SignatureKind::Unknown => flaws.push(Violation::WeakHash("unknown")),
    }
    flaws.extend(certificate.unknown_critical.iter().cloned().map(Violation::UnknownCritical));
    flaws.extend(certificate.go_refuses.clone().map(Violation::GoRefuses));
    let addresses = certificate.names.iter().filter(|name| name.address_in_a_dns_name().is_some());
    flaws.extend(addresses.map(|name| Violation::AddressAsDnsName(name.to_string())));
    if certificate.serial.0.iter().all(|&b| b == 0) {
        flaws.push(Violation::Serial("zero, and should be positive"));
    } else if certificate.serial.0.len() > 20 {
        flaws.push(Violation::Serial("longer than 20 octets"));
    }
}

fn profile(leaf: &Certificate, wanted: &CertificateSpec, flaws: &mut Vec<Violation>) {
    let found = leaf.account();
    let single = leaf.subject.common_names.len() == 1 && leaf.subject.organizations.len() <= 1;
    if found != wanted.subject || !single {
        flaws.push(Violation::OtherAccount { found, wanted: wanted.subject.clone() });
    }
    let named: Vec<String> = leaf.names.iter().map(ToString::to_string).collect();
    let asked: Vec<String> = wanted.names.iter().map(ToString::to_string).collect();
    flaws.extend(asked.iter().filter(|name| !named.contains(name)).cloned().map(Violation::NameMissing));
    flaws.extend(named.iter().filter(|name| !asked.contains(name)).cloned().map(Violation::NameTooMany));
    let usages = wanted.policy().usage.names();
    if leaf.extended_key_usage.as_deref().is_none_or(|found| found != usages) {
        let found = leaf.extended_key_usage.as_ref().map_or_else(|| "absent".to_owned(), |u| u.join(" + "));
        flaws.push(Violation::OtherUsage { found, wanted: usages });
    }
    match leaf.basic_constraints {
        Some(bc) if bc.ca => flaws.push(Violation::LeafIsCa),
        Some(bc) if bc.critical => {}
        _ => flaws.push(Violation::Extension("basicConstraints")),
    }
    match leaf.key_usage {
        Some(ku) if ku.critical && ku.digital_signature && !ku.cert_sign && !ku.crl_sign && !ku.others => {}
        _ => flaws.push(Violation::KeyUsage { wanted: "digitalSignature" }),
    }
    if leaf.subject_key_id.is_none() {
        flaws.push(Violation::Extension("subjectKeyIdentifier"));
    }
    if leaf.authority_key_id.is_none() {
        flaws.push(Violation::Extension("authorityKeyIdentifier"));
    }
}

/// A value that passed the stranger's check. The writer of files accepts nothing else, so the step cannot be forgotten.
#[derive(Debug)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The value, to own.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl Verified<Credential> {
    /// Passes a leaf of `root` that has no flaw.
    ///
    /// # Errors
    /// All of its flaws.
    pub(super) fn leaf(
        credential: Credential,
        wanted: &CertificateSpec,
        keys: KeyKind,
        root: &Certificate,
        now: OffsetDateTime,
    ) -> Result<Self, Vec<Violation>> {
        let mut flaws = leaf_violations(&credential.certificate, wanted, keys, root, now);
        flaws.extend(key_flaw(&credential));
        if flaws.is_empty() { Ok(Self(credential)) } else { Err(flaws) }
    }

    /// Passes a root of ours that has no flaw.
    ///
    /// # Errors
    /// All of its flaws.
    pub fn root(credential: Credential, now: OffsetDateTime) -> Result<Self, Vec<Violation>> {
        let mut flaws = own_root_violations(&credential.certificate, now);
        flaws.extend(key_flaw(&credential));
        if flaws.is_empty() { Ok(Self(credential)) } else { Err(flaws) }
    }
}

fn key_flaw(credential: &Credential) -> Option<Violation> {
    (credential.key.spki() != credential.certificate.spki).then_some(Violation::KeyDoesNotFit)
}
