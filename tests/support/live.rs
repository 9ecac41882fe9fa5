//! A laboratory whose cluster is alive: a stand-in serves, on loopback, what the directory's own commands issued.

use std::net::SocketAddr;

use clusterctl::cluster::profile::{Leaf, Profile, RootKind};
use clusterctl::cluster::spec::{Draft, DraftHost, Host};
use clusterctl::cluster_file;
use clusterctl::pki::authority::Credential;
use clusterctl::standin::cluster::{Addresses, Config, StandIn, reserve};
use clusterctl::standin::fault::Fault;
use clusterctl::store::layout::Layout;
use clusterctl::store::{credentials, roots};
use time::OffsetDateTime;

use super::Lab;

/// A cluster directory and the running cluster that it describes.
pub(crate) struct Live {
    /// The directory.
    pub(crate) lab: Lab,
    /// Where the cluster listens.
    pub(crate) addresses: Addresses,
    _running: StandIn,
}

impl Live {
    /// Two masters and three nodes; `fault` breaks something.
    pub(crate) fn start(fault: Option<Fault>) -> Self {
        Self::sized(2, 3, fault)
    }

    /// A cluster of another size.
    pub(crate) fn sized(masters: usize, nodes: usize, fault: Option<Fault>) -> Self {
        let mut lab = Lab::empty();
        lab.now = OffsetDateTime::now_utc();
        let reserved = reserve(masters, nodes).expect("loopback has addresses");
        let addresses = reserved.addresses().clone();
        let hosts = |kind: &str, at: &[SocketAddr]| -> Vec<DraftHost> {
            let host = |(i, at): (usize, &SocketAddr)| DraftHost {
                name: Some(format!("{kind}-{}", i + 1)),
                addresses: vec![at.ip().to_string()],
                port: Some(at.port().to_string()),
                ..DraftHost::default()
            };
            at.iter().enumerate().map(host).collect()
        };
        let draft = Draft {
            name: Some("live".into()),
            endpoint: Some(format!("https://{}", addresses.endpoint)),
            masters: hosts("master", &addresses.masters),
            nodes: hosts("node", &addresses.nodes),
            ..Draft::default()
        };
        lab.write("cluster.yaml", &cluster_file::write(&draft));
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["issue-master", "--all"]);
        lab.good(&["issue-node", "--all"]);
        let cluster = draft.check().expect("a good draft");
        let layout = Layout::new(lab.dir().to_owned());
        let root = roots::open(&layout, RootKind::Cluster, None).expect("the root");
        let serving = |hosts: &[Host], leaves: &dyn Fn(&Host) -> Vec<Leaf>, profile: Profile| -> Vec<Credential> {
            let of = |host: &Host| leaves(host).into_iter().find(|leaf| leaf.profile == profile).expect("its leaf");
            hosts.iter().map(|host| credentials::read(&layout, &of(host)).expect("issued").credential).collect()
        };
        let masters = serving(&cluster.masters, &|host| cluster.master_leaves(host), Profile::Apiserver);
        let mut nodes = serving(&cluster.nodes, &|host| cluster.node_leaves(host), Profile::KubeletServer);
        if let Some(fault) = fault
            && let Some(broken) = fault.serving_credential(&cluster, &root, lab.now).expect("a broken credential")
        {
            let at = Fault::node(nodes.len());
            nodes[at] = broken;
        }
        let config = Config { cluster, root: root.certificate, masters, nodes, fault, now: lab.now };
        let running = reserved.start(config).expect("a running cluster");
        Self { lab, addresses, _running: running }
    }
}
