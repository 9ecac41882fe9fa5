//! The part of a decision about a request that the cluster file determines.

use crate::app::sign::RequestProblem;
use crate::cluster::profile::CertificateSpec;

/// What the cluster file grants to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inventory {
    /// The certificate that the request gets if it is approved.
    Granted(Box<CertificateSpec>),
    /// The cluster file does not have the host; it may be added later.
    Unknown(RequestProblem),
    /// The request asks for more than its host may have, or its key cannot be certified.
    Refused(Vec<RequestProblem>),
}
