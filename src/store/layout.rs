//! The paths of a cluster directory.

use std::path::{Path, PathBuf};

use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, Holder, Profile};
use crate::cluster::spec::Role;

/// The cluster file's name, which marks a cluster directory.
pub const CLUSTER_FILE: &str = "cluster.yaml";
/// The prefix of the names of unfinished files and folders. A crash can leave some; the next run removes them.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// The name of the file with a role's CAs and their states.
pub const TRUST_FILE: &str = "trust.json";

const MASTERS: &str = "masters";
const NODES: &str = "nodes";
const ADMINS: &str = "admins";

/// The name of the file with a role's new CAs while `ca.crt` and [`TRUST_FILE`] are being replaced.
pub(super) const PENDING_TRUST_FILE: &str = "trust.pending.json";

/// The paths of one cluster directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// Returns the layout of the directory `dir`, which need not exist.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Finds the nearest directory with a cluster file, from `start` upwards; returns `start` if there is none.
    #[must_use]
    pub fn find(start: &Path) -> Self {
        let found = start.ancestors().find(|dir| dir.join(CLUSTER_FILE).is_file());
        Self::new(found.unwrap_or(start).to_owned())
    }

    /// Returns the cluster directory itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns `cluster.yaml`.
    #[must_use]
    pub fn cluster_file(&self) -> PathBuf {
        self.dir.join(CLUSTER_FILE)
    }

    /// Returns `pki`.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.dir.join("pki")
    }

    /// Returns the folder of a root: `pki`, `pki/etcd`, `pki/front-proxy`.
    #[must_use]
    pub fn root_folder(&self, root: CaRole) -> PathBuf {
        match root {
            CaRole::Cluster => self.pki(),
            CaRole::Etcd => self.pki().join("etcd"),
            CaRole::FrontProxy => self.pki().join("front-proxy"),
        }
    }

    /// Returns the path of `trust.json`: the CAs of a role with their states, if they are not just a single root that
    /// clusterctl generated.
    #[must_use]
    pub fn trust_file(&self, role: CaRole) -> PathBuf {
        self.root_folder(role).join(TRUST_FILE)
    }

    /// Returns the path of the file with a role's CAs while they are being written.
    pub(super) fn pending_trust_file(&self, role: CaRole) -> PathBuf {
        self.root_folder(role).join(PENDING_TRUST_FILE)
    }

    /// Returns the file of the handovers from earlier roots of the cluster: `pki/handovers.json`.
    #[must_use]
    pub fn handovers(&self) -> PathBuf {
        self.pki().join("handovers.json")
    }

    /// Returns a root's `ca.crt`.
    #[must_use]
    pub fn root_certificate(&self, root: CaRole) -> PathBuf {
        self.root_folder(root).join("ca.crt")
    }

    /// Returns a root's `ca.key`.
    #[must_use]
    pub fn root_key(&self, root: CaRole) -> PathBuf {
        self.root_folder(root).join("ca.key")
    }

    /// Returns the folder of a role's rotation: the new CA with its key, the canaries, and the earlier credentials.
    #[must_use]
    pub fn rotation(&self, role: CaRole) -> PathBuf {
        self.root_folder(role).join("rotation")
    }

    /// Returns the key of the CA that replaces a role's.
    #[must_use]
    pub fn rotation_key(&self, role: CaRole) -> PathBuf {
        self.rotation(role).join("ca.key")
    }

    /// Returns the folder with one folder for every host of a role: `pki/masters`, `pki/nodes`.
    #[must_use]
    pub fn hosts_folder(&self, role: Role) -> PathBuf {
        self.pki().join(match role {
            Role::Master => MASTERS,
            Role::Node => NODES,
        })
    }

    /// Returns the folder of a credential: `pki/nodes/HOST`, `pki/masters/NAME`, `pki/verifier`.
    #[must_use]
    pub fn holder_folder(&self, profile: Profile, host: Option<&HostName>) -> PathBuf {
        let (pki, below) = (self.pki(), Self::holder_below_pki(profile, host));
        // Allocated once, with room for a file's name, because there may be many hosts.
        let mut folder = PathBuf::with_capacity(pki.as_os_str().len() + below.len() + 32);
        folder.push(pki);
        folder.push(below);
        folder
    }

    /// Returns the path of a credential's folder below `pki`: `nodes/HOST`, `masters/NAME`, `verifier`.
    #[must_use]
    pub fn holder_below_pki(profile: Profile, host: Option<&HostName>) -> String {
        let host = host.map_or("", HostName::as_str);
        match profile.policy().holder {
            Holder::Master => [MASTERS, "/", host].concat(),
            Holder::Node => [NODES, "/", host].concat(),
            Holder::Cluster => "verifier".to_owned(),
            Holder::Person => ADMINS.to_owned(),
        }
    }

    /// Returns `pki/sa.key`, the private key that signs service account tokens.
    #[must_use]
    pub fn service_account_key(&self) -> PathBuf {
        self.pki().join("sa.key")
    }

    /// Returns `pki/sa.pub`, the public key that verifies service account tokens.
    #[must_use]
    pub fn service_account_public(&self) -> PathBuf {
        self.pki().join("sa.pub")
    }

    /// Returns `pki/sa-rotation`, the folder of the rotation of the key that signs service account tokens.
    #[must_use]
    pub fn token_rotation(&self) -> PathBuf {
        self.pki().join("sa-rotation")
    }

    /// Returns `pki/admins/NAME.conf`.
    #[must_use]
    pub fn admin_kubeconfig(&self, name: &HostName) -> PathBuf {
        self.admins().join(format!("{name}.conf"))
    }

    /// Returns `pki/admins`, the folder of administrators' kubeconfigs.
    #[must_use]
    pub fn admins(&self) -> PathBuf {
        self.pki().join(ADMINS)
    }

    /// Returns `pki/tokens.json`, the file of one-time tokens.
    #[must_use]
    pub fn tokens(&self) -> PathBuf {
        self.pki().join("tokens.json")
    }

    /// Returns `pki/ledger.sqlite3`.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.pki().join("ledger.sqlite3")
    }

    /// Returns the path of a CA's CRL, `crl.pem`.
    #[must_use]
    pub fn revocation_list(&self, root: CaRole) -> PathBuf {
        self.root_folder(root).join("crl.pem")
    }

    /// Returns `policy`.
    #[must_use]
    pub fn policy(&self) -> PathBuf {
        self.dir.join("policy")
    }

    /// Returns `bundles`.
    #[must_use]
    pub fn bundles(&self) -> PathBuf {
        self.dir.join("bundles")
    }

    /// Returns `bundles/HOST.tar.gz`.
    #[must_use]
    pub fn bundle(&self, host: &HostName) -> PathBuf {
        self.bundles().join(format!("{host}.tar.gz"))
    }

    /// Returns `verifier.tar.gz`, which is beside `bundles` because a host may be called `verifier`.
    #[must_use]
    pub fn verifier_bundle(&self) -> PathBuf {
        self.dir.join("verifier.tar.gz")
    }

    /// Returns `.clusterctl.ledger`, the ledger's state when bundles were last packed. It is outside of `pki`, which
    /// may be restored from a backup.
    #[must_use]
    pub fn packing_record(&self) -> PathBuf {
        self.dir.join(".clusterctl.ledger")
    }

    /// Returns the file that a writing process locks.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.dir.join(".clusterctl.lock")
    }
}
