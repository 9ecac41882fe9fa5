//! What issuing an administrator's kubeconfig reports while it runs.

use crate::cluster::lifetime::Lifetime;
use crate::pki::certificate::Serial;

/// Something about an administrator's kubeconfig that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The certificate is valid for long, and only a revocation ends that.
    LongValidity(Lifetime),
    /// The certificate that is replaced, and that the ledger did not have, was recorded in it.
    ReplacedRecorded(Serial),
}
