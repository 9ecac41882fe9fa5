//! Runs the steps of joining: discovery, keys, requests, certificates, the bundle, the kubelet.

use std::path::Path;

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::api::Enrolment;
use super::ask::{Granted, ask};
use super::certificates;
use super::discover::{Discovered, REQUEST_LIMIT, discover};
use super::error::JoinError;
use super::install::{Installing, install, start_kubelet};
use super::notice::JoinNotice;
use super::options::{JoinOptions, Waiting};
use super::report::{JoinReport, JoinedCertificate};
use super::requests::{Asking, Prepared, prepare};
use super::state::JoinState;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::bundle::paths;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::profile::Profile;
use crate::enrol::evidence::{Occasion, Proofs};
use crate::https::{Client, ClientCertificate, ClientOptions, Request, Trust};
use crate::pki::fingerprint::Fingerprint;
use crate::store::files;
use crate::store::lock::Lock;

/// The largest file of a key, or of a certificate with its intermediates, in bytes.
const MAX_FILE: u64 = 256 * 1024;

/// Joins a cluster. Another run continues where the last one stopped, with the same keys and requests.
///
/// # Errors
/// Returns an error if the cluster is not found, a request is denied or not decided in time, or a file cannot be written.
pub fn join(options: &JoinOptions, now: OffsetDateTime, observer: &mut dyn Observer) -> Result<JoinReport, Error> {
    let JoinOptions { root, host, .. } = options;
    if !files::is_folder(root) {
        return Err(JoinError::NoRoot(root.clone()).into());
    }
    // Another process would generate other keys, and delete the unfinished files of this one.
    let lock = Lock::take_of_folder(root, options.wait)?;
    let mut state = begin(options)?;
    observer.defer_interrupts();
    let waiting = Waiting::begin(now, options.wait, observer.cancellation());
    let found = discover(state.sought(), &options.bootstrap, &waiting, observer)?;
    state.remember(&found);
    state.write(root)?;
    let Discovered { record, endpoint, .. } = found;
    let proofs = Proofs {
        ssh_host_key: options.ssh_host_key.as_ref().map(|(_, key)| key),
        token: options.token.as_ref().map(|token| (token.id.as_str(), &token.secret)),
    };
    let asking = Asking {
        root,
        host,
        cluster: state.known(),
        accounts: record.accounts,
        keys: options.keys,
        proofs,
        now: waiting.now(),
        occasion: Occasion::Join,
    };
    let prepared = prepare(&asking, |_| true)?;
    for one in &prepared {
        let path = one.key.path.display().to_string();
        let (public_key, is_new) = (one.key.public_key, one.key.is_new);
        observer.notice(JoinNotice::Key { path, public_key, is_new }.into());
    }
    let missing: Vec<Prepared> = prepared.iter().filter(|one| !has_valid(root, one, waiting.now())).cloned().collect();
    let mut enrolment = record.enrolment.first().cloned().unwrap_or(endpoint);
    let mut granted: Vec<Granted> = Vec::new();
    if !missing.is_empty() {
        (granted, enrolment) = ask(&missing, host, &record, &record.roots, None, &waiting, observer)?;
        for one in &granted {
            // Written before the bundle is fetched, so that an interrupted run does not request them again.
            certificates::put(root, &one.issued)?;
        }
    }
    let nothing_to_do = missing.is_empty() && files::is_plain_file(&root.join(paths::RECORD));
    let mut is_started = false;
    if !nothing_to_do {
        let (chain, key) = client_credential(root)?;
        let certificate = Some(ClientCertificate { chain: &chain, key: &key });
        let endpoint = Enrolment::new(&enrolment, &record.roots, certificate, &waiting)?;
        let client_key = key_of(&prepared, Profile::KubeletClient);
        let host_was_given = options.host_was_given;
        let ssh_host_key = options.ssh_host_key.as_ref().map(|(_, key)| key);
        let installing = Installing { root, host, host_was_given, record: &record, ssh_host_key, client_key };
        // install.sh takes this lock itself.
        drop(lock);
        install(&installing, &endpoint, &waiting, observer)?;
        // The bundle may have older certificates for the same keys.
        for one in &granted {
            certificates::put(root, &one.issued)?;
        }
        is_started = options.start && start_kubelet(root)?;
    }
    let certificates = JoinedCertificate::all(root, &granted)?;
    Ok(JoinReport { host: host.clone(), record, certificates, nothing_to_do, is_started })
}

/// Returns the host's state: the one of an earlier run, or a new one.
fn begin(options: &JoinOptions) -> Result<JoinState, Error> {
    let ssh_host_key = options.ssh_host_key.as_ref().map(|(path, _)| path.clone());
    match JoinState::read(&options.root)? {
        Some(state) if state.cluster != options.cluster && state.known() != options.cluster => {
            Err(JoinError::OtherCluster { joined: state.cluster.as_pin() }.into())
        }
        Some(state) if state.host != options.host => {
            Err(JoinError::OtherHost { joined: state.host, asked: options.host.clone() }.into())
        }
        Some(state) => Ok(JoinState {
            bootstrap: options.bootstrap.clone(),
            ssh_host_key: ssh_host_key.or(state.ssh_host_key.clone()),
            ..state
        }),
        None => Ok(JoinState {
            cluster: options.cluster,
            bootstrap: options.bootstrap.clone(),
            host: options.host.clone(),
            ssh_host_key,
            seq: None,
            record: None,
            root: None,
            renewed_in: None,
        }),
    }
}

/// Returns the SHA-256 of the public key for a profile.
fn key_of(prepared: &[Prepared], profile: Profile) -> Fingerprint {
    let found = prepared.iter().find(|one| one.key.profile == profile);
    found.map_or_else(|| Fingerprint::of(&[]), |one| one.key.public_key)
}

/// Returns true if the host has a certificate for this key that is valid now.
fn has_valid(root: &Path, prepared: &Prepared, now: OffsetDateTime) -> bool {
    let present = certificates::present(root, prepared.key.profile).ok().flatten();
    present.is_some_and(|one| one.spki_fingerprint() == prepared.key.public_key && one.not_after > now)
}

/// Asks an API server or the enrolment endpoint which account the client certificate of the host authenticates.
///
/// # Errors
/// Returns an error if the host has no certificate, or there is no answer.
pub fn whoami(root: &Path, endpoint: &Endpoint, now: OffsetDateTime) -> Result<String, Error> {
    let (chain, key) = client_credential(root)?;
    let roots = certificates::installed_roots(root);
    let certificate = Some(ClientCertificate { chain: &chain, key: &key });
    let options = ClientOptions { trust: Trust::Roots(&roots), certificate, now, limit: REQUEST_LIMIT };
    let client = Client::new(&options).map_err(JoinError::Https)?;
    let url = format!("{endpoint}/apis/authentication.k8s.io/v1/selfsubjectreviews");
    let body = br#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
    let body = Some(("application/json", body.as_slice()));
    let request = Request { method: "POST", url: &url, body, headers: &[], limit: 64 * 1024 };
    let answer = client.send(&request).map_err(JoinError::Https)?;
    let review: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let name = review["status"]["userInfo"]["username"].as_str();
    let missing = || JoinError::NotAnAnswer { endpoint: endpoint.clone(), name: "SelfSubjectReview".to_owned() };
    Ok(crate::sanitize::sanitized(name.ok_or_else(missing)?))
}

/// Returns the chain and the key of the host's client certificate, PEM.
///
/// # Errors
/// Returns an error if one of the files cannot be read.
pub(super) fn client_credential(root: &Path) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), Error> {
    let below = paths::key_of(Profile::KubeletClient).unwrap_or_default();
    let key = Zeroizing::new(files::read(&root.join(&below), MAX_FILE)?);
    let chain = certificates::certificate_path(Profile::KubeletClient).unwrap_or_default();
    Ok((files::read(&root.join(chain), MAX_FILE)?, key))
}
