//! Reads the files of requests.

use std::path::{Path, PathBuf};

use super::error::{RefusedRequest, RequestProblem};
use super::options::MAX_REQUEST;
use crate::app::error::Error;
use crate::app::input::{self, InputError};
use crate::app::request::statement::{self, Signed};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::material;
use crate::pki::pem::Item;
use crate::pki::request::CertificateRequest;
use crate::store::error::StoreError;

/// A parsed request in a file, not checked yet.
#[derive(Debug)]
pub(super) struct Found {
    /// The file.
    pub(super) file: PathBuf,
    /// Its number in the file, from 1.
    pub(super) number: usize,
    pub(super) request: CertificateRequest,
    /// The statement of the file, signed by an SSH key.
    pub(super) signed: Option<Signed>,
}

/// A file's requests, DER, and its signed statement.
struct Contents {
    ders: Vec<Vec<u8>>,
    signed: Option<Signed>,
}

/// Reads all files. Unreadable files and requests are returned as refused, separately from the others.
///
/// # Errors
/// Returns an error if a file exists and the system does not let it be read.
pub(super) fn read(files: &[PathBuf]) -> Result<(Vec<Found>, Vec<RefusedRequest>), Error> {
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    for file in files {
        match requests_in(file)? {
            Err(problem) => {
                refused.push(RefusedRequest { file: file.clone(), number: None, problems: vec![problem] });
            }
            Ok(Contents { ders, signed }) => {
                for (i, der) in ders.iter().enumerate() {
                    let (file, number) = (file.clone(), i + 1);
                    match CertificateRequest::from_der(der) {
                        Ok(request) => found.push(Found { file, number, request, signed: signed.clone() }),
                        Err(error) => {
                            let problems = vec![RequestProblem::Malformed(error)];
                            refused.push(RefusedRequest { file, number: Some(number), problems });
                        }
                    }
                }
            }
        }
    }
    Ok((found, refused))
}

fn requests_in(file: &Path) -> Result<Result<Contents, RequestProblem>, Error> {
    let bytes = match input::read_or_wait(file, MAX_REQUEST, "request") {
        Ok(bytes) => bytes,
        Err(InputError::Missing { .. }) => return Ok(Err(RequestProblem::Missing)),
        Err(InputError::Store(StoreError::TooLarge { limit, .. })) => {
            return Ok(Err(RequestProblem::TooLarge { limit }));
        }
        Err(error) => return Err(error.into()),
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Err(RequestProblem::Empty));
    }
    let found = match material::read(&bytes) {
        Ok(found) => found,
        Err(error) => return Ok(Err(RequestProblem::Damaged(error))),
    };
    if found.iter().any(|one| matches!(one.item, Item::Key(..) | Item::EncryptedKey(_))) {
        return Ok(Err(RequestProblem::PrivateKey));
    }
    let ders: Vec<Vec<u8>> = found
        .into_iter()
        .filter_map(|one| match one.item {
            Item::Csr(der) => Some(der),
            _ => None,
        })
        .collect();
    if ders.is_empty() {
        return Ok(Err(RequestProblem::NoRequest));
    }
    Ok(match statement::find(&bytes) {
        Err(error) => Err(RequestProblem::Statement(error)),
        Ok(Some(signed))
            if !ders.iter().map(|der| Fingerprint::of(der)).eq(signed.statement.requests.iter().copied()) =>
        {
            Err(RequestProblem::OtherRequests)
        }
        Ok(signed) => Ok(Contents { ders, signed }),
    })
}
