//! Finds hosts whose last bundles are signed.

use std::path::Path;

use super::reader;
use crate::bundle::format::Format;
use crate::bundle::input::Roles;
use crate::bundle::model::SIGNATURE;
use crate::cluster::name::HostName;

/// The number of hosts whose last bundles are read, because reading all bundles of a large cluster would be slow.
const SAMPLE: usize = 8;

/// Returns the hosts, among the first ones, whose last bundles in `folder` are signed.
pub(super) fn signed_before(hosts: &[Roles<'_>], folder: &Path) -> Vec<HostName> {
    let signed = |roles: &&Roles<'_>| {
        Format::ALL
            .iter()
            .filter_map(|format| reader::read(&folder.join(format.file_name(roles.host()))).ok())
            .any(|bundle| bundle.file(SIGNATURE).is_some())
    };
    hosts.iter().take(SAMPLE).filter(signed).map(|roles| roles.host().clone()).collect()
}
