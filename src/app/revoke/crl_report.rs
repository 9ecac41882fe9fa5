//! Describes CRLs, and compares them with the ledger.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::crl_comparison::{CrlComparison, RevokedSerials};
use super::crl_file::{CrlFileError, MAX_BYTES, StoredCrls};
use super::error::RevokeError;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::input;
use crate::cluster::profile::CaRole;
use crate::pki::ca_set::CaSet;
use crate::pki::crl::{self, Crl};
use crate::pki::fingerprint::Fingerprint;
use crate::store::ca;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;

/// The CRLs to describe.
#[derive(Debug, Clone)]
pub enum CrlSource {
    /// The CRLs of the cluster directory.
    Directory,
    /// The CRLs in files.
    Files {
        /// The files.
        paths: Vec<PathBuf>,
        /// Whether CRLs of the cluster directory's CAs are compared with its ledger, if there is one.
        compare: bool,
    },
}

/// The state of CRLs at a given time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlReport {
    /// The CRLs, in the order of their files.
    pub crls: Vec<CrlState>,
    /// The number of revoked certificates of the directory's CAs that cannot sign CRLs: no CRL lists them.
    pub unlisted: usize,
    /// The time at which they are evaluated.
    pub now: OffsetDateTime,
}

/// A CRL, or the problem with its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlState {
    /// The file.
    pub path: PathBuf,
    /// The role of the directory's CA that signed it, or has to sign it.
    pub role: Option<CaRole>,
    /// The CRL.
    pub crl: Result<Crl, CrlProblem>,
    /// The differences from the ledger; `None` if there is no CRL, or no ledger with its CA.
    pub comparison: Option<CrlComparison>,
}

/// Errors of describing a CRL that is required in the directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlProblem {
    /// It does not exist.
    #[error("it is missing, and the ledger records {revoked} of its CA's certificates as revoked")]
    Missing {
        /// The number of certificates that it has to list.
        revoked: usize,
    },
    /// It cannot be used.
    #[error(transparent)]
    Unusable(#[from] CrlFileError),
}

impl CrlReport {
    /// Returns true if every CRL is current and, if it was compared, matches the ledger.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.crls.iter().all(|state| {
            state.crl.as_ref().is_ok_and(|crl| crl.is_current(self.now))
                && state.comparison.as_ref().is_none_or(CrlComparison::matches)
        })
    }
}

/// The CAs and the ledger of a cluster directory.
struct Directory {
    cas: CaSet,
    ledger: Ledger,
    revoked: RevokedSerials,
}

/// Describes CRLs.
///
/// # Errors
/// Returns [`RevokeError::NotACrl`], or an error if a file, a CA's certificate or the ledger cannot be used.
pub fn describe(source: &CrlSource, env: &Env) -> Result<CrlReport, Error> {
    let layout = &env.layout;
    let mut unlisted = 0;
    let crls = match source {
        CrlSource::Directory => {
            let directory = Directory::open(layout, env.now)?;
            unlisted = directory.unlisted();
            directory.crls(layout)?
        }
        CrlSource::Files { paths, compare } => {
            let directory = match *compare && files::exists(&layout.ledger()) {
                true => Some(Directory::open(layout, env.now)?),
                false => None,
            };
            let mut found = Vec::new();
            for path in paths {
                found.extend(of_file(path, directory.as_ref())?);
            }
            found
        }
    };
    Ok(CrlReport { crls, unlisted, now: env.now })
}

impl Directory {
    fn open(layout: &Layout, now: OffsetDateTime) -> Result<Self, Error> {
        let cas = CaSet::try_from_fn(|role| ca::trust(layout, role))?;
        let ledger = Ledger::open_read_only(&layout.ledger())?;
        let revoked = RevokedSerials::read(&ledger, now)?;
        Ok(Self { cas, ledger, revoked })
    }

    /// Describes the CRLs of all roles: those that exist, and those that the ledger requires.
    fn crls(&self, layout: &Layout) -> Result<Vec<CrlState>, StoreError> {
        let mut found = Vec::new();
        for role in CaRole::ALL {
            let state =
                |crl, comparison| CrlState { path: layout.revocation_list(role), role: Some(role), crl, comparison };
            let crls = match StoredCrls::read(layout, self.cas.of(role)) {
                Ok(crls) => crls,
                Err(why) => {
                    found.push(state(Err(why.into()), None));
                    continue;
                }
            };
            for (ca, _) in self.cas.of(role).all() {
                // Only an active CA can sign a missing CRL, or one that a rotation replaces.
                let signs = self.cas.of(role).signs_crl_of(ca.certificate().fingerprint());
                let has_crls = signs && ca.certificate().can_sign_crls();
                let ca = ca.certificate().fingerprint();
                match (crls.of(ca), self.revoked.of(ca).count()) {
                    (Some(crl), _) => found.push(state(Ok(crl.clone()), Some(self.compare(crl, ca)?))),
                    (None, revoked) if revoked > 0 && has_crls => {
                        found.push(state(Err(CrlProblem::Missing { revoked }), None));
                    }
                    (None, _) => {}
                }
            }
        }
        Ok(found)
    }

    /// Returns the number of revoked certificates of CAs that cannot sign CRLs.
    fn unlisted(&self) -> usize {
        let cas = CaRole::ALL.into_iter().flat_map(|role| self.cas.of(role).all());
        let without = cas.filter(|(ca, _)| !ca.certificate().can_sign_crls());
        without.map(|(ca, _)| self.revoked.of(ca.certificate().fingerprint()).count()).sum()
    }

    fn compare(&self, crl: &Crl, ca: Fingerprint) -> Result<CrlComparison, StoreError> {
        CrlComparison::new(crl, ca, &self.revoked, &self.ledger)
    }

    /// Returns the CA that signed a CRL, and its role.
    fn signer(&self, crl: &Crl) -> Option<(CaRole, Fingerprint)> {
        let signed_by = |role: CaRole| {
            let signer = self.cas.of(role).all().find(|(ca, _)| crl.is_signed_by(ca.certificate()));
            signer.map(|(ca, _)| (role, ca.certificate().fingerprint()))
        };
        CaRole::ALL.into_iter().find_map(signed_by)
    }
}

/// Describes the CRLs of a file.
fn of_file(path: &Path, directory: Option<&Directory>) -> Result<Vec<CrlState>, Error> {
    let bytes = input::read_named(path, MAX_BYTES, "CRL")?;
    let not_a_crl = |source| RevokeError::NotACrl { path: path.to_owned(), source };
    let mut found = Vec::new();
    for der in crl::read_all(&bytes).map_err(not_a_crl)? {
        let crl = Crl::from_der(der).map_err(not_a_crl)?;
        let signer = directory.and_then(|directory| Some((directory, directory.signer(&crl)?)));
        let (role, comparison) = match signer {
            Some((directory, (role, ca))) => (Some(role), Some(directory.compare(&crl, ca)?)),
            None => (None, None),
        };
        found.push(CrlState { path: path.to_owned(), role, crl: Ok(crl), comparison });
    }
    Ok(found)
}
