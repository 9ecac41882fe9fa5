//! What helps where certificates cannot be revoked, as data.

/// What helps where certificates cannot be revoked, or the ledger lacks revocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Put a CRL back from a backup, or sign it again.
    RestoreOrRenewCrls,
    /// Let the ledger learn from the CRLs what it lacks.
    LearnFromCrls,
    /// Start a new cluster directory with new CAs.
    ReplaceCas,
    /// Name a certificate in another way.
    NameCertificate,
    /// Name an authorization configuration or a bundle.
    NameRenderedFile,
    /// Revoke it where its issuer is.
    AskItsIssuer,
}
