//! The statement of a request, which a host's SSH key signs: the host that made it, and the time.

use std::iter::Peekable;
use std::str::Lines;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::ssh::{SshError, SshKey, SshSignature};

/// The signature's namespace, so that one made for mail or Git is not accepted (OpenSSH `PROTOCOL.sshsig`).
pub(in crate::app) const NAMESPACE: &str = "clusterctl-request";
/// The first line, with the version of the format.
const HEAD: &str = "clusterctl-request 1";
const SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// The statement of a host about its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct Statement {
    /// The host's name.
    pub(in crate::app) host: HostName,
    /// The time of the requests, by the host's clock.
    pub(in crate::app) time: OffsetDateTime,
    /// The pin of the root that the host trusts already, if there is one.
    pub(in crate::app) cluster: Option<Fingerprint>,
    /// SHA-256 of each request's DER.
    pub(in crate::app) requests: Vec<Fingerprint>,
}

/// A statement whose signature was verified by its own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct Signed {
    pub(in crate::app) statement: Statement,
    /// The public key as a line of OpenSSH: the type and the base64 of the key.
    pub(in crate::app) key: String,
    /// The fingerprint of the key, as `ssh-keygen -l` prints it.
    pub(in crate::app) fingerprint: String,
}

/// Errors of a signed statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The signature is not valid.
    #[error("its SSH signature is not valid: {0}")]
    Signature(SshError),
    /// The signed content is not a statement.
    #[error("its SSH signature does not cover a statement about requests")]
    Malformed,
    /// There is more than one.
    #[error("it has more than one SSH signature")]
    Several,
}

impl Statement {
    /// Returns the text that is signed.
    fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\nhost: {}\ntime: {}\n", self.host, stamp(self.time));
        if let Some(pin) = self.cluster {
            text.push_str(&format!("cluster: {}\n", pin.as_pin()));
        }
        for request in &self.requests {
            text.push_str(&format!("request: sha256:{request}\n"));
        }
        text
    }

    /// Parses exactly the text that [`Self::to_text`] returns.
    fn parse(text: &str) -> Option<Self> {
        let digest = |text: &str| Fingerprint::parse(text.strip_prefix("sha256:")?);
        let mut lines = text.strip_prefix(HEAD)?.strip_prefix('\n')?.lines().peekable();
        let host = HostName::parse(field_of(&mut lines, "host")?).ok()?;
        let time = OffsetDateTime::parse(field_of(&mut lines, "time")?, &Rfc3339).ok()?;
        let cluster = match field_of(&mut lines, "cluster") {
            Some(pin) => Some(digest(pin)?),
            None => None,
        };
        let mut requests = Vec::new();
        while let Some(request) = field_of(&mut lines, "request") {
            requests.push(digest(request)?);
        }
        let statement = Self { host, time, cluster, requests };
        (statement.to_text() == text).then_some(statement)
    }

    /// Returns the statement and its signature, as a request's file contains them.
    ///
    /// # Errors
    /// Returns an error if the key cannot sign.
    pub(in crate::app) fn signed(&self, key: &SshKey) -> Result<String, SshError> {
        let text = self.to_text();
        let signature = key.sign(NAMESPACE, text.as_bytes())?;
        Ok(format!("{text}{}\n", signature.trim_end()))
    }
}

/// Takes the next line if it has this name, and returns its value.
fn field_of<'t>(lines: &mut Peekable<Lines<'t>>, name: &str) -> Option<&'t str> {
    let value = |line: &'t str| line.strip_prefix(name)?.strip_prefix(": ");
    let found = lines.peek().and_then(|line| value(line))?;
    lines.next();
    Some(found)
}

/// Returns the signed statement in a request's file, if there is one.
///
/// # Errors
/// Returns an error if the signature is not valid, or what it covers is not a statement.
pub(in crate::app) fn find(file: &[u8]) -> Result<Option<Signed>, StatementError> {
    // A file that was saved on Windows has carriage returns.
    let text: String = String::from_utf8_lossy(file).replace("\r\n", "\n");
    let Some(at) = text.find(SIGNATURE) else { return Ok(None) };
    let (before, signature) = text.split_at(at);
    if signature.matches(SIGNATURE).count() > 1 {
        return Err(StatementError::Several);
    }
    let end = signature.find(END).ok_or(StatementError::Signature(SshError::NotASignature))? + END.len();
    let signature = SshSignature::from_pem(&signature.as_bytes()[..end]).map_err(StatementError::Signature)?;
    let start = before.rfind(&format!("{HEAD}\n")).ok_or(StatementError::Malformed)?;
    let text = &before[start..];
    signature.verify(NAMESPACE, text.as_bytes()).map_err(StatementError::Signature)?;
    let statement = Statement::parse(text).ok_or(StatementError::Malformed)?;
    let key = signature.public_key().map_err(StatementError::Signature)?;
    Ok(Some(Signed { statement, key, fingerprint: signature.fingerprint() }))
}
