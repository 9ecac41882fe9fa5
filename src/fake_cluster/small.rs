//! Assembles a simulated cluster from its addresses: a matching cluster file and the hosts' credentials.

use std::net::SocketAddr;

use time::OffsetDateTime;

use super::cluster::{Addresses, Config};
use super::injected_fault::InjectedFault;
use crate::cluster::profile::{CertificateSpec, Profile};
use crate::cluster::spec::{Cluster, RawCluster, RawHost};
use crate::pki::issuer::{Credential, IssueError, Issuer};
use crate::pki::trust_bundle::TrustBundle;

impl Addresses {
    /// Returns a cluster file for these addresses, with hosts `master-1`, `master-2`, …, `node-1`, `node-2`, …
    #[must_use]
    pub fn draft(&self, name: &str) -> RawCluster {
        let hosts = |kind: &str, at: &[SocketAddr]| -> Vec<RawHost> {
            let host = |(i, at): (usize, &SocketAddr)| RawHost {
                name: Some(format!("{kind}-{}", i + 1)),
                addresses: vec![at.ip().to_string()],
                port: Some(at.port().to_string()),
                ..RawHost::default()
            };
            at.iter().enumerate().map(host).collect()
        };
        RawCluster {
            name: Some(name.to_owned()),
            endpoint: Some(format!("https://{}", self.endpoint)),
            masters: hosts("master", &self.masters),
            nodes: hosts("node", &self.nodes),
            ..RawCluster::default()
        }
    }
}

impl Config {
    /// Returns the configuration of the servers of `cluster`, with the serving credentials that `credential` returns.
    /// If `fault` is a faulty certificate, it replaces one of them.
    ///
    /// # Errors
    /// Returns the errors of `credential`, and an error if the credential of the fault cannot be made.
    pub fn assemble<E: From<IssueError>>(
        cluster: Cluster,
        trust: &TrustBundle,
        issuer: Option<&Issuer>,
        fault: Option<InjectedFault>,
        now: OffsetDateTime,
        mut credential: impl FnMut(&CertificateSpec) -> Result<Credential, E>,
    ) -> Result<Self, E> {
        let mut of = |leaves: Vec<CertificateSpec>, profile: Profile| {
            let shown = leaves.into_iter().filter(|leaf| leaf.profile == profile);
            shown.map(|leaf| credential(&leaf)).collect::<Result<Vec<_>, E>>()
        };
        let masters = cluster.masters.iter().flat_map(|host| cluster.master_specs(host)).collect();
        let masters = of(masters, Profile::Apiserver)?;
        let nodes = cluster.nodes.iter().flat_map(|host| cluster.node_specs(host)).collect();
        let mut nodes = of(nodes, Profile::KubeletServer)?;
        if let Some(fault) = fault
            && let Some(broken) = fault.serving_credential(&cluster, issuer, now)?
            && let Some(at) = nodes.get_mut(InjectedFault::node(cluster.nodes.len()))
        {
            *at = broken;
        }
        let answer_after = std::time::Duration::ZERO;
        let roots = trust.anchors().into_iter().cloned().collect();
        let proxy_roots = Vec::new();
        Ok(Self { cluster, roots, proxy_roots, masters, nodes, fault, now, answer_after })
    }
}
