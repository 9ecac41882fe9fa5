//! The result of checking a server's chain.

use crate::pki::certificate::Certificate;
use crate::pki::chain::{ChainError, PathViolation};

/// The result of checking a server's certificates.
pub(super) struct Trust {
    /// Whether they lead to a root. Dates and extended key usages are judged by other checks.
    pub(super) chain: Result<(), ChainError>,
    /// The path, where there is one.
    pub(super) path: Option<TrustPath>,
}

/// A path to a root, as owned values.
pub(super) struct TrustPath {
    /// Leaf, intermediates, root; the leaf alone if it is in the trust file.
    pub(super) certificates: Vec<Certificate>,
    /// The number of certificates in it that the peer sent.
    pub(super) sent: usize,
    /// What is wrong with it.
    pub(super) violations: Vec<PathViolation>,
}
