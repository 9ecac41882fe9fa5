//! Rows for the verifier's certificate and for administrators' kubeconfigs, from the ledger and the directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::authorities::Cas;
use super::expiry::Validity;
use super::row::{CertificateId, Credential, Problem, StatusRow, Subject};
use super::source::{Sink, Source};
use super::state::State;
use crate::app::admin::kubeconfig::{AdminFileError, certificate_in};
use crate::app::admin::{ForeignKubeconfig, check_kubeconfig};
use crate::app::renewal;
use crate::cluster::profile::{CaRole, Profile, SYSTEM_MASTERS};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::ledger::current::CurrentCertificate;
use crate::verify::remedy::{DirectoryRemedy, Server};
use crate::verify::target::Place;

/// Reports the verifier's certificate.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(super) fn verifier(source: &Source<'_>, cas: &Cas, sink: Sink<'_>) -> Result<(), StoreError> {
    let row = |state| StatusRow::new(Subject::Cluster, Credential::Leaf(Profile::Verifier), state);
    let issue = || {
        if cas.is_rotating(CaRole::Cluster) {
            return DirectoryRemedy::Apply;
        }
        let server = Server { place: Place::Cluster, host: Profile::Verifier.policy().name.to_owned() };
        DirectoryRemedy::Issue { server, reissue: false }
    };
    let found = source.ledger.current_of_accounts(Profile::Verifier.policy().name)?.all()?;
    let Some(CurrentCertificate { issued, not_before, .. }) = found.into_iter().max_by_key(|one| one.issued_at) else {
        sink(row(State::Missing).remedy(cas.remedy(CaRole::Cluster, None, source.rule.now).unwrap_or_else(issue)));
        return Ok(());
    };
    let (not_after, lifetime) = (issued.not_after, source.cluster.validity.master.duration());
    let ca_not_after = cas.active_not_after(CaRole::Cluster);
    let is_renewable = ca_not_after.is_none_or(|ca| renewal::lasts_longer(lifetime, not_after, ca, source.rule.now));
    let renew_from = Some(renewal::starts(source.cluster, lifetime, not_before, not_after)).filter(|_| is_renewable);
    let state = match &issued.revocation {
        Some(_) if not_after > source.rule.now => State::Revoked,
        _ => source.rule.state(&Validity { not_before, not_after, renew_from }),
    };
    let row = StatusRow {
        certificate: Some(CertificateId::from(issued)),
        not_before: Some(not_before),
        not_after: Some(not_after),
        renew_from,
        ..row(state)
    };
    let is_due = renew_from.is_some_and(|from| from <= source.rule.now);
    let expiring = Some(not_after).filter(|_| state == State::Expiring);
    sink(match (state, cas.remedy(CaRole::Cluster, expiring, source.rule.now)) {
        (State::Valid, _) => row,
        (_, Some(remedy)) => row.remedy(remedy),
        (State::Expiring, None) if !is_due => row.remedy(DirectoryRemedy::renew_verifier(not_after - source.rule.now)),
        (_, None) => row.remedy(issue()),
    });
    Ok(())
}

/// Reports the current certificate of each administrator, and kubeconfigs in the directory that contain another
/// certificate.
///
/// Does not report an expired or revoked certificate once its kubeconfig is removed: the administrator may have left.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(super) fn rows(source: &Source<'_>, cas: &Cas, sink: Sink<'_>) -> Result<(), StoreError> {
    let mut files = Files::read(source, cas)?;
    let behind = cas.outdated_accounts(source)?;
    for profile in [Profile::Admin, Profile::BreakGlass] {
        let mut query = source.ledger.current_of_accounts(profile.policy().name)?;
        for current in query.rows() {
            let CurrentCertificate { issued, not_before, .. } = current?;
            let admin = Admin {
                profile,
                is_behind: behind.iter().any(|one| one.name == issued.account),
                name: issued.account.clone(),
                file: files.by_certificate.remove(&issued.fingerprint).map(|(path, _)| path),
                not_before,
                not_after: issued.not_after,
                is_revoked: issued.revocation.is_some(),
                certificate: CertificateId::from(issued),
            };
            let is_over = admin.is_revoked || admin.not_after <= source.rule.now;
            if admin.file.is_some() || !is_over {
                sink(admin.row(source, cas));
            }
        }
    }
    for (path, certificate) in files.by_certificate.into_values() {
        let issued = source.ledger.by_fingerprint(certificate.fingerprint())?;
        let is_of_masters = certificate.subject.organizations.iter().any(|group| group == SYSTEM_MASTERS);
        let admin = Admin {
            is_behind: false,
            profile: if is_of_masters { Profile::BreakGlass } else { Profile::Admin },
            name: name_of(&path),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            is_revoked: issued.is_some_and(|issued| issued.revocation.is_some()),
            certificate: CertificateId::from(&certificate),
            file: Some(path),
        };
        sink(admin.row(source, cas));
    }
    for (path, reason) in files.foreign {
        let remedy = DirectoryRemedy::MoveAdminAway { path: path.display().to_string() };
        sink(unusable(path, Problem::ForeignAdmin(reason), remedy));
    }
    for (path, error) in files.unreadable {
        let remedy = DirectoryRemedy::ReissueAdmin { name: name_of(&path), is_break_glass: false };
        sink(unusable(path, Problem::Admin(error), remedy));
    }
    Ok(())
}

/// Returns the row of a kubeconfig that cannot be used.
fn unusable(path: PathBuf, problem: Problem, remedy: DirectoryRemedy) -> StatusRow {
    let row = StatusRow::new(Subject::Person(name_of(&path)), Credential::Leaf(Profile::Admin), State::Unreadable);
    StatusRow { file: Some(path), problem: Some(problem), ..row.remedy(remedy) }
}

/// The kubeconfigs in the directory.
struct Files {
    by_certificate: BTreeMap<Fingerprint, (PathBuf, Certificate)>,
    foreign: Vec<(PathBuf, ForeignKubeconfig)>,
    unreadable: Vec<(PathBuf, AdminFileError)>,
}

impl Files {
    fn read(source: &Source<'_>, cas: &Cas) -> Result<Self, StoreError> {
        let folder = source.layout.admins();
        let (mut by_certificate, mut foreign, mut unreadable) = (BTreeMap::new(), Vec::new(), Vec::new());
        let check = |path: &Path, certificate: &Certificate| {
            cas.trust(CaRole::Cluster).map_or(Ok(()), |own| check_kubeconfig(&name_of(path), certificate, own))
        };
        for name in files::names_in(&folder)?.iter().filter(|name| name.ends_with(".conf")) {
            let path = folder.join(name);
            match certificate_in(&path) {
                Ok(certificate) => match check(&path, &certificate) {
                    Ok(()) => drop(by_certificate.insert(certificate.fingerprint(), (path, certificate))),
                    Err(reason) => foreign.push((path, reason)),
                },
                Err(error) => unreadable.push((path, error)),
            }
        }
        Ok(Self { by_certificate, foreign, unreadable })
    }
}

/// Returns the administrator whose kubeconfig is at `path`.
fn name_of(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// An administrator's certificate.
struct Admin {
    profile: Profile,
    /// Whether a rotation has to replace its kubeconfig.
    is_behind: bool,
    name: String,
    file: Option<PathBuf>,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    is_revoked: bool,
    certificate: CertificateId,
}

impl Admin {
    fn row(self, source: &Source<'_>, cas: &Cas) -> StatusRow {
        let Self { profile, is_behind, name, file, not_before, not_after, is_revoked, certificate } = self;
        let is_emergency = profile == Profile::BreakGlass;
        let life = not_after - not_before;
        let expires_with_ca = |ca| !renewal::lasts_longer(life.unsigned_abs(), not_after, ca, source.rule.now);
        let is_renewable = cas.active_not_after(CaRole::Cluster).is_none_or(|ca| !expires_with_ca(ca));
        // Break-glass kubeconfigs are not renewed. `renewBefore` may be longer than this lifetime.
        let before = renewal_time(source, life);
        let renew_from = (!is_emergency && is_renewable).then(|| not_after - before);
        let state = match source.rule.state(&Validity { not_before, not_after, renew_from }) {
            State::Expired => State::Expired,
            _ if is_revoked => State::Revoked,
            State::Valid | State::Expiring if is_behind => State::Due,
            State::Expiring | State::Due if is_emergency => State::Valid,
            other => other,
        };
        let path = file.as_ref().map(|path| path.display().to_string());
        let remedy = match (state, path) {
            (State::Valid, _) => None,
            (State::Expired | State::Revoked, Some(path)) if (is_emergency || is_revoked) && !is_behind => {
                Some(DirectoryRemedy::DeleteAdmin { path })
            }
            _ => {
                let expiring = Some(not_after).filter(|_| state == State::Expiring);
                let of_ca = cas.remedy(CaRole::Cluster, expiring, source.rule.now);
                let reissue = || DirectoryRemedy::ReissueAdmin { name: name.clone(), is_break_glass: is_emergency };
                Some(of_ca.unwrap_or_else(reissue))
            }
        };
        let row = StatusRow {
            certificate: Some(certificate),
            not_before: Some(not_before),
            not_after: Some(not_after),
            renew_from,
            file,
            ..StatusRow::new(Subject::Person(name), Credential::Leaf(profile), state)
        };
        match remedy {
            Some(remedy) => row.remedy(remedy),
            None => row,
        }
    }
}

/// Returns how long before its expiry an administrator's certificate is renewed: at most a third of its lifetime.
fn renewal_time(source: &Source<'_>, life: time::Duration) -> time::Duration {
    let asked = std::time::Duration::try_from(life).map(|life| source.cluster.renewed_before(life));
    let asked = asked.ok().and_then(|asked| time::Duration::try_from(asked).ok());
    asked.unwrap_or_default().min(life / 3)
}
