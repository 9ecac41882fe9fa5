//! Reads the CRLs of the cluster directory.

use crate::cluster::profile::CaRole;
use crate::pki::crl::{self, Crl, CrlError};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;

/// The largest CRL that is read, in bytes: half a million serial numbers fit.
pub const MAX_BYTES: u64 = 32 << 20;

/// Errors of using a CRL in the directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlFileError {
    /// Its file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not a CRL, or is damaged.
    #[error(transparent)]
    Malformed(#[from] CrlError),
    /// Another CA signed it.
    #[error("the {} did not sign it", .0.as_str())]
    OtherIssuer(CaRole),
}

/// The CRLs of a CA role, with the SHA-256 of the CA that signed each.
#[derive(Debug, Clone, Default)]
pub struct StoredCrls(Vec<(Fingerprint, Crl)>);

impl StoredCrls {
    /// Reads the CRLs of a role and verifies their signatures. Without a file there are no CRLs.
    ///
    /// # Errors
    /// Returns the reason why one of them cannot be used.
    pub fn read(layout: &Layout, trust: &TrustBundle) -> Result<Self, CrlFileError> {
        let bytes = match files::read(&layout.revocation_list(trust.role()), MAX_BYTES) {
            Err(StoreError::Missing(_)) => return Ok(Self::default()),
            other => other?,
        };
        let read = |der| {
            let crl = Crl::from_der(der)?;
            let signer = trust.all().find(|(ca, _)| crl.is_signed_by(ca.certificate()));
            let (ca, _) = signer.ok_or(CrlFileError::OtherIssuer(trust.role()))?;
            Ok((ca.certificate().fingerprint(), crl))
        };
        crl::read_all(&bytes)?.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the CRL that a CA signed.
    #[must_use]
    pub fn of(&self, ca: Fingerprint) -> Option<&Crl> {
        self.iter().find_map(|(signer, crl)| (signer == ca).then_some(crl))
    }

    /// Returns each CRL with the SHA-256 of the CA that signed it.
    pub fn iter(&self) -> impl Iterator<Item = (Fingerprint, &Crl)> {
        self.0.iter().map(|(signer, crl)| (*signer, crl))
    }
}
