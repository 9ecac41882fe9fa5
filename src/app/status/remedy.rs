//! Remedies, as data; `cli` renders them as text.

use crate::verify::remedy as finding;

/// The remedy for a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// The remedy of a finding of `verify`.
    OfFinding(finding::Remedy),
    /// Renew it with kubeadm.
    RenewByKubeadm {
        /// kubeadm's name of the certificate.
        name: String,
    },
    /// Restart k3s, or let it replace all of its certificates.
    RenewByK3s,
    /// Talos renews it while it runs.
    LetTalosRenew,
    /// The kubelet renews it while it runs.
    LetKubeletRenew,
    /// The kubelet cannot renew it any more: it needs another one.
    ReplaceKubeletClient,
    /// The kubelet made it and never renews it: let it make another one.
    ReplaceKubeletServing,
    /// Renew it with the tool that issued it.
    RenewByItsTool,
    /// Plan for a new CA.
    PlanNewCa,
    /// Replace a CA that has expired.
    ReplaceExpiredCa,
    /// Sign a new CRL.
    SignNewCrl,
}

impl Remedy {
    /// Returns the stable id in kebab case.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::OfFinding(remedy) => return remedy.id(),
            Self::RenewByKubeadm { .. } => "renew-by-kubeadm",
            Self::RenewByK3s => "renew-by-k3s",
            Self::LetTalosRenew => "let-talos-renew",
            Self::LetKubeletRenew => "let-kubelet-renew",
            Self::ReplaceKubeletClient => "replace-kubelet-client",
            Self::ReplaceKubeletServing => "replace-kubelet-serving",
            Self::RenewByItsTool => "renew-by-its-tool",
            Self::PlanNewCa => "plan-new-ca",
            Self::ReplaceExpiredCa => "replace-expired-ca",
            Self::SignNewCrl => "sign-new-crl",
        }
        .to_owned()
    }
}

impl<R: Into<finding::Remedy>> From<R> for Remedy {
    fn from(remedy: R) -> Self {
        Self::OfFinding(remedy.into())
    }
}
