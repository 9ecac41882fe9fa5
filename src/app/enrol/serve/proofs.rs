//! Verifies the evidence of requests and bearer tokens, and signs `cluster-info` with tokens.
//!
//! The signer judges the evidence again, by the policy. Here it only decides which requests have precedence, and wrong evidence is
//! refused.

use base64ct::{Base64UrlUnpadded, Encoding};
use time::OffsetDateTime;

use crate::cluster::name::HostName;
use crate::cluster::recipient::{Recipient, RecipientKind};
use crate::cluster::spec::Cluster;
use crate::enrol::evidence::{self, SshProof, TokenProof};
use crate::enrol::request::RequestContent;
use crate::enrol::token::{Token, TokenClaim, TokenKind, TokenRefusal};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem::{self, Item};
use crate::server::client::{BOOTSTRAP_USER, BOOTSTRAPPERS, Client};
use crate::server::site::{BearerToken, Proof};
use crate::store::tokens::Tokens;

/// The prefix of the keys with signatures in the ConfigMap (Kubernetes `cluster-bootstrap/token/api`,
/// `JWSSignatureKeyPrefix`).
const JWS_PREFIX: &str = "jws-kubeconfig-";

/// Verifies the evidence of a request: a present certificate of the host, a one-time token, which may be that of the connection, or
/// the host's SSH key.
pub(super) fn prove(
    content: &RequestContent,
    client: &Client,
    cluster: &Cluster,
    pins: &[Fingerprint],
    tokens: &Tokens,
    now: OffsetDateTime,
) -> Proof {
    if client.host.as_ref() == Some(&content.host) && !client.requester.is_in(BOOTSTRAPPERS) {
        return Proof { is_proven: true, ..Proof::default() };
    }
    let refused = |reason: String| Proof { refusal: Some(reason), ..Proof::default() };
    let Some(der) = csr(&content.pem) else { return refused("there is no certificate request".to_owned()) };
    let evidence = match evidence::read(&content.pem, &der) {
        Ok(evidence) => evidence,
        Err(error) => return refused(error.to_string()),
    };
    let Some(statement) = evidence.statement else {
        return Proof { is_proven: is_proven_by_bearer(content, client, tokens, now), ..Proof::default() };
    };
    if statement.host != content.host {
        return refused(format!("the evidence is that of the host {}", statement.host));
    }
    if !pins.contains(&statement.cluster) {
        return refused(format!("the evidence is for another cluster, {}", statement.cluster.as_pin()));
    }
    if let Some(proof) = &evidence.token {
        return match check_token(proof, content, client, tokens, now) {
            Ok(()) => Proof { is_proven: true, token: Some(proof.id.clone()), refusal: None },
            Err(refusal) => refused(refusal.to_string()),
        };
    }
    let is_proven = evidence.ssh.is_some_and(|proof| is_host_key(&proof, &content.host, cluster));
    Proof { is_proven, ..Proof::default() }
}

/// Returns true if the client sent a bearer token of the host that may be used for this request.
fn is_proven_by_bearer(content: &RequestContent, client: &Client, tokens: &Tokens, now: OffsetDateTime) -> bool {
    let id = client.requester.username.strip_prefix(BOOTSTRAP_USER).filter(|_| client.requester.is_in(BOOTSTRAPPERS));
    let Some(record) = id.and_then(|id| tokens.find(id)) else { return false };
    client.host.as_ref() == Some(&content.host) && record.check(&claim(content, client, now)).is_ok()
}

fn claim<'c>(content: &'c RequestContent, client: &Client, now: OffsetDateTime) -> TokenClaim<'c> {
    let (host, profile, key) = (&content.host, content.profile(), content.key());
    TokenClaim { host, profile, key, source: Some(client.address), now }
}

fn csr(pem: &[u8]) -> Option<Vec<u8>> {
    pem::read_all(pem).ok()?.into_iter().find_map(|item| if let Item::Csr(der) = item { Some(der) } else { None })
}

fn check_token(
    proof: &TokenProof,
    content: &RequestContent,
    client: &Client,
    tokens: &Tokens,
    now: OffsetDateTime,
) -> Result<(), TokenRefusal> {
    let record = tokens.find(&proof.id).ok_or_else(|| TokenRefusal::Unknown(proof.id.clone()))?;
    if !proof.verifies(&record.token.secret) {
        return Err(TokenRefusal::Unproven);
    }
    record.check(&claim(content, client, now))
}

/// Returns true if the cluster file has the SSH key for this host, and for no other one: a cloned key proves neither.
fn is_host_key(proof: &SshProof, host: &HostName, cluster: &Cluster) -> bool {
    let is_ssh = |one: &&Recipient| matches!(one.kind(), RecipientKind::SshEd25519 | RecipientKind::SshRsa);
    let has = |keys: &[Recipient]| keys.iter().filter(is_ssh).any(|key| key.to_string() == proof.key);
    let mut owners = cluster.nodes.iter().chain(&cluster.masters).filter(|one| has(&one.recipients)).peekable();
    owners.peek().is_some() && owners.all(|owner| owner.name == *host)
}

/// Verifies a bearer token. The comparison takes the same time for every wrong secret.
pub(super) fn bearer(text: &str, tokens: &Tokens, now: OffsetDateTime) -> Option<BearerToken> {
    let given = Token::parse(text).ok()?;
    let record = tokens.find(&given.id).filter(|record| record.kind == TokenKind::Bearer)?;
    record.check_validity(now).ok()?;
    let is_same = record.token.secret.verifies(given.id.as_bytes(), &given.secret.tag(given.id.as_bytes()));
    is_same.then(|| BearerToken { id: given.id, host: record.host.clone() })
}

/// Returns the signatures of a kubeconfig by all valid bearer tokens: detached JWS (RFC 7515 appendix F), whose header
/// kubeadm compares as text.
pub(super) fn signatures(kubeconfig: &str, tokens: &Tokens, now: OffsetDateTime) -> Vec<(String, String)> {
    let bearers = tokens.all().filter(|record| record.kind == TokenKind::Bearer && record.check_validity(now).is_ok());
    let sign = |token: &Token| {
        let header = Base64UrlUnpadded::encode_string(format!(r#"{{"alg":"HS256","kid":"{}"}}"#, token.id).as_bytes());
        let payload = Base64UrlUnpadded::encode_string(kubeconfig.as_bytes());
        let tag = token.secret.tag(format!("{header}.{payload}").as_bytes());
        (format!("{JWS_PREFIX}{}", token.id), format!("{header}..{}", Base64UrlUnpadded::encode_string(&tag)))
    };
    bearers.map(|record| sign(&record.token)).collect()
}
