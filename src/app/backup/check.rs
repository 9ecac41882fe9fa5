//! Checks that a cluster directory is complete and undamaged, before it is backed up, and before a restored one is
//! moved to its path.

use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::error::BackupError;
use crate::app::ca::stored_key_problem;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::ledger::{self, CheckReport, LedgerFinding, LedgerFindingId as Id, Severity};
use crate::app::revoke::certificates;
use crate::cluster::profile::{CaRole, Profile};
use crate::cluster::spec::{Cluster, Role};
use crate::pki::ca_set::CaSet;
use crate::pki::fingerprint::Fingerprint;
use crate::store::ca::CaError;
use crate::store::files;

/// A cluster directory that is complete and undamaged.
pub(super) struct Checked {
    pub(super) cluster: Cluster,
    pub(super) cas: CaSet,
    /// The result of checking the ledger.
    pub(super) ledger: CheckReport,
}

impl Checked {
    /// Returns true if the hash chain has the expected link.
    pub(super) fn has_head(&self) -> bool {
        self.ledger.findings.iter().all(|finding| finding.id != Id::Head)
    }

    /// Returns the findings that prevent neither a backup nor a restore, such as outdated CRLs and authorization rules.
    pub(super) fn warnings(self) -> Vec<LedgerFinding> {
        self.ledger.findings
    }
}

/// Checks the cluster file, the CAs, the ledger with its hash chain, and that the CAs signed the certificates of the
/// hosts and the verifier.
///
/// Expired certificates are no error, because a backup may be old. `head` is a link that the hash chain should have; if
/// it is missing, the report has a finding.
///
/// # Errors
/// Returns the first problem.
pub(super) fn check(env: &Env, head: Option<Fingerprint>) -> Result<Checked, Error> {
    let cluster = directory::cluster(&env.layout)?;
    let (_, cas) = directory::cas(&env.layout, &cluster)?;
    for role in CaRole::ALL {
        if let Some(source) = stored_key_problem(&env.layout, cas.of(role).active()) {
            let path = env.layout.root_key(role).display().to_string();
            return Err(CaError::Key { path, source }.into());
        }
    }
    let ledger = ledger::check(env, head)?;
    let damage: Vec<LedgerFinding> = ledger.findings.iter().filter(|finding| is_damage(finding)).cloned().collect();
    if !damage.is_empty() {
        return Err(BackupError::Ledger(damage).into());
    }
    check_certificates(env, &cas)?;
    Ok(Checked { cluster, cas, ledger })
}

fn is_damage(finding: &LedgerFinding) -> bool {
    finding.severity == Severity::Error && !matches!(finding.id, Id::Crl | Id::Denials | Id::Head)
}

fn check_certificates(env: &Env, cas: &CaSet) -> Result<(), Error> {
    let mut folders: Vec<PathBuf> = vec![env.layout.holder_folder(Profile::Verifier, None)];
    for role in [Role::Master, Role::Node] {
        let folder = env.layout.hosts_folder(role);
        folders.extend(files::names_in(&folder)?.into_iter().map(|host| folder.join(host)));
    }
    folders.par_iter().filter(|folder| files::is_folder(folder)).try_for_each(|folder| {
        let names = files::names_in(folder)?;
        let mut certificates = names.iter().filter(|name| name.ends_with(".crt"));
        certificates.try_for_each(|name| check_certificate(&folder.join(name), cas))
    })
}

/// Checks that a CA of the directory signed the first certificate of a file; those after it are its chain.
fn check_certificate(path: &Path, cas: &CaSet) -> Result<(), Error> {
    let read = certificates::read(path)?;
    let is_ours = read
        .first()
        .is_some_and(|certificate| CaRole::ALL.iter().any(|role| cas.of(*role).signer_of(certificate).is_some()));
    if is_ours { Ok(()) } else { Err(BackupError::OtherIssuer(path.to_owned()).into()) }
}
