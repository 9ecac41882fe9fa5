//! The user name and group in a certificate, as Kubernetes derives them: user = CN, groups = every O (Kubernetes
//! `apiserver/pkg/authentication/request/x509`, `CommonNameUserConversion`).

use std::fmt;

use super::name::HostName;

/// A common name has at most 64 characters (RFC 5280 appendix A, ub-common-name).
pub const MAX_COMMON_NAME: usize = 64;

/// The naming scheme of nodes' user names and groups: `accounts:` in the cluster file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum AccountScheme {
    /// `kubelet:<host>` in group `kubelets`: rights come only from RBAC and admission policy.
    #[default]
    Kubelet,
    /// `system:node:<host>` in group `system:nodes`: the Node authorizer and NodeRestriction act on it.
    SystemNode,
}

impl AccountScheme {
    /// Both, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Kubelet, Self::SystemNode];

    /// Returns the spelling in the cluster file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kubelet => "kubelet",
            Self::SystemNode => "system-node",
        }
    }

    /// Returns the other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Kubelet => Self::SystemNode,
            Self::SystemNode => Self::Kubelet,
        }
    }

    /// Returns the prefix before the host's name.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Kubelet => "kubelet:",
            Self::SystemNode => "system:node:",
        }
    }

    /// Returns the user name and group of `host`.
    #[must_use]
    pub fn account(self, host: &HostName) -> Account {
        let group = match self {
            Self::Kubelet => "kubelets",
            Self::SystemNode => "system:nodes",
        };
        Account { user: format!("{}{host}", self.prefix()), group: Some(group.to_owned()) }
    }
}

impl fmt::Display for AccountScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A certificate's subject: CN is the user, O the group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// User name; the subject's common name.
    pub user: String,
    /// Group; the subject's organization. rcgen keeps one value per attribute, and no profile needs two.
    pub group: Option<String>,
}
