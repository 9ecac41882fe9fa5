//! Renews the certificates of a host that joined: at two thirds of their life, by the present certificate or the SSH host key.

use std::path::{Path, PathBuf};

use time::{Duration, OffsetDateTime};

use super::ask::ask;
use super::certificates;
use super::discover::{Discovered, discover};
use super::error::JoinError;
use super::options::{RenewOptions, Waiting};
use super::report::{JoinedCertificate, RenewReport};
use super::requests::{Asking, prepare};
use super::run::client_credential;
use super::state::JoinState;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::profile::{Holder, Profile, TABLE};
use crate::enrol::evidence::{Occasion, Proofs};
use crate::enrol::record::Record;
use crate::https::ClientCertificate;
use crate::pki::certificate::Certificate;
use crate::store::lock::Lock;

/// The time limit of asking bootstrap endpoints, if the enrolment endpoint is known.
const DISCOVERY: std::time::Duration = std::time::Duration::from_secs(20);

/// Renews what is due. Nothing due is not an error.
///
/// # Errors
/// Returns an error if the host never joined, no endpoint can be reached, a request is denied or not decided in time, or a
/// file cannot be written.
pub fn renew(options: &RenewOptions, now: OffsetDateTime, observer: &mut dyn Observer) -> Result<RenewReport, Error> {
    let root = &options.root;
    let no_state = || JoinError::NoState(root.join(super::state::STATE));
    JoinState::read(root)?.ok_or_else(no_state)?;
    let _lock = Lock::take_of_folder(root, options.wait)?;
    let mut state = JoinState::read(root)?.ok_or_else(no_state)?;
    let present = all_present(root)?;
    let wanted: Vec<Profile> =
        present.iter().filter(|(_, one)| options.force || due(one) <= now).map(|(profile, _)| *profile).collect();
    if wanted.is_empty() {
        return report(root, &state, Vec::new());
    }
    observer.defer_interrupts();
    let waiting = Waiting::begin(now, options.wait, observer.cancellation());
    let (record, is_fresh) = record(&mut state, root, &waiting, observer)?;
    // The client certificate authenticates the host, as long as it is valid.
    let client = present.iter().find(|(profile, _)| *profile == Profile::KubeletClient).map(|(_, one)| one);
    let expired = client.map(|one| one.not_after).filter(|not_after| *not_after <= now);
    if let (Some(expired), None) = (expired, &options.ssh_host_key) {
        return Err(JoinError::NoProof(expired).into());
    }
    let (chain, key) = client_credential(root)?;
    let certificate = expired.is_none().then_some(ClientCertificate { chain: &chain, key: &key });
    let asking = Asking {
        root,
        host: &state.host,
        cluster: state.cluster,
        accounts: record.accounts,
        // Keys are kept.
        keys: KeyKind::default(),
        proofs: Proofs { ssh_host_key: options.ssh_host_key.as_ref(), token: None },
        now: waiting.now(),
        occasion: Occasion::Renewal,
    };
    let prepared = prepare(&asking, |profile| wanted.contains(&profile))?;
    let (granted, _) = ask(&prepared, &state.host, &record, &record.roots, certificate, &waiting, observer)?;
    let mut replaced = Vec::new();
    for one in &granted {
        replaced.extend(certificates::put(root, &one.issued)?);
    }
    // Only a fresh record tells that a root has left.
    if is_fresh {
        replaced.extend(put_roots(root, &record)?);
    }
    report(root, &state, replaced)
}

/// Returns the host's certificates with their profiles.
fn all_present(root: &Path) -> Result<Vec<(Profile, Certificate)>, Error> {
    let mut all = Vec::new();
    for row in TABLE.iter().filter(|row| row.holder == Holder::Node) {
        match certificates::present(root, row.profile)? {
            Some(certificate) => all.push((row.profile, certificate)),
            None => {
                let path = root.join(certificates::place(row.profile).unwrap_or_default());
                return Err(JoinError::NoCertificate(path).into());
            }
        }
    }
    Ok(all)
}

/// Returns the time at which a certificate is due: at two thirds of its life, up to a thirtieth of it earlier.
///
/// The difference follows from the key, so that it is the same in each run and another on each host.
#[must_use]
pub fn due(certificate: &Certificate) -> OffsetDateTime {
    let life = certificate.not_after - certificate.not_before;
    let digest = certificate.spki_fingerprint();
    let fraction = f64::from(digest.bytes()[0]) / 255.0;
    certificate.not_before + life * 2 / 3 - Duration::seconds_f64(life.as_seconds_f64() / 30.0 * fraction)
}

/// Returns the cluster's record: a new one, else the one of the last run. The flag tells whether it is new.
fn record(
    state: &mut JoinState,
    root: &Path,
    waiting: &Waiting,
    observer: &mut dyn Observer,
) -> Result<(Record, bool), Error> {
    let limited = Waiting::begin(waiting.now(), DISCOVERY, observer.cancellation());
    match discover(state.cluster, &state.bootstrap, state.seq, &limited, observer) {
        Ok(Discovered { record, signed, .. }) => {
            (state.seq, state.record) = (Some(record.seq), Some(signed));
            state.write(root)?;
            Ok((record, true))
        }
        Err(error) => {
            // An old record was verified when it was fresh. Its endpoints still have to prove their names under the root.
            let known = state.record.as_ref().and_then(|signed| Record::known(signed.as_bytes(), state.cluster));
            known.map(|record| (record, false)).ok_or(error)
        }
    }
}

/// Replaces the installed roots by those of the record, if they differ.
fn put_roots(root: &Path, record: &Record) -> Result<Option<PathBuf>, Error> {
    let prints = |roots: &[Certificate]| -> Vec<_> {
        let mut prints: Vec<_> = roots.iter().map(Certificate::fingerprint).collect();
        prints.sort_unstable();
        prints
    };
    if prints(&certificates::installed_roots(root)) == prints(&record.roots) {
        return Ok(None);
    }
    certificates::put_roots(root, &record.roots)
}

fn report(root: &Path, state: &JoinState, replaced: Vec<PathBuf>) -> Result<RenewReport, Error> {
    let next = all_present(root)?.iter().map(|(_, one)| due(one)).min();
    let certificates = JoinedCertificate::all(root, &[])?;
    Ok(RenewReport { host: state.host.clone(), certificates, replaced, next })
}
