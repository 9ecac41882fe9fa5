//! What `verify --offline` proves: that all that lies in the cluster directory is what the cluster file asks for. The
//! judgement of a credential is the very one that stands before every write.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use time::{Duration, OffsetDateTime};

use crate::bundle::format::sealed_name;
use crate::cluster::duration::{in_words, stamp};
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, CertificateSpec, Profile};
use crate::cluster::spec::Cluster;
use crate::pki::ca_certificate::CaCertificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::local_key::LocalKey;
use crate::pki::signing_key::SigningKey;
use crate::pki::trust_bundle::TrustBundle;
use crate::pki::violation::Violation;
use crate::rbac::denials::Denials;
use crate::store::ca;
use crate::store::credentials::{self, CredentialProblem};
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::inventory::Inventory;
use crate::store::service_account::{self, Found};
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::{CertificateRemedy, DirectoryRemedy, FileRemedy, Remedy, Server};
use crate::verify::target::Place;

/// What an audit looks at.
pub(crate) struct Audit<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) cluster: &'a Cluster,
    pub(crate) root: &'a TrustBundle,
    /// All roots that can be read, the cluster's among them, each with what verifies its signatures.
    pub(crate) roots: &'a BTreeMap<CaRole, TrustBundle>,
    pub(crate) known: &'a Inventory,
    /// The last generation that the ledger gave to bundles.
    pub(crate) last_generation: u64,
    /// What masters' bundles have to deny.
    pub(crate) denials: &'a Denials,
    pub(crate) now: OffsetDateTime,
    /// What ends sooner than this is warned of.
    pub(crate) expires_within: Duration,
    /// Whether nobody will be told where and why something passed: of many it would fill the memory.
    pub(crate) only_what_is_wrong: bool,
}

/// What is expected of a CA.
const EXPECTED_CA: &str = "a root as the PKI policy has it, its key readable by its owner alone";

impl Audit<'_> {
    /// `store.credential` for every root and every leaf, then `trust.match` for every bundle, in the file's order.
    pub(crate) fn findings(&self, progress: &(dyn Fn() + Sync)) -> Vec<Finding> {
        let first: Vec<Finding> = CaRole::ALL
            .into_iter()
            .flat_map(|kind| self.cas(kind))
            .chain(self.open_doors())
            .chain(self.left_open())
            .chain(self.changeable_by_others())
            .chain(self.unfinished())
            .chain(self.unfinished_elsewhere())
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
    fn holder(&self, number: usize) -> (Place, Vec<CertificateSpec>) {
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
                let shared = CredentialProblem::SharedKey(other).to_string();
                let Looked { finding, profile, .. } = &mut looked[i];
                let passed = finding.status == Status::Pass;
                finding.observed = if passed { shared } else { format!("{shared}; {}", finding.observed) };
                finding.expected = expected_of(*profile);
                finding.address.get_or_insert_with(|| {
                    let folder = self.layout.holder_folder(*profile, HostName::parse(&finding.host).ok().as_ref());
                    folder.join(profile.policy().name).with_extension("crt").display().to_string()
                });
                finding.status = Status::Fail;
                finding.remedy = Some(DirectoryRemedy::ReissueBoth.into());
            }
        }
        looked.into_iter().map(|one| one.finding).collect()
    }

    /// `store.credential` for every CA of a role that is not retired.
    fn cas(&self, kind: CaRole) -> Vec<Finding> {
        match ca::trust(self.layout, kind) {
            Ok(trust) => trust.accepted().map(|ca| self.ca(ca, ca == trust.active())).collect(),
            Err(error) => {
                let path = self.layout.root_certificate(kind).display().to_string();
                let finding = Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, kind.as_str(), Status::Fail);
                vec![finding.address(path).saw(error.to_string(), EXPECTED_CA)]
            }
        }
    }

    fn ca(&self, ca: &CaCertificate, is_active: bool) -> Finding {
        let (kind, certificate) = (ca.role(), ca.certificate());
        let path = self.layout.root_certificate(kind);
        let finding = |status| {
            Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, kind.as_str(), status)
                .address(path.display().to_string())
        };
        let mut wrong: Vec<String> = ca.violations(self.now).iter().map(ToString::to_string).collect();
        if self.known.sequence(certificate.fingerprint()).is_some()
            && !self.known.is_root(certificate.fingerprint(), kind)
        {
            wrong.push(format!("the ledger knows it as another root than the {}", kind.as_str()));
        }
        // The key in the directory is the active CA's. A closed one is not opened here.
        if is_active
            && let Ok(Some(text)) = ca::key_file(self.layout, kind)
            && let Ok(key) = LocalKey::from_pem_with(&text, None)
            && key.public_key() != certificate.spki
        {
            wrong.push(Violation::KeyDoesNotFit.to_string());
        }
        wrong.extend(ca.is_of_another_cluster(&self.cluster.name).map(|violation| violation.to_string()));
        if self.known.sequence(certificate.fingerprint()).is_none() {
            wrong.push(CredentialProblem::NotInLedger.to_string());
        }
        // A CA's key may well be kept elsewhere; one that is here is its owner's alone.
        let open = credentials::readable_by_others(&self.layout.root_key(kind)).map(|trouble| trouble.to_string());
        wrong.extend(open.clone());
        // What it signs from then on is shortened, and new roots take time.
        let validity = &self.cluster.validity;
        let longest = Duration::try_from(validity.master.max(validity.node).duration()).unwrap_or(Duration::MAX);
        let not_after = ca.not_after();
        let in_time = self.expires_within.max(longest.min((not_after - certificate.not_before) / 3));
        if wrong.is_empty() && not_after - self.now <= in_time {
            finding(Status::Warn)
                .saw(self.ends_soon(not_after), format!("more than {} left", in_words(in_time)))
                .remedy(DirectoryRemedy::PlanNewRoots)
        } else if wrong.is_empty() {
            finding(Status::Pass).saw(format!("good until {}", stamp(not_after)), EXPECTED_CA)
        } else {
            let remedy = if self.now < certificate.not_before {
                Remedy::from(CertificateRemedy::CompareClocks)
            } else if wrong.len() == 1 && open.is_some() {
                DirectoryRemedy::RestrictKey { path: self.layout.root_key(kind).display().to_string() }.into()
            } else {
                DirectoryRemedy::RestoreRoot.into()
            };
            finding(Status::Fail).saw(wrong.join("; "), EXPECTED_CA).remedy(remedy)
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
        let (wrong, remedy) = match (service_account::look(self.layout), credentials::readable_by_others(&path)) {
            (Ok(Found::Whole(key)), None) => {
                let saw = format!("{}, {}", key.kind(), key.fingerprint().as_pin());
                return finding(Status::Pass).saw(saw, expected);
            }
            (Ok(Found::Whole(_)), Some(open)) => {
                (open.to_string(), DirectoryRemedy::RestrictKey { path: path.display().to_string() })
            }
            (Ok(Found::Nothing), _) => {
                (CredentialProblem::NotThere.to_string(), DirectoryRemedy::IssueServiceAccountKey)
            }
            (Ok(Found::Half(_)), _) => {
                let missing = CredentialProblem::Missing(self.layout.service_account_public());
                (missing.to_string(), DirectoryRemedy::IssueServiceAccountKey)
            }
            (Err(trouble), _) => (trouble.to_string(), DirectoryRemedy::RestoreServiceAccountKey),
        };
        finding(Status::Fail).saw(wrong, expected).remedy(remedy)
    }

    pub(super) fn ends_soon(&self, end: OffsetDateTime) -> String {
        format!("{} left, until {}", in_words(end - self.now), stamp(end))
    }

    pub(super) fn lasts(&self) -> String {
        format!("more than {} left", in_words(self.expires_within))
    }

    fn look(&self, place: Place, leaf: &CertificateSpec) -> Looked {
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
            let finding = finding(Status::Fail).saw(what, expected).remedy(DirectoryRemedy::RestoreRoot);
            return Looked { finding, key: None, profile: leaf.profile };
        };
        let found = credentials::read_good(self.layout, leaf, self.cluster.keys, root, self.known, self.now);
        let mut troubles = match &found {
            Ok(_) => Vec::new(),
            Err(troubles) => troubles.clone(),
        };
        if let [CredentialProblem::KeyDiscarded { not_after }] = troubles.as_slice() {
            let (saw, ends_soon) = (troubles[0].to_string(), *not_after - self.now <= self.expires_within);
            let host = leaf.host.as_ref();
            let bundled = host.is_some_and(|host| files::exists(&self.layout.bundles().join(sealed_name(host))));
            let finding = match (bundled, host) {
                (false, Some(host)) => finding(Status::Warn)
                    .saw(format!("{saw}; and its sealed bundle is not here any more"), expected)
                    .remedy(DirectoryRemedy::ReissueUnlessInstalled { host: host.to_string() }),
                (_, Some(host)) if ends_soon => finding(Status::Warn)
                    .saw(format!("{saw}; {}", self.ends_soon(*not_after)), self.lasts())
                    .remedy(DirectoryRemedy::RenewHost(Server { place, host: host.to_string() })),
                _ => finding(Status::Pass).saw(saw, expected),
            };
            let certificate = credentials::read_certificate(self.layout, leaf).ok();
            let key = certificate.map(|certificate| certificate.spki_fingerprint());
            return Looked { finding, key, profile: leaf.profile };
        }
        if !troubles.contains(&CredentialProblem::NotThere) {
            troubles.extend(credentials::mode_problem(self.layout, leaf, found.as_ref().ok()));
        }
        let key = match &found {
            Ok(stored) => Some(stored.credential.certificate.spki_fingerprint()),
            // A copied credential has other troubles, too; that it is a copy is to be said all the same.
            Err(_) => credentials::read(self.layout, leaf).ok().map(|stored| stored.credential.key.fingerprint()),
        };
        if let (Ok(stored), true) = (&found, troubles.is_empty()) {
            if self.known.is_key_discarded(stored.credential.certificate.fingerprint()) {
                let key_file = path().with_extension("key").display().to_string();
                let finding = finding(Status::Warn)
                    .saw(format!("its key was to be deleted, and {key_file} still exists"), expected)
                    .remedy(DirectoryRemedy::DeleteDeliveredKey { path: key_file });
                return Looked { finding, key, profile: leaf.profile };
            }
            if stored.credential.certificate.not_after - self.now <= self.expires_within {
                let finding = finding(Status::Warn)
                    .saw(self.ends_soon(stored.credential.certificate.not_after), self.lasts())
                    .remedy(DirectoryRemedy::RenewHost(Server { place, host: host.clone() }));
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
        let only_mode = troubles.iter().all(|trouble| matches!(trouble, CredentialProblem::Mode(..)));
        let remedy = if only_mode {
            DirectoryRemedy::RestrictKey { path: path().with_extension("key").display().to_string() }.into()
        } else if troubles.iter().all(CredentialProblem::is_early) {
            Remedy::from(CertificateRemedy::CompareClocks)
        } else if let Some(error) = troubles.iter().find_map(CredentialProblem::unreadable) {
            of_storage(error).into()
        } else {
            // What is remembered of it was true when the ledger still knew it.
            let reissue = troubles.contains(&CredentialProblem::NotInLedger);
            DirectoryRemedy::Issue { server: Server { place, host: host.clone() }, reissue }.into()
        };
        let observed: Vec<String> = troubles.iter().map(ToString::to_string).collect();
        Looked {
            finding: finding(Status::Fail).saw(observed.join("; "), expected).remedy(remedy),
            key,
            profile: leaf.profile,
        }
    }
}

/// Returns the remedy for a file that cannot be read.
fn of_storage(error: &StoreError) -> FileRemedy {
    let StoreError::Io { kind, path, .. } = error else { return FileRemedy::CheckDisk };
    let path = path.display().to_string();
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FileRemedy::FreeSpace,
        ErrorKind::PermissionDenied => FileRemedy::CheckOwner { path },
        ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::AlreadyExists => FileRemedy::MoveAway { path },
        _ => FileRemedy::CheckDisk,
    }
}

fn expected_of(profile: Profile) -> String {
    let name = profile.policy().name;
    format!("one {name} credential that fits today's cluster file, chains to the root and is in the ledger")
}

/// A finding, the key that it is about, and what the credential is.
struct Looked {
    finding: Finding,
    key: Option<Fingerprint>,
    profile: Profile,
}
