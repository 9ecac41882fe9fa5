//! A host that is no longer in the cluster file.

use std::fmt;
use std::path::PathBuf;

use super::lookup::SERIAL_DIGITS;
use crate::app::count::certificates;
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::cluster::spec::Role;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::verify::remedy::DirectoryRemedy;

/// A host that is no longer in the cluster file, or not in one of its roles, with its certificates and files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedHost {
    /// The host's name.
    pub host: String,
    /// The role that it still has in the cluster file.
    pub remaining_role: Option<Role>,
    /// Its valid certificates of the role that it no longer has.
    pub certificates: Vec<IssuedCertificate>,
    /// Its folders and bundles.
    pub paths: Vec<PathBuf>,
}

impl fmt::Display for RemovedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(until) = self.certificates.iter().map(|issued| issued.not_after).max() {
            let count = self.certificates.len();
            let verb = if count == 1 { "is" } else { "are" };
            parts.push(format!("{} that {verb} valid until {}", certificates(count), stamp(until)));
        }
        parts.extend(self.paths.iter().map(|path| path.display().to_string()));
        let role = self.remaining_role.map_or(String::new(), |role| format!(", but as a {},", role.as_str()));
        write!(f, "it is no longer in cluster.yaml{role} and has {}", parts.join(", "))
    }
}

impl RemovedHost {
    /// Returns the remedy for a host that left the cluster or one of its roles.
    #[must_use]
    pub fn remedy(&self) -> DirectoryRemedy {
        // A folder whose name is not a host name does not belong to a host.
        if self.remaining_role.is_none() && HostName::parse(&self.host).is_ok() {
            return DirectoryRemedy::RemoveHost { host: self.host.clone() };
        }
        // A short serial number could be a name, unless it has a prefix.
        let short = |serial: String| if serial.len() < SERIAL_DIGITS { format!("0x{serial}") } else { serial };
        let revoke = self.certificates.iter().map(|issued| short(issued.serial.to_string())).collect();
        let paths = self.paths.iter().map(|path| path.display().to_string()).collect();
        DirectoryRemedy::RemoveRole { revoke, paths }
    }
}
