//! What `verify --offline` proves: that all that lies in the cluster directory is what the cluster file asks for. The
//! judgement of a credential is the very one that stands before every write.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::bundle::archive;
use crate::bundle::contents::Bundle;
use crate::bundle::format::{Format, sealed_name};
use crate::bundle::input::Roles;
use crate::bundle::places;
use crate::bundle::render::Templates;
use crate::bundle::seal;
use crate::cluster::name::HostName;
use crate::cluster::profile::{Leaf, Profile, RootKind, SYSTEM_MASTERS};
use crate::cluster::spec::{Cluster, Host, Role};
use crate::cluster_file::kubeconfig::{self, Credential, Kubeconfig};
use crate::cluster_file::kubelet_config;
use crate::commands::packing::parcels;
use crate::commands::verifying::likeness::{self, Likeness};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::inspect::{COMPARE_CLOCKS, Flaw, general_flaws, own_root_flaws, root_of_another_cluster, stamp};
use crate::pki::key::PrivateKey;
use crate::pki::pem;
use crate::policy::denials::Denials;
use crate::store::credentials::{self, Trouble};
use crate::store::files;
use crate::store::issuance;
use crate::store::layout::Layout;
use crate::store::ledger::Known;
use crate::store::roots;
use crate::store::service_account::{self, Found};
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::target::Place;

/// No administrator's kubeconfig is larger than this, in bytes.
const ADMIN_LIMIT: u64 = 256 * 1024;

/// What an audit looks at.
pub(crate) struct Audit<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) cluster: &'a Cluster,
    pub(crate) root: &'a Certificate,
    /// All roots that can be read, the cluster's among them.
    pub(crate) roots: &'a BTreeMap<RootKind, Certificate>,
    pub(crate) known: &'a Known,
    /// What masters' bundles have to deny.
    pub(crate) denials: &'a Denials,
    pub(crate) now: OffsetDateTime,
    /// Whether nobody will be told where and why something passed: of many it would fill the memory.
    pub(crate) only_what_is_wrong: bool,
}

impl Audit<'_> {
    /// `store.credential` for every root and every leaf, then `trust.match` for every bundle, in the file's order.
    pub(crate) fn findings(&self, progress: &(dyn Fn() + Sync)) -> Vec<Finding> {
        let first: Vec<Finding> = RootKind::ALL
            .into_iter()
            .map(|kind| self.root(kind))
            .chain(self.open_doors())
            .chain(self.unfinished())
            .collect();
        let hosts = self.cluster.masters.len() + self.cluster.nodes.len();
        let look = |holder: usize| {
            progress();
            let (place, leaves) = self.holder(holder);
            leaves.into_iter().map(move |leaf| self.look(place, &leaf))
        };
        // With the verifier, between the masters and the nodes.
        let looked: Vec<Looked> = (0..=hosts).into_par_iter().flat_map_iter(look).collect();
        let mut findings = self.with_shared_keys(looked);
        // In this order: of a large fleet there is no room for two lists.
        findings.splice(0..0, first);
        findings.push(self.service_account());
        findings.extend(self.admins());
        findings.extend(self.bundles());
        findings
    }

    /// What one holder is to hold, by number. Made when it is needed: of many hosts it would fill the memory.
    fn holder(&self, number: usize) -> (Place, Vec<Leaf>) {
        let masters = &self.cluster.masters;
        match (masters.get(number), number.checked_sub(masters.len() + 1).and_then(|i| self.cluster.nodes.get(i))) {
            (Some(master), _) => (Place::Master, self.cluster.master_leaves(master)),
            (None, Some(node)) => (Place::Node, self.cluster.node_leaves(node)),
            (None, None) => (Place::Cluster, vec![self.cluster.verifier_leaf()]),
        }
    }

    /// Two holders with one key could each pass for the other.
    fn with_shared_keys(&self, mut looked: Vec<Looked>) -> Vec<Finding> {
        let mut last: HashMap<Fingerprint, usize> = HashMap::with_capacity(looked.len());
        for i in 0..looked.len() {
            if let Some(key) = looked[i].key
                && let Some(other) = last.insert(key, i)
            {
                let other = format!("{} {}", looked[other].finding.host, looked[other].profile.policy().name);
                let shared = Trouble::SharedKey(other).to_string();
                let Looked { finding, profile, .. } = &mut looked[i];
                let passed = finding.status == Status::Pass;
                finding.observed = if passed { shared } else { format!("{shared}; {}", finding.observed) };
                finding.expected = expected_of(*profile);
                finding.address.get_or_insert_with(|| {
                    let folder = self.layout.holder_folder(*profile, HostName::parse(&finding.host).ok().as_ref());
                    folder.join(profile.policy().name).with_extension("crt").display().to_string()
                });
                finding.status = Status::Fail;
                finding.hint =
                    Some("issue both again with --reissue: who has one key can pass for the other".to_owned());
            }
        }
        looked.into_iter().map(|one| one.finding).collect()
    }

    fn root(&self, kind: RootKind) -> Finding {
        let path = self.layout.root_certificate(kind);
        let finding = |status| {
            Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, kind.as_str(), status)
                .address(path.display().to_string())
        };
        let expected = "a root as the PKI policy has it, its key readable by its owner alone";
        let certificate = match roots::certificate(self.layout, kind) {
            Ok(certificate) => certificate,
            Err(error) => return finding(Status::Fail).saw(error.to_string(), expected),
        };
        let mut wrong: Vec<String> = own_root_flaws(&certificate, self.now).iter().map(ToString::to_string).collect();
        if self.known.sequence(certificate.fingerprint()).is_some()
            && !self.known.is_root(certificate.fingerprint(), kind)
        {
            wrong.push(format!("the ledger knows it as another root than the {}", kind.as_str()));
        }
        if let Ok(Some(text)) = roots::key_file(self.layout, kind)
            && let Ok(key) = PrivateKey::from_pem(&text)
            && key.spki() != certificate.spki
        {
            wrong.push(Flaw::KeyDoesNotFit.to_string());
        }
        let other = root_of_another_cluster(&certificate, kind, &self.cluster.name);
        wrong.extend(other.map(|flaw| flaw.to_string()));
        if self.known.sequence(certificate.fingerprint()).is_none() {
            wrong.push(Trouble::NotInLedger.to_string());
        }
        let key = self.layout.root_key(kind);
        match files::mode(&key) {
            // A CA's key may well be kept elsewhere; one that is here is its owner's alone.
            Ok(mode) if mode & 0o077 != 0 => wrong.push(Trouble::Mode(key, mode).to_string()),
            _ => {}
        }
        if wrong.is_empty() {
            finding(Status::Pass).saw(format!("good until {}", stamp(certificate.not_after)), expected)
        } else {
            let hint = match self.now < certificate.not_before {
                true => COMPARE_CLOCKS,
                false => "restore the root's files from a backup",
            };
            finding(Status::Fail).saw(wrong.join("; "), expected).hint(hint)
        }
    }

    /// The pair that signs service accounts' tokens.
    fn service_account(&self) -> Finding {
        let path = self.layout.service_account_key();
        let finding = |status| {
            Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, "service accounts", status)
                .address(path.display().to_string())
        };
        let expected = "a key pair whose halves belong together, the private one its owner's alone";
        let mode = files::mode(&path).unwrap_or(files::PRIVATE);
        let (wrong, hint) = match service_account::look(self.layout) {
            Ok(Found::Whole(key)) if mode & 0o077 == 0 => {
                let saw = format!("{}, {}", key.kind(), key.fingerprint().as_pin());
                return finding(Status::Pass).saw(saw, expected);
            }
            Ok(Found::Whole(_)) => {
                (Trouble::Mode(path.clone(), mode).to_string(), format!("chmod 600 {}", path.display()))
            }
            Ok(Found::Nothing) => (Trouble::NotThere.to_string(), "clusterctl issue-master --all".to_owned()),
            Ok(Found::Half(_)) => {
                let missing = Trouble::Missing(self.layout.service_account_public());
                (missing.to_string(), "clusterctl issue-master --all".to_owned())
            }
            Err(trouble) => (trouble.to_string(), "restore sa.key and sa.pub from a backup".to_owned()),
        };
        finding(Status::Fail).saw(wrong, expected).hint(hint)
    }

    /// Administrators' kubeconfigs that still lie here. They are to be handed over: one that passes by every authorizer is
    /// told of even when it is as it should be.
    fn admins(&self) -> Vec<Finding> {
        let names = files::names_in(&self.layout.admins()).unwrap_or_default();
        names.iter().filter(|name| name.ends_with(".conf")).map(|name| self.admin(name)).collect()
    }

    fn admin(&self, file: &str) -> Finding {
        let path = self.layout.admins().join(file);
        let who = format!("admin {}", file.trim_end_matches(".conf"));
        let finding = |status| {
            Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, &who, status).address(path.display().to_string())
        };
        let expected = "a kubeconfig of this root's, known to the ledger, its owner's alone";
        let certificate = match administrator(&path) {
            Ok(certificate) => certificate,
            Err(why) => {
                let hint = format!("clusterctl issue-admin {} --reissue", file.trim_end_matches(".conf"));
                return finding(Status::Fail).saw(why, expected).hint(hint);
            }
        };
        let mut wrong: Vec<String> = general_flaws(&certificate, self.now).iter().map(ToString::to_string).collect();
        if !certificate.is_signed_by(self.root) {
            wrong.push(Flaw::BadSignature.to_string());
        }
        if self.known.sequence(certificate.fingerprint()).is_none() {
            wrong.push(Trouble::NotInLedger.to_string());
        }
        let revoked = self.known.revocation(certificate.fingerprint()).cloned();
        wrong.extend(revoked.map(|revocation| Trouble::Revoked(revocation).to_string()));
        match files::mode(&path) {
            Ok(mode) if mode & 0o077 != 0 => wrong.push(Trouble::Mode(path.clone(), mode).to_string()),
            _ => {}
        }
        let until = stamp(certificate.not_after);
        if !wrong.is_empty() {
            return finding(Status::Fail).saw(wrong.join("; "), expected).hint(format!("rm {}", path.display()));
        }
        if certificate.subject.organizations.iter().any(|group| group == SYSTEM_MASTERS) {
            let saw = format!("{SYSTEM_MASTERS}, which no authorizer is asked about, until {until}");
            return finding(Status::Warn)
                .saw(saw, "no such account outside of an emergency")
                .hint(format!("destroy it when the emergency is over: rm {}", path.display()));
        }
        finding(Status::Pass).saw(format!("good until {until}"), expected)
    }

    /// What stands between others and the keys: the folder of them all, the ledger, and the folder of bundles. Nothing is
    /// said when all of them are their owner's alone.
    fn open_doors(&self) -> Option<Finding> {
        let roles = [Role::Master, Role::Node].map(|role| self.layout.hosts_folder(role));
        let roots = [RootKind::Etcd, RootKind::FrontProxy].map(|kind| self.layout.root_folder(kind));
        let paths = [self.layout.pki(), self.layout.ledger(), self.layout.bundles(), self.layout.verifier_bundle()];
        let paths = paths.into_iter().chain(roles).chain(roots).chain([self.layout.admins()]);
        let open: Vec<String> = paths
            .into_iter()
            .filter_map(|path| files::mode(&path).ok().filter(|mode| mode & 0o077 != 0).map(|mode| (path, mode)))
            .map(|(path, mode)| Trouble::Mode(path, mode).to_string())
            .collect();
        let finding = Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, "folders", Status::Fail);
        let expected = "folders, ledger and bundles are their owner's alone";
        (!open.is_empty()).then(|| finding.saw(open.join("; "), expected).hint("chmod go= on each of them"))
    }

    /// What a killed process left beside the holders' folders.
    fn unfinished(&self) -> Option<Finding> {
        let count = issuance::unfinished(self.layout).ok().filter(|count| *count > 0)?;
        let finding = Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, "folders", Status::Warn);
        let saw = format!("{count} of an issue that was killed or is under way, perhaps with keys: .unfinished-…");
        Some(finding.saw(saw, "nothing that was not finished").hint("clusterctl issue-node --all removes them"))
    }

    fn look(&self, place: Place, leaf: &Leaf) -> Looked {
        let name = leaf.policy().name;
        let host = leaf.host.as_ref().map_or_else(|| "verifier".to_owned(), ToString::to_string);
        let path = || self.layout.holder_folder(leaf.profile, leaf.host.as_ref()).join(format!("{name}.crt"));
        let finding = |status| {
            Finding::new(CheckId::STORE_CREDENTIAL, place, &host, status).address(path().display().to_string())
        };
        let expected = expected_of(leaf.profile);
        let signer = leaf.policy().signed_by;
        let Some(root) = self.roots.get(&signer) else {
            let path = self.layout.root_certificate(signer);
            let what = format!("the {} {} cannot be read, so nothing proves it", signer.as_str(), path.display());
            let finding = finding(Status::Fail).saw(what, expected).hint("restore the root's files from a backup");
            return Looked { finding, key: None, profile: leaf.profile };
        };
        let found = credentials::read_good(self.layout, leaf, self.cluster.keys, root, self.known, self.now);
        let mut troubles = match &found {
            Ok(_) => Vec::new(),
            Err(troubles) => troubles.clone(),
        };
        if let [Trouble::Forgotten { .. }] = troubles.as_slice() {
            let saw = troubles[0].to_string();
            let host = leaf.host.as_ref();
            let bundled = host.is_some_and(|host| files::exists(&self.layout.bundles().join(sealed_name(host))));
            let finding = match (bundled, host) {
                (false, Some(host)) => finding(Status::Warn)
                    .saw(format!("{saw}; and its sealed bundle is not here any more"), expected)
                    .hint(format!("if it was not installed on its host: clusterctl issue-node {host} --reissue")),
                _ => finding(Status::Pass).saw(saw, expected),
            };
            let certificate = credentials::read_certificate(self.layout, leaf).ok();
            let key = certificate.map(|certificate| certificate.spki_fingerprint());
            return Looked { finding, key, profile: leaf.profile };
        }
        if !troubles.contains(&Trouble::NotThere) {
            troubles.extend(credentials::mode_trouble(self.layout, leaf, found.as_ref().ok()));
        }
        let key = match &found {
            Ok(stored) => Some(stored.credential.certificate.spki_fingerprint()),
            // A copied credential has other troubles, too; that it is a copy is to be said all the same.
            Err(_) => credentials::read(self.layout, leaf).ok().map(|stored| stored.credential.key.fingerprint()),
        };
        if let (Ok(stored), true) = (&found, troubles.is_empty()) {
            if self.known.is_forgotten(stored.credential.certificate.fingerprint()) {
                let key_file = path().with_extension("key").display().to_string();
                let finding = finding(Status::Warn)
                    .saw(format!("its key was to be forgotten, and {key_file} is still here"), expected)
                    .hint(format!("once its host's sealed bundle is installed: rm {key_file}"));
                return Looked { finding, key, profile: leaf.profile };
            }
            if self.only_what_is_wrong {
                let finding = Finding::new(CheckId::STORE_CREDENTIAL, place, &host, Status::Pass);
                return Looked { finding, key, profile: leaf.profile };
            }
            let until = stamp(stored.credential.certificate.not_after);
            return Looked {
                finding: finding(Status::Pass).saw(format!("good until {until}"), expected),
                key,
                profile: leaf.profile,
            };
        }
        let only_mode = troubles.iter().all(|trouble| matches!(trouble, Trouble::Mode(..)));
        let hint = if only_mode {
            format!("chmod 600 {}", path().with_extension("key").display())
        } else if troubles.iter().all(Trouble::is_early) {
            COMPARE_CLOCKS.to_owned()
        } else if troubles.iter().any(|trouble| matches!(trouble, Trouble::Unreadable(_))) {
            "it may be good: see who owns the file and its folder, and with which modes".to_owned()
        } else {
            let command = if place == Place::Node { "issue-node" } else { "issue-master" };
            let who = if place == Place::Cluster { "--all" } else { &host };
            // What is remembered of it was true when the ledger still knew it.
            let reissue = if troubles.contains(&Trouble::NotInLedger) { " --reissue" } else { "" };
            format!("clusterctl {command} {who}{reissue}")
        };
        let observed: Vec<String> = troubles.iter().map(ToString::to_string).collect();
        Looked {
            finding: finding(Status::Fail).saw(observed.join("; "), expected).hint(hint),
            key,
            profile: leaf.profile,
        }
    }

    /// Bundles are made when they are needed: one that is not there proves nothing wrong.
    fn bundles(&self) -> Vec<Finding> {
        let (masters, nodes) = (by_name(&self.cluster.masters), by_name(&self.cluster.nodes));
        let likeness = Likeness {
            layout: self.layout,
            cluster: self.cluster,
            roots: likeness::roots(self.roots),
            denials: self.denials,
            templates: Templates::compiled_in().ok(),
        };
        let look = |name: &&HostName| {
            let place_of = |format: &Format| self.layout.bundles().join(format.file_name(name));
            let forms: Vec<Format> = Format::ALL.into_iter().filter(|form| files::exists(&place_of(form))).collect();
            let sealed = self.sealed(name);
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
                let finding = self.bundle(roles, place, *form, &place_of(form), &today, &likeness);
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
    fn misled(&self, config: &Kubeconfig, bundle: &Bundle, of_a_node: bool) -> Vec<String> {
        let endpoint = self.cluster.endpoint.to_string();
        // The controller manager and the scheduler call the API server of their own host.
        let master = self.cluster.master(bundle.manifest.host.as_str()).filter(|_| !of_a_node);
        let own = |server: &str| {
            master.is_some_and(|host| {
                host.addresses.iter().any(|at| server == format!("https://{}:{}", at.for_url(), host.port))
            })
        };
        let mut found = Vec::new();
        for cluster in &config.clusters {
            if cluster.server != endpoint && !own(&cluster.server) {
                found.push(format!("it leads to {}, the cluster file to {endpoint}", cluster.server));
            }
            if let Some(Credential::File(path)) = &cluster.authority {
                let carried = bundle.file(path.to_string_lossy().trim_start_matches('/'));
                let ders = carried.and_then(|file| pem::certificates(&file.bytes).ok()).unwrap_or_default();
                if ders != [self.root.der().to_vec()] {
                    found.push(format!("it trusts {}, which is not this root", path.display()));
                }
            }
        }
        found
    }

    /// Where a bundle signs tokens with another key than this directory's: the masters would not believe each other's.
    fn other_service_account(&self, bundle: &Bundle) -> Option<String> {
        let carried = bundle.file(places::SERVICE_ACCOUNT_KEY)?;
        let key = PrivateKey::from_pem(&carried.bytes).ok()?;
        match service_account::look(self.layout) {
            Ok(Found::Whole(ours) | Found::Half(ours)) if ours.spki() == key.spki() => None,
            _ => Some(format!("{} is not this directory's key", carried.path)),
        }
    }

    /// The certificates in the directory now, of those that `leaves` describe.
    fn today(&self, leaves: impl Iterator<Item = Leaf>) -> Vec<Fingerprint> {
        let stored = leaves.filter_map(|leaf| credentials::read(self.layout, &leaf).ok());
        stored.map(|stored| stored.credential.certificate.fingerprint()).collect()
    }

    /// A sealed bundle, into which only its host can look: that it is one, and that no more is known of it.
    fn sealed(&self, host: &HostName) -> Option<Finding> {
        let path = self.layout.bundles().join(sealed_name(host));
        if !files::exists(&path) {
            return None;
        }
        let place = if self.cluster.node(host.as_str()).is_some() { Place::Node } else { Place::Master };
        let finding = |status| {
            Finding::new(CheckId::TRUST_MATCH, place, host.as_str(), status).address(path.display().to_string())
        };
        let expected = "a bundle that carries this root, by file path, and nothing that weakens it";
        let is_one = files::read(&path, 2 * archive::MAX_UNPACKED).is_ok_and(|bytes| seal::is_sealed(&bytes));
        Some(match is_one {
            true => finding(Status::Warn)
                .saw("it is sealed, and cannot be looked into here", expected)
                .hint(format!("if anything changed since it was made: clusterctl bundle {host}")),
            false => finding(Status::Fail).saw("it is damaged", expected).hint(format!("clusterctl bundle {host}")),
        })
    }

    fn bundle(
        &self,
        roles: Roles<'_>,
        place: Place,
        format: Format,
        path: &Path,
        today: &[Fingerprint],
        likeness: &Likeness<'_>,
    ) -> Finding {
        let host = roles.host().as_str();
        let finding =
            |status| Finding::new(CheckId::TRUST_MATCH, place, host, status).address(path.display().to_string());
        let expected = "a bundle that carries this root, by file path, and nothing that weakens it";
        let hint = match format {
            Format::TarGz => format!("clusterctl bundle {host}"),
            other => format!("clusterctl bundle {host} --format {}", other.as_str()),
        };
        let bundle = match parcels::read(path) {
            Ok(bundle) => bundle,
            Err(error) => return finding(Status::Fail).saw(error.to_string(), expected).hint(hint),
        };
        let mut wrong = Vec::new();
        if bundle.manifest.host.as_str() != host {
            wrong.push(format!("it is the bundle of {}", bundle.manifest.host));
        }
        if bundle.manifest.root_pin != self.root.spki_fingerprint() {
            wrong.push("its manifest pins another root".to_owned());
        }
        for file in &bundle.files {
            let Some(kind) = places::root_at(&file.path) else { continue };
            let ours = self.roots.get(&kind).map(|root| vec![root.der().to_vec()]);
            if ours.is_none() || pem::certificates(&file.bytes).ok() != ours {
                wrong.push(format!("{} is not this directory's {}", file.path, kind.as_str()));
            }
        }
        wrong.extend(self.other_service_account(&bundle));
        for file in bundle.files.iter().filter(|file| file.path.ends_with(".conf") && !file.path.contains("/systemd/"))
        {
            match kubeconfig::read(&file.bytes) {
                Ok(config) => {
                    wrong.extend(
                        kubeconfig::weaknesses(&config).into_iter().map(|w| format!("{}: {}", file.path, w.what)),
                    );
                    let misled = self.misled(&config, &bundle, file.path == places::KUBELET_KUBECONFIG);
                    wrong.extend(misled.into_iter().map(|what| format!("{}: {what}", file.path)));
                }
                Err(error) => wrong.push(format!("{}: {error}", file.path)),
            }
        }
        if let Some(file) = bundle.file(places::AUTHORIZATION) {
            let text = String::from_utf8_lossy(&file.bytes);
            let named: HashSet<&str> = text.split("X509SHA256=").skip(1).filter_map(|rest| rest.get(..64)).collect();
            let denied = |id: &&Fingerprint| !named.contains(id.to_string().as_str());
            let missed = self.denials.certificates().iter().filter(denied).count();
            if missed > 0 {
                wrong.push(format!("{} does not deny {missed} that were revoked", places::AUTHORIZATION));
            }
        }
        if let Some(file) = bundle.file(places::KUBELET_CONFIG) {
            match kubelet_config::weaknesses(&file.bytes) {
                Ok(weak) => wrong.extend(weak.into_iter().map(|what| format!("{}: {what}", places::KUBELET_CONFIG))),
                Err(error) => wrong.push(format!("{}: {error}", places::KUBELET_CONFIG)),
            }
        }
        if bundle.manifest.endpoint != self.cluster.endpoint {
            wrong.push(format!(
                "it leads to {}, the cluster file to {}",
                bundle.manifest.endpoint, self.cluster.endpoint
            ));
        }
        for file in
            bundle.files.iter().filter(|file| file.path.ends_with(".crt") && places::root_at(&file.path).is_none())
        {
            let carried = pem::certificates(&file.bytes).unwrap_or_default();
            if !carried.iter().all(|der| today.contains(&Fingerprint::of(der))) {
                wrong.push(format!("{} is not the certificate that lies in the directory now", file.path));
            }
        }
        let difference = likeness.difference(&bundle, roles, format);
        wrong.extend(difference.wrong);
        if !wrong.is_empty() {
            return finding(Status::Fail).saw(wrong.join("; "), expected).hint(hint);
        }
        if !difference.changed.is_empty() {
            let saw = format!("otherwise than clusterctl would write it now: {}", difference.changed.join(", "));
            return finding(Status::Warn)
                .saw(saw, expected)
                .hint(format!("compare these files, if you made them with --templates or --set; else: {hint}"));
        }
        finding(Status::Pass).saw(format!("it pins {}", bundle.manifest.root_pin.as_pin()), expected)
    }
}

/// The certificate in an administrator's kubeconfig.
fn administrator(path: &Path) -> Result<Certificate, String> {
    let bytes = files::read(path, ADMIN_LIMIT).map(Zeroizing::new).map_err(|error| error.to_string())?;
    let config = kubeconfig::read(&bytes).map_err(|error| error.to_string())?;
    let Some(Credential::Data(pem)) = config.users.first().and_then(|user| user.certificate.as_ref()) else {
        return Err("it holds no certificate".to_owned());
    };
    let der = pem::certificates(pem).map_err(|error| error.to_string())?.swap_remove(0);
    Certificate::from_der(der).map_err(|error| error.to_string())
}

fn by_name(hosts: &[Host]) -> HashMap<&HostName, &Host> {
    hosts.iter().map(|host| (&host.name, host)).collect()
}

fn expected_of(profile: Profile) -> String {
    let name = profile.policy().name;
    format!("a {name} credential that fits today's cluster file, chains to the root and is in the ledger")
}

/// A finding, the key that it is about, and what the credential is.
struct Looked {
    finding: Finding,
    key: Option<Fingerprint>,
    profile: Profile,
}
