//! What an audit finds of the bundles that lie in the directory: each is held against the one that would be packed now.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::audit::Audit;
use super::likeness::{self, ExpectedBundle};
use crate::app::in_full;
use crate::app::package::reader;
use crate::app::package::templates;
use crate::app::revoke::rendered;
use crate::bundle::archive;
use crate::bundle::format::{Format, sealed_name};
use crate::bundle::input::Roles;
use crate::bundle::model::Bundle;
use crate::bundle::paths;
use crate::bundle::seal;
use crate::cluster::name::HostName;
use crate::cluster::profile::CertificateSpec;
use crate::cluster::spec::Host;
use crate::config::kubeconfig::{self, Credential, KubeCluster};
use crate::config::kubelet_config;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::key::PrivateKey;
use crate::pki::pem;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::credentials;
use crate::store::files;
use crate::store::service_account::{self, Found};
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::FileRemedy;
use crate::verify::target::Place;

const EXPECTED: &str = "a bundle that carries this root, by file path, and nothing that weakens it";

/// A bundle that lies in the directory.
struct Packed<'a> {
    roles: Roles<'a>,
    place: Place,
    format: Format,
    path: PathBuf,
    /// The host's certificates in the directory now.
    today: &'a [Fingerprint],
}

impl Audit<'_> {
    /// Bundles are made when they are needed: one that is not there proves nothing wrong.
    pub(super) fn bundles(&self) -> Vec<Finding> {
        let folder = self.layout.bundles();
        // Of a folder that cannot be listed each name can still be asked for.
        let listed = files::names_in(&folder).ok();
        if listed.as_ref().is_some_and(Vec::is_empty) {
            return Vec::new();
        }
        let lies_there = |name: &str| match &listed {
            Some(names) if names.binary_search_by(|there| there.as_str().cmp(name)).is_err() => false,
            // Still: somebody may be packing.
            _ => files::exists(&folder.join(name)),
        };
        let (masters, nodes) = (by_name(&self.cluster.masters), by_name(&self.cluster.nodes));
        let likeness = ExpectedBundle {
            layout: self.layout,
            cluster: self.cluster,
            roots: likeness::roots(self.roots),
            denials: self.denials,
            templates: templates::of_cluster(self.cluster, self.layout).ok(),
        };
        let look = |name: &&HostName| {
            let forms: Vec<Format> = Format::ALL.into_iter().filter(|form| lies_there(&form.file_name(name))).collect();
            let sealed = lies_there(&sealed_name(name)).then(|| self.sealed(name));
            if forms.is_empty() {
                return sealed.into_iter().collect();
            }
            let Some(roles) = Roles::from_entries(masters.get(*name).copied(), nodes.get(*name).copied()) else {
                return Vec::new();
            };
            let place = if nodes.contains_key(*name) { Place::Node } else { Place::Master };
            let master = masters.get(*name).map(|host| self.cluster.master_leaves(host));
            let node = nodes.get(*name).map(|host| self.cluster.node_leaves(host));
            let today = self.today(master.into_iter().chain(node).flatten());
            let finding = |form: &Format| {
                let packed =
                    Packed { roles, place, format: *form, path: folder.join(form.file_name(name)), today: &today };
                let finding = self.bundle(&packed, &likeness);
                match finding.status {
                    Status::Pass if self.only_what_is_wrong => {
                        Finding::new(CheckId::TRUST_MATCH, place, name.as_str(), Status::Pass)
                    }
                    _ => finding,
                }
            };
            forms.iter().map(finding).chain(sealed).collect()
        };
        self.cluster.host_names().par_iter().flat_map_iter(look).collect()
    }

    /// Where a bundle's kubeconfig leads elsewhere than the cluster file, or trusts another file than the bundle's root.
    fn misled(&self, cluster: &KubeCluster, bundle: &Bundle, of_a_node: bool) -> Vec<String> {
        let endpoint = self.cluster.endpoint.to_string();
        // The controller manager and the scheduler call the API server of their own host.
        let master = self.cluster.master(bundle.manifest.host.as_str()).filter(|_| !of_a_node);
        let own = |server: &str| {
            master.is_some_and(|host| {
                host.addresses.iter().any(|at| server == format!("https://{}:{}", at.for_url(), host.port))
            })
        };
        let mut found = Vec::new();
        let server = cluster.location();
        if server != endpoint && !own(&server) {
            found.push(format!("it leads to {}, the cluster file to {endpoint}", cluster.server));
        }
        if let Some(Credential::File(path)) = &cluster.authority {
            let carried = bundle.file(path.to_string_lossy().trim_start_matches('/'));
            let ders = carried.and_then(|file| pem::certificates(&file.bytes).ok()).unwrap_or_default();
            if !ders.iter().map(Vec::as_slice).eq(self.root.anchors().into_iter().map(Certificate::der)) {
                found.push(format!("it trusts {}, which is not this root", path.display()));
            }
        }
        found
    }

    /// Where a bundle signs tokens with another key than this directory's: the masters would not believe each other's.
    fn other_service_account(&self, bundle: &Bundle) -> Option<String> {
        let carried = bundle.file(paths::SERVICE_ACCOUNT_KEY)?;
        let key = PrivateKey::from_pem(&carried.bytes).ok()?;
        match service_account::look(self.layout) {
            Ok(Found::Whole(ours) | Found::Half(ours)) if ours.spki() == key.spki() => None,
            _ => Some(format!("{} is not this directory's key", carried.path)),
        }
    }

    /// The certificates in the directory now, of those that `leaves` describe.
    fn today(&self, leaves: impl Iterator<Item = CertificateSpec>) -> Vec<Fingerprint> {
        let stored = leaves.filter_map(|leaf| credentials::read(self.layout, &leaf).ok());
        stored.map(|stored| stored.credential.certificate.fingerprint()).collect()
    }

    /// A sealed bundle, into which only its host can look: that it is one, and that no more is known of it.
    fn sealed(&self, host: &HostName) -> Finding {
        let path = self.layout.bundles().join(sealed_name(host));
        let place = if self.cluster.node(host.as_str()).is_some() { Place::Node } else { Place::Master };
        let finding = |status| {
            Finding::new(CheckId::TRUST_MATCH, place, host.as_str(), status).address(path.display().to_string())
        };
        let is_one = files::read(&path, 2 * archive::MAX_UNPACKED).is_ok_and(|bytes| seal::is_sealed(&bytes));
        match is_one {
            true => finding(Status::Warn)
                .saw("it is sealed, and cannot be looked into here", EXPECTED)
                .remedy(FileRemedy::PackIfChanged { host: host.to_string() }),
            false => finding(Status::Fail)
                .saw("it is damaged", EXPECTED)
                .remedy(FileRemedy::PackBundle { host: host.to_string(), format: None }),
        }
    }

    fn bundle(&self, looked_at: &Packed<'_>, likeness: &ExpectedBundle<'_>) -> Finding {
        let Packed { roles, place, format, path, .. } = looked_at;
        let host = roles.host().as_str();
        let finding =
            |status| Finding::new(CheckId::TRUST_MATCH, *place, host, status).address(path.display().to_string());
        let other_format = match format {
            Format::TarGz => None,
            other => Some(other.as_str().to_owned()),
        };
        let pack = FileRemedy::PackBundle { host: host.to_owned(), format: other_format.clone() };
        let bundle = match reader::read(path) {
            Ok(bundle) => bundle,
            Err(error) => {
                let remedy = if error.is_newer() { FileRemedy::UseNewerVersion } else { pack };
                return finding(Status::Fail).saw(in_full(&error), EXPECTED).remedy(remedy);
            }
        };
        let mut wrong = self.of_the_manifest(&bundle, host);
        wrong.extend(self.other_roots(&bundle));
        wrong.extend(self.other_service_account(&bundle));
        wrong.extend(self.of_the_kubeconfigs(&bundle));
        wrong.extend(self.not_denied(&bundle));
        wrong.extend(of_the_kubelets_config(&bundle));
        wrong.extend(other_certificates(&bundle, looked_at.today));
        let forgotten = self.forgotten_by_the_ledger(&bundle);
        let remedy = match forgotten {
            Some(_) => rendered::record_forgotten(Some(&self.layout.bundles())),
            None => pack,
        };
        wrong.extend(forgotten);
        let difference = likeness.difference(&bundle, *roles, *format);
        wrong.extend(difference.wrong);
        if !wrong.is_empty() {
            return finding(Status::Fail).saw(wrong.join("; "), EXPECTED).remedy(remedy);
        }
        if !difference.changed.is_empty() {
            let saw = format!("otherwise than clusterctl would write it now: {}", difference.changed.join(", "));
            return finding(Status::Warn)
                .saw(saw, EXPECTED)
                .remedy(FileRemedy::CompareBundle { host: host.to_owned(), format: other_format });
        }
        finding(Status::Pass).saw(format!("it pins {}", bundle.manifest.root_pin.as_pin()), EXPECTED)
    }

    /// Whose it says that it is, whom it trusts and where it leads.
    fn of_the_manifest(&self, bundle: &Bundle, host: &str) -> Vec<String> {
        let manifest = &bundle.manifest;
        let mut wrong = Vec::new();
        if manifest.host.as_str() != host {
            wrong.push(format!("it is the bundle of {}", manifest.host));
        }
        if !manifest.pins().eq(self.root.pins()) {
            wrong.push("its manifest pins another root".to_owned());
        }
        if manifest.endpoint != self.cluster.endpoint {
            wrong.push(format!("it leads to {}, the cluster file to {}", manifest.endpoint, self.cluster.endpoint));
        }
        wrong
    }

    fn other_roots(&self, bundle: &Bundle) -> Vec<String> {
        let mut wrong = Vec::new();
        for file in &bundle.files {
            let Some(kind) = paths::root_at(&file.path) else { continue };
            let ders = |trust: &TrustBundle| trust.anchors().iter().map(|root| root.der().to_vec()).collect::<Vec<_>>();
            let ours = self.roots.get(&kind).map(ders);
            if ours.is_none() || pem::certificates(&file.bytes).ok() != ours {
                wrong.push(format!("{} is not this directory's {}", file.path, kind.as_str()));
            }
        }
        wrong
    }

    fn of_the_kubeconfigs(&self, bundle: &Bundle) -> Vec<String> {
        let mut wrong = Vec::new();
        for file in bundle.files.iter().filter(|file| file.path.ends_with(".conf") && !file.path.contains("/systemd/"))
        {
            match kubeconfig::read(&file.bytes) {
                Ok(config) => match config.used(None) {
                    Ok(used) => {
                        let mut found: Vec<String> = used.weaknesses().into_iter().map(|weak| weak.what).collect();
                        found.extend(used.cluster.tls_server_name.as_deref().map(another_name));
                        found.extend(self.misled(used.cluster, bundle, file.path == paths::KUBELET_KUBECONFIG));
                        wrong.extend(found.into_iter().map(|what| format!("{}: {what}", file.path)));
                    }
                    Err(error) => wrong.push(format!("{}: {error}", file.path)),
                },
                Err(error) => wrong.push(format!("{}: {error}", file.path)),
            }
        }
        wrong
    }

    /// Says so where a bundle was packed later than this ledger knows of, and has certificates that it does not have.
    fn forgotten_by_the_ledger(&self, bundle: &Bundle) -> Option<String> {
        let ours = self.root.pins().contains(&bundle.manifest.root_pin);
        let newer = ours && bundle.manifest.generation > self.last_generation;
        let unknown = |certificate: &Certificate| self.known.sequence(certificate.fingerprint()).is_none();
        let forgotten = newer && rendered::certificates_in(bundle).iter().any(unknown);
        forgotten.then(|| "it is newer than the ledger, which does not know its certificates".to_owned())
    }

    /// Says how many that were revoked a master's API server would let in.
    fn not_denied(&self, bundle: &Bundle) -> Option<String> {
        let text = String::from_utf8_lossy(&bundle.file(paths::AUTHORIZATION)?.bytes);
        let named: HashSet<&str> = text.split("X509SHA256=").skip(1).filter_map(|rest| rest.get(..64)).collect();
        let denied = |id: &&Fingerprint| !named.contains(id.to_string().as_str());
        let missed = self.denials.certificates().iter().filter(denied).count();
        (missed > 0).then(|| format!("{} does not deny {missed} that were revoked", paths::AUTHORIZATION))
    }
}

/// What is wrong with a kubeconfig in a bundle that has a `tls-server-name`: its client would take a server that has any
/// certificate of that name, a node's for example, for the master.
pub(super) fn another_name(name: &str) -> String {
    format!("tls-server-name is set: a server that is called {name} would be taken for the master")
}

fn of_the_kubelets_config(bundle: &Bundle) -> Vec<String> {
    let Some(file) = bundle.file(paths::KUBELET_CONFIG) else { return Vec::new() };
    let told = |what: &dyn std::fmt::Display| format!("{}: {what}", paths::KUBELET_CONFIG);
    match kubelet_config::weaknesses(&file.bytes) {
        Ok(weak) => weak.iter().map(|what| told(what)).collect(),
        Err(error) => vec![told(&error)],
    }
}

/// Certificates that are not those that lie in the directory now.
fn other_certificates(bundle: &Bundle, today: &[Fingerprint]) -> Vec<String> {
    let leaves = bundle.files.iter().filter(|file| file.path.ends_with(".crt") && paths::root_at(&file.path).is_none());
    let other = leaves.filter(|file| {
        let carried = pem::certificates(&file.bytes).unwrap_or_default();
        !carried.iter().all(|der| today.contains(&Fingerprint::of(der)))
    });
    other.map(|file| format!("{} is not the certificate that lies in the directory now", file.path)).collect()
}

fn by_name(hosts: &[Host]) -> HashMap<&HostName, &Host> {
    hosts.iter().map(|host| (&host.name, host)).collect()
}
