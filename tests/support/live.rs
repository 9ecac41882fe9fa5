//! A cluster directory whose cluster runs on loopback: the stand-in, with what the program issued. Asserts nothing.

use clusterctl::cluster::profile::{Leaf, Profile, RootKind};
use clusterctl::cluster::spec::{Draft, DraftHost, Host};
use clusterctl::cluster_file;
use clusterctl::standin::cluster::{Config, StandIn, reserve};
use clusterctl::standin::fault::Fault;
use clusterctl::store::layout::Layout;
use clusterctl::store::{credentials, roots};
use time::OffsetDateTime;

use super::Lab;

/// A directory and its running cluster, which ends with it.
pub(crate) struct Live {
    /// The directory.
    pub(crate) lab: Lab,
    _running: StandIn,
}

impl Live {
    /// `masters` masters and `nodes` nodes, with `fault` at one of them.
    pub(crate) fn start(masters: usize, nodes: usize, fault: Option<Fault>) -> Self {
        let now = OffsetDateTime::now_utc();
        let reserved = reserve(masters, nodes).expect("loopback has addresses");
        let hosts = |kind: &str, at: &[std::net::SocketAddr]| -> Vec<DraftHost> {
            let host = |(i, at): (usize, &std::net::SocketAddr)| DraftHost {
                name: Some(format!("{kind}-{}", i + 1)),
                addresses: vec![at.ip().to_string()],
                port: Some(at.port().to_string()),
            };
            at.iter().enumerate().map(host).collect()
        };
        let addresses = reserved.addresses();
        let draft = Draft {
            name: Some("live".into()),
            endpoint: Some(format!("https://{}", addresses.endpoint)),
            masters: hosts("master", &addresses.masters),
            nodes: hosts("node", &addresses.nodes),
            ..Draft::default()
        };
        let mut lab = Lab::with(&cluster_file::write(&draft));
        lab.now = now;
        for command in [&["init-ca", "--plaintext-ca-key"][..], &["issue-master", "--all"], &["issue-node", "--all"]] {
            lab.good(command);
        }
        let cluster = draft.check().expect("a good draft");
        let layout = Layout::new(lab.dir().to_owned());
        let root = roots::open(&layout, RootKind::Cluster, None).expect("the root");
        let serving = |hosts: &[Host], leaves: &dyn Fn(&Host) -> Vec<Leaf>, profile: Profile| -> Vec<_> {
            let leaf = |host| leaves(host).into_iter().find(|leaf| leaf.profile == profile).expect("a leaf");
            hosts.iter().map(|host| credentials::read(&layout, &leaf(host)).expect("issued").credential).collect()
        };
        let masters = serving(&cluster.masters, &|host| cluster.master_leaves(host), Profile::Apiserver);
        let mut nodes = serving(&cluster.nodes, &|host| cluster.node_leaves(host), Profile::KubeletServer);
        if let Some(fault) = fault
            && let Some(broken) = fault.serving_credential(&cluster, &root, now).expect("a broken credential")
        {
            nodes[Fault::node(cluster.nodes.len())] = broken;
        }
        let config = Config { cluster, root: root.certificate, masters, nodes, fault, now };
        let running = reserved.start(config).expect("a running cluster");
        Self { lab, _running: running }
    }
}
