//! A `pki/` from a backup has older credentials than the bundles that were packed since: to pack it would take them back.

use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::source::Source;
use crate::app::package::reader;
use crate::app::revoke::rendered::{self, certificates_in};
use crate::app::revoke::{LedgerEvidence, RevokeError};
use crate::bundle::format::{Format, sealed_name};
use crate::bundle::input::Roles;
use crate::cli::error::Result;
use crate::pki::certificate::Certificate;
use crate::store::credentials;
use crate::store::files;

/// Generations are the time in Unix seconds; those of a version that counted them say nothing.
const FIRST_BY_TIME: u64 = 1_000_000_000;
/// Without a record of what was packed last, as many bundles are looked into.
const LOOKED_INTO: usize = 256;

/// Refuses to put older credentials in the place of newer ones.
///
/// # Errors
/// Refused, with what records again what the ledger has forgotten; or when the record of the bundles cannot be read.
pub(crate) fn refuse(source: &Source<'_>, hosts: &[Roles<'_>], folder: &Path, generation: u64) -> Result<()> {
    let packed = rendered::last_packed(source.layout, &source.roots.cluster)?;
    let (looked_into, newer) = match packed {
        Some(packed) if packed > generation => (hosts, true),
        // Those that were copied here are newer than the record. Of many, some have to do.
        _ => (&hosts[..hosts.len().min(LOOKED_INTO)], false),
    };
    let since = packed.and_then(|_| files::modified(&source.layout.packing_record()));
    let found = looked_into.par_iter().find_map_first(|roles| {
        let sealed = folder.join(sealed_name(roles.host()));
        if newer && files::exists(&sealed) {
            return Some((sealed, LedgerEvidence::Encrypted));
        }
        Format::ALL.into_iter().map(|format| folder.join(format.file_name(roles.host()))).find_map(|path| {
            let at = files::modified(&path)?;
            if !newer && since.is_some_and(|since| at <= since) {
                return None;
            }
            let newer = newer_in(source, roles, &path, generation)?;
            Some((path, LedgerEvidence::NewerCertificate(newer.serial)))
        })
    });
    let Some((path, evidence)): Option<(PathBuf, LedgerEvidence)> = found else { return Ok(()) };
    Err(RevokeError::OutdatedLedger { path, evidence, record_from: Some(folder.to_owned()) }.into())
}

/// A certificate in the bundle at `path` that the ledger does not know, and that is no older than what would be packed.
fn newer_in(source: &Source<'_>, roles: &Roles<'_>, path: &Path, generation: u64) -> Option<Certificate> {
    if !files::exists(path) {
        return None;
    }
    let bundle = reader::read(path).ok()?;
    let manifest = &bundle.manifest;
    let of_this_root = source.roots.cluster.pins().contains(&manifest.root_pin);
    if !of_this_root || manifest.generation <= generation.max(FIRST_BY_TIME) {
        return None;
    }
    let held =
        source.leaves(roles).into_iter().filter_map(|leaf| credentials::read_certificate(source.layout, &leaf).ok());
    let newest = held.map(|certificate| certificate.not_before).max()?;
    let unknown = |certificate: &Certificate| source.known.sequence(certificate.fingerprint()).is_none();
    certificates_in(&bundle).into_iter().find(|certificate| unknown(certificate) && certificate.not_before >= newest)
}
