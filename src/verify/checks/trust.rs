//! The result of checking a server's chain.

use crate::pki::certificate::Certificate;
use crate::pki::chain::{ChainError, PathViolation};

/// The result of checking a server's certificates.
pub(super) struct Trust {
    /// Whether the certificates lead to a root. Other checks cover dates and extended key usages.
    pub(super) chain: Result<(), ChainError>,
    /// The path, if there is one.
    pub(super) path: Option<TrustPath>,
}

/// A path to a root, as owned values.
pub(super) struct TrustPath {
    /// Leaf, intermediates, root; only the leaf if it is in the trust file.
    pub(super) certificates: Vec<Certificate>,
    /// The number of certificates of the path that the peer sent.
    pub(super) sent: usize,
    /// The violations of the path.
    pub(super) violations: Vec<PathViolation>,
}
