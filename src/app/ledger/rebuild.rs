//! Makes a new ledger from what the directory's CAs signed, where the ledger is lost or damaged.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use time::macros::format_description;

use super::error::RebuildError;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::app::package::reader;
use crate::app::revoke::certificates::{self, OwnCertificate};
use crate::app::revoke::learn::learn;
use crate::app::revoke::rendered::certificates_in;
use crate::bundle::host_keys::HOST_KEYS;
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

/// What a new ledger does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// A file that cannot be read, or in which there is no certificate: an encrypted bundle, for example.
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
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
    /// Revocations that no file names.
    Revocations {
        /// The evidence.
        reason: String,
    },
}

/// What a new ledger was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildReport {
    /// The ledger.
    pub ledger: PathBuf,
    /// Where the file that was in its place is kept.
    pub kept: Option<PathBuf>,
    /// The number of certificates, CAs among them.
    pub certificates: usize,
    /// The number of certificates whose keys are not in the directory.
    pub keys_elsewhere: usize,
    /// The number of revocations of these certificates.
    pub revoked: usize,
    /// The number of revocations of certificates that are in no file.
    pub revoked_unknown: usize,
    /// What could not be known.
    pub unknown: Vec<Unknown>,
}

/// Makes a new ledger from the certificates, bundles, CRLs and rules of the directory, and keeps the old file beside it.
///
/// # Errors
/// Returns [`RebuildError::Good`] if the ledger can be read, or an error if the CAs' certificates, or a folder, cannot
/// be.
pub fn rebuild(env: &Env, observer: &mut dyn Observer) -> Result<RebuildReport, Error> {
    let _lock = directory::lock(env, "ledger rebuild", observer)?;
    let place = env.layout.ledger();
    check_is_unusable(&place)?;
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
    let leaves = certificates::record(&own, &cas, &mut ledger, &env.audit())?;
    let (on_hosts, discarded): (Vec<_>, Vec<_>) =
        keys_elsewhere.iter().cloned().partition(|(host, _)| keep_their_keys.contains(host));
    ledger.record_keys_on_hosts(&on_hosts, &env.audit())?;
    ledger.record_discarded_keys(&discarded, &env.audit())?;
    let learnt = learn(&mut ledger, &cas, env)?;
    unknown.extend(
        learnt
            .unusable
            .into_iter()
            .map(|(role, reason)| Unknown::Crl { path: env.layout.revocation_list(role), reason }),
    );
    unknown.extend(learnt.incomplete.map(|reason| Unknown::Revocations { reason }));
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

/// Refuses a ledger that SQLite reads whole.
fn check_is_unusable(path: &Path) -> Result<(), Error> {
    match Ledger::open_read_only(path) {
        Ok(ledger) => match ledger.integrity_problems() {
            Ok(problems) if problems.is_empty() => Err(RebuildError::Good(path.to_owned()).into()),
            Ok(_) | Err(StoreError::LedgerDamaged { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        },
        Err(
            StoreError::LedgerMissing(_)
            | StoreError::LedgerEmpty(_)
            | StoreError::LedgerDamaged { .. }
            | StoreError::LedgerForeign { .. },
        ) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Records the CAs, and returns their number.
fn record_cas(cas: &CaSet, ledger: &mut Ledger, env: &Env) -> Result<usize, Error> {
    let mut entries = Vec::new();
    for role in CaRole::ALL {
        for (ca, _) in cas.of(role).all() {
            let certificate = ca.certificate();
            let issuer = ca.path().nth(1).unwrap_or(certificate);
            entries.push(Entry { certificate, profile: role.as_str(), host: None, issuer });
        }
    }
    ledger.record(&entries, &env.audit())?;
    Ok(entries.len())
}

/// The certificates that are found.
struct Found<'a> {
    cas: &'a CaSet,
    ledger: &'a Ledger,
    seen: HashSet<Fingerprint>,
    own: Vec<OwnCertificate>,
    /// Hosts and their certificates without a key in the directory.
    keys_elsewhere: Vec<(String, Fingerprint)>,
    /// The hosts that made their keys themselves: their bundles list the keys that they do not have.
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

    /// Reads the certificate of a file: what follows it is its chain.
    fn read_file(&mut self, path: &Path, host: Option<&str>, has_key: bool) -> Result<(), StoreError> {
        match certificates::read(path) {
            Ok(read) => {
                let Some(certificate) = read.into_iter().next() else { return Ok(()) };
                let fingerprint = certificate.fingerprint();
                self.add(certificate, host, path)?;
                if let (Some(host), true) = (host, has_key && !files::exists(&path.with_extension("key"))) {
                    self.keys_elsewhere.push((host.to_owned(), fingerprint));
                }
            }
            Err(error) => self.unknown.push(Unknown::File { path: path.to_owned(), reason: error.to_string() }),
        }
        Ok(())
    }

    fn read_bundle(&mut self, path: &Path) -> Result<(), StoreError> {
        match reader::read(path) {
            Ok(bundle) => {
                let host = bundle.manifest.host.as_str();
                let is_host = !bundle.manifest.roles.is_empty();
                if bundle.file(HOST_KEYS).is_some() {
                    self.keep_their_keys.insert(host.to_owned());
                }
                let mut all = certificates_in(&bundle).into_iter();
                all.try_for_each(|certificate| self.add(certificate, is_host.then_some(host), path))?;
            }
            Err(error) => self.unknown.push(Unknown::File { path: path.to_owned(), reason: error.to_string() }),
        }
        Ok(())
    }

    fn add(&mut self, certificate: Certificate, host: Option<&str>, path: &Path) -> Result<(), StoreError> {
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
        self.own.push(own);
        Ok(())
    }
}
