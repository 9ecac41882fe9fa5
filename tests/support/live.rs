//! A laboratory whose simulated cluster serves, on loopback, the certificates that the directory's commands issued.

use clusterctl::cluster::profile::{CaRole, CertificateSpec};
use clusterctl::cluster::spec::Cluster;
use clusterctl::config;
use clusterctl::fake_cluster::cluster::{Addresses, Config, FakeCluster, Reserved, reserve};
use clusterctl::fake_cluster::injected_fault::InjectedFault;
use clusterctl::pki::issuer::{Credential, IssueError};
use clusterctl::pki::key::PrivateKey;
use clusterctl::store::layout::Layout;
use clusterctl::store::{ca, credentials};
use time::OffsetDateTime;

use super::Lab;

/// A cluster directory and the running cluster that it describes.
pub(crate) struct Live {
    /// The directory.
    pub(crate) lab: Lab,
    /// The addresses of the cluster.
    pub(crate) addresses: Addresses,
    /// The cluster.
    pub(crate) running: FakeCluster,
}

impl Live {
    /// Starts two masters and three nodes, with an injected `fault`.
    pub(crate) fn start(fault: Option<InjectedFault>) -> Self {
        Self::sized(2, 3, fault)
    }

    /// Starts a cluster of another size.
    pub(crate) fn sized(masters: usize, nodes: usize, fault: Option<InjectedFault>) -> Self {
        Self::prepared(masters, nodes, fault, |_| ())
    }

    /// Starts a cluster without a fault, whose CAs `prepare` changes before anything is issued.
    pub(crate) fn with_cas(masters: usize, nodes: usize, prepare: impl FnOnce(&Lab)) -> Self {
        Self::prepared(masters, nodes, None, prepare)
    }

    fn prepared(masters: usize, nodes: usize, fault: Option<InjectedFault>, prepare: impl FnOnce(&Lab)) -> Self {
        let mut lab = Lab::empty();
        lab.now = OffsetDateTime::now_utc();
        let reserved = reserve(masters, nodes).expect("loopback has addresses");
        let addresses = reserved.addresses().clone();
        let draft = addresses.draft("live");
        lab.write("cluster.yaml", &config::write(&draft));
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        prepare(&lab);
        lab.good(&["issue-master", "--all"]);
        lab.good(&["issue-node", "--all"]);
        let running = serve(&lab, draft.check().expect("a good draft"), reserved, fault);
        Self { lab, addresses, running }
    }
}

/// Starts the servers of a cluster with the credentials of its directory.
pub(crate) fn serve(lab: &Lab, cluster: Cluster, reserved: Reserved, fault: Option<InjectedFault>) -> FakeCluster {
    let layout = Layout::new(lab.dir().to_owned());
    let trust = ca::trust(&layout, CaRole::Cluster).expect("the root");
    // Only an injected fault needs it; the key may be elsewhere.
    let issuer = ca::open(&layout, CaRole::Cluster, None).ok().and_then(|opened| opened.into_issuer(lab.now).ok());
    let stored = |leaf: &CertificateSpec| -> Result<Credential, IssueError> {
        Ok(match credentials::read(&layout, leaf) {
            Ok(stored) => stored.credential,
            // A host whose keys are below `hosts` alone.
            Err(_) => {
                let (certificate, chain) = credentials::read_certificates(&layout, leaf).expect("signed");
                let host = leaf.host.as_ref().expect("a host");
                let key = format!("hosts/{host}/var/lib/kubelet/pki/{}.key", leaf.policy().name);
                let key = PrivateKey::from_pem(lab.read(&key).as_bytes()).expect("a key");
                Credential { certificate, chain, key }
            }
        })
    };
    let config = Config::assemble(cluster, &trust, issuer.as_ref(), fault, lab.now, stored).expect("what it serves");
    reserved.start(config).expect("a running cluster")
}
