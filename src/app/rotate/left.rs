//! Hosts and accounts that still have a certificate issued by the CA that is retired.

/// The root of a rotation that is retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetiredRoot {
    /// The old one.
    Old,
    /// The new one: the rotation is being aborted.
    New,
}

impl RetiredRoot {
    /// Returns the name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

/// The holder of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftHolder {
    /// A host of the cluster file, or the verifier.
    Host,
    /// A host that is not in the cluster file, and was not removed: it may still run.
    FormerHost,
    /// An account that is not a host's.
    Account,
}

/// A certificate issued by the CA that is retired: its holder would be cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftCertificate {
    /// The holder.
    pub holder: LeftHolder,
    /// The name of the host or account.
    pub name: String,
    /// The profile.
    pub profile: &'static str,
}
