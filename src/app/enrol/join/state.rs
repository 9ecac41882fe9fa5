//! The state of a host that joins: a file beside the installed manifest, without secrets.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::discover::{Discovered, Sought};
use super::error::JoinError;
use crate::app::error::Error;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::name::HostName;
use crate::enrol::record::Record;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;
use crate::store::files;

/// The path on the host.
pub const STATE: &str = "etc/kubernetes/clusterctl/join.json";
const LIMIT: u64 = 256 * 1024;
const API_VERSION: &str = "clusterctl/v1";
const KIND: &str = "Join";

/// The cluster that a host joins, and the newest record that it has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinState {
    /// The cluster's id.
    pub cluster: Fingerprint,
    /// The bootstrap endpoints.
    pub bootstrap: Vec<Endpoint>,
    /// The host's name.
    pub host: HostName,
    /// The path of the SSH key that signed the requests of the host.
    pub ssh_host_key: Option<PathBuf>,
    /// The number of the newest record.
    pub seq: Option<u64>,
    /// The newest record, as it was signed.
    pub record: Option<String>,
    /// The pin of the root that replaced the one of the id, once the host no longer trusts the latter.
    pub root: Option<Fingerprint>,
    /// The phase of a rotation in which the host last got a new serving certificate ([`RecordRotation::label`]).
    ///
    /// [`RecordRotation::label`]: crate::enrol::record_rotation::RecordRotation::label
    pub renewed_in: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    api_version: String,
    kind: String,
    cluster: String,
    bootstrap: Vec<String>,
    host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssh_host_key: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renewed_in: Option<String>,
}

impl JoinState {
    /// Reads the state of the host whose `/` is `root`; `None` if it has none.
    ///
    /// # Errors
    /// Returns an error if the file exists and cannot be used.
    pub fn read(root: &Path) -> Result<Option<Self>, Error> {
        let path = root.join(STATE);
        let bytes = match files::read(&path, LIMIT) {
            Ok(bytes) => bytes,
            Err(StoreError::Missing(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match Self::parse(&bytes) {
            Some(state) => Ok(Some(state)),
            None => Err(JoinError::State(path).into()),
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let raw: Raw = serde_json::from_slice(bytes).ok()?;
        if raw.api_version != API_VERSION || raw.kind != KIND {
            return None;
        }
        Some(Self {
            cluster: Fingerprint::parse(raw.cluster.strip_prefix("sha256:")?)?,
            bootstrap: raw.bootstrap.iter().map(|url| Endpoint::parse(url).ok()).collect::<Option<_>>()?,
            host: HostName::parse(&raw.host).ok()?,
            ssh_host_key: raw.ssh_host_key,
            seq: raw.seq,
            record: raw.record,
            root: match raw.root {
                Some(pin) => Some(Fingerprint::parse(pin.strip_prefix("sha256:")?)?),
                None => None,
            },
            renewed_in: raw.renewed_in,
        })
    }

    fn to_json(&self) -> String {
        let raw = Raw {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            cluster: self.cluster.as_pin(),
            bootstrap: self.bootstrap.iter().map(ToString::to_string).collect(),
            host: self.host.to_string(),
            ssh_host_key: self.ssh_host_key.clone(),
            seq: self.seq,
            record: self.record.clone(),
            root: self.root.as_ref().map(Fingerprint::as_pin),
            renewed_in: self.renewed_in.clone(),
        };
        // Text and numbers always have a JSON form.
        serde_json::to_string_pretty(&raw).unwrap_or_default() + "\n"
    }

    /// Returns the pin of the root that the host trusts: that of the id, or that of a root that replaced it.
    #[must_use]
    pub fn known(&self) -> Fingerprint {
        self.root.unwrap_or(self.cluster)
    }

    /// Returns what the host asks bootstrap endpoints for.
    pub(super) fn sought(&self) -> Sought {
        Sought { id: self.cluster, known: self.known(), seq: self.seq }
    }

    /// Takes over a record. If its roots no longer have the one that the host trusts, the host trusts the newest proven one from now
    /// on.
    pub(super) fn remember(&mut self, found: &Discovered) {
        let known = self.known();
        if found.record.roots.iter().all(|root| root.spki_fingerprint() != known) {
            self.root = Some(found.newest);
        }
        (self.seq, self.record) = (Some(found.record.seq), Some(found.signed.clone()));
    }

    /// Returns the newest record, even if it has expired.
    pub(super) fn known_record(&self) -> Option<Record> {
        let signed = self.record.as_ref()?.as_bytes();
        let by = |id| Record::known_from(signed, id, self.known());
        by(self.cluster).or_else(|| by(self.known()))
    }

    /// Writes the state, if it changed.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn write(&self, root: &Path) -> Result<(), Error> {
        let text = self.to_json();
        let path = root.join(STATE);
        if files::holds(&path, text.as_bytes()) {
            return Ok(());
        }
        files::create_folders_below(root, STATE, crate::bundle::model::folder_mode)?;
        files::sweep(path.parent().unwrap_or(root))?;
        Ok(files::replace(&path, text.as_bytes(), files::PUBLIC)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state() -> JoinState {
        JoinState {
            cluster: Fingerprint::of(b"root"),
            bootstrap: vec![Endpoint::parse("https://boot.example.net:6445").expect("an endpoint")],
            host: HostName::parse("node-1").expect("a name"),
            ssh_host_key: Some("/etc/ssh/ssh_host_ed25519_key".into()),
            seq: Some(7),
            record: Some("{}".to_owned()),
            root: Some(Fingerprint::of(b"root 2")),
            renewed_in: Some("clients".to_owned()),
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(matches!(JoinState::read(folder.path()), Ok(None)));
        state().write(folder.path()).expect("written");
        assert_eq!(JoinState::read(folder.path()).ok().flatten(), Some(state()));
        let found = files::names_in(&folder.path().join("etc/kubernetes/clusterctl")).expect("listed");
        assert_eq!(found, ["join.json"]);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(JoinState::parse(&bytes), None);
        }
    }
}
