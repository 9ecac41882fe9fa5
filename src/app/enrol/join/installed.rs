//! The manifest of what is installed on a host that joined, kept current when a renewal replaces files.

use std::path::Path;

use super::certificates;
use crate::app::error::Error;
use crate::bundle::manifest::{Manifest, MarkedPhase, RotationMark};
use crate::bundle::paths;
use crate::cluster::profile::{CaRole, Holder, TABLE};
use crate::enrol::record::Record;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;
use crate::store::files;

/// The largest manifest, and the largest file of certificates, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// Writes the roots, the phase and the certificates that the host has now into its manifest, if it has one.
///
/// `install.sh` compares the pins of roots in it with those of the next bundle.
///
/// # Errors
/// Returns an error if a file cannot be read or written.
pub(super) fn update(root: &Path, record: &Record) -> Result<(), Error> {
    let bytes = match files::read(&root.join(paths::RECORD), LIMIT) {
        Ok(bytes) => bytes,
        Err(StoreError::Missing(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // One that cannot be read is replaced by the next bundle, with --replace.
    let (Ok(manifest), Some(active)) = (Manifest::parse(&bytes), record.roots.first()) else { return Ok(()) };
    let mut present = vec![active.clone()];
    let mut replaced = vec![paths::CA.to_owned()];
    for row in TABLE.iter().filter(|row| row.holder == Holder::Node) {
        present.extend(certificates::present_chain(root, row.profile)?.unwrap_or_default());
        replaced.extend(certificates::certificate_path(row.profile));
    }
    let pins: Vec<Fingerprint> = record.roots.iter().map(Certificate::spki_fingerprint).collect();
    // The phase stays when a rotation ends, as in bundles, unless that gave other roots.
    let earlier = manifest.rotation.clone().filter(|_| manifest.pins().eq(pins.iter().copied()));
    let mut listed = manifest.files.clone();
    for file in listed.iter_mut().filter(|file| replaced.contains(&file.path)) {
        file.sha256 = Fingerprint::of(&files::read(&root.join(&file.path), LIMIT)?);
    }
    let current = Manifest {
        root_pin: active.spki_fingerprint(),
        other_pins: pins.into_iter().skip(1).collect(),
        not_before: present.iter().map(|one| one.not_before).fold(active.not_before, Ord::max),
        not_after: present.iter().map(|one| one.not_after).fold(active.not_after, Ord::min),
        rotation: mark(record).or(earlier),
        files: listed,
        ..manifest.clone()
    };
    if current != manifest {
        certificates::put_file(root, paths::RECORD, current.to_json().as_bytes())?;
    }
    Ok(())
}

/// Returns the phase in which hosts have the files of the record.
fn mark(record: &Record) -> Option<RotationMark> {
    let phase = record.rotation.as_ref().map(|rotation| rotation.phase).filter(|phase| phase.trusts_new())?;
    Some(RotationMark { role: CaRole::Cluster.name().to_owned(), phase: MarkedPhase::Ca(phase) })
}
