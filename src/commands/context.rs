//! What a command works with, and the steps that most commands begin with.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;

use crate::cluster::profile::CaRole;
use crate::cluster::similar::nearest;
use crate::cluster::spec::{Cluster, Host, Role};
use crate::config;
use crate::error::{CliError, Exit};
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Certificate;
use crate::pki::inspect::root_of_another_cluster;
use crate::process::Stop;
use crate::store::ca;
use crate::store::error::StoreError;
use crate::store::files::{self, Owner};
use crate::store::layout::{CLUSTER_FILE, Layout};
use crate::store::ledger::{AuditContext, Known, Ledger};
use crate::store::lock::Lock;
use crate::ui::Screen;
use crate::ui::prompts::Prompts;

/// How long a command waits for another that writes in the same directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(600);

/// What a command works with.
pub struct Context<'w> {
    /// Where it speaks.
    pub screen: Screen<'w>,
    /// The cluster directory.
    pub layout: Layout,
    /// Whether the directory was named with `--dir`, rather than found.
    pub given_dir: bool,
    /// Whether the directory may be another user's.
    pub trust_owner: bool,
    /// The current folder.
    pub dir: &'w Path,
    /// Environment variables.
    pub env: &'w BTreeMap<String, OsString>,
    /// What time it is.
    pub clock: &'w (dyn Fn() -> OffsetDateTime + Send + Sync),
    /// When the command began.
    pub now: OffsetDateTime,
    /// `user@machine`
    pub user: &'w str,
    /// Who can be asked.
    pub prompts: Option<&'w mut (dyn Prompts + 'static)>,
    /// Whether we are asked to stop.
    pub stop: Stop,
    /// The tree of all commands, for those that describe it.
    pub tree: fn() -> clap::Command,
}

impl Context<'_> {
    /// A path as a person gave it, seen from the current folder.
    #[must_use]
    pub fn path(&self, given: &Path) -> PathBuf {
        self.dir.join(given)
    }

    /// As [`Context::path`], for input: `-` is standard input.
    #[must_use]
    pub fn given(&self, given: &Path) -> PathBuf {
        if given == Path::new("-") { PathBuf::from("/dev/stdin") } else { self.path(given) }
    }

    /// An environment variable, when it is set to something that is text.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env.get(name).and_then(|value| value.to_str()).filter(|value| !value.is_empty())
    }

    /// Who does it, and when.
    #[must_use]
    pub fn mark(&self) -> AuditContext<'_> {
        AuditContext { at: self.now, by: self.user }
    }

    /// Reads the cluster file.
    ///
    /// # Errors
    /// When there is none, or it has faults: all of them.
    pub fn cluster(&self) -> anyhow::Result<Cluster> {
        self.cluster_of(&self.cluster_file()?)
    }

    /// The bytes of the cluster file.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn cluster_file(&self) -> anyhow::Result<Vec<u8>> {
        self.refuse_another_users()?;
        let path = self.layout.cluster_file();
        let shown = path.display();
        match files::read(&path, config::MAX_BYTES as u64) {
            Err(StoreError::Missing(_)) => {
                let dir = self.layout.dir().display();
                Err(CliError::new(Exit::Usage, format!("there is no {CLUSTER_FILE} in {dir}"))
                    .hint("write one with: clusterctl init   (or name the cluster directory with --dir)")
                    .into())
            }
            Err(error @ StoreError::TooLarge { .. }) => {
                let what = format!("cannot read the cluster file {shown}");
                Err(CliError::new(Exit::Usage, what).because(error).into())
            }
            other => Ok(other?),
        }
    }

    /// Refuses a directory that another user owns, who decides what it says: whom to trust, what is issued, what is packed. As
    /// git does.
    ///
    /// # Errors
    /// Refused, with whose it is.
    pub fn refuse_another_users(&self) -> Result<(), CliError> {
        if self.trust_owner {
            return Ok(());
        }
        let sudo = self.env("SUDO_UID").and_then(|uid| uid.parse().ok());
        for path in [self.layout.dir().to_owned(), self.layout.cluster_file(), self.layout.pki()] {
            if let Some(Owner { uid, ours }) = files::another_owner(&path, sudo) {
                let what = format!(
                    "{} belongs to another user: its owner is uid {uid}, and clusterctl runs as {ours}",
                    path.display()
                );
                return Err(CliError::new(Exit::Refused, what)
                    .hint("run it as that user, or chown the directory; or say --trust-owner, if whoever that is may decide all of this"));
            }
        }
        Ok(())
    }

    /// What the bytes of the cluster file say.
    ///
    /// # Errors
    /// When they have faults: all of them.
    pub fn cluster_of(&self, bytes: &[u8]) -> anyhow::Result<Cluster> {
        config::read(bytes).map_err(|error| {
            let (hint, path) = (error.hint(), self.layout.cluster_file());
            let shown = path.display();
            let failure = CliError::new(Exit::Usage, format!("the cluster file {shown} cannot be used"));
            failure.hint(hint).because(error).into()
        })
    }

    /// Opens the ledger, and reads the certificates of the roots, where they are those that `init-ca` made for this cluster:
    /// a name cannot change once roots carry it, and one root in another's place would let every node into etcd.
    ///
    /// # Errors
    /// When a root is missing, or it is another cluster's, or the ledger cannot be used or does not know it as this root.
    pub fn trust(&self, cluster: &Cluster) -> anyhow::Result<(Ledger, Known, CaSet)> {
        let (ledger, roots) = self.roots(cluster)?;
        let known = ledger.known()?;
        Ok((ledger, known, roots))
    }

    /// As [`Context::trust`], without what the ledger knows of leaves: of many that is much to read.
    ///
    /// # Errors
    /// As [`Context::trust`].
    pub fn roots(&self, cluster: &Cluster) -> anyhow::Result<(Ledger, CaSet)> {
        self.recorded(CaSet {
            cluster: self.root(cluster, CaRole::Cluster)?,
            etcd: self.root(cluster, CaRole::Etcd)?,
            front_proxy: self.root(cluster, CaRole::FrontProxy)?,
        })
    }

    /// As [`Context::roots`], whatever cluster they name.
    ///
    /// # Errors
    /// When a root is missing, or the ledger cannot be used or does not know it as this root.
    pub fn roots_of_any_cluster(&self) -> anyhow::Result<(Ledger, CaSet)> {
        let read = |kind| ca::certificate(&self.layout, kind);
        self.recorded(CaSet {
            cluster: read(CaRole::Cluster)?,
            etcd: read(CaRole::Etcd)?,
            front_proxy: read(CaRole::FrontProxy)?,
        })
    }

    fn recorded(&self, roots: CaSet) -> anyhow::Result<(Ledger, CaSet)> {
        let ledger = Ledger::open(&self.layout.ledger())?;
        for kind in CaRole::ALL {
            if !ledger.knows_root(roots.of(kind).fingerprint(), kind)? {
                let path = self.layout.root_certificate(kind);
                let what = format!("the {} {} is not the one that the ledger knows", kind.as_str(), path.display());
                return Err(CliError::new(Exit::Refused, what)
                    .hint("put back ca.crt, ca.key and the ledger of one and the same directory, from a backup")
                    .into());
            }
        }
        Ok((ledger, roots))
    }

    fn root(&self, cluster: &Cluster, kind: CaRole) -> anyhow::Result<Certificate> {
        let root = ca::certificate(&self.layout, kind)?;
        let path = self.layout.root_certificate(kind);
        if let Some(flaw) = root_of_another_cluster(&root, kind, &cluster.name) {
            let what = format!(
                "the root {} is not the {} of the cluster {}: it {flaw}",
                path.display(),
                kind.as_str(),
                cluster.name
            );
            return Err(CliError::new(Exit::Refused, what)
                .hint("put the name back into cluster.yaml; a cluster of another name has its own directory and roots")
                .into());
        }
        Ok(root)
    }

    /// Takes the right to write in the cluster directory, waiting for another process that has it.
    ///
    /// # Errors
    /// When it is not given back in time, or the directory is not writable.
    pub fn lock(&mut self, purpose: &str) -> Result<Lock, StoreError> {
        let screen = &mut self.screen;
        Lock::take(&self.layout.lock(), purpose, LOCK_PATIENCE, &mut |holder| {
            screen.step(format_args!("waiting for another clusterctl: {holder}"));
        })
    }

    /// Fails when somebody asked us to stop; `done` says what is done by now.
    ///
    /// # Errors
    /// When we were asked to stop.
    pub fn go_on(&self, done: impl FnOnce() -> String) -> Result<(), CliError> {
        if self.stop.asked() {
            return Err(CliError::new(Exit::Environment, format!("stopped on request; {}", done()))
                .hint("what is done is kept: run the same command again to go on"));
        }
        Ok(())
    }
}

/// Reads a file that a person named.
///
/// # Errors
/// A usage error when it is not there, else what the system says.
pub fn read_given(path: &Path, limit: u64, what: &str) -> anyhow::Result<Vec<u8>> {
    found(files::read_or_wait(path, limit), path, what)
}

/// Reads a file that a file names, which a person named: nobody waits for a pipe there.
///
/// # Errors
/// As [`read_given`].
pub fn read_named(path: &Path, limit: u64, what: &str) -> anyhow::Result<Vec<u8>> {
    found(files::read(path, limit), path, what)
}

fn found(read: Result<Vec<u8>, StoreError>, path: &Path, what: &str) -> anyhow::Result<Vec<u8>> {
    read.map_err(|error| match error {
        StoreError::Missing(_) => CliError::new(Exit::Usage, format!("there is no {what} {}", path.display())).into(),
        other => other.into(),
    })
}

/// The hosts of one role that a command is about: those named, each once, or all.
///
/// # Errors
/// A usage error when none or an unknown one is named.
pub fn select<'c>(cluster: &'c Cluster, role: Role, named: &[String], all: bool) -> Result<Vec<&'c Host>, CliError> {
    let hosts = match role {
        Role::Master => &cluster.masters,
        Role::Node => &cluster.nodes,
    };
    let role = role.as_str();
    if all {
        return Ok(hosts.iter().collect());
    }
    if named.is_empty() {
        let what = format!("no {role} was named");
        return Err(
            CliError::new(Exit::Usage, what).hint(format!("name some of the cluster file's {role}s, or say --all"))
        );
    }
    let mut wanted: HashSet<&str> = named.iter().map(String::as_str).collect();
    let selected = hosts.iter().filter(|host| wanted.remove(host.name.as_str())).collect();
    if let Some(unknown) = named.iter().find(|name| wanted.contains(name.as_str())) {
        let (other, command) = match role {
            "node" => (cluster.master(unknown), "issue-master"),
            _ => (cluster.node(unknown), "issue-node"),
        };
        if other.is_some() {
            let what = format!("the cluster file has no {role} called {unknown:?}");
            let hint = format!("it is in the other list: clusterctl {command} {unknown}");
            return Err(CliError::new(Exit::Usage, what).hint(hint));
        }
        let known: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        return Err(unknown_host(unknown, role, &known));
    }
    Ok(selected)
}

/// The error for a host that the cluster file does not have, with the nearest that it has.
pub fn unknown_host(name: &str, role: &str, known: &[&str]) -> CliError {
    let failure = CliError::new(Exit::Usage, format!("the cluster file has no {role} called {name:?}"));
    match nearest(name, known.iter().copied()) {
        Some(near) => failure.hint(format!("did you mean {near} ?")),
        None => failure.hint(format!("add it to the cluster file's {role}s first")),
    }
}
