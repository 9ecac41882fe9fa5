//! Reads files of certificate signing requests.

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

/// A request that was parsed and not checked yet.
#[derive(Debug)]
pub(super) struct ParsedRequest {
    /// The file that contains the request.
    pub(super) file: PathBuf,
    /// The position of the request among the requests in the file, from 1.
    pub(super) number: usize,
    /// The request.
    pub(super) request: CertificateRequest,
    /// The statement in the file, which lists its requests and is signed with an SSH key.
    pub(super) signed: Option<Signed>,
}

/// The contents of a file of requests.
struct Contents {
    /// The DER of each request.
    ders: Vec<Vec<u8>>,
    /// The signed statement, if there is one.
    signed: Option<Signed>,
}

/// Reads all files. Returns the parsed requests, and the refused ones: unusable files and malformed requests.
///
/// # Errors
/// Returns an error if a file exists and cannot be read.
pub(super) fn read(files: &[PathBuf]) -> Result<(Vec<ParsedRequest>, Vec<RefusedRequest>), Error> {
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
                        Ok(request) => found.push(ParsedRequest { file, number, request, signed: signed.clone() }),
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

/// Reads one file. The inner error is the reason for which the file is refused.
fn requests_in(file: &Path) -> Result<Result<Contents, RequestProblem>, Error> {
    let bytes = match input::read_named(file, MAX_REQUEST, "request") {
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
    let entries = match material::read(&bytes) {
        Ok(entries) => entries,
        Err(error) => return Ok(Err(RequestProblem::Damaged(error))),
    };
    if entries.iter().any(|entry| matches!(entry.item, Item::Key(..) | Item::EncryptedKey(_))) {
        return Ok(Err(RequestProblem::PrivateKey));
    }
    let ders: Vec<Vec<u8>> = entries
        .into_iter()
        .filter_map(|entry| match entry.item {
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
