//! Judges the evidence about the sender of a request.

use std::net::IpAddr;

use time::{Duration, OffsetDateTime};

use super::distrust::Distrust;
use crate::cluster::address::Address;
use crate::cluster::duration::stamp;
use crate::cluster::profile::Profile;
use crate::cluster::recipient::{Recipient, RecipientKind};
use crate::cluster::spec::{Cluster, Host};
use crate::enrol::evidence::{self, Evidence};
use crate::enrol::policy::Answer;
use crate::enrol::request::EnrolmentRequest;
use crate::enrol::token::{TokenClaim, TokenRecord, TokenRefusal};
use crate::pki::ca_set::CaSet;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem::{self, Item};
use crate::sanitize::sanitized;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;
use crate::store::tokens::Tokens;

/// The attribute of a client in which API servers name its certificate (Kubernetes `authentication/user`,
/// `CredentialIDKey`).
const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";
/// The attribute in which clusterctl's own API names the client's address.
const SOURCE_ADDRESS: &str = "clusterctl.io/source-address";
/// The largest difference between the time of a statement and now: its age, and the error of the host's clock.
const CLOCK: Duration = Duration::hours(24);

/// Returns the proof that a request came over a connection with the host's current client certificate, or as the inner error
/// why that is not proven.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(super) fn same_host(
    request: &EnrolmentRequest,
    ledger: &Ledger,
    now: OffsetDateTime,
) -> Result<Result<String, String>, StoreError> {
    let host = &request.content.host;
    let requester = &request.requester;
    let ids = requester.extra.get(CREDENTIAL_ID).map(Vec::as_slice).unwrap_or_default();
    let [id] = ids else {
        let user = sanitized(&requester.username);
        return Ok(Err(format!("{user} sent it, and no certificate of the connection is known")));
    };
    let Some(fingerprint) = Fingerprint::from_credential_id(id) else {
        return Ok(Err("the connection was authenticated by other means than a certificate".to_owned()));
    };
    let Some(issued) = ledger.by_fingerprint(fingerprint)? else {
        return Ok(Err("the ledger does not have the connection's certificate".to_owned()));
    };
    let serial = &issued.serial;
    let of = issued.host.clone().unwrap_or_else(|| issued.account.clone());
    if issued.host.as_deref() != Some(host.as_str()) || issued.profile != Profile::KubeletClient.policy().name {
        return Ok(Err(format!("the connection's certificate is that of {of} {} (serial {serial})", issued.profile)));
    }
    if let Some(revocation) = issued.revocation {
        return Ok(Err(format!(
            "the connection's certificate (serial {serial}) was revoked: {}",
            revocation.reason.as_str()
        )));
    }
    if issued.not_after <= now {
        return Ok(Err(format!("the connection's certificate (serial {serial}) expired {}", stamp(issued.not_after))));
    }
    if issued.account != requester.username {
        return Ok(Err(format!(
            "{} sent it with the certificate of {}",
            sanitized(&requester.username),
            issued.account
        )));
    }
    Ok(Ok(format!("certificate with serial {serial}, valid until {}", stamp(issued.not_after))))
}

/// Reads the evidence in a request.
pub(super) fn evidence(request: &EnrolmentRequest) -> Result<Evidence, String> {
    let items = pem::read_all(&request.content.pem).map_err(|error| error.to_string())?;
    let Some(Item::Csr(der)) = items.into_iter().next() else { return Err("it has no request".to_owned()) };
    evidence::read(&request.content.pem, &der).map_err(|error| error.to_string())
}

/// Judges whether the host's SSH key signed a request.
pub(super) fn ssh_host_key(
    request: &EnrolmentRequest,
    evidence: &Result<Evidence, String>,
    cluster: &Cluster,
    cas: &CaSet,
    distrust: &Distrust<'_>,
    now: OffsetDateTime,
) -> Answer {
    let host = &request.content.host;
    let evidence = match evidence {
        Ok(evidence) => evidence,
        Err(reason) => return Answer::Failed(reason.clone()),
    };
    let (Some(statement), Some(ssh)) = (&evidence.statement, &evidence.ssh) else {
        return Answer::Failed("no SSH key signed it".to_owned());
    };
    let known = keys_of(cluster, host.as_str());
    let owners: Vec<&str> = names(cluster).filter(|name| keys_of(cluster, name).contains(&ssh.key)).collect();
    let fingerprint = &ssh.fingerprint;
    Answer::Failed(match () {
        () if statement.host != *host => format!("the SSH key {fingerprint} signed a statement of {}", statement.host),
        () if !cas.cluster.pins().contains(&statement.cluster) => {
            format!("its statement is about another cluster, {}", statement.cluster.as_pin())
        }
        () if (now - statement.time).abs() > CLOCK => {
            format!(
                "it was signed at {} by its host's clock, more than {} hours from now",
                stamp(statement.time),
                CLOCK.whole_hours()
            )
        }
        () if known.is_empty() => format!("the SSH key {fingerprint} signed it, and no key of the host is known"),
        () if !known.contains(&ssh.key) => format!("the SSH key {fingerprint} signed it, which is not the host's"),
        () if owners.len() > 1 => {
            format!("the SSH key {fingerprint} is that of several hosts, so it proves none: {}", owners.join(", "))
        }
        () if distrust.refuses_key(fingerprint) => {
            format!("the SSH key {fingerprint} signed it, which proves nothing since a key of its host was compromised")
        }
        () => return Answer::ok(format!("SSH key {fingerprint}, at {}", stamp(statement.time))),
    })
}

fn names(cluster: &Cluster) -> impl Iterator<Item = &str> {
    cluster.host_names().into_iter().map(crate::cluster::name::HostName::as_str)
}

/// Returns the SSH keys of a host in OpenSSH's one-line format.
fn keys_of(cluster: &Cluster, name: &str) -> Vec<String> {
    let entries = cluster.master(name).into_iter().chain(cluster.node(name));
    let is_ssh = |one: &&Recipient| matches!(one.kind(), RecipientKind::SshEd25519 | RecipientKind::SshRsa);
    entries.flat_map(|host: &Host| host.recipients.iter()).filter(is_ssh).map(ToString::to_string).collect()
}

/// Returns the record of the token with whose secret the HMAC in a request was made. Its statement must be about this request,
/// its host and this cluster. Whether the token is valid is not checked.
pub(super) fn proven_token(
    request: &EnrolmentRequest,
    evidence: Result<Evidence, String>,
    tokens: &Tokens,
    cas: &CaSet,
) -> Result<TokenRecord, String> {
    let evidence = evidence?;
    let (Some(statement), Some(claim)) = (evidence.statement, evidence.token) else {
        return Err("it has no token".to_owned());
    };
    let Some(record) = tokens.find(&claim.id) else { return Err(TokenRefusal::Unknown(claim.id).to_string()) };
    if !claim.verifies(&record.token.secret) {
        return Err(TokenRefusal::Unproven.to_string());
    }
    if statement.host != request.content.host {
        return Err(format!("its statement is one of {}", statement.host));
    }
    if !cas.cluster.pins().contains(&statement.cluster) {
        return Err(format!("its statement is about another cluster, {}", statement.cluster.as_pin()));
    }
    Ok(record.clone())
}

/// Judges whether a request has a valid one-time token of its host.
pub(super) fn token(
    request: &EnrolmentRequest,
    evidence: Result<Evidence, String>,
    tokens: &Tokens,
    cas: &CaSet,
    distrust: &Distrust<'_>,
    now: OffsetDateTime,
) -> Answer {
    let record = match proven_token(request, evidence, tokens, cas) {
        Ok(record) => record,
        Err(reason) => return Answer::Failed(reason),
    };
    let seen = request.requester.extra.get(SOURCE_ADDRESS).and_then(|all| all.first());
    let content = &request.content;
    let claim = TokenClaim {
        host: &content.host,
        profile: content.profile(),
        key: content.key(),
        source: seen.and_then(|text| text.parse().ok()),
        now,
    };
    let id = &record.token.id;
    match record.check(&claim) {
        Ok(()) if distrust.refuses_token(&record) => {
            Answer::Failed(format!("the token {id} was created before a key of the host was compromised"))
        }
        Ok(()) => Answer::ok(format!("token {id}")),
        Err(refusal) => Answer::Failed(refusal.to_string()),
    }
}

/// Judges whether a request came from an address of its host.
pub(super) fn source_address(request: &EnrolmentRequest, cluster: &Cluster) -> Answer {
    let seen = request.requester.extra.get(SOURCE_ADDRESS).map(Vec::as_slice).unwrap_or_default();
    let [text] = seen else { return Answer::Failed("the address that it came from is not known".to_owned()) };
    let Ok(address) = text.parse::<IpAddr>() else {
        return Answer::Failed(format!("{} is not an address", sanitized(text)));
    };
    let host = cluster.node(request.content.host.as_str());
    let known = host.is_some_and(|host| host.addresses.contains(&Address::Ip(address)));
    if known { Answer::ok(format!("from {address}")) } else { Answer::Failed(format!("it came from {address}")) }
}
