//! Notices of issuing an administrator's kubeconfig.

use crate::cluster::lifetime::Lifetime;
use crate::pki::certificate::Serial;

/// A notice about an administrator's kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The certificate is valid for a long time, and only a revocation can end that.
    LongValidity(Lifetime),
    /// The replaced certificate was missing in the ledger, and is recorded now.
    ReplacedRecorded(Serial),
}
