//! Notices of issuing an administrator's kubeconfig.

use crate::cluster::lifetime::Lifetime;
use crate::pki::certificate::Serial;

/// Something about an administrator's kubeconfig that the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The certificate is valid for a long time, and only a revocation can end that.
    LongValidity(Lifetime),
    /// The certificate that is replaced, and that the ledger did not have, was recorded in it.
    ReplacedRecorded(Serial),
}
