//! Checks the certificates and keys of all hosts and of the verifier.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use time::OffsetDateTime;

use super::directory::Audit;
use crate::app::renewal;
use crate::bundle::format::encrypted_name;
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CertificateSpec, Profile};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::store::credentials::{self, CredentialProblem};
use crate::store::error::StoreError;
use crate::store::files;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::{CertificateRemedy, DirectoryRemedy, FileRemedy, Remedy, Server};
use crate::verify::target::Place;

/// A finding with the key and the profile of its credential.
struct Checked {
    finding: Finding,
    key: Option<Fingerprint>,
    profile: Profile,
}

/// A credential that is checked.
struct Subject<'s> {
    place: Place,
    host: String,
    spec: &'s CertificateSpec,
    /// The file of its certificate.
    path: PathBuf,
}

impl Subject<'_> {
    fn finding(&self, status: Status) -> Finding {
        Finding::new(CheckId::STORE_CREDENTIAL, self.place, &self.host, status).address(self.path.display().to_string())
    }

    fn expected(&self) -> String {
        expected(self.spec.profile)
    }

    fn server(&self) -> Server {
        Server { place: self.place, host: self.host.clone() }
    }

    fn key_file(&self) -> String {
        self.path.with_extension("key").display().to_string()
    }
}

impl Audit<'_> {
    /// Returns the finding `store.credential` of every credential, in the order of the cluster file.
    pub(super) fn credentials(&self, progress: &(dyn Fn() + Sync)) -> Vec<Finding> {
        let hosts = self.cluster.masters.len() + self.cluster.nodes.len();
        let check = |number: usize| {
            progress();
            let (place, specs) = self.holder(number);
            specs.into_iter().map(move |spec| self.credential(place, &spec))
        };
        // There is one holder more than there are hosts: the verifier, between the masters and the nodes.
        let checked: Vec<Checked> = (0..=hosts).into_par_iter().flat_map_iter(check).collect();
        self.with_shared_keys(checked)
    }

    /// Returns the certificates that the holder with this number should have. They are computed on demand to bound
    /// memory.
    fn holder(&self, number: usize) -> (Place, Vec<CertificateSpec>) {
        let masters = &self.cluster.masters;
        match (masters.get(number), number.checked_sub(masters.len() + 1).and_then(|i| self.cluster.nodes.get(i))) {
            (Some(master), _) => (Place::Master, self.cluster.master_specs(master)),
            (None, Some(node)) => (Place::Node, self.cluster.node_specs(node)),
            (None, None) => (Place::Cluster, vec![self.cluster.verifier_spec()]),
        }
    }

    /// Changes findings to failures if their credentials share a key, because each holder could impersonate the other.
    fn with_shared_keys(&self, mut checked: Vec<Checked>) -> Vec<Finding> {
        let mut last: HashMap<Fingerprint, usize> = HashMap::with_capacity(checked.len());
        for i in 0..checked.len() {
            if let Some(key) = checked[i].key
                && let Some(other) = last.insert(key, i)
            {
                let other = format!("{} {}", checked[other].finding.host, checked[other].profile.policy().name);
                let shared = CredentialProblem::SharedKey(other).to_string();
                let Checked { finding, profile, .. } = &mut checked[i];
                let passed = finding.status == Status::Pass;
                finding.observed = if passed { shared } else { format!("{shared}; {}", finding.observed) };
                finding.expected = expected(*profile);
                finding.address.get_or_insert_with(|| {
                    let folder = self.layout.holder_folder(*profile, HostName::parse(&finding.host).ok().as_ref());
                    folder.join(profile.policy().name).with_extension("crt").display().to_string()
                });
                finding.status = Status::Fail;
                finding.remedy = Some(DirectoryRemedy::ReissueBoth.into());
            }
        }
        checked.into_iter().map(|one| one.finding).collect()
    }

    fn credential(&self, place: Place, spec: &CertificateSpec) -> Checked {
        let policy = spec.policy();
        let host = spec.host.as_ref().map_or_else(|| "verifier".to_owned(), ToString::to_string);
        let path = self.layout.holder_folder(spec.profile, spec.host.as_ref()).join(format!("{}.crt", policy.name));
        let subject = Subject { place, host, spec, path };
        let checked = |finding, key| Checked { finding, key, profile: spec.profile };
        let Some(ca) = self.cas.get(&policy.signed_by) else {
            let path = self.layout.root_certificate(policy.signed_by);
            let saw = format!(
                "the {} {} cannot be read, so it cannot be verified",
                policy.signed_by.as_str(),
                path.display()
            );
            let finding = subject.finding(Status::Fail).saw(saw, subject.expected());
            return checked(finding.remedy(DirectoryRemedy::RestoreRoot), None);
        };
        let found = credentials::read_good(self.layout, spec, self.cluster.keys, ca, self.known, self.now);
        let mut problems = found.as_ref().err().cloned().unwrap_or_default();
        if let [CredentialProblem::KeyDiscarded { not_after }] = problems.as_slice() {
            let certificate = credentials::read_certificate(self.layout, spec).ok();
            let key = certificate.map(|certificate| certificate.spki_fingerprint());
            return checked(self.without_key(&subject, *not_after, &problems[0]), key);
        }
        if found.is_err() && credentials::is_key_on_host(self.layout, spec, self.known) {
            let certificate = credentials::read_certificate(self.layout, spec).ok();
            let key = certificate.map(|certificate| certificate.spki_fingerprint());
            return checked(self.with_key_on_host(&subject, &problems), key);
        }
        if !problems.contains(&CredentialProblem::NotThere) {
            problems.extend(credentials::mode_problem(self.layout, spec, found.as_ref().ok()));
        }
        match &found {
            Ok(stored) => {
                let certificate = &stored.credential.certificate;
                let finding = match problems.is_empty() {
                    true => self.valid(&subject, certificate),
                    false => self.wrong(&subject, &problems),
                };
                checked(finding, Some(certificate.spki_fingerprint()))
            }
            Err(_) => {
                // A copy of another host's credential has other problems, too. `with_shared_keys` adds that it is a copy.
                let key = credentials::read(self.layout, spec).ok().map(|stored| stored.credential.key.fingerprint());
                checked(self.wrong(&subject, &problems), key)
            }
        }
    }

    /// Returns the finding of a certificate whose key only its host has.
    fn with_key_on_host(&self, subject: &Subject<'_>, problems: &[CredentialProblem]) -> Finding {
        let send_request = || DirectoryRemedy::SendRequest { host: subject.host.clone() };
        match problems {
            [problem @ CredentialProblem::KeyOnHost { not_after }] if self.expires_soon(*not_after) => subject
                .finding(Status::Warn)
                .saw(format!("{problem}; {}", self.time_left(*not_after)), self.expected_time())
                .remedy(self.ca_remedy(subject, Some(*not_after)).unwrap_or_else(send_request)),
            [problem @ CredentialProblem::KeyOnHost { .. }] => {
                subject.finding(Status::Pass).saw(problem.to_string(), subject.expected())
            }
            problems => wrong(subject, problems).remedy(send_request()),
        }
    }

    /// Returns the finding of a certificate whose key was deleted on purpose after its bundle was encrypted.
    fn without_key(&self, subject: &Subject<'_>, not_after: OffsetDateTime, problem: &CredentialProblem) -> Finding {
        let Some(host) = &subject.spec.host else {
            return subject.finding(Status::Pass).saw(problem.to_string(), subject.expected());
        };
        if !files::exists(&self.layout.bundles().join(encrypted_name(host))) {
            return subject
                .finding(Status::Warn)
                .saw(format!("{problem}; its encrypted bundle is no longer in this directory"), subject.expected())
                .remedy(DirectoryRemedy::ReissueUnlessInstalled { host: host.to_string() });
        }
        if self.expires_soon(not_after) {
            return subject
                .finding(Status::Warn)
                .saw(format!("{problem}; {}", self.time_left(not_after)), self.expected_time())
                .remedy(self.renewal_remedy(subject, not_after));
        }
        subject.finding(Status::Pass).saw(problem.to_string(), subject.expected())
    }

    /// Returns the remedy for a certificate that expires soon.
    fn renewal_remedy(&self, subject: &Subject<'_>, not_after: OffsetDateTime) -> DirectoryRemedy {
        let renew = || match subject.spec.host {
            Some(_) => DirectoryRemedy::RenewHost(subject.server()),
            None => DirectoryRemedy::renew_verifier(not_after - self.now),
        };
        self.ca_remedy(subject, Some(not_after)).unwrap_or_else(renew)
    }

    /// Returns the remedy if a new certificate would not help, because of its CA.
    fn ca_remedy(&self, subject: &Subject<'_>, expiring: Option<OffsetDateTime>) -> Option<DirectoryRemedy> {
        let trust = self.cas.get(&subject.spec.policy().signed_by)?;
        renewal::is_limited_by_ca(expiring, trust, self.now).then(|| renewal::ca_remedy(trust, self.now))
    }

    /// Returns the finding of a credential with problems.
    fn wrong(&self, subject: &Subject<'_>, problems: &[CredentialProblem]) -> Finding {
        let finding = wrong(subject, problems);
        match (&finding.remedy, self.ca_remedy(subject, None)) {
            (Some(Remedy::Directory(DirectoryRemedy::Issue { .. })), Some(remedy)) => finding.remedy(remedy),
            _ => finding,
        }
    }

    /// Returns the finding of a valid credential.
    fn valid(&self, subject: &Subject<'_>, certificate: &Certificate) -> Finding {
        if self.known.is_key_discarded(certificate.fingerprint()) {
            let path = subject.key_file();
            return subject
                .finding(Status::Warn)
                .saw(format!("its key should have been deleted, but {path} still exists"), subject.expected())
                .remedy(DirectoryRemedy::DeleteDeliveredKey { path });
        }
        if self.expires_soon(certificate.not_after) {
            return subject
                .finding(Status::Warn)
                .saw(self.time_left(certificate.not_after), self.expected_time())
                .remedy(self.renewal_remedy(subject, certificate.not_after));
        }
        if self.options.problems_only {
            return Finding::new(CheckId::STORE_CREDENTIAL, subject.place, &subject.host, Status::Pass);
        }
        subject.finding(Status::Pass).saw(format!("valid until {}", stamp(certificate.not_after)), subject.expected())
    }
}

/// Returns the finding of a credential with problems.
fn wrong(subject: &Subject<'_>, problems: &[CredentialProblem]) -> Finding {
    let only_modes = problems.iter().all(|problem| matches!(problem, CredentialProblem::Mode(..)));
    let remedy = if only_modes {
        DirectoryRemedy::RestrictKey { path: subject.key_file() }.into()
    } else if problems.iter().all(CredentialProblem::is_early) {
        Remedy::from(CertificateRemedy::CompareClocks)
    } else if let Some(error) = problems.iter().find_map(CredentialProblem::unreadable) {
        of_storage(error).into()
    } else {
        // A plain issue run would skip this credential, because it is not missing.
        let reissue = problems.contains(&CredentialProblem::NotInLedger);
        DirectoryRemedy::Issue { server: subject.server(), reissue }.into()
    };
    let observed: Vec<String> = problems.iter().map(ToString::to_string).collect();
    subject.finding(Status::Fail).saw(observed.join("; "), subject.expected()).remedy(remedy)
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

fn expected(profile: Profile) -> String {
    let name = profile.policy().name;
    format!("a {name} credential that matches the cluster file, chains to the root and is in the ledger")
}
