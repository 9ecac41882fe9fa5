//! The findings of a check of the ledger.

use crate::app::remedy::Remedy;

/// The kind of a finding. The ids are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerFindingId {
    /// SQLite finds damage.
    Integrity,
    /// The tables are not those that clusterctl made, or there are triggers or views.
    Schema,
    /// A row refers to a row that does not exist.
    ForeignKey,
    /// A row is not what it was when it was recorded.
    RowChanged,
    /// A row was removed.
    RowRemoved,
    /// A row was not recorded by clusterctl.
    RowInserted,
    /// A link of the hash chain does not follow the one before it.
    Chain,
    /// A link that was kept from an earlier check is not in the hash chain.
    Head,
    /// The ledger did not record a CA of the directory: it is the ledger of another cluster, or an older one.
    Ca,
    /// A certificate cannot be parsed, or is not the one that its row describes.
    Certificate,
    /// A certificate is not signed by a CA of the ledger or of the directory.
    Issuer,
    /// A CRL does not match the ledger.
    Crl,
    /// The API servers' authorization configuration does not match the ledger.
    Denials,
}

impl LedgerFindingId {
    /// Returns the id as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integrity => "ledger.integrity",
            Self::Schema => "ledger.schema",
            Self::ForeignKey => "ledger.foreign-key",
            Self::RowChanged => "ledger.row-changed",
            Self::RowRemoved => "ledger.row-removed",
            Self::RowInserted => "ledger.row-inserted",
            Self::Chain => "ledger.chain",
            Self::Head => "ledger.head",
            Self::Ca => "ledger.ca",
            Self::Certificate => "ledger.certificate",
            Self::Issuer => "ledger.issuer",
            Self::Crl => "ledger.crl",
            Self::Denials => "ledger.denials",
        }
    }
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Something is wrong.
    Error,
    /// Something needs attention.
    Warning,
}

impl Severity {
    /// Returns the severity as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A finding about the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerFinding {
    /// The kind.
    pub id: LedgerFindingId,
    /// The severity.
    pub severity: Severity,
    /// The place: a table and the `seq` of a row, or a file.
    pub place: String,
    /// What was observed there.
    pub observed: String,
    /// The remedy.
    pub remedy: Option<Remedy>,
}
