//! What issuing reports while it runs.

use time::OffsetDateTime;

use crate::pki::certificate::Serial;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;

/// Something about issuing that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The ledger cannot store which files were verified; the next run reads them again.
    NotCached(StoreError),
    /// The key pair that signs service accounts' tokens was made.
    ServiceAccountKeyCreated {
        /// SHA-256 of the public key.
        pin: Fingerprint,
    },
    /// The missing public key of the pair that signs service accounts' tokens was written.
    ServiceAccountPublicKeyWritten {
        /// SHA-256 of the public key.
        pin: Fingerprint,
    },
    /// Certificates expire with their CA, earlier than the cluster file says.
    Shortened {
        /// The number of certificates.
        count: usize,
        /// The cluster's CA expires at this time.
        ca_not_after: OffsetDateTime,
    },
    /// Certificates that are replaced, and that the ledger did not have, were recorded in it.
    Recorded {
        /// The number of certificates.
        count: usize,
        /// The serial number of one of them.
        serial: Serial,
    },
}
