//! A cluster in memory, with opened roots: the inputs of bundles, without a directory.

use std::collections::BTreeMap;

use clusterctl::app::rotate::read_at_start;
use clusterctl::bundle::images::Settings;
use clusterctl::bundle::input::{BundleInput, CredentialPem, Roles};
use clusterctl::bundle::model::Bundle;
use clusterctl::bundle::render::{RenderError, TemplateError, Templates};
use clusterctl::cluster::key_kind::KeyKind;
use clusterctl::cluster::lifetime::Lifetime;
use clusterctl::cluster::name::HostName;
use clusterctl::cluster::profile::{CaRole, CertificateSpec};
use clusterctl::cluster::spec::{Cluster, RawCluster, RawHost};
use clusterctl::pki::ca_certificate::CaCertificate;
use clusterctl::pki::ca_set::CaSet;
use clusterctl::pki::issuer::{Credential, Issuer, create_root};
use clusterctl::pki::key::PrivateKey;
use clusterctl::pki::trust_bundle::TrustBundle;
use clusterctl::rbac::denials::Denials;
use time::OffsetDateTime;
use time::macros::datetime;
use zeroize::Zeroizing;

pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-23 12:00:00 UTC);
pub(crate) const KEYS: KeyKind = KeyKind::EcdsaP256;

/// A cluster with its roots, opened, and the key that signs service accounts' tokens.
pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    pub(crate) root: Credential,
    pub(crate) etcd: Credential,
    pub(crate) front_proxy: Credential,
    pub(crate) service_account: Zeroizing<Vec<u8>>,
}

impl Site {
    /// The cluster is called `no`; `both` is master and node.
    pub(crate) fn new() -> Self {
        let host = |name: &str, addresses: &[&str], port: Option<&str>| RawHost {
            name: Some(name.into()),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            port: port.map(ToOwned::to_owned),
            ..RawHost::default()
        };
        let draft = RawCluster {
            name: Some("no".into()),
            endpoint: Some("https://[fd00::100]:6443".into()),
            masters: vec![host("m1", &["10.0.0.1"], Some("8443")), host("both", &["10.0.0.2", "fd00::2"], None)],
            nodes: vec![
                host("on", &["on.example.net", "fd00:1::1", "10.0.1.1", "10.0.1.99"], Some("10255")),
                host("1e3", &["10.0.1.2"], None),
                host("null", &["null.example.net"], None),
                host("10.0.1.9", &["10.0.1.9"], None),
                host("both", &["10.0.0.2", "fd00::2"], None),
                host("worker-a1.fra1.example.net", &["10.0.1.4"], None),
            ],
            ..RawCluster::default()
        };
        let cluster = draft.check().expect("a good draft");
        Self::of(cluster)
    }

    pub(crate) fn of(cluster: Cluster) -> Self {
        let root = |kind| {
            let lifetime = Lifetime::parse("10y").expect("a lifetime");
            create_root(kind, &cluster.name, KEYS, lifetime, NOW).expect("a root").into_inner()
        };
        let service_account = PrivateKey::generate(KEYS).expect("a key").to_pem().as_bytes().to_vec().into();
        Self {
            root: root(CaRole::Cluster),
            etcd: root(CaRole::Etcd),
            front_proxy: root(CaRole::FrontProxy),
            service_account,
            cluster,
        }
    }

    pub(crate) fn signer(&self, kind: CaRole) -> &Credential {
        match kind {
            CaRole::Cluster => &self.root,
            CaRole::Etcd => &self.etcd,
            CaRole::FrontProxy => &self.front_proxy,
        }
    }

    pub(crate) fn roles(&self, host: &str) -> Roles<'_> {
        Roles::of(&self.cluster, &HostName::parse(host).expect("a name")).expect("a host of the cluster")
    }

    pub(crate) fn credentials(&self, host: &str) -> Vec<CredentialPem> {
        let roles = self.roles(host);
        let masters = roles.master().into_iter().flat_map(|host| self.cluster.master_specs(host));
        let nodes = roles.node().into_iter().flat_map(|host| self.cluster.node_specs(host));
        let issue = |leaf: CertificateSpec| {
            let issuer =
                Issuer::open(leaf.policy().signed_by, self.signer(leaf.policy().signed_by), NOW).expect("a valid root");
            let made = issuer.issue_credential(&leaf, KEYS, NOW).expect("a credential").into_inner();
            let certificate = made.certificate.to_pem().into_bytes();
            CredentialPem { profile: leaf.profile, certificate, key: made.key.to_pem().as_bytes().to_vec().into() }
        };
        masters.chain(nodes).map(issue).collect()
    }

    pub(crate) fn try_bundle(
        &self,
        templates: &Templates,
        host: &str,
        credentials: &[CredentialPem],
        generation: u64,
    ) -> Result<Bundle, RenderError> {
        let roles = self.roles(host);
        let trust = |role| TrustBundle::single(CaCertificate::own_root(role, self.signer(role).certificate.clone()));
        let roots = CaSet {
            cluster: trust(CaRole::Cluster),
            etcd: trust(CaRole::Etcd),
            front_proxy: trust(CaRole::FrontProxy),
        };
        let (cluster, cas, settings) = (&self.cluster, &roots, &Settings::default());
        let service_account = roles.master().map(|_| &self.service_account);
        let denials = &Denials::default();
        let credentials = &credentials.iter().map(CredentialPem::read).collect::<Result<Vec<_>, _>>()?;
        let input = BundleInput {
            cluster,
            roles,
            cas,
            service_account,
            other_token_keys: &[],
            settings,
            denials,
            credentials,
            generation,
            rotation: None,
            read_at_start: &read_at_start(cluster),
        };
        templates.render(&input)
    }

    pub(crate) fn bundle(&self, host: &str, generation: u64) -> Bundle {
        let templates = Templates::compiled_in().expect("the compiled-in templates");
        self.try_bundle(&templates, host, &self.credentials(host), generation).expect("a bundle")
    }
}

pub(crate) fn text<'a>(bundle: &'a Bundle, path: &str) -> &'a str {
    let file = bundle.file(path).unwrap_or_else(|| panic!("{path} is in the bundle"));
    std::str::from_utf8(&file.bytes).expect("text")
}

pub(crate) fn overriding(path: &str, text: &str) -> Result<Templates, TemplateError> {
    Templates::with_overrides(&BTreeMap::from([(path.to_owned(), text.to_owned())]))
}

/// The compiled-in templates, with more at the end of the kubelet's configuration.
pub(crate) fn kubelet_config_with(more: &str) -> Templates {
    let path = "node/var/lib/kubelet/config.yaml";
    let (_, text) = Templates::eject().iter().find(|(known, _)| *known == path).expect("a template");
    overriding(path, &format!("{text}{more}")).expect("templates")
}
