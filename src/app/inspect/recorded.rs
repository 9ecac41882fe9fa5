//! Finds certificates in the ledger by host, account, serial number or SHA-256.

use std::path::PathBuf;

use super::content::{Content, LIMIT};
use super::search::FoundFile;
use crate::cluster::host_pattern::expand;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, Profile};
use crate::cluster::spec::Role;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::records::CertificateRecord;

/// Returns the names in a list, and for a pattern, the names in the ledger that match it.
///
/// A pattern that matches none is returned as it is.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(super) fn names(text: &str, ledger: &Ledger) -> Result<Vec<String>, StoreError> {
    let holders = if text.contains(['*', '?']) { ledger.holders()? } else { Vec::new() };
    let names = expand(&[text.to_owned()], holders.iter().map(String::as_str));
    Ok(names.unwrap_or_else(|_| vec![text.to_owned()]))
}

/// Returns the certificates with this serial number or SHA-256, and the newest certificate of each profile of a host or
/// an account of that name.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(super) fn find(name: &str, ledger: &Ledger) -> Result<Vec<CertificateRecord>, StoreError> {
    let mut found = ledger.by_number(name)?;
    // A host's name can also be a number in hexadecimal.
    for certificate in ledger.newest_of(name)? {
        if !found.contains(&certificate) {
            found.push(certificate);
        }
    }
    let record = |certificate| ledger.certificate_record(certificate).transpose();
    found.into_iter().filter_map(record).collect()
}

/// Reads the files of the directory that may contain these certificates.
pub(super) fn files_of(records: &[CertificateRecord], layout: &Layout) -> Vec<FoundFile> {
    let mut folders: Vec<PathBuf> = Vec::new();
    let mut paths: Vec<PathBuf> = Vec::new();
    for record in records {
        let issued = &record.issued;
        match issued.host.as_deref().map(HostName::parse) {
            Some(Ok(host)) => {
                folders.extend([Role::Master, Role::Node].map(|role| layout.hosts_folder(role).join(host.as_str())));
            }
            Some(Err(_)) => {}
            None => {
                folders.push(layout.holder_folder(Profile::Verifier, None));
                paths.extend(HostName::parse(&issued.account).ok().map(|name| layout.admin_kubeconfig(&name)));
                paths.extend(CaRole::ALL.map(|role| layout.root_certificate(role)));
            }
        }
    }
    folders.sort_unstable();
    folders.dedup();
    for folder in folders {
        let names = files::names_in(&folder).unwrap_or_default();
        paths.extend(names.iter().filter(|name| name.ends_with(".crt")).map(|name| folder.join(name)));
    }
    paths.sort_unstable();
    paths.dedup();
    let read = |path: PathBuf| {
        // A file that cannot be read does not count as a place of the certificate.
        let content = Content::of_file(&path, &files::read(&path, LIMIT).ok()?);
        Some(FoundFile { label: path.display().to_string(), path, content })
    };
    paths.into_iter().filter_map(read).collect()
}
