//! The evidence in a request: PEM blocks after its `CERTIFICATE REQUEST`.
//!
//! API servers store and return the whole text of a request, and read only its first block (Kubernetes
//! `pkg/apis/certificates`, `ParseCSR`). A statement names the host, the cluster, the time and the request; the host's SSH
//! key signs it, or a token's secret authenticates it.

use std::iter::Peekable;
use std::str::Lines;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::blocks::{self, Block, BlockError};
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::pki::fingerprint::{Fingerprint, hex};
use crate::pki::mac::MacSecret;
use crate::pki::ssh::{SshError, SshKey, SshSignature};

/// The namespace of the SSH signature, so that one made for other purposes is not accepted (OpenSSH `PROTOCOL.sshsig`).
pub const NAMESPACE: &str = "clusterctl-join";
/// The first line of a statement, with the version of the format.
const HEAD: &str = "clusterctl-join 1";
const STATEMENT: &str = "CLUSTERCTL STATEMENT";
const SSH_SIGNATURE: &str = "SSH SIGNATURE";
const TOKEN: &str = "CLUSTERCTL TOKEN";
const REQUEST: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/// The occasion of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// The host has no certificate yet.
    Join,
    /// The host has a certificate, which may have expired.
    Renewal,
}

impl Occasion {
    /// Returns the word in the statement.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Renewal => "renewal",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Join, Self::Renewal].into_iter().find(|one| one.as_str() == text)
    }
}

/// The statement of a host about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The host's name.
    pub host: HostName,
    /// The time of the request, by the host's clock.
    pub time: OffsetDateTime,
    /// The pin of the cluster's root, which is the cluster's id.
    pub cluster: Fingerprint,
    /// SHA-256 of the request's DER.
    pub request: Fingerprint,
    /// The occasion.
    pub occasion: Occasion,
}

impl Statement {
    /// Returns the text that is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { host, time, cluster, request, occasion } = self;
        let (time, cluster, occasion) = (stamp(*time), cluster.as_pin(), occasion.as_str());
        format!("{HEAD}\nhost: {host}\ntime: {time}\ncluster: {cluster}\nrequest: sha256:{request}\nkind: {occasion}\n")
    }

    /// Parses exactly the text that [`Self::to_text`] returns; `None` for any other.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digest = |text: &str| Fingerprint::parse(text.strip_prefix("sha256:")?);
        let mut lines = text.strip_prefix(HEAD)?.strip_prefix('\n')?.lines().peekable();
        let host = HostName::parse(field(&mut lines, "host")?).ok()?;
        let time = OffsetDateTime::parse(field(&mut lines, "time")?, &Rfc3339).ok()?;
        let cluster = digest(field(&mut lines, "cluster")?)?;
        let request = digest(field(&mut lines, "request")?)?;
        let occasion = Occasion::parse(field(&mut lines, "kind")?)?;
        let statement = Self { host, time, cluster, request, occasion };
        (statement.to_text() == text).then_some(statement)
    }

    /// Returns the statement as a block, followed by one block for each proof.
    ///
    /// # Errors
    /// Returns an error if the SSH key cannot sign.
    pub fn to_blocks(&self, proofs: &Proofs<'_>) -> Result<String, SshError> {
        let text = self.to_text();
        let mut written = blocks::write(STATEMENT, text.as_bytes());
        if let Some(key) = proofs.ssh_host_key {
            let signature = key.sign(NAMESPACE, text.as_bytes())?;
            written.push_str(signature.trim_end());
            written.push('\n');
        }
        if let Some((id, secret)) = proofs.token {
            let content = format!("id: {id}\nhmac: {}\n", hex(&secret.tag(text.as_bytes())));
            written.push_str(&blocks::write(TOKEN, content.as_bytes()));
        }
        Ok(written)
    }
}

/// Takes the next line if it has this name, and returns its value.
fn field<'t>(lines: &mut Peekable<Lines<'t>>, name: &str) -> Option<&'t str> {
    let value = |line: &'t str| line.strip_prefix(name)?.strip_prefix(": ");
    let found = lines.peek().and_then(|line| value(line))?;
    lines.next();
    Some(found)
}

/// The secrets with which a host authenticates its statement.
#[derive(Debug, Clone, Copy, Default)]
pub struct Proofs<'a> {
    /// The host's SSH key.
    pub ssh_host_key: Option<&'a SshKey>,
    /// A token's id and secret.
    pub token: Option<(&'a str, &'a MacSecret)>,
}

/// The evidence of a request. The SSH signature is verified with the key that it contains; whose key that is, and whether the token
/// is valid, is not checked here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The statement, which is about this request.
    pub statement: Option<Statement>,
    /// The SSH key that signed the statement.
    pub ssh: Option<SshProof>,
    /// The token that the host claims to have.
    pub token: Option<TokenProof>,
    /// Blocks of other labels, for the policy's own programs.
    pub others: Vec<Block>,
}

/// The SSH key that signed a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshProof {
    /// The public key as a line of OpenSSH: the type and the base64 of the key.
    pub key: String,
    /// The fingerprint of the key, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
}

/// The claim to have a token. It is not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenProof {
    /// The token's id.
    pub id: String,
    tag: Vec<u8>,
    message: String,
}

impl TokenProof {
    /// Returns true if the HMAC was made with this secret over the statement.
    #[must_use]
    pub fn verifies(&self, secret: &MacSecret) -> bool {
        secret.verifies(self.message.as_bytes(), &self.tag)
    }
}

/// Errors of evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The text is not a list of PEM blocks.
    #[error(transparent)]
    Blocks(#[from] BlockError),
    /// There are two blocks with the same label.
    #[error("it has two blocks {0:?}")]
    Several(String),
    /// The statement cannot be read.
    #[error("its statement cannot be read")]
    Statement,
    /// A proof without a statement.
    #[error("it has a proof, and no statement")]
    NoStatement,
    /// The statement is about another request.
    #[error("its statement is about another request, {0}")]
    OtherRequest(Fingerprint),
    /// The SSH signature is not valid.
    #[error("the SSH signature of its statement is not valid: {0}")]
    Signature(SshError),
    /// The token's block cannot be read.
    #[error("its token's block cannot be read")]
    Token,
}

/// Reads the evidence in the text of a request (`spec.request`) whose first block is `request`, DER.
///
/// A request without evidence is not an error.
///
/// # Errors
/// Returns an error if the text is too large or damaged, a block occurs twice, the statement is about another request, or
/// the SSH signature is not valid.
pub fn read(text: &[u8], request: &[u8]) -> Result<Evidence, EvidenceError> {
    let (mut statement, mut ssh, mut token, mut others) = (None, None, None, Vec::new());
    let all = blocks::read(text)?;
    let begins_with_request = all.first().is_some_and(|block| REQUEST.contains(&block.label.as_str()));
    for block in all.into_iter().skip(usize::from(begins_with_request)) {
        let place = match block.label.as_str() {
            STATEMENT => &mut statement,
            SSH_SIGNATURE => &mut ssh,
            TOKEN => &mut token,
            label if REQUEST.contains(&label) => return Err(EvidenceError::Several(block.label)),
            _ => {
                others.push(block);
                continue;
            }
        };
        if place.is_some() {
            return Err(EvidenceError::Several(block.label));
        }
        *place = Some(block);
    }
    let Some(statement) = statement else {
        return match (ssh, token) {
            (None, None) => Ok(Evidence { others, ..Evidence::default() }),
            _ => Err(EvidenceError::NoStatement),
        };
    };
    let text = String::from_utf8(statement.content).map_err(|_| EvidenceError::Statement)?;
    let statement = Statement::parse(&text).ok_or(EvidenceError::Statement)?;
    if statement.request != Fingerprint::of(request) {
        return Err(EvidenceError::OtherRequest(statement.request));
    }
    let ssh = ssh.map(|block| ssh_proof(&block, &text)).transpose()?;
    let token = token.map(|block| token_proof(&block, &text).ok_or(EvidenceError::Token)).transpose()?;
    Ok(Evidence { statement: Some(statement), ssh, token, others })
}

fn ssh_proof(block: &Block, statement: &str) -> Result<SshProof, EvidenceError> {
    let signature = SshSignature::from_pem(block.text.as_bytes()).map_err(EvidenceError::Signature)?;
    signature.verify(NAMESPACE, statement.as_bytes()).map_err(EvidenceError::Signature)?;
    let key = signature.public_key().map_err(EvidenceError::Signature)?;
    Ok(SshProof { key, fingerprint: signature.fingerprint() })
}

fn token_proof(block: &Block, statement: &str) -> Option<TokenProof> {
    let text = std::str::from_utf8(&block.content).ok()?;
    let mut lines = text.lines().peekable();
    let id = field(&mut lines, "id").filter(|id| super::token::is_id(id))?.to_owned();
    let tag = *Fingerprint::parse(field(&mut lines, "hmac")?)?.bytes();
    let proof = TokenProof { id, tag: tag.to_vec(), message: statement.to_owned() };
    lines.next().is_none().then_some(proof)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00:00 UTC);
    const HOST_KEY: &str = include_str!("../../tests/data/openssh/ecdsa-256-short");

    fn host() -> HostName {
        HostName::parse("node-1").expect("a name")
    }

    fn statement(request: &[u8]) -> Statement {
        Statement {
            host: host(),
            time: NOW,
            cluster: Fingerprint::of(b"root"),
            request: Fingerprint::of(request),
            occasion: Occasion::Join,
        }
    }

    fn key() -> SshKey {
        SshKey::from_pem(HOST_KEY.as_bytes()).expect("a key")
    }

    fn text(statement: &Statement, request: &[u8]) -> String {
        let secret = MacSecret::new("secret".to_owned());
        let proofs = Proofs { ssh_host_key: Some(&key()), token: Some(("abcdef1234", &secret)) };
        blocks::write("CERTIFICATE REQUEST", request) + &statement.to_blocks(&proofs).expect("signed")
    }

    #[test]
    fn evidence_is_about_its_own_request() {
        let request = b"request";
        let text = text(&statement(request), request);
        let evidence = read(text.as_bytes(), request).expect("evidence");
        assert_eq!(evidence.statement, Some(statement(request)));
        assert_eq!(evidence.ssh.map(|ssh| ssh.fingerprint), Some(key().fingerprint()));
        let token = evidence.token.expect("a token");
        assert!(token.verifies(&MacSecret::new("secret".to_owned())));
        assert!(!token.verifies(&MacSecret::new("Secret".to_owned())));
        assert!(!text.contains("secret"), "the secret is not sent");
        let other = read(text.as_bytes(), b"another");
        assert_eq!(other, Err(EvidenceError::OtherRequest(Fingerprint::of(request))));
    }

    #[test]
    fn a_request_without_evidence_is_read_and_blocks_occur_once() {
        let request = blocks::write("CERTIFICATE REQUEST", b"request");
        assert_eq!(read(request.as_bytes(), b"request"), Ok(Evidence::default()));
        let whole = text(&statement(b"request"), b"request");
        let (only, evidence) = whole.split_once("-----END CERTIFICATE REQUEST-----\n").expect("a request");
        assert!(only.len() < whole.len());
        for label in [STATEMENT, SSH_SIGNATURE, TOKEN] {
            let begin = evidence.find(&format!("-----BEGIN {label}")).expect("a block");
            let twice = format!("{whole}{}", &evidence[begin..]);
            assert_eq!(read(twice.as_bytes(), b"request"), Err(EvidenceError::Several(label.to_owned())));
        }
        let attestation = blocks::write("TPM QUOTE", b"quote");
        let read = read(format!("{request}{attestation}").as_bytes(), b"request").expect("evidence");
        assert_eq!(read.others.len(), 1);
        assert_eq!(read.others[0].text, attestation);
    }

    #[test]
    fn a_proof_needs_its_statement_and_its_namespace() {
        let request = blocks::write("CERTIFICATE REQUEST", b"request");
        let statement = statement(b"request");
        let elsewhere = key().sign("clusterctl-request", statement.to_text().as_bytes()).expect("signed");
        let only = format!("{request}{elsewhere}");
        assert_eq!(read(only.as_bytes(), b"request"), Err(EvidenceError::NoStatement));
        let block = blocks::write(STATEMENT, statement.to_text().as_bytes());
        let found = read(format!("{request}{block}{elsewhere}").as_bytes(), b"request");
        assert!(matches!(found, Err(EvidenceError::Signature(SshError::OtherNamespace { .. }))), "{found:?}");
    }

    #[test]
    fn large_texts_are_refused_before_they_are_read() {
        let large = vec![b'\n'; blocks::MAX_TEXT + 1];
        assert_eq!(read(&large, b""), Err(EvidenceError::Blocks(BlockError::TooLarge(large.len()))));
        let many = blocks::write("X", b"").repeat(blocks::MAX_BLOCKS + 1);
        assert_eq!(read(many.as_bytes(), b""), Err(EvidenceError::Blocks(BlockError::TooMany)));
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = read(&bytes, &bytes);
        }

        #[test]
        fn a_changed_octet_proves_nothing_else(at in 0_usize..1200, octet in any::<u8>()) {
            let whole = text(&statement(b"request"), b"request");
            let mut changed = whole.into_bytes();
            let at = at % changed.len();
            changed[at] = octet;
            if let Ok(evidence) = read(&changed, b"request") {
                let secret = MacSecret::new("secret".to_owned());
                let by_ssh = evidence.ssh.is_some();
                let by_token = evidence.token.is_some_and(|token| token.verifies(&secret));
                if by_ssh || by_token {
                    prop_assert_eq!(evidence.statement, Some(statement(b"request")));
                }
            }
        }

        #[test]
        fn statements_are_read_as_they_were_written(
            name in "[a-z][a-z0-9-]{0,20}[a-z0-9]", seconds in 0_i64..4_000_000_000, renewal in any::<bool>(),
        ) {
            let Ok(host) = HostName::parse(&name) else { return Ok(()) };
            let time = OffsetDateTime::from_unix_timestamp(seconds).expect("a time");
            let occasion = if renewal { Occasion::Renewal } else { Occasion::Join };
            let written = Statement { host, time, occasion, ..statement(b"request") };
            prop_assert_eq!(Statement::parse(&written.to_text()), Some(written));
        }
    }
}
