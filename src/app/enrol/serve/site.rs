//! Implements [`Site`] with a cluster directory. Files are read again when they change.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use serde_json::Value;
use time::OffsetDateTime;

use super::cluster_info::{KUBECONFIG, kubeconfig};
use super::error::ServeError;
use super::{preview, proofs};
use crate::app::directory;
use crate::app::error::{Error, with_causes};
use crate::app::revoke::crl_file::StoredCrls;
use crate::bundle::format;
use crate::bundle::model::INSTALLER;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, CertificateSpec, Profile};
use crate::cluster::spec::Cluster;
use crate::enrol::request::RequestContent;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::trust_bundle::TrustBundle;
use crate::server::client::Client;
use crate::server::credential::ServingCredential;
use crate::server::site::{BearerToken, HostBundle, Proof, Reloaded, Site};
use crate::server::trust::ClientTrust;
use crate::store::error::StoreError;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::lock::Lock;
use crate::store::tokens::{self, Tokens};
use crate::store::{ca, credentials, files};

/// The largest bundle that is served, in bytes.
const MAX_BUNDLE: u64 = 16 << 20;

/// The cluster directory, as the server sees it.
#[derive(Debug)]
pub struct DirectorySite {
    layout: Layout,
    master: HostName,
    snapshot: RwLock<Snapshot>,
    stamps: Mutex<Stamps>,
    /// The time of the last change of the file of tokens when it was read.
    tokens_stamp: Mutex<Option<SystemTime>>,
    /// The lock of the queue's folder, while the server runs.
    lock: Option<Lock>,
}

/// The times of the last changes of the files that are read.
#[derive(Debug, PartialEq, Eq)]
struct Stamps {
    ledger: [Option<SystemTime>; 2],
    others: Vec<Option<SystemTime>>,
}

/// The files as they were last read.
#[derive(Debug, Clone)]
struct Snapshot {
    cluster: Arc<Cluster>,
    roots: Arc<TrustBundle>,
    trust: Arc<ClientTrust>,
    credential: Arc<ServingCredential>,
    tokens: Arc<Tokens>,
}

impl DirectorySite {
    /// Reads the directory.
    ///
    /// # Errors
    /// Returns an error if the CAs, a CRL, the ledger or the serving credential cannot be read.
    pub fn open(layout: &Layout, cluster: &Cluster, master: Option<&HostName>) -> Result<Self, Error> {
        let master = chosen(layout, cluster, master)?;
        let stamps = stamps(layout, cluster, &master);
        let tokens_stamp = Mutex::new(files::modified(&layout.tokens()));
        let snapshot = Snapshot::read(layout, cluster.clone(), &master, 1)?;
        let (snapshot, stamps) = (RwLock::new(snapshot), Mutex::new(stamps));
        Ok(Self { layout: layout.clone(), master, snapshot, stamps, tokens_stamp, lock: None })
    }

    /// Keeps the lock of the queue's folder as long as the site is used.
    pub(super) fn keep(&mut self, lock: Lock) {
        self.lock = Some(lock);
    }

    /// Reads the file of tokens if it has changed, so that a new token is accepted at once. Returns true if it was read.
    fn read_new_tokens(&self) -> bool {
        let stamp = files::modified(&self.layout.tokens());
        let mut known = self.tokens_stamp.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == stamp {
            return false;
        }
        // If the file cannot be read, `reload` tries again and reports it.
        let Ok(tokens) = tokens::read(&self.layout) else { return false };
        *known = stamp;
        self.snapshot.write().unwrap_or_else(PoisonError::into_inner).tokens = Arc::new(tokens);
        true
    }

    fn snapshot(&self) -> Snapshot {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns the specification of the certificate that the server presents.
fn serving_spec(cluster: &Cluster, master: &HostName) -> Option<CertificateSpec> {
    let host = cluster.masters.iter().find(|host| host.name == *master)?;
    // Without the key `enrolment` in the cluster file, there is only the API server's, which has the same names.
    let profile = if cluster.enrolment.is_some() { Profile::EnrolmentServer } else { Profile::Apiserver };
    cluster.master_specs(host).into_iter().find(|spec| spec.profile == profile)
}

/// Returns the named master, else the only one whose serving credential is in the directory.
fn chosen(layout: &Layout, cluster: &Cluster, master: Option<&HostName>) -> Result<HostName, ServeError> {
    if let Some(name) = master {
        let is_known = cluster.masters.iter().any(|host| host.name == *name);
        return if is_known { Ok(name.clone()) } else { Err(ServeError::UnknownMaster(name.clone())) };
    }
    let has_key = |host: &HostName| serving_spec(cluster, host).is_some_and(|spec| credentials::has_key(layout, &spec));
    let mut names: Vec<HostName> =
        cluster.masters.iter().map(|host| host.name.clone()).filter(|name| has_key(name)).collect();
    match (names.pop(), names.len()) {
        (Some(name), 0) => Ok(name),
        (Some(name), _) => {
            names.push(name);
            Err(ServeError::SeveralMasters(names))
        }
        (None, _) => Err(ServeError::NoCredential(layout.pki())),
    }
}

/// Returns the times of the last changes of the files that are read.
fn stamps(layout: &Layout, cluster: &Cluster, master: &HostName) -> Stamps {
    let mut paths: Vec<PathBuf> = vec![
        layout.cluster_file(),
        layout.root_certificate(CaRole::Cluster),
        layout.trust_file(CaRole::Cluster),
        layout.revocation_list(CaRole::Cluster),
        layout.tokens(),
    ];
    let folder = layout.holder_folder(Profile::Apiserver, Some(master));
    let name = serving_spec(cluster, master).map_or("", |spec| spec.policy().name);
    paths.extend([folder.join(format!("{name}.crt")), folder.join(format!("{name}.key"))]);
    let ledger = layout.ledger();
    Stamps {
        ledger: [files::modified(&ledger), files::modified(&ledger.with_extension("sqlite3-wal"))],
        others: paths.iter().map(|path| files::modified(path)).collect(),
    }
}

impl Snapshot {
    fn read(layout: &Layout, cluster: Cluster, master: &HostName, generation: u64) -> Result<Self, Error> {
        let roots = ca::trust(layout, CaRole::Cluster)?;
        let crls = StoredCrls::read(layout, &roots).map_err(ServeError::Crl)?;
        let trust = ClientTrust {
            anchors: roots.anchors().into_iter().cloned().collect(),
            intermediates: roots.accepted().map(|ca| ca.certificate().clone()).collect(),
            crls: crls.iter().map(|(_, crl)| crl.clone()).collect(),
            denied: revoked(layout)?,
            generation,
        };
        let spec = serving_spec(&cluster, master).ok_or_else(|| ServeError::UnknownMaster(master.clone()))?;
        let stored = credentials::read(layout, &spec)
            .map_err(|problem| ServeError::Credential { master: master.clone(), problem: Box::new(problem) })?;
        let chain: Vec<&Certificate> = stored.credential.certificates().collect();
        let credential = ServingCredential::new(&chain, &stored.credential.key).map_err(ServeError::Tls)?;
        Ok(Self {
            cluster: Arc::new(cluster),
            roots: Arc::new(roots),
            trust: Arc::new(trust),
            credential: Arc::new(credential),
            tokens: Arc::new(tokens::read(layout)?),
        })
    }

    /// Returns true if the cluster file has the node.
    fn knows(&self, host: &HostName) -> bool {
        self.cluster.node(host.as_str()).is_some()
    }
}

/// Returns the certificates that are revoked in the ledger; none on a machine without a ledger, which only has the CRLs.
fn revoked(layout: &Layout) -> Result<BTreeSet<Fingerprint>, Error> {
    match Ledger::open_read_only(&layout.ledger()) {
        Ok(ledger) => Ok(ledger.revocations()?.into_keys().collect()),
        Err(StoreError::LedgerMissing(_)) => Ok(BTreeSet::new()),
        Err(error) => Err(error.into()),
    }
}

/// Returns the hosts of newly revoked certificates.
fn hosts_of(layout: &Layout, denied: impl Iterator<Item = Fingerprint>) -> Vec<HostName> {
    let Ok(ledger) = Ledger::open_read_only(&layout.ledger()) else { return Vec::new() };
    let host = |one| HostName::parse(&ledger.by_fingerprint(one).ok()??.host?).ok();
    denied.filter_map(host).collect()
}

impl Site for DirectorySite {
    fn trust(&self) -> Arc<ClientTrust> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).trust.clone()
    }

    fn credential(&self) -> Arc<ServingCredential> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).credential.clone()
    }

    fn reload(&self, _: OffsetDateTime) -> Reloaded {
        let before = self.snapshot();
        let stamps = stamps(&self.layout, &before.cluster, &self.master);
        let mut known = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == stamps {
            return Reloaded::default();
        }
        // While a signer works, the ledger changes often, but mostly without new revocations.
        if known.others == stamps.others && revoked(&self.layout).is_ok_and(|denied| denied == before.trust.denied) {
            *known = stamps;
            return Reloaded::default();
        }
        let generation = before.trust.generation + 1;
        let read = directory::cluster(&self.layout)
            .and_then(|cluster| Snapshot::read(&self.layout, cluster, &self.master, generation));
        let snapshot = match read {
            Ok(snapshot) => snapshot,
            // Another process may be writing a file. The earlier state stays in effect, and the next call tries again.
            Err(error) => return Reloaded { problem: Some(with_causes(&error)), ..Reloaded::default() },
        };
        *known = stamps;
        let new = snapshot.trust.denied.difference(&before.trust.denied).copied();
        let mut hosts = hosts_of(&self.layout, new);
        let left = before.cluster.nodes.iter().map(|host| &host.name).filter(|host| !snapshot.knows(host));
        hosts.extend(left.cloned());
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
        Reloaded { closed: hosts, problem: None }
    }

    fn knows(&self, host: &HostName) -> bool {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).knows(host)
    }

    fn prove(&self, content: &RequestContent, client: &Client, now: OffsetDateTime) -> Proof {
        let prove = || {
            let Snapshot { cluster, roots, tokens, .. } = self.snapshot();
            proofs::prove(content, client, &cluster, &roots.pins(), &tokens, now)
        };
        let proof = prove();
        if proof.refusal.is_some() && self.read_new_tokens() { prove() } else { proof }
    }

    fn bearer(&self, token: &str, now: OffsetDateTime) -> Option<BearerToken> {
        let bearer = || proofs::bearer(token, &self.snapshot().tokens, now);
        bearer().or_else(|| if self.read_new_tokens() { bearer() } else { None })
    }

    fn preview(&self, content: &RequestContent, client: &Client, now: OffsetDateTime) -> Option<Value> {
        preview::of(&self.layout, content, &client.requester, now)
    }

    fn bundle(&self, host: &HostName) -> HostBundle {
        let bytes = match files::read(&self.layout.bundle(host), MAX_BUNDLE) {
            Ok(bytes) => bytes,
            // An encrypted bundle may have private keys in it, because only the host can decrypt it.
            Err(StoreError::Missing(_)) => {
                let encrypted = self.layout.bundles().join(format::encrypted_name(host));
                return match files::read(&encrypted, MAX_BUNDLE) {
                    Ok(bytes) => HostBundle::Archive(bytes),
                    Err(_) => HostBundle::Missing("the bundle of this host is not packed".to_owned()),
                };
            }
            Err(StoreError::TooLarge { .. }) => return HostBundle::Missing("the bundle is too large".to_owned()),
            Err(_) => return HostBundle::Missing("the bundle cannot be read".to_owned()),
        };
        let Ok(bundle) = format::read(&bytes) else {
            return HostBundle::Missing("the bundle is damaged, or a later version wrote it".to_owned());
        };
        const KEY: &[u8] = b"PRIVATE KEY-----";
        let has_key = |bytes: &[u8]| bytes.windows(KEY.len()).any(|window| window == KEY);
        // The installer searches for keys, so it contains this text.
        if bundle.files.iter().any(|file| file.path != INSTALLER && has_key(&file.bytes)) {
            let reason = "the bundle has private keys in it, which are not served: sign requests of this host instead";
            return HostBundle::Missing(reason.to_owned());
        }
        HostBundle::Archive(bytes)
    }

    fn cluster_info(&self, now: OffsetDateTime) -> Vec<(String, String)> {
        let snapshot = self.snapshot();
        let text = kubeconfig(&snapshot.cluster, &snapshot.roots);
        let signatures = proofs::signatures(&text, &snapshot.tokens, now);
        [(KUBECONFIG.to_owned(), text)].into_iter().chain(signatures).collect()
    }
}
