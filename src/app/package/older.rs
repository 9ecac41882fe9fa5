//! Refuses to replace bundles that are newer than the credentials in the directory, which happens if `pki/` was
//! restored from a backup.

use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::inputs::Inputs;
use super::reader;
use crate::app::error::Error;
use crate::app::revoke::rendered::{self, certificates_in};
use crate::app::revoke::{LedgerEvidence, RevokeError};
use crate::bundle::format::{Format, encrypted_name};
use crate::bundle::input::Roles;
use crate::pki::certificate::Certificate;
use crate::store::{credentials, files};

/// The smallest generation that is a time in Unix seconds. An early version counted generations, which cannot be
/// compared.
const FIRST_BY_TIME: u64 = 1_000_000_000;
/// The number of bundles that are read if there is no packing record.
const SAMPLE: usize = 256;

/// Refuses to replace newer credentials with older ones.
///
/// `generation` is the last generation that the ledger assigned.
///
/// # Errors
/// Returns [`RevokeError::OutdatedLedger`], or an error if the packing record cannot be read.
pub(super) fn check(inputs: &Inputs<'_>, hosts: &[Roles<'_>], folder: &Path, generation: u64) -> Result<(), Error> {
    let packed = rendered::last_packed(&inputs.env.layout, &inputs.cas.cluster)?;
    let (sample, is_outdated) = match packed {
        Some(packed) if packed > generation => (hosts, true),
        // Bundles that were copied here may be newer than the record.
        _ => (&hosts[..hosts.len().min(SAMPLE)], false),
    };
    let since = packed.and_then(|_| files::modified(&inputs.env.layout.packing_record()));
    let found: Option<(PathBuf, LedgerEvidence)> = sample.par_iter().find_map_first(|roles| {
        let encrypted = folder.join(encrypted_name(roles.host()));
        if is_outdated && files::exists(&encrypted) {
            return Some((encrypted, LedgerEvidence::Encrypted));
        }
        Format::ALL.into_iter().map(|format| folder.join(format.file_name(roles.host()))).find_map(|path| {
            let at = files::modified(&path)?;
            if !is_outdated && since.is_some_and(|since| at <= since) {
                return None;
            }
            let newer = newer_certificate(inputs, roles, &path, generation)?;
            Some((path, LedgerEvidence::NewerCertificate(newer.serial)))
        })
    });
    match found {
        None => Ok(()),
        Some((path, evidence)) => {
            Err(RevokeError::OutdatedLedger { path, evidence, record_from: Some(folder.to_owned()) }.into())
        }
    }
}

/// Returns a certificate of the bundle at `path` that the ledger does not have, and that is no older than those in
/// `pki/`.
fn newer_certificate(inputs: &Inputs<'_>, roles: &Roles<'_>, path: &Path, generation: u64) -> Option<Certificate> {
    if !files::exists(path) {
        return None;
    }
    let bundle = reader::read(path).ok()?;
    let manifest = &bundle.manifest;
    let is_of_this_ca = inputs.cas.cluster.pins().contains(&manifest.root_pin);
    if !is_of_this_ca || manifest.generation <= generation.max(FIRST_BY_TIME) {
        return None;
    }
    let specs = inputs.specs(roles).into_iter();
    let present = specs.filter_map(|spec| credentials::read_certificate(&inputs.env.layout, &spec).ok());
    let newest = present.map(|certificate| certificate.not_before).max()?;
    let unknown = |certificate: &Certificate| inputs.known.sequence(certificate.fingerprint()).is_none();
    certificates_in(&bundle).into_iter().find(|certificate| unknown(certificate) && certificate.not_before >= newest)
}
