//! Reasons for revoking a certificate (RFC 5280 § 5.3.1).
//!
//! Reasons that cannot apply to a permanently revoked end-entity certificate are left out: a CA's compromise, a hold, a
//! removal from a hold.

use std::fmt;

use rcgen::RevocationReason;

/// The reason for revoking a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reason {
    /// No reason is given.
    #[default]
    Unspecified,
    /// Its key was disclosed, or may have been.
    KeyCompromise,
    /// The account has another name now.
    AffiliationChanged,
    /// Another certificate replaced it.
    Superseded,
    /// The host is gone.
    CessationOfOperation,
    /// Its holder may no longer use it for its purpose.
    PrivilegeWithdrawn,
}

impl Reason {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// Returns true if this reason can replace `former` for a revoked certificate: only key compromise can, because it may
    /// become known later.
    #[must_use]
    pub fn replaces(self, former: Self) -> bool {
        self == Self::KeyCompromise && former != Self::KeyCompromise
    }

    /// RFC 5280's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
        }
    }

    /// Parses RFC 5280's name of a reason.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Returns the reason with RFC 5280's code.
    #[must_use]
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code().is_some_and(|own| own as u8 == code))
    }

    /// Returns the reason code for a CRL entry; `None` for `unspecified`, which is left out.
    pub(super) fn code(self) -> Option<RevocationReason> {
        match self {
            Self::Unspecified => None,
            Self::KeyCompromise => Some(RevocationReason::KeyCompromise),
            Self::AffiliationChanged => Some(RevocationReason::AffiliationChanged),
            Self::Superseded => Some(RevocationReason::Superseded),
            Self::CessationOfOperation => Some(RevocationReason::CessationOfOperation),
            Self::PrivilegeWithdrawn => Some(RevocationReason::PrivilegeWithdrawn),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
