//! Checks the bundles in the directory: each is compared with the one that would be packed now.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::directory::Audit;
use super::drift::{self, ExpectedBundle};
use crate::app::package::{reader, templates};
use crate::app::revoke::record_missing;
use crate::app::with_causes;
use crate::bundle::archive;
use crate::bundle::encryption;
use crate::bundle::format::{Format, encrypted_name};
use crate::bundle::input::Roles;
use crate::bundle::model::Bundle;
use crate::bundle::paths;
use crate::cluster::name::HostName;
use crate::cluster::profile::CertificateSpec;
use crate::cluster::spec::Host;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem;
use crate::store::credentials;
use crate::store::files;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::FileRemedy;
use crate::verify::target::Place;

const EXPECTED: &str = "a bundle that trusts this root and has no setting that weakens authentication";

/// The folder that contains the bundles.
struct Folder {
    path: PathBuf,
    /// The names of its files; `None` if it cannot be listed, in which case each name is tried.
    names: Option<HashSet<String>>,
}

impl Folder {
    fn has(&self, name: &str) -> bool {
        // A concurrent bundle command may have removed it since the listing.
        self.names.as_ref().is_none_or(|names| names.contains(name)) && files::exists(&self.path.join(name))
    }
}

/// The masters and nodes of the cluster file, by name.
struct Hosts<'a> {
    masters: HashMap<&'a HostName, &'a Host>,
    nodes: HashMap<&'a HostName, &'a Host>,
}

/// An unencrypted bundle of a host.
struct PackedBundle<'a> {
    roles: Roles<'a>,
    place: Place,
    format: Format,
    path: PathBuf,
    /// The host's certificates in the directory.
    certificates: &'a [Fingerprint],
}

impl Audit<'_> {
    /// Returns the finding `trust.match` of every bundle. Bundles are packed when needed, so a missing one is not a
    /// problem.
    pub(super) fn bundles(&self) -> Vec<Finding> {
        let path = self.layout.bundles();
        let names = files::names_in(&path).ok();
        if names.as_ref().is_some_and(Vec::is_empty) {
            return Vec::new();
        }
        let folder = Folder { path, names: names.map(|names| names.into_iter().collect()) };
        let hosts = Hosts { masters: by_name(&self.cluster.masters), nodes: by_name(&self.cluster.nodes) };
        let expected = ExpectedBundle {
            layout: self.layout,
            cluster: self.cluster,
            cas: drift::ca_set(self.cas),
            known: self.known,
            denials: self.denials,
            templates: templates::of_cluster(self.cluster, self.layout).ok(),
        };
        let check = |name: &&HostName| self.bundles_of(name, &folder, &hosts, &expected);
        self.cluster.host_names().par_iter().flat_map_iter(check).collect()
    }

    fn bundles_of(
        &self,
        name: &HostName,
        folder: &Folder,
        hosts: &Hosts<'_>,
        expected: &ExpectedBundle<'_>,
    ) -> Vec<Finding> {
        let (master, node) = (hosts.masters.get(name).copied(), hosts.nodes.get(name).copied());
        let place = if node.is_some() { Place::Node } else { Place::Master };
        let encrypted = encrypted_name(name);
        let encrypted =
            folder.has(&encrypted).then(|| encrypted_bundle(&folder.path.join(&encrypted), name.as_str(), place));
        let formats: Vec<Format> =
            Format::ALL.into_iter().filter(|format| folder.has(&format.file_name(name))).collect();
        let Some(roles) = Roles::from_entries(master, node).filter(|_| !formats.is_empty()) else {
            return encrypted.into_iter().collect();
        };
        let certificates = self.certificates_of(master, node);
        let finding = |format: &Format| {
            let path = folder.path.join(format.file_name(name));
            let packed = PackedBundle { roles, place, format: *format, path, certificates: &certificates };
            let finding = self.bundle(&packed, expected);
            match finding.status {
                Status::Pass if self.options.problems_only => {
                    Finding::new(CheckId::TRUST_MATCH, place, name.as_str(), Status::Pass)
                }
                _ => finding,
            }
        };
        formats.iter().map(finding).chain(encrypted).collect()
    }

    /// Returns the fingerprints of the host's certificates that are stored in the directory.
    fn certificates_of(&self, master: Option<&Host>, node: Option<&Host>) -> Vec<Fingerprint> {
        let master = master.map(|host| self.cluster.master_specs(host));
        let node = node.map(|host| self.cluster.node_specs(host));
        let stored = master.into_iter().chain(node).flatten();
        let certificate = |spec: CertificateSpec| match credentials::is_key_on_host(self.layout, &spec, self.known) {
            true => credentials::read_certificate(self.layout, &spec).ok(),
            false => credentials::read(self.layout, &spec).ok().map(|stored| stored.credential.certificate),
        };
        stored.filter_map(certificate).map(|certificate| certificate.fingerprint()).collect()
    }

    /// Returns a bundle with the certificates that its host renewed itself, with the same keys, in place of earlier ones: they
    /// need not be delivered.
    fn with_renewals(&self, mut bundle: Bundle, roles: Roles<'_>) -> Bundle {
        let specs = roles.node().map(|host| self.cluster.node_specs(host)).unwrap_or_default();
        for spec in specs {
            let Some(path) = paths::key_of(spec.profile).map(|key| format!("{}.crt", key.trim_end_matches(".key")))
            else {
                continue;
            };
            let Ok((newest, chain)) = credentials::read_certificates(self.layout, &spec) else { continue };
            let Some(file) = bundle.files.iter_mut().find(|file| file.path == path) else { continue };
            let leaf = pem::certificates(&file.bytes)
                .ok()
                .and_then(|ders| Certificate::from_der(ders.into_iter().next()?).ok());
            let is_earlier = leaf.is_some_and(|leaf| {
                leaf.spki == newest.spki
                    && self.known.sequence(leaf.fingerprint()) < self.known.sequence(newest.fingerprint())
            });
            if is_earlier && self.known.is_renewed_by_host(newest.fingerprint()) {
                let text: String = [&newest].into_iter().chain(&chain).map(Certificate::to_pem).collect();
                file.bytes = text.into_bytes().into();
            }
        }
        bundle
    }

    fn bundle(&self, packed: &PackedBundle<'_>, expected: &ExpectedBundle<'_>) -> Finding {
        let PackedBundle { roles, place, format, path, certificates } = packed;
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
                return finding(Status::Fail).saw(with_causes(&error), EXPECTED).remedy(remedy);
            }
        };
        let bundle = self.with_renewals(bundle, *roles);
        let mut problems = self.content_problems(&bundle, host, certificates);
        let unknown = self.unknown_to_ledger(&bundle);
        let remedy = if unknown.is_some() { record_missing(Some(&self.layout.bundles())) } else { pack };
        problems.extend(unknown);
        let difference = expected.difference(&bundle, *roles, *format);
        problems.extend(difference.problems);
        if !problems.is_empty() {
            return finding(Status::Fail).saw(problems.join("; "), EXPECTED).remedy(remedy);
        }
        if !difference.changed.is_empty() {
            let saw = format!("differs from what clusterctl generates now: {}", difference.changed.join(", "));
            return finding(Status::Warn)
                .saw(saw, EXPECTED)
                .remedy(FileRemedy::CompareBundle { host: host.to_owned(), format: other_format });
        }
        finding(Status::Pass).saw(format!("its root is {}", bundle.manifest.root_pin.as_pin()), EXPECTED)
    }
}

/// Returns the finding `trust.match` of an encrypted bundle, whose content only its host can check.
fn encrypted_bundle(path: &Path, host: &str, place: Place) -> Finding {
    let finding = |status| Finding::new(CheckId::TRUST_MATCH, place, host, status).address(path.display().to_string());
    match files::read(path, 2 * archive::MAX_UNPACKED).is_ok_and(|bytes| encryption::is_encrypted(&bytes)) {
        true => finding(Status::Warn)
            .saw("it is encrypted, so its content cannot be checked here", EXPECTED)
            .remedy(FileRemedy::PackIfChanged { host: host.to_owned() }),
        false => finding(Status::Fail)
            .saw("it is damaged", EXPECTED)
            .remedy(FileRemedy::PackBundle { host: host.to_owned(), format: None }),
    }
}

fn by_name(hosts: &[Host]) -> HashMap<&HostName, &Host> {
    hosts.iter().map(|host| (&host.name, host)).collect()
}
