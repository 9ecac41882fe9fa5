//! Checks the content of a bundle: CAs, certificates, kubeconfigs, the kubelet's configuration and the API servers'
//! rules.

use std::fmt::Display;

use super::directory::Audit;
use crate::app::revoke::rendered;
use crate::app::verify::other_server_name;
use crate::bundle::model::{Bundle, BundleFile};
use crate::bundle::paths;
use crate::config::kubeconfig::{self, Credential, KubeCluster};
use crate::config::kubelet_config;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem;
use crate::pki::service_account_key::ServiceAccountKey;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::service_account::{self, KeyPairState};

impl Audit<'_> {
    /// Returns all problems of the content of a host's bundle, as text.
    ///
    /// `certificates` are the host's certificates in the directory.
    pub(super) fn content_problems(&self, bundle: &Bundle, host: &str, certificates: &[Fingerprint]) -> Vec<String> {
        let mut wrong = self.manifest_problems(bundle, host);
        wrong.extend(self.other_cas(bundle));
        wrong.extend(self.other_service_account(bundle));
        wrong.extend(self.kubeconfig_problems(bundle));
        wrong.extend(self.missing_denials(bundle));
        wrong.extend(kubelet_config_problems(bundle));
        wrong.extend(self.other_certificates(bundle, certificates));
        wrong
    }

    fn manifest_problems(&self, bundle: &Bundle, host: &str) -> Vec<String> {
        let manifest = &bundle.manifest;
        let mut wrong = Vec::new();
        if manifest.host.as_str() != host {
            wrong.push(format!("it is the bundle of {}", manifest.host));
        }
        if !manifest.pins().eq(self.root.pins()) {
            wrong.push("its manifest pins another root".to_owned());
        }
        if manifest.endpoint != self.cluster.endpoint {
            wrong.push(format!(
                "its endpoint is {}, the cluster file's is {}",
                manifest.endpoint, self.cluster.endpoint
            ));
        }
        wrong
    }

    fn other_cas(&self, bundle: &Bundle) -> Vec<String> {
        let other = |file: &BundleFile| {
            let role = paths::root_at(&file.path)?;
            let ders = |trust: &TrustBundle| {
                trust.anchors_of_files().iter().map(|root| root.der().to_vec()).collect::<Vec<_>>()
            };
            let ours = self.cas.get(&role).map(ders);
            let same = ours.is_some() && pem::certificates(&file.bytes).ok() == ours;
            (!same).then(|| format!("{} is not this directory's {}", file.path, role.as_str()))
        };
        bundle.files.iter().filter_map(other).collect()
    }

    /// Returns a problem if a bundle has another key for service account tokens: masters would not accept each other's
    /// tokens.
    fn other_service_account(&self, bundle: &Bundle) -> Option<String> {
        let packed = bundle.file(paths::SERVICE_ACCOUNT_KEY)?;
        let key = ServiceAccountKey::from_pem(&packed.bytes).ok()?;
        match service_account::read(self.layout) {
            Ok(KeyPairState::Complete(ours) | KeyPairState::PrivateKeyOnly(ours)) if ours.spki() == key.spki() => None,
            _ => Some(format!("{} is not this directory's key", packed.path)),
        }
    }

    fn kubeconfig_problems(&self, bundle: &Bundle) -> Vec<String> {
        let is_kubeconfig = |file: &&BundleFile| file.path.ends_with(".conf") && !file.path.contains("/systemd/");
        let problems = |file: &BundleFile| {
            let of_file = |what: &dyn Display| format!("{}: {what}", file.path);
            let config = match kubeconfig::read(&file.bytes) {
                Ok(config) => config,
                Err(error) => return vec![of_file(&error)],
            };
            match config.resolve(None) {
                Ok(used) => {
                    let mut found: Vec<String> = used.weaknesses().into_iter().map(|weak| weak.what).collect();
                    found.extend(used.cluster.tls_server_name.as_deref().map(other_server_name));
                    found.extend(self.other_target(used.cluster, bundle, file.path == paths::KUBELET_KUBECONFIG));
                    found.iter().map(|what| of_file(what)).collect()
                }
                Err(error) => vec![of_file(&error)],
            }
        };
        bundle.files.iter().filter(is_kubeconfig).flat_map(problems).collect()
    }

    /// Returns the problems of a kubeconfig that has another server than the cluster file, or trusts a file other than
    /// the CA's.
    fn other_target(&self, cluster: &KubeCluster, bundle: &Bundle, is_kubelets: bool) -> Vec<String> {
        let endpoint = self.cluster.endpoint.to_string();
        // The controller manager and the scheduler connect to the API server of their own host.
        let master = self.cluster.master(bundle.manifest.host.as_str()).filter(|_| !is_kubelets);
        let is_own = |server: &str| {
            master.is_some_and(|host| {
                host.addresses.iter().any(|at| server == format!("https://{}:{}", at.for_url(), host.port))
            })
        };
        let mut found = Vec::new();
        let server = cluster.location();
        if server != endpoint && !is_own(&server) {
            found.push(format!("its server is {}, the cluster file's is {endpoint}", cluster.server));
        }
        if let Some(Credential::File(path)) = &cluster.ca {
            let packed = bundle.file(path.to_string_lossy().trim_start_matches('/'));
            let ders = packed.and_then(|file| pem::certificates(&file.bytes).ok()).unwrap_or_default();
            if !ders.iter().map(Vec::as_slice).eq(self.root.anchors_of_files().into_iter().map(Certificate::der)) {
                found.push(format!("it trusts {}, which is not this root", path.display()));
            }
        }
        found
    }

    /// Returns a problem for each certificate that differs from the directory's, or is not followed by its issuer's
    /// chain.
    fn other_certificates(&self, bundle: &Bundle, certificates: &[Fingerprint]) -> Vec<String> {
        let packed = bundle.files.iter().filter(|file| {
            let is_trust_file = paths::root_at(&file.path).is_some();
            file.path.ends_with(".crt") && !is_trust_file
        });
        let other = packed.filter(|file| {
            let ders = pem::certificates(&file.bytes).unwrap_or_default();
            ders.split_first().is_some_and(|(leaf, sent)| {
                !certificates.contains(&Fingerprint::of(leaf)) || !self.is_chain_of(leaf, sent)
            })
        });
        other.map(|file| format!("{} is not the certificate in the directory", file.path)).collect()
    }

    /// Returns true if `sent` is the chain of the CA that `leaf` names as its issuer.
    fn is_chain_of(&self, leaf: &[u8], sent: &[Vec<u8>]) -> bool {
        let cas = || self.cas.values().flat_map(TrustBundle::all).map(|(ca, _)| ca);
        // Parsing the leaf is only necessary if a CA has intermediates.
        if cas().all(|ca| ca.chain().is_empty()) {
            return sent.is_empty();
        }
        Certificate::from_der(leaf.to_vec()).is_ok_and(|leaf| {
            cas().any(|ca| {
                let issuer = ca.certificate();
                let is_issuer = issuer.subject.der == leaf.issuer.der && issuer.subject_key_id == leaf.authority_key_id;
                is_issuer && ca.chain().iter().map(Certificate::der).eq(sent.iter().map(Vec::as_slice))
            })
        })
    }

    /// Returns a problem if the rules of a master's API server do not deny all revoked certificates.
    fn missing_denials(&self, bundle: &Bundle) -> Option<String> {
        let text = String::from_utf8_lossy(&bundle.file(paths::AUTHORIZATION)?.bytes);
        let denied = rendered::denied_in(&text);
        let missing = self.denials.certificates().iter().filter(|id| !denied.contains(id)).count();
        (missing > 0).then(|| format!("{} does not deny {missing} revoked certificates", paths::AUTHORIZATION))
    }

    /// Returns a problem if a bundle is newer than the ledger and has certificates that the ledger does not have.
    pub(super) fn unknown_to_ledger(&self, bundle: &Bundle) -> Option<String> {
        let ours = self.root.pins().contains(&bundle.manifest.root_pin);
        let newer = ours && bundle.manifest.generation > self.last_generation;
        let unknown = |certificate: &Certificate| self.known.sequence(certificate.fingerprint()).is_none();
        let forgotten = newer && rendered::certificates_in(bundle).iter().any(unknown);
        forgotten.then(|| "it is newer than the ledger, which does not have its certificates".to_owned())
    }
}

fn kubelet_config_problems(bundle: &Bundle) -> Vec<String> {
    let Some(file) = bundle.file(paths::KUBELET_CONFIG) else { return Vec::new() };
    let of_file = |what: &dyn Display| format!("{}: {what}", paths::KUBELET_CONFIG);
    match kubelet_config::weaknesses(&file.bytes) {
        Ok(weaknesses) => weaknesses.iter().map(|what| of_file(what)).collect(),
        Err(error) => vec![of_file(&error)],
    }
}
