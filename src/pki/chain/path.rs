//! A path of certificates from a leaf to a trust anchor.

use time::OffsetDateTime;

use crate::pki::certificate::Certificate;

/// Errors of leading a leaf to an anchor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// There is no path, or it violates a rule.
    #[error("{0}")]
    NoValidPath(String),
    /// There may be a path, but a part of it cannot be verified here.
    #[error("{0}")]
    Unproven(String),
}

/// The purpose of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Server authentication.
    Server,
    /// Client authentication.
    Client,
}

impl Purpose {
    /// Returns the extended key usage that it requires.
    #[must_use]
    pub fn usage(self) -> &'static str {
        match self {
            Self::Server => "serverAuth",
            Self::Client => "clientAuth",
        }
    }
}

/// The kind of a violation, by which callers select those that matter to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViolationKind {
    /// The path itself: signatures, and the constraints of issuers.
    Chain,
    /// Validity periods.
    Dates,
    /// Extended key usages.
    Usage,
    /// A part that cannot be verified here.
    Unproven,
}

/// A reason why a path is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathViolation {
    /// Its kind.
    pub kind: ViolationKind,
    /// The position of the certificate: 0 is the leaf, the last one the anchor.
    pub at: usize,
    /// The reason as text.
    pub reason: String,
}

/// A path from a leaf to an anchor. Its signatures are verified, except for those that a violation names.
#[derive(Debug, Clone)]
pub struct Path<'a> {
    /// The leaf, then the intermediates up to the anchor, which is not among them.
    pub leaf_and_intermediates: Vec<&'a Certificate>,
    /// The anchor; the leaf itself if that is in the trust file.
    pub anchor: &'a Certificate,
    /// The reasons why Kubernetes would refuse it.
    pub violations: Vec<PathViolation>,
}

impl<'a> Path<'a> {
    /// Returns the certificates of the path, each once, leaf first.
    pub fn certificates(&self) -> impl Iterator<Item = &'a Certificate> {
        let anchor = (!self.is_anchored_in_leaf()).then_some(self.anchor);
        self.leaf_and_intermediates.iter().copied().chain(anchor)
    }

    /// Returns the time at which the first of its certificates expires.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.certificates().map(|certificate| certificate.not_after).min().unwrap_or(self.anchor.not_after)
    }

    /// Returns the violations of one kind.
    pub fn violations_of(&self, kind: ViolationKind) -> impl Iterator<Item = &PathViolation> {
        self.violations.iter().filter(move |violation| violation.kind == kind)
    }

    /// Returns true if the leaf itself is in the trust file.
    #[must_use]
    pub fn is_anchored_in_leaf(&self) -> bool {
        self.leaf_and_intermediates.len() == 1 && self.leaf_and_intermediates[0].der() == self.anchor.der()
    }

    pub(super) fn push(&mut self, kind: ViolationKind, at: usize, reason: impl Into<String>) {
        self.violations.push(PathViolation { kind, at, reason: reason.into() });
    }

    /// Returns an order of paths: valid ones are least, unverifiable ones are less than invalid ones.
    pub(super) fn rank(&self) -> (bool, usize) {
        (self.violations.iter().any(|violation| violation.kind != ViolationKind::Unproven), self.violations.len())
    }
}

/// Describes a certificate of a path by its position.
pub(crate) fn describe(at: usize, last: usize, certificate: &Certificate) -> String {
    match at {
        0 => "the certificate".to_owned(),
        _ if at == last => format!("the root {}", certificate.subject.text),
        _ => format!("the intermediate {}", certificate.subject.text),
    }
}
