//! Remedies, as data; `cli` renders them as text.

/// The remedy for a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LintRemedy {
    /// Renew the certificate.
    Renew,
    /// Issue it again with other contents.
    Reissue,
    /// Issue it again with the names of the host.
    ReissueWithNames,
    /// Issue one certificate for servers and another one for clients.
    SplitUsages,
    /// Issue it again with a shorter validity.
    Shorten,
    /// Compare the clocks.
    CompareClocks,
    /// Replace the CA certificate that has the issuer's name by the one that signed.
    FindIssuer,
    /// Plan for a new CA.
    ReplaceCa,
    /// Make one CA for each role.
    SeparateCas,
    /// Put the key beside its own certificate.
    FindKey,
    /// Make a new key, and issue the certificate again.
    NewKey,
    /// Make the file unreadable for other users.
    CloseFile,
    /// Move the CA's key to another machine, or encrypt it.
    MoveCaKey,
    /// Grant rights by RBAC instead of by the group `system:masters`.
    BindByRbac,
    /// Refer to files in the kubeconfig instead of embedding data.
    NameFiles,
    /// Correct the kubeconfig.
    CorrectKubeconfig,
    /// Put the CA of the API servers into the kubeconfig.
    CorrectKubeconfigCa,
    /// Make the file readable, or write it again.
    RepairFile,
    /// Sign a new CRL.
    SignCrl,
    /// Replace the certificate wherever it is used.
    ReplaceRevoked,
}

impl LintRemedy {
    /// Returns the stable id in kebab case.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Renew => "renew",
            Self::Reissue => "reissue",
            Self::ReissueWithNames => "reissue-with-names",
            Self::SplitUsages => "split-usages",
            Self::Shorten => "shorten",
            Self::CompareClocks => "compare-clocks",
            Self::FindIssuer => "find-issuer",
            Self::ReplaceCa => "replace-ca",
            Self::SeparateCas => "separate-cas",
            Self::FindKey => "find-key",
            Self::NewKey => "new-key",
            Self::CloseFile => "close-file",
            Self::MoveCaKey => "move-ca-key",
            Self::BindByRbac => "bind-by-rbac",
            Self::NameFiles => "name-files",
            Self::CorrectKubeconfig => "correct-kubeconfig",
            Self::CorrectKubeconfigCa => "correct-kubeconfig-ca",
            Self::RepairFile => "repair-file",
            Self::SignCrl => "sign-crl",
            Self::ReplaceRevoked => "replace-revoked",
        }
    }
}
