//! The context of a command.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::args::hosts::expanded;
use super::error::{CliError, Result};
use super::exit::Exit;
use super::process::Stop;
use crate::app::{self, directory, input};
use crate::cluster::name::HostName;
use crate::cluster::similar::nearest;
use crate::cluster::spec::{Cluster, Host, Role};
use crate::store::lock::Lock;
use crate::ui::Screen;
use crate::ui::prompts::Prompts;

/// The context of a command.
pub struct Context<'w> {
    /// The terminal.
    pub screen: Screen<'w>,
    /// Interactive prompts; `None` if stdin or stderr is not a terminal.
    pub prompts: Option<&'w mut (dyn Prompts + 'static)>,
    /// The cluster directory, the time at which the command began, and the actor.
    pub env: app::Env,
    /// Whether the cluster directory was given by a flag or a variable, instead of found in a parent folder.
    pub dir_was_given: bool,
    /// Whether another user may own the cluster directory.
    pub trust_owner: bool,
    /// The current folder.
    pub dir: &'w Path,
    /// Environment variables.
    pub variables: &'w BTreeMap<String, OsString>,
    /// Returns the current time.
    pub clock: &'w (dyn Fn() -> OffsetDateTime + Send + Sync),
    /// Whether a signal requested a stop.
    pub stop: Stop,
}

impl Context<'_> {
    /// Returns a path that the user gave, resolved from the current folder.
    #[must_use]
    pub fn path(&self, given: &Path) -> PathBuf {
        self.dir.join(given)
    }

    /// Like [`Context::path`], for input: `-` is standard input.
    #[must_use]
    pub fn input(&self, given: &Path) -> PathBuf {
        if given == Path::new("-") { PathBuf::from("/dev/stdin") } else { self.path(given) }
    }

    /// Returns an environment variable that is set to text.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).and_then(|value| value.to_str()).filter(|value| !value.is_empty())
    }

    /// Reads the cluster file.
    ///
    /// # Errors
    /// Returns an error if it does not exist, has errors, or is owned by another user.
    pub fn cluster(&self) -> Result<Cluster> {
        self.check_owner()?;
        Ok(directory::cluster(&self.env.layout)?)
    }

    /// Refuses a cluster directory that another user owns, unless `--trust-owner` allows it.
    ///
    /// # Errors
    /// Returns a refusal that names the owner.
    pub fn check_owner(&self) -> Result<()> {
        if self.trust_owner {
            return Ok(());
        }
        let sudo_uid = self.variable("SUDO_UID").and_then(|uid| uid.parse().ok());
        Ok(directory::check_owner(&self.env.layout, sudo_uid)?)
    }

    /// Takes the lock of the cluster directory.
    ///
    /// # Errors
    /// Returns the errors of [`directory::lock`].
    pub fn lock(&mut self, purpose: &str) -> Result<Lock> {
        let env = self.env.clone();
        Ok(directory::lock(&env, purpose, &mut self.observer())?)
    }
}

/// Like [`input::read_named`].
///
/// # Errors
/// Returns the errors of [`input::read_named`].
pub fn read_given(path: &Path, limit: u64, what: &'static str) -> Result<Vec<u8>> {
    Ok(input::read_named(path, limit, what)?)
}

/// Returns the folder of an enrolment queue: the one that was given, which must exist, or else the cluster directory.
///
/// # Errors
/// Returns the errors of [`input::check_folder`].
pub fn queue_folder(given: Option<&Path>, context: &Context<'_>) -> Result<PathBuf> {
    let Some(given) = given else { return Ok(context.env.layout.dir().to_owned()) };
    let path = context.path(given);
    input::check_folder(&path, "folder of an enrolment queue")?;
    Ok(path)
}

/// Like [`input::read_or_wait`].
///
/// # Errors
/// Returns the errors of [`input::read_or_wait`].
pub fn read_secret(path: &Path, limit: u64, what: &'static str) -> Result<Vec<u8>> {
    Ok(input::read_or_wait(path, limit, what)?)
}

/// Returns the hosts of one role that a command is about: the named ones, each once, or all.
///
/// # Errors
/// Returns a usage error if none or an unknown one is named.
pub fn select<'c>(cluster: &'c Cluster, role: Role, named: &[String], all: bool) -> Result<Vec<&'c Host>> {
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
            CliError::new(Exit::Usage, what).hint(format!("name some of the cluster file's {role}s, or use --all"))
        );
    }
    let named = &expanded(named, hosts.iter().map(|host| host.name.as_str()))?;
    let mut wanted: HashSet<&str> = named.iter().map(String::as_str).collect();
    let selected = hosts.iter().filter(|host| wanted.remove(host.name.as_str())).collect();
    if let Some(unknown) = named.iter().find(|name| wanted.contains(name.as_str())) {
        let (other, command) = match role {
            "node" => (cluster.master(unknown), "issue-master"),
            _ => (cluster.node(unknown), "issue-node"),
        };
        if other.is_some() {
            let what = format!("the cluster file has no {role} called {unknown:?}");
            let hint = format!("it has the other role: clusterctl {command} {unknown}");
            return Err(CliError::new(Exit::Usage, what).hint(hint));
        }
        let known: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        return Err(unknown_host(unknown, role, &known));
    }
    Ok(selected)
}

/// Refuses a host that is not in the cluster file.
///
/// # Errors
/// Returns a usage error with the most similar name.
pub fn known_host(name: &HostName, cluster: &Cluster) -> Result<()> {
    let known: Vec<&str> = cluster.masters.iter().chain(&cluster.nodes).map(|host| host.name.as_str()).collect();
    match known.contains(&name.as_str()) {
        true => Ok(()),
        false => Err(unknown_host(name.as_str(), "host", &known)),
    }
}

/// Returns the error for a host that is not in the cluster file, with the most similar name.
pub fn unknown_host(name: &str, role: &str, known: &[&str]) -> CliError {
    let failure = CliError::new(Exit::Usage, format!("the cluster file has no {role} called {name:?}"));
    match nearest(name, known.iter().copied()) {
        Some(near) => failure.hint(format!("did you mean {near} ?")),
        None => failure.hint(format!("add it to the cluster file's {role}s first")),
    }
}
