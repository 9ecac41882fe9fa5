//! Notices of rotations.

/// A notice of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// API servers before Kubernetes 1.32 did not report which certificate they saw in this number of calls. The phase counts as
    /// proven without it.
    WithoutCredentialId(usize),
}
