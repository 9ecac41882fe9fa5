//! The rules that a certificate can break, each with its evidence, and the sentence for each.

use std::fmt;

use time::OffsetDateTime;

use crate::cluster::account::Account;
use crate::cluster::duration::{in_words, stamp};
use crate::cluster::key_kind::KeyKind;
use crate::cluster::lifetime::Lifetime;

/// A rule that a certificate breaks, with the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// It is not valid yet.
    NotYetValid {
        /// Valid from.
        not_before: OffsetDateTime,
        /// The time at which it was checked.
        now: OffsetDateTime,
    },
    /// It has expired.
    Expired {
        /// Valid until.
        not_after: OffsetDateTime,
        /// The time at which it was checked.
        now: OffsetDateTime,
    },
    /// The private key does not belong to the certificate.
    KeyDoesNotFit,
    /// It names another issuer than the CA.
    OtherIssuer {
        /// The issuer that it names.
        found: String,
        /// The CA's subject.
        root: String,
    },
    /// It names the CA as its issuer, but the CA's key did not sign it.
    BadSignature,
    /// Authority key identifier and the root's key identifier differ.
    OtherKeyId,
    /// It expires later than its CA.
    OutlivesRoot {
        /// Valid until.
        not_after: OffsetDateTime,
        /// The CA is valid until.
        root: OffsetDateTime,
    },
    /// It is valid for longer than the cluster file allows.
    LivesTooLong {
        /// Valid until.
        not_after: OffsetDateTime,
        /// The longest validity that the cluster file allows.
        wanted: Lifetime,
    },
    /// Its subject is another account.
    OtherAccount {
        /// The account in the certificate.
        found: Account,
        /// The account that the cluster file asks for.
        wanted: Account,
    },
    /// A subject alternative name is missing.
    NameMissing(String),
    /// A subject alternative name that the cluster file does not ask for.
    NameTooMany(String),
    /// Its extended key usage is not the profile's.
    OtherUsage {
        /// The extended key usage in the certificate.
        found: String,
        /// The profile's.
        wanted: &'static [&'static str],
    },
    /// An end-entity certificate that is a CA (CA:TRUE).
    LeafIsCa,
    /// It is not a CA (CA:FALSE).
    NotACa,
    /// It has no basicConstraints, which a CA of version 3 must have.
    NoBasicConstraints,
    /// An extension is not marked critical and should be.
    NotCritical(&'static str),
    /// A CA has no key usage.
    NoKeyUsage,
    /// A CA's key usage lacks keyCertSign.
    NoCertSign,
    /// A CA's extended key usage excludes serverAuth.
    RootUsage(String),
    /// It is of X.509 version 1 or 2, which have no extensions.
    OldVersion(u32),
    /// Go's crypto/x509, and therefore Kubernetes, refuses to parse it.
    GoRefuses(String),
    /// A root that clusterctl generated allows intermediates.
    PathLength,
    /// A CA, or one above it, has name constraints.
    NameConstraints,
    /// keyUsage is missing, not critical, or has other bits than the profile's.
    KeyUsage {
        /// The bits that it must have.
        wanted: &'static str,
    },
    /// A required extension is missing, or not critical.
    Extension(&'static str),
    /// A critical extension that neither clusterctl nor Kubernetes processes.
    UnknownCritical(String),
    /// It names itself as its issuer, but its own key did not sign it.
    NotSelfSigned,
    /// Another CA signed it: it is an intermediate.
    SignedByAnother(String),
    /// It names itself as its issuer, and ring cannot verify the signature.
    SelfSignatureUnverified(String),
    /// Its key is too weak, or of an unknown kind.
    WeakKey(String),
    /// Its signature's hash is too weak, or of an unknown kind.
    WeakHash(&'static str),
    /// Its key is of another kind than the cluster file asks for.
    OtherKeyKind {
        /// The kind of its key.
        found: String,
        /// The kind that the cluster file asks for.
        wanted: KeyKind,
    },
    /// An IP address is written as a DNS name.
    AddressAsDnsName(String),
    /// Its serial number violates RFC 5280 § 4.1.2.2, in this way.
    Serial(&'static str),
}

/// The remedy for a certificate that is not valid yet, which is usually caused by a wrong clock.
pub const COMPARE_CLOCKS: &str = "compare this machine's clock (date) with the one that issued the certificate";

impl Violation {
    /// Returns the id, as in JSON. Violations with the same remedy have one id.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Expired { .. } => "expired",
            Self::KeyDoesNotFit => "key-does-not-fit",
            Self::OtherIssuer { .. } | Self::BadSignature | Self::OtherKeyId => "other-ca",
            Self::OutlivesRoot { .. } | Self::LivesTooLong { .. } => "validity",
            Self::OtherAccount { .. } => "account",
            Self::NameMissing(_) | Self::NameTooMany(_) | Self::AddressAsDnsName(_) => "names",
            Self::OtherKeyKind { .. } | Self::WeakKey(_) => "key-kind",
            Self::OtherUsage { .. } | Self::KeyUsage { .. } | Self::Extension(_) | Self::NotCritical(_) => "usage",
            Self::LeafIsCa
            | Self::NotACa
            | Self::NoBasicConstraints
            | Self::NoKeyUsage
            | Self::NoCertSign
            | Self::RootUsage(_)
            | Self::OldVersion(_)
            | Self::GoRefuses(_)
            | Self::PathLength
            | Self::UnknownCritical(_)
            | Self::NotSelfSigned
            | Self::SignedByAnother(_)
            | Self::SelfSignatureUnverified(_)
            | Self::WeakHash(_)
            | Self::NameConstraints
            | Self::Serial(_) => "certificate",
        }
    }

    /// Returns true if the certificate is not valid yet.
    #[must_use]
    pub fn is_early(&self) -> bool {
        matches!(self, Self::NotYetValid { .. })
    }

    /// Returns true if Kubernetes rejects a trust anchor with this violation (Go's `CheckSignatureFrom` and `isValid`).
    ///
    /// Other violations are only bad practice in a root that another tool made.
    #[must_use]
    pub fn invalidates_anchor(&self) -> bool {
        self.invalidates_issuer()
            || matches!(
                self,
                Self::NotYetValid { .. } | Self::Expired { .. } | Self::GoRefuses(_) | Self::UnknownCritical(_)
            )
    }

    /// Returns true if Kubernetes rejects an issuer with this violation (Go's `CheckSignatureFrom`).
    ///
    /// A trust anchor that a server presents as its own certificate is accepted anyway.
    #[must_use]
    pub fn invalidates_issuer(&self) -> bool {
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
                write!(f, "expired {} ago on {}", in_words(*now - *not_after), stamp(*not_after))
            }
            Self::KeyDoesNotFit => f.write_str("the private key does not belong to the certificate"),
            Self::OtherIssuer { found, root } => write!(f, "signed by {found}, not by {root}"),
            Self::BadSignature => f.write_str("names the CA as its issuer, but the CA's key did not sign it"),
            Self::OtherKeyId => f.write_str("its authority key identifier is not the CA's subject key identifier"),
            Self::OutlivesRoot { not_after, root } => {
                write!(f, "valid until {}, later than its CA ({})", stamp(*not_after), stamp(*root))
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
            Self::LeafIsCa => f.write_str("it is a CA (CA:TRUE), which an end-entity certificate must not be"),
            Self::NotACa => f.write_str("it is not a CA (CA:FALSE)"),
            Self::NoBasicConstraints => f.write_str("it is not a CA: it has no basicConstraints"),
            Self::NotCritical(name) => write!(f, "its {name} should be marked critical and is not"),
            Self::NoKeyUsage => f.write_str("it has no key usage; a CA should have keyCertSign"),
            Self::NoCertSign => f.write_str("it may not sign certificates: its key usage lacks keyCertSign"),
            Self::RootUsage(found) => {
                write!(f, "its extended key usage is {found}, so it cannot sign serving certificates")
            }
            Self::OldVersion(version) => {
                write!(f, "it is of X.509 version {version}, which has no basicConstraints; use version 3")
            }
            Self::GoRefuses(reason) => write!(f, "Kubernetes refuses to read it ({reason})"),
            Self::PathLength => f.write_str("it allows intermediates; its path length must be 0"),
            Self::NameConstraints => {
                f.write_str("it or a CA above it has name constraints, under which a cluster's names are not valid")
            }
            Self::KeyUsage { wanted } => write!(f, "its key usage must be {wanted}, marked critical"),
            Self::Extension(name) => write!(f, "the extension {name} is missing or not marked as it must be"),
            Self::UnknownCritical(oid) => write!(f, "it has an unknown critical extension: {oid}"),
            Self::NotSelfSigned => f.write_str("it names itself as its issuer, but its own key did not sign it"),
            Self::SignedByAnother(issuer) => write!(f, "it is an intermediate, signed by {issuer}"),
            Self::SelfSignatureUnverified(reason) => write!(f, "its own signature cannot be verified: {reason}"),
            Self::WeakKey(kind) => write!(f, "its key is too weak or of an unknown kind: {kind}"),
            Self::WeakHash(kind) => write!(f, "its signature is too weak or of an unknown kind: {kind}"),
            Self::OtherKeyKind { found, wanted } => write!(f, "its key is {found}, the cluster file asks for {wanted}"),
            Self::AddressAsDnsName(name) => {
                write!(f, "the DNS name {name} is an IP address, which never matches; it must be an iPAddress")
            }
            Self::Serial(how) => write!(f, "its serial number is {how}"),
        }
    }
}

fn subject(account: &Account) -> String {
    match &account.group {
        Some(group) => format!("CN={} O={group}", account.user),
        None => format!("CN={}", account.user),
    }
}
