//! Reads certificates from files of any tool: PEM, DER, kubeconfigs, lists of requests, and recordings.

use std::path::Path;

use zeroize::Zeroizing;

use crate::app::error::{Error, with_causes};
use crate::app::input::{self, InputError};
use crate::app::inspect::InputFile;
use crate::app::inspect::content::{LIMIT, may_be_of_known_kind};
use crate::app::inspect::walk::{FoundPath, Walk, WalkError};
use crate::app::revoke::certificates;
use crate::config::{CsrListError, ListedRequest, may_be_csr_list, requests_from_kubectl};
use crate::pki::certificate::{Certificate, Serial};
use crate::pki::pem;
use crate::store::error::StoreError;
use crate::store::files;
use crate::verify::recording::{MAX_BYTES, Recording, RecordingError};

/// The beginning of the keys of client certificates in a kubeconfig in JSON.
const CLIENT: &[u8] = b"\"client-certificate";

/// A certificate that was found.
#[derive(Debug)]
pub(super) struct FoundCertificate {
    /// The file that it was read from.
    pub(super) file: String,
    pub(super) certificate: Certificate,
    /// The host that presented it, if a recording says so.
    pub(super) host: Option<String>,
}

/// A certificate or a file that is not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub file: String,
    /// The subject of the certificate, or the name of the request.
    pub subject: Option<String>,
    /// The serial number of the certificate.
    pub serial: Option<Serial>,
    /// The reason.
    pub reason: SkipReason,
}

/// Why a certificate or a file is not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// No CA of the directory signed it.
    #[error("no CA of this directory signed it; its issuer is {issuer}")]
    OtherIssuer {
        /// The subject of the CA that it names.
        issuer: String,
    },
    /// It is the certificate of a CA.
    #[error("it is a CA's certificate: only certificates of hosts and persons are recorded")]
    Ca,
    /// The ledger or the files have another certificate with its serial number.
    #[error("its CA gave the same serial number to another certificate, which is in the ledger or in these files")]
    SerialTaken,
    /// The request has no certificate.
    #[error("no certificate was issued for this request")]
    NotIssued,
    /// The file is damaged, or has no certificate.
    #[error("{0}")]
    Unusable(String),
}

impl SkipReason {
    /// Returns the id in the JSON output.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::OtherIssuer { .. } => "other-issuer",
            Self::Ca => "ca",
            Self::SerialTaken => "serial-taken",
            Self::NotIssued => "not-issued",
            Self::Unusable(_) => "unusable",
        }
    }
}

/// Reads files, and all files of known kinds in folders.
///
/// # Errors
/// Returns an error if a file that was named does not exist or cannot be read.
pub(super) fn read(inputs: &[InputFile]) -> Result<(Vec<FoundCertificate>, Vec<Skipped>), Error> {
    let mut walk = Walk::default();
    for InputFile { label, path } in inputs {
        if files::is_missing(path) {
            return Err(InputError::Missing { what: "file", path: path.clone() }.into());
        }
        walk.add(label, path);
    }
    let Walk { found, skipped, .. } = walk;
    let mut contents = Contents::default();
    for (place, error) in skipped {
        contents.skip(&place.label, SkipReason::Unusable(error.to_string()));
    }
    for file in found {
        contents.add_file(&file)?;
    }
    Ok((contents.found, contents.skipped))
}

/// The certificates that were found, and what was skipped.
#[derive(Default)]
struct Contents {
    found: Vec<FoundCertificate>,
    skipped: Vec<Skipped>,
}

impl Contents {
    fn skip(&mut self, file: &str, reason: SkipReason) {
        self.skipped.push(Skipped { file: file.to_owned(), subject: None, serial: None, reason });
    }

    fn add_file(&mut self, file: &FoundPath) -> Result<(), Error> {
        let FoundPath { label, path, is_named } = file;
        let bytes = match is_named {
            // It may be standard input.
            true => input::read_named(path, MAX_BYTES, "file")?,
            false => match files::read(path, LIMIT) {
                Ok(bytes) => bytes,
                Err(StoreError::InTheWay(_)) => {
                    self.skip(label, SkipReason::Unusable(WalkError::NotAFile.to_string()));
                    return Ok(());
                }
                Err(error) => {
                    self.skip(label, SkipReason::Unusable(error.to_string()));
                    return Ok(());
                }
            },
        };
        let bytes = Zeroizing::new(bytes);
        let added = match bytes.trim_ascii_start().starts_with(b"{") {
            true => self.add_json(label, path, &bytes, *is_named),
            false if may_be_csr_list(&bytes) => self.add_requests(label, &bytes),
            false if *is_named || (may_be_of_known_kind(path, &bytes) && !is_without_certificate(&bytes)) => {
                self.add_certificates(label, path, &bytes)
            }
            false => Ok(()),
        };
        if let Err(reason) = added {
            self.skip(label, SkipReason::Unusable(reason));
        }
        Ok(())
    }

    fn add(&mut self, file: &str, certificate: Certificate, host: Option<&str>) {
        self.found.push(FoundCertificate { file: file.to_owned(), certificate, host: host.map(ToOwned::to_owned) });
    }

    /// Adds the certificates of a recording, of a list of requests, or of a kubeconfig in JSON.
    fn add_json(&mut self, label: &str, path: &Path, bytes: &[u8], is_named: bool) -> Result<(), String> {
        match Recording::from_bytes(bytes) {
            Ok(recording) => {
                for (der, host) in recording.presented() {
                    let certificate = Certificate::from_der(der.to_vec()).map_err(|error| error.to_string())?;
                    self.add(label, certificate, host);
                }
                Ok(())
            }
            Err(RecordingError::NotARecording) if may_be_csr_list(bytes) => self.add_requests(label, bytes),
            Err(RecordingError::NotARecording)
                if is_named || bytes.windows(CLIENT.len()).any(|window| window == CLIENT) =>
            {
                self.add_certificates(label, path, bytes)
            }
            Err(RecordingError::NotARecording) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn add_requests(&mut self, label: &str, bytes: &[u8]) -> Result<(), String> {
        let requests = requests_from_kubectl(bytes).map_err(|error: CsrListError| error.to_string())?;
        for ListedRequest { name, certificate } in requests {
            let skip = |reason| Skipped { file: label.to_owned(), subject: Some(name.clone()), serial: None, reason };
            let Some(text) = certificate else {
                self.skipped.push(skip(SkipReason::NotIssued));
                continue;
            };
            // The certificates after the first one are its chain.
            let first = pem::certificates(&text).map(|ders| ders.into_iter().next().unwrap_or_default());
            let parsed = first
                .map_err(|error| error.to_string())
                .and_then(|der| Certificate::from_der(der).map_err(|error| error.to_string()));
            match parsed {
                Ok(certificate) => self.add(label, certificate, None),
                Err(reason) => self.skipped.push(skip(SkipReason::Unusable(reason))),
            }
        }
        Ok(())
    }

    fn add_certificates(&mut self, label: &str, path: &Path, bytes: &[u8]) -> Result<(), String> {
        let found = certificates::parse(bytes, path).map_err(|error| with_causes(&error))?;
        found.into_iter().for_each(|certificate| self.add(label, certificate, None));
        Ok(())
    }
}

/// Returns true for PEM that has only keys, requests or CRLs: in a folder, such a file is not reported.
fn is_without_certificate(bytes: &[u8]) -> bool {
    let items = pem::read_all(bytes).unwrap_or_default();
    !items.is_empty() && !items.iter().any(|item| matches!(item, pem::Item::Certificate(_)))
}
