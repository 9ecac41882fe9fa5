//! Rebuilds a lost or damaged ledger from the certificates that the directory's CAs signed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use time::macros::format_description;

use super::check::check;
use super::error::RebuildError;
use super::finding::{LedgerFinding, LedgerFindingId as Id, Severity};
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::app::package::reader;
use crate::app::revoke::certificates::{self, OwnCertificate};
use crate::app::revoke::learn::learn;
use crate::app::revoke::rendered::certificates_in;
use crate::bundle::format::encrypted_name;
use crate::bundle::host_keys::HOST_KEYS;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, Profile, TABLE};
use crate::cluster::spec::Role;
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::store::ca;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::Entry;
use crate::store::ledger::replace::StagedLedger;

/// Information that a rebuilt ledger lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// A file that cannot be read, or in which there is no certificate.
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// An encrypted bundle: only its recipients know its certificates.
    Encrypted {
        /// The bundle.
        path: PathBuf,
    },
    /// A certificate that no CA of the directory signed.
    OtherIssuer {
        /// The file with it.
        path: PathBuf,
    },
    /// A CRL that cannot be used.
    Crl {
        /// The CRL.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A file is newer than all files that list revoked certificates, so that there may be further revocations.
    IncompleteRevocations {
        /// Which file, as text.
        reason: String,
    },
    /// There is neither a CRL nor a file with the API servers' rules, so nothing is known about revocations.
    NoRevocationEvidence,
}

/// The result of rebuilding the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildReport {
    /// The ledger.
    pub ledger: PathBuf,
    /// The path at which the previous file is kept.
    pub kept: Option<PathBuf>,
    /// The number of certificates, including CAs.
    pub certificates: usize,
    /// The number of certificates whose keys are not in the directory.
    pub keys_elsewhere: usize,
    /// The number of revocations of these certificates.
    pub revoked: usize,
    /// The minimum number of revoked certificates that are in no file. CRLs name them by serial number and rules by
    /// SHA-256, so that the same certificate can be in both.
    pub revoked_unknown: usize,
    /// The information that could not be restored.
    pub unknown: Vec<Unknown>,
}

/// Rebuilds the ledger from the certificates, bundles, CRLs and rules of the directory. The old file is renamed and
/// kept.
///
/// # Errors
/// Returns [`RebuildError::NothingWrong`] if a check finds nothing wrong, or an error if the CAs' certificates
/// or a folder cannot be read.
pub fn rebuild(env: &Env, observer: &mut dyn Observer) -> Result<RebuildReport, Error> {
    let _lock = directory::lock(env, "ledger rebuild", observer)?;
    let place = env.layout.ledger();
    check_is_unusable(env)?;
    let cas = CaSet::try_from_fn(|role| ca::trust(&env.layout, role))?;
    files::sweep(&env.layout.pki())?;
    let (staged, mut ledger) = StagedLedger::begin(&place)?;
    let mut found = Found {
        cas: &cas,
        ledger: &ledger,
        seen: HashSet::new(),
        own: Vec::new(),
        keys_elsewhere: Vec::new(),
        keep_their_keys: HashSet::new(),
        unknown: Vec::new(),
    };
    found.read_all(&env.layout)?;
    let Found { own, keys_elsewhere, keep_their_keys, mut unknown, .. } = found;
    let roots = record_cas(&cas, &mut ledger, env)?;
    let leaves = certificates::record(&in_order(own), &cas, &mut ledger, &env.audit())?;
    // A key counts as discarded only if there is an encrypted bundle, which may have its only copy.
    let is_on_host = |host: &str| keep_their_keys.contains(host) || !has_encrypted_bundle(host, &env.layout);
    let (on_hosts, discarded): (Vec<_>, Vec<_>) =
        keys_elsewhere.iter().cloned().partition(|(host, _)| is_on_host(host));
    ledger.record_keys_on_hosts(&on_hosts, &env.audit())?;
    ledger.record_discarded_keys(&discarded, &env.audit())?;
    let learnt = learn(&mut ledger, &cas, env)?;
    unknown.extend(
        learnt
            .unusable
            .into_iter()
            .map(|(role, reason)| Unknown::Crl { path: env.layout.revocation_list(role), reason }),
    );
    unknown.extend(learnt.incomplete.map(|reason| Unknown::IncompleteRevocations { reason }));
    unknown.extend((!learnt.has_evidence).then_some(Unknown::NoRevocationEvidence));
    ledger.log_event("rebuild", "ledger", &format!("{} certificates", roots + leaves), &env.audit())?;
    drop(ledger);
    let time = format_description!("[year][month][day]T[hour][minute][second]Z");
    let suffix = format!(".replaced-{}", env.now.format(&time).unwrap_or_default());
    let kept = staged.publish(&suffix)?;
    Ok(RebuildReport {
        ledger: place,
        kept,
        certificates: roots + leaves,
        keys_elsewhere: keys_elsewhere.len(),
        revoked: learnt.recorded,
        revoked_unknown: learnt.unrecorded,
        unknown,
    })
}

/// Refuses a ledger in which a check finds nothing wrong.
fn check_is_unusable(env: &Env) -> Result<(), Error> {
    let is_wrong_itself =
        |finding: &LedgerFinding| finding.severity == Severity::Error && !matches!(finding.id, Id::Crl | Id::Denials);
    match check(env, None)?.findings.iter().any(is_wrong_itself) {
        true => Ok(()),
        false => Err(RebuildError::NothingWrong(env.layout.ledger()).into()),
    }
}

/// Returns the certificates in the order in which they are recorded: those of bundles before those of the directory,
/// each by the beginning of their validity. A holder's current certificate is the one that is recorded last.
fn in_order(mut found: Vec<(Source, OwnCertificate)>) -> Vec<OwnCertificate> {
    found.sort_by_key(|(source, own)| (*source, own.certificate.not_before));
    found.into_iter().map(|(_, own)| own).collect()
}

fn has_encrypted_bundle(host: &str, layout: &Layout) -> bool {
    HostName::parse(host).is_ok_and(|host| files::exists(&layout.bundles().join(encrypted_name(&host))))
}

/// Records the CAs, and returns their number.
fn record_cas(cas: &CaSet, ledger: &mut Ledger, env: &Env) -> Result<usize, Error> {
    let mut entries = Vec::new();
    for role in CaRole::ALL {
        for (ca, _) in cas.of(role).all() {
            let certificate = ca.certificate();
            entries.push(Entry { certificate, profile: role.as_str(), host: None, issuer: certificate });
        }
    }
    ledger.record(&entries, &env.audit())?;
    Ok(entries.len())
}

/// Where a certificate was found. One that is only in a bundle was replaced in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Bundle,
    Directory,
}

/// The certificates that were found.
struct Found<'a> {
    cas: &'a CaSet,
    ledger: &'a Ledger,
    seen: HashSet<Fingerprint>,
    own: Vec<(Source, OwnCertificate)>,
    /// Hosts and their certificates without a key in the directory.
    keys_elsewhere: Vec<(String, Fingerprint)>,
    /// The hosts that generated their keys themselves: their bundles list the keys that are only on the host.
    keep_their_keys: HashSet<String>,
    unknown: Vec<Unknown>,
}

impl Found<'_> {
    fn read_all(&mut self, layout: &Layout) -> Result<(), StoreError> {
        for role in [Role::Master, Role::Node] {
            let folder = layout.hosts_folder(role);
            for host in files::names_in(&folder)? {
                self.read_folder(&folder.join(&host), Some(&host))?;
            }
        }
        self.read_folder(&layout.holder_folder(Profile::Verifier, None), None)?;
        for name in files::names_in(&layout.admins())?.into_iter().filter(|name| name.ends_with(".conf")) {
            self.read_file(&layout.admins().join(name), None, false)?;
        }
        for name in files::names_in(&layout.bundles())? {
            self.read_bundle(&layout.bundles().join(name))?;
        }
        if files::exists(&layout.verifier_bundle()) {
            self.read_bundle(&layout.verifier_bundle())?;
        }
        Ok(())
    }

    fn read_folder(&mut self, folder: &Path, host: Option<&str>) -> Result<(), StoreError> {
        for name in files::names_in(folder)?.into_iter().filter(|name| name.ends_with(".crt")) {
            self.read_file(&folder.join(name), host, true)?;
        }
        Ok(())
    }

    /// Reads the first certificate of a file; the certificates after it are its chain.
    fn read_file(&mut self, path: &Path, host: Option<&str>, has_key: bool) -> Result<(), StoreError> {
        match certificates::read(path) {
            Ok(read) => {
                let Some(certificate) = read.into_iter().next() else { return Ok(()) };
                let fingerprint = certificate.fingerprint();
                self.add(certificate, host, path, Source::Directory)?;
                if let (Some(host), true) = (host, has_key && !files::exists(&path.with_extension("key"))) {
                    self.keys_elsewhere.push((host.to_owned(), fingerprint));
                }
            }
            Err(error) => self.unknown.push(Unknown::File { path: path.to_owned(), reason: error.to_string() }),
        }
        Ok(())
    }

    fn read_bundle(&mut self, path: &Path) -> Result<(), StoreError> {
        if path.extension().is_some_and(|ending| ending == "age") {
            self.unknown.push(Unknown::Encrypted { path: path.to_owned() });
            return Ok(());
        }
        match reader::read(path) {
            Ok(bundle) => {
                let host = bundle.manifest.host.as_str();
                let is_host = !bundle.manifest.roles.is_empty();
                if bundle.file(HOST_KEYS).is_some() {
                    self.keep_their_keys.insert(host.to_owned());
                }
                let mut all = certificates_in(&bundle).into_iter();
                all.try_for_each(|certificate| self.add(certificate, is_host.then_some(host), path, Source::Bundle))?;
            }
            Err(error) => self.unknown.push(Unknown::File { path: path.to_owned(), reason: error.to_string() }),
        }
        Ok(())
    }

    fn add(
        &mut self,
        certificate: Certificate,
        host: Option<&str>,
        path: &Path,
        source: Source,
    ) -> Result<(), StoreError> {
        if !self.seen.insert(certificate.fingerprint()) {
            return Ok(());
        }
        let Some(mut own) = OwnCertificate::look_up(certificate, host, self.cas, self.ledger)? else {
            self.unknown.push(Unknown::OtherIssuer { path: path.to_owned() });
            return Ok(());
        };
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if let Some(policy) = TABLE.iter().find(|policy| Some(policy.name) == stem && policy.signed_by == own.signed_by)
        {
            policy.name.clone_into(&mut own.issued.profile);
        }
        self.own.push((source, own));
        Ok(())
    }
}
