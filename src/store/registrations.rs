//! The state of a bootstrap endpoint: the public keys of registration tokens, and one signed record per cluster.
//! Nothing in it is secret.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::StoreError;
use super::files;
use super::lock::Lock;
use crate::cluster::duration::stamp;
use crate::enrol::record::MAX_RECORD;
use crate::pki::fingerprint::Fingerprint;

/// The largest file of registration tokens, in bytes.
const LIMIT: u64 = 4 << 20;

/// A registration token as the endpoint stores it, without the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The token's id.
    pub id: String,
    /// The public key that is derived from the token's secret, as SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    /// The time until which a cluster can be registered with it.
    pub expires: OffsetDateTime,
    /// The cluster that was registered with it, if any.
    pub cluster: Option<Fingerprint>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    public_key: Vec<u8>,
    expires: String,
    cluster: Option<Fingerprint>,
}

/// How long a change of the registration tokens waits for another process that changes them.
const PATIENCE: Duration = Duration::from_secs(5);

/// The folder of a bootstrap endpoint's state.
#[derive(Debug, Clone)]
pub struct BootstrapFolder(PathBuf);

impl BootstrapFolder {
    /// Opens the folder, and creates it if it does not exist.
    ///
    /// # Errors
    /// Returns an error if it cannot be created.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let opened = Self(folder.to_owned());
        files::create_folder(&opened.clusters())?;
        files::sweep(folder)?;
        files::sweep(&opened.clusters())?;
        Ok(opened)
    }

    fn clusters(&self) -> PathBuf {
        self.0.join("clusters")
    }

    fn registrations_file(&self) -> PathBuf {
        self.0.join("registrations.json")
    }

    fn record_file(&self, id: Fingerprint) -> PathBuf {
        self.clusters().join(format!("{id}.json"))
    }

    /// Returns all registration tokens.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or is damaged.
    pub fn registrations(&self) -> Result<Vec<Registration>, StoreError> {
        let path = self.registrations_file();
        let bytes = match files::read(&path, LIMIT) {
            Ok(bytes) => bytes,
            Err(StoreError::Missing(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let damaged = || StoreError::InTheWay(path.clone());
        let rows: Vec<Row> = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let parse = |row: Row| {
            let expires = OffsetDateTime::parse(&row.expires, &Rfc3339).map_err(|_| damaged())?;
            Ok(Registration { id: row.id, public_key: row.public_key, expires, cluster: row.cluster })
        };
        rows.into_iter().map(parse).collect()
    }

    /// Takes the lock that allows one server at a time to use this folder, waiting up to `patience` for another server.
    ///
    /// # Errors
    /// Returns [`StoreError::Locked`] if another server has it.
    pub fn lock(&self, patience: Duration) -> Result<Lock, StoreError> {
        Lock::take_of_folder(&self.clusters(), patience)
    }

    /// Changes the registration tokens, while no other process changes them.
    ///
    /// # Errors
    /// Returns the error of `change`, or an error if the file cannot be read or written. Then nothing is changed.
    pub fn update<T, E: From<StoreError>>(
        &self,
        change: impl FnOnce(&mut Vec<Registration>) -> Result<T, E>,
    ) -> Result<T, E> {
        let _lock = Lock::take_of_folder(&self.0, PATIENCE)?;
        let mut all = self.registrations()?;
        let before = all.clone();
        let result = change(&mut all)?;
        if all != before {
            self.write_registrations(&all)?;
        }
        Ok(result)
    }

    fn write_registrations(&self, all: &[Registration]) -> Result<(), StoreError> {
        let row = |one: &Registration| Row {
            id: one.id.clone(),
            public_key: one.public_key.clone(),
            expires: stamp(one.expires),
            cluster: one.cluster,
        };
        let rows: Vec<Row> = all.iter().map(row).collect();
        // Strings and numbers can always be serialized.
        let json = serde_json::to_vec_pretty(&rows).unwrap_or_default();
        files::replace(&self.registrations_file(), &json, files::PRIVATE)
    }

    /// Returns the signed record of a cluster; `None` if there is none.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read.
    pub fn record(&self, id: Fingerprint) -> Result<Option<Vec<u8>>, StoreError> {
        match files::read(&self.record_file(id), MAX_RECORD as u64) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the signed record of a cluster.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write_record(&self, id: Fingerprint, bytes: &[u8]) -> Result<(), StoreError> {
        files::replace(&self.record_file(id), bytes, files::PUBLIC)
    }
}
