//! Remedies for certificates that cannot be revoked, as data.

use std::path::Path;

use crate::verify::remedy::FileRemedy;

/// The remedy for certificates that cannot be revoked, or for a ledger that lacks revocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Restore a CRL from a backup, or sign it again.
    RestoreOrRenewCrls,
    /// Record the revocations of the CRLs in the ledger.
    RecordFromCrls,
    /// Start a new cluster directory with new CAs.
    ReplaceCas,
    /// Name a certificate in another way.
    NameCertificate,
    /// Name an authorization configuration or a bundle.
    NameRenderedFile,
    /// Revoke it in the directory of its issuer.
    AskItsIssuer,
    /// Name the file of a certificate that the ledger does not have, or the issuer of its serial number.
    NameFileOrIssuer,
    /// Find the serial number of a certificate.
    FindSerial,
    /// Use this name of the ledger.
    UseSimilar(String),
    /// Revoke all certificates of this host.
    RevokeHost(String),
    /// Name one of several hosts, or a serial number.
    NameHostOrSerial,
    /// Name a host, an account or a serial number.
    NameHolder,
    /// Replace a CA by new ones, in a new cluster directory.
    ReplaceCa,
    /// Do nothing: expired certificates are rejected.
    ExpiredIsRejected,
    /// Sign the CRLs again.
    RenewCrls,
}

/// Returns the remedy for a ledger that lacks revocations: record them from the file or folder `from`, or, if there is
/// none, from a file of an API server.
pub(crate) fn record_missing(from: Option<&Path>) -> FileRemedy {
    FileRemedy::RecordMissing { from: from.map(|path| path.display().to_string()) }
}
