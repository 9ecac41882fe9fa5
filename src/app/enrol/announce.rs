//! Registers a cluster at bootstrap endpoints, and announces its record there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use serde_json::json;
use time::OffsetDateTime;
use zeroize::Zeroizing;

pub use super::announce_error::AnnounceError;
use super::join::record_path;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::input;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::spec::Cluster;
use crate::config::kubeconfig::{self, Credential};
use crate::enrol::record::{ANNOUNCERS, MAX_RECORD, Record, registration_message};
use crate::enrol::token::Token;
use crate::https::{Answer, Client, ClientOptions, Request, Trust};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::IssueError;
use crate::pki::local_key::LocalKey;
use crate::pki::pem;

/// The header with the id of a registration token.
pub const TOKEN_HEADER: &str = "x-clusterctl-token";
/// The header with the signature by a registration token.
pub const SIGNATURE_HEADER: &str = "x-clusterctl-signature";
/// The default validity of a record.
pub const VALIDITY: Lifetime = Lifetime::ONE_WEEK;
const LIMIT: Duration = Duration::from_secs(15);
const MAX_KUBECONFIG: u64 = 1 << 20;

/// The result of registering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterReport {
    /// The cluster's id.
    pub id: Fingerprint,
    /// The endpoint.
    pub endpoint: Endpoint,
}

/// Registers the cluster at a bootstrap endpoint. The token signs the registration, and is not sent.
///
/// # Errors
/// Returns an error if there is no CA, or the endpoint cannot be reached or refuses.
pub fn register(endpoint: &Endpoint, token: &Token, cluster: &Cluster, env: &Env) -> Result<RegisterReport, Error> {
    let (_, cas) = directory::cas(&env.layout, cluster)?;
    let id = cas.cluster.pin();
    let body = json!({"name": cluster.name.as_str(), "roots": cas.cluster.to_pem()}).to_string();
    let signature = token.secret.sign(&registration_message(id, body.as_bytes())).map_err(AnnounceError::Token)?;
    let signature = Base64::encode_string(&signature);
    let url = format!("{endpoint}{}/registration", record_path(id));
    let headers = [(TOKEN_HEADER, token.id.as_str()), (SIGNATURE_HEADER, signature.as_str())];
    let request = Request {
        method: "PUT",
        url: &url,
        body: Some(("application/json", body.as_bytes())),
        headers: &headers,
        limit: MAX_RECORD,
    };
    let answer = client(env.now)?.send(&request).map_err(AnnounceError::from)?;
    accepted(endpoint, &answer)?;
    Ok(RegisterReport { id, endpoint: endpoint.clone() })
}

/// The options of announcing.
#[derive(Debug, Clone)]
pub struct AnnounceOptions {
    /// The bootstrap endpoints.
    pub bootstrap: Vec<Endpoint>,
    /// The enrolment endpoints.
    pub enrolment: Vec<Endpoint>,
    /// The kubeconfig with the announcer's certificate and key.
    pub kubeconfig: PathBuf,
    /// The validity of the record.
    pub validity: Lifetime,
}

/// The result of announcing.
#[derive(Debug, Clone)]
pub struct AnnounceReport {
    /// The record.
    pub record: Record,
    /// The endpoints that have it.
    pub accepted: Vec<Endpoint>,
}

/// Signs a record of the cluster with the announcer's key, and sends it to the bootstrap endpoints.
///
/// Its number is greater than those that the endpoints have.
///
/// # Errors
/// Returns an error if the announcer's credential cannot be used, or an endpoint cannot be reached or refuses.
pub fn announce(options: &AnnounceOptions, cluster: &Cluster, env: &Env) -> Result<AnnounceReport, Error> {
    let (_, cas) = directory::cas(&env.layout, cluster)?;
    if options.bootstrap.is_empty() {
        return Err(AnnounceError::NoEndpoint.into());
    }
    if options.enrolment.is_empty() {
        return Err(AnnounceError::NoEnrolment.into());
    }
    let (chain, key) = credential(&options.kubeconfig)?;
    let client = client(env.now)?;
    let id = cas.cluster.pin();
    let mut seq = u64::try_from(env.now.unix_timestamp()).unwrap_or_default();
    for endpoint in &options.bootstrap {
        let url = format!("{endpoint}{}", record_path(id));
        // An endpoint that does not answer now is named below; the others get the record nevertheless.
        let Ok(answer) = client.send(&Request::get(&url, MAX_RECORD)) else { continue };
        // Only a record under this root counts: another one would be the endpoint's invention.
        if let Some(known) = Record::known(&answer.body, id).filter(|_| answer.is_success()) {
            seq = seq.max(known.seq + 1);
        }
    }
    let record = Record {
        id,
        name: cluster.name.clone(),
        endpoint: cluster.endpoint.clone(),
        enrolment: options.enrolment.clone(),
        accounts: cluster.accounts,
        roots: cas.cluster.anchors().into_iter().cloned().collect(),
        seq,
        issued: env.now,
        // Hosts refuse a record whose announcer's certificate has expired.
        expires: chain.iter().map(|one| one.not_after).fold(env.now + options.validity.duration(), Ord::min),
    };
    let signed = record.sign(&key, &chain).map_err(AnnounceError::Sign)?;
    let (mut accepted_by, mut first_error) = (Vec::new(), None);
    for endpoint in &options.bootstrap {
        let url = format!("{endpoint}{}", record_path(id));
        let body = Some(("application/json", signed.as_bytes()));
        let request = Request { method: "PUT", url: &url, body, headers: &[], limit: MAX_RECORD };
        match client.send(&request).map_err(AnnounceError::from).and_then(|answer| accepted(endpoint, &answer)) {
            Ok(()) => accepted_by.push(endpoint.clone()),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    match first_error {
        None => Ok(AnnounceReport { record, accepted: accepted_by }),
        Some(error) if accepted_by.is_empty() => Err(error.into()),
        Some(error) => Err(AnnounceError::Partly { accepted: accepted_by, source: Box::new(error) }.into()),
    }
}

/// What is sent and received is signed by itself, so that the endpoint's certificate is not verified.
fn client(now: OffsetDateTime) -> Result<Client, AnnounceError> {
    let options = ClientOptions { trust: Trust::SignedAnswers, certificate: None, now, limit: LIMIT };
    Ok(Client::new(&options)?)
}

fn accepted(endpoint: &Endpoint, answer: &Answer) -> Result<(), AnnounceError> {
    if answer.is_success() {
        return Ok(());
    }
    Err(AnnounceError::Refused { endpoint: endpoint.clone(), status: answer.status, message: answer.message() })
}

/// Returns the chain and the key of an announcer's kubeconfig.
fn credential(path: &Path) -> Result<(Vec<Certificate>, LocalKey), Error> {
    let unusable = |reason: String| AnnounceError::Credential { path: path.to_owned(), reason };
    let bytes = Zeroizing::new(input::read_or_wait(path, MAX_KUBECONFIG, "kubeconfig")?);
    let config = kubeconfig::read(&bytes).map_err(|error| unusable(error.to_string()))?;
    let used = config.used(None).map_err(|error| unusable(error.to_string()))?;
    let missing = || unusable("it has none".to_owned());
    let user = used.user.ok_or_else(missing)?;
    let content = |credential: &Option<Credential>| -> Result<Zeroizing<Vec<u8>>, Error> {
        match credential {
            Some(Credential::Data(bytes)) => Ok(bytes.clone()),
            Some(Credential::File(file)) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                Ok(Zeroizing::new(input::read(&folder.join(file), MAX_KUBECONFIG, "file")?))
            }
            None => Err(missing().into()),
        }
    };
    let ders = pem::certificates(&content(&user.certificate)?).map_err(|error| unusable(error.to_string()))?;
    let chain: Result<Vec<Certificate>, _> = ders.into_iter().map(Certificate::from_der).collect();
    let chain = chain.map_err(|error| unusable(error.to_string()))?;
    let key = LocalKey::from_pem_with(&content(&user.key)?, None).map_err(IssueError::from)?;
    let account = chain.first().map(Certificate::account).ok_or_else(missing)?;
    if account.group.as_deref() != Some(ANNOUNCERS) {
        return Err(AnnounceError::NotAnAnnouncer { path: path.to_owned(), user: account.user }.into());
    }
    Ok((chain, key))
}
