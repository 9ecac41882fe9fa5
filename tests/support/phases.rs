//! Rotations of every role by written proofs: their phases, reports that prove them, and commands that are killed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use clusterctl::app::rotate::REQUIRED;
use clusterctl::cluster::address::Address;
use clusterctl::cluster::profile::CaRole;
use clusterctl::cluster::spec::Host;
use clusterctl::config;
use clusterctl::pki::fingerprint::Fingerprint;
use clusterctl::pki::rotation::Phase;
use clusterctl::pki::token_rotation::TokenPhase;
use clusterctl::store::layout::Layout;
use clusterctl::store::{ca, token_rotation};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Lab;

/// What `rotate-ca --role` rotates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotated {
    Ca(CaRole),
    TokenKey,
}

impl Rotated {
    pub(crate) const ALL: [Self; 4] =
        [Self::Ca(CaRole::Cluster), Self::Ca(CaRole::Etcd), Self::Ca(CaRole::FrontProxy), Self::TokenKey];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ca(role) => role.name(),
            Self::TokenKey => "service-account",
        }
    }

    /// Returns the names of the phases, in their order.
    pub(crate) fn phases(self) -> Vec<&'static str> {
        match self {
            Self::Ca(role) => Phase::of_role(role).iter().map(|phase| phase.as_str()).collect(),
            Self::TokenKey => TokenPhase::ALL.iter().map(|phase| phase.as_str()).collect(),
        }
    }

    /// Returns the phases in which a rotation can be aborted.
    pub(crate) fn abortable(self) -> Vec<&'static str> {
        let can_abort = |name: &&str| match self {
            Self::Ca(_) => Phase::parse(name).is_some_and(Phase::can_abort),
            Self::TokenKey => TokenPhase::parse(name).is_some_and(TokenPhase::can_abort),
        };
        self.phases().into_iter().filter(can_abort).collect()
    }

    /// Returns the phase and SHA-256 of the new CA or key, while a rotation is under way.
    fn state(self, lab: &Lab) -> Option<(&'static str, Fingerprint)> {
        let layout = Layout::new(lab.dir().to_owned());
        match self {
            Self::Ca(role) => {
                let trust = ca::trust(&layout, role).expect("readable at any time");
                trust.rotation().map(|rotation| (rotation.phase.as_str(), rotation.new))
            }
            Self::TokenKey => {
                let state = token_rotation::state(&layout).expect("readable at any time");
                state.map(|rotation| (rotation.phase.as_str(), rotation.new))
            }
        }
    }

    pub(crate) fn phase(self, lab: &Lab) -> Option<&'static str> {
        self.state(lab).map(|(phase, _)| phase)
    }

    /// Returns the folder of the rotation.
    pub(crate) fn folder(self, lab: &Lab) -> PathBuf {
        let layout = Layout::new(lab.dir().to_owned());
        match self {
            Self::Ca(role) => layout.rotation(role),
            Self::TokenKey => layout.token_rotation(),
        }
    }

    /// Returns a report that proves the phase on the hosts of [`super::CLUSTER`].
    pub(crate) fn proof(self, lab: &Lab) -> String {
        let (phase, new) = self.state(lab).expect("a rotation");
        let cluster = config::read(lab.read("cluster.yaml").as_bytes()).expect("a cluster");
        let of_hosts = |hosts: &[Host]| -> Vec<(String, String, u16)> {
            let of_host = |host: &Host| {
                let at = |address: &Address| (host.name.to_string(), address.to_string(), host.port);
                host.addresses.iter().map(at).collect::<Vec<_>>()
            };
            hosts.iter().flat_map(of_host).collect()
        };
        let (mut masters, nodes) = (of_hosts(&cluster.masters), of_hosts(&cluster.nodes));
        let members: Vec<_> = cluster
            .masters
            .iter()
            .flat_map(|host| [2379, 2380].map(|port| (host.name.to_string(), host.addresses[0].to_string(), port)))
            .collect();
        let endpoint = cluster.endpoint.host.to_string();
        masters.push((format!("{endpoint}:6443"), endpoint, 6443));
        const ORDINARY: [&str; 9] =
            ["connect", "tls", "chain", "possession", "dates", "name", "usage", "anonymous", "untrusted"];
        let ordinary = ORDINARY.iter().flat_map(|aspect| [format!("master.{aspect}"), format!("node.{aspect}")]);
        let checks: Vec<&str> = match self {
            Self::Ca(role) => {
                REQUIRED.iter().filter(|check| check.roles.contains(&role)).map(|check| check.id).collect()
            }
            Self::TokenKey => vec!["master.connect", "master.token-keys"],
        };
        let ids: BTreeSet<String> = checks.into_iter().map(ToOwned::to_owned).chain(ordinary).collect();
        let results = ids.iter().flat_map(|id| {
            let hosts = match id.split('.').next() {
                Some("etcd") => &members,
                Some("node") => &nodes,
                _ => &masters,
            };
            hosts.iter().map(move |(host, address, port)| {
                json!({
                    "id": id, "host": host, "status": "pass", "severity": "error", "observed": "as expected",
                    "serverName": address, "address": format!("192.0.2.1:{port}"),
                })
            })
        });
        let now = OffsetDateTime::now_utc().format(&Rfc3339).expect("a time");
        let document = json!({
            "schemaVersion": 1, "cluster": "prod", "started": now, "finished": now, "lookedAt": "wire",
            "verdict": "proven", "rotation": {"role": self.name(), "phase": phase, "new": new.to_string()},
            "results": results.collect::<Vec<Value>>(),
        });
        document.to_string()
    }

    /// Returns the arguments of a command for this role.
    pub(crate) fn args(self, command: &'static str, more: &[&'static str]) -> Vec<&'static str> {
        [&["rotate-ca", command, "--role", self.name()], more].concat()
    }

    /// Returns the arguments that begin the next phase, by the report `proof.json`.
    pub(crate) fn next(self) -> Vec<&'static str> {
        let tokens: &[&str] = if self == Self::TokenKey { &["--tokens-replaced"] } else { &[] };
        self.args("next", &[&["--no-wait", "--yes", "--report", "proof.json"], tokens].concat())
    }
}

/// Runs a command and kills it at its `nth` system call that changes names of files or syncs them. Returns false if it
/// ended before.
pub(crate) fn killed(lab: &Lab, args: &[&str], nth: usize) -> bool {
    const CALLS: &str =
        "rename,renameat,renameat2,unlink,unlinkat,rmdir,fsync,fdatasync,syncfs,link,linkat,mkdir,mkdirat";
    let (trace, inject) = (format!("trace={CALLS}"), format!("inject={CALLS}:signal=SIGKILL:when={nth}"));
    let strace = ["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject, env!("CARGO_BIN_EXE_clusterctl")];
    let mut command = Command::new("strace");
    command.args(strace).args(args).current_dir(lab.dir()).env_remove("CLUSTERCTL_DIR").envs(&lab.env);
    let ran = command.output().expect("strace runs");
    match ran.status.code() {
        Some(0) => false,
        None => true,
        Some(137) => true,
        Some(other) => panic!("{args:?}: {other}: {}", String::from_utf8_lossy(&ran.stderr)),
    }
}
