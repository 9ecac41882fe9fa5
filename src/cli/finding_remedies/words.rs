//! The text of a remedy of any kind.

use super::{access, certificate, cluster, connection, directory, enrolment, trust};
use crate::verify::remedy::{Remedy, TargetKind};

/// Returns the text of a remedy, for a cluster of this kind.
#[must_use]
pub fn words(remedy: &Remedy, kind: TargetKind) -> String {
    match remedy {
        Remedy::Certificate(remedy) => certificate::words(remedy, kind),
        Remedy::Trust(remedy) => trust::words(remedy, kind),
        Remedy::Connection(remedy) => connection::words(remedy, kind),
        Remedy::Authentication(remedy) => access::authentication(remedy, kind),
        Remedy::Authorization(remedy) => access::authorization(remedy, kind),
        Remedy::Health(remedy) => cluster::health(remedy, kind),
        Remedy::Verifier(remedy) => cluster::verifier(remedy, kind),
        Remedy::Directory(remedy) => directory::credential(remedy),
        Remedy::File(remedy) => directory::file(remedy),
        Remedy::Enrolment(remedy) => enrolment::words(*remedy),
    }
}
