//! Reads the CRLs of the cluster directory.

use crate::cluster::profile::CaRole;
use crate::pki::certificate::Certificate;
use crate::pki::crl::{self, Crl, CrlError};
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;

/// No CRL is larger than this, in bytes; half a million serial numbers would fit.
pub const MAX_BYTES: u64 = 32 << 20;

/// Why a CRL in the directory cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlFileError {
    /// Its file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not a CRL, or a damaged one.
    #[error(transparent)]
    Malformed(#[from] CrlError),
    /// Another CA signed it.
    #[error("the {} did not sign it", .0.as_str())]
    OtherIssuer(CaRole),
}

/// Returns the CRL of a CA, whose signature is verified; `None` where there is no file.
///
/// # Errors
/// Why it cannot be used.
pub fn read(layout: &Layout, role: CaRole, ca: &Certificate) -> Result<Option<Crl>, CrlFileError> {
    let bytes = match files::read(&layout.revocation_list(role), MAX_BYTES) {
        Err(StoreError::Missing(_)) => return Ok(None),
        other => other?,
    };
    let der = crl::read_all(&bytes)?.into_iter().next().ok_or(CrlError::NoSection)?;
    let crl = Crl::from_der(der)?;
    if crl.is_signed_by(ca) { Ok(Some(crl)) } else { Err(CrlFileError::OtherIssuer(role)) }
}
