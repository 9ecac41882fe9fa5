//! Notices that issuing reports.

use time::OffsetDateTime;

use super::reason::PlannedCertificate;
use crate::app::revoke::superseded::SupersededKept;
use crate::pki::certificate::Serial;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;

/// A notice of issuing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The ledger could not cache the verification results; the next run reads the files again.
    NotCached(StoreError),
    /// The key pair that signs service account tokens was generated.
    ServiceAccountKeyCreated {
        /// SHA-256 of the public key.
        pin: Fingerprint,
    },
    /// The missing public key of the pair that signs service account tokens was written.
    ServiceAccountPublicKeyWritten {
        /// SHA-256 of the public key.
        pin: Fingerprint,
    },
    /// Certificates are due, but only their hosts have the keys: the hosts have to send new requests.
    RequestNeeded {
        /// The certificates, with the reasons.
        certificates: Vec<PlannedCertificate>,
    },
    /// Certificates get a shorter lifetime than configured, because their CA expires earlier.
    Shortened {
        /// The number of certificates.
        count: usize,
        /// The cluster's CA expires at this time.
        ca_not_after: OffsetDateTime,
    },
    /// Certificates of the former account scheme stay valid.
    SupersededKept(SupersededKept),
    /// Certificates that were about to be replaced were missing in the ledger and were added to it.
    Recorded {
        /// The number of certificates.
        count: usize,
        /// The serial number of one of them.
        serial: Serial,
    },
}
