//! Renews the certificates of a host that joined, when two thirds of their lifetime have passed or a rotation of the cluster's CA
//! requires it. The current certificate or the SSH host key proves the host.

use std::path::{Path, PathBuf};

use time::{Duration, OffsetDateTime};

use super::ask::ask;
use super::certificates;
use super::discover::discover;
use super::error::JoinError;
use super::installed;
use super::options::{RenewOptions, Waiting};
use super::report::{JoinedCertificate, RenewReport};
use super::requests::{Asking, prepare};
use super::run::client_credential;
use super::state::JoinState;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::profile::{Holder, Profile, TABLE, Usage};
use crate::enrol::evidence::{Occasion, Proofs};
use crate::enrol::record::Record;
use crate::enrol::record_rotation::Present;
use crate::https::ClientCertificate;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::store::lock::Lock;

/// The time limit of asking bootstrap endpoints, if the enrolment endpoint is known.
const DISCOVERY: std::time::Duration = std::time::Duration::from_secs(20);

/// Renews what is due, and follows a rotation of the cluster's CA: installs the roots of the cluster's record, and requests other
/// certificates if the phase requires them. It is no error if nothing is due.
///
/// # Errors
/// Returns an error if the host never joined, no endpoint can be reached although something is due, a request is denied or
/// not decided in time, or a file cannot be written.
pub fn renew(options: &RenewOptions, now: OffsetDateTime, observer: &mut dyn Observer) -> Result<RenewReport, Error> {
    let root = &options.root;
    let no_state = || JoinError::NoState(root.join(super::state::STATE));
    JoinState::read(root)?.ok_or_else(no_state)?;
    let _lock = Lock::take_of_folder(root, options.wait)?;
    let mut state = JoinState::read(root)?.ok_or_else(no_state)?;
    let present = all_present(root)?;
    let is_due = |one: &PresentChain| options.force || due(&one.leaf) <= now;
    observer.defer_interrupts();
    let waiting = Waiting::begin(now, options.wait, observer.cancellation());
    let found = record(&mut state, root, present.iter().any(is_due), &waiting, observer)?;
    let Some((record, is_fresh)) = found else { return report(root, &state, Vec::new()) };
    let mut replaced = Vec::new();
    if is_fresh {
        // Before the host has, or gets from peers, certificates issued by a new CA.
        replaced.extend(add_roots(root, &record)?);
    }
    let wanted: Vec<Profile> =
        present.iter().filter(|one| is_due(one) || is_required(one, &record, &state)).map(|one| one.profile).collect();
    if !wanted.is_empty() {
        replaced.extend(request_again(options, &wanted, &present, (&record, &mut state), &waiting, observer)?);
    }
    // Only after a new record are roots removed that it does not have.
    if is_fresh {
        replaced.extend(put_roots(root, &record.roots)?);
        installed::update(root, &record)?;
    }
    replaced.sort();
    replaced.dedup();
    report(root, &state, replaced)
}

/// Requests new certificates, and installs them. Returns the files that were replaced.
fn request_again(
    options: &RenewOptions,
    wanted: &[Profile],
    present: &[PresentChain],
    (record, state): (&Record, &mut JoinState),
    waiting: &Waiting,
    observer: &mut dyn Observer,
) -> Result<Vec<PathBuf>, Error> {
    let root = &options.root;
    // The client certificate authenticates the host, as long as it is valid and its root is trusted.
    let client = present.iter().find(|one| one.profile == Profile::KubeletClient);
    let expired = client.map(|one| one.leaf.not_after).filter(|not_after| *not_after <= waiting.now());
    let is_trusted = client.is_some_and(|one| one.root(&record.roots).is_some());
    if options.ssh_host_key.is_none() {
        if let Some(expired) = expired {
            return Err(JoinError::NoProof(expired).into());
        }
        if !is_trusted {
            return Err(JoinError::RootReplaced(state.known()).into());
        }
    }
    let (chain, key) = client_credential(root)?;
    let is_accepted = expired.is_none() && is_trusted;
    let certificate = is_accepted.then_some(ClientCertificate { chain: &chain, key: &key });
    let asking = Asking {
        root,
        host: &state.host,
        cluster: state.known(),
        accounts: record.accounts,
        // Keys are kept.
        keys: KeyKind::default(),
        proofs: Proofs { ssh_host_key: options.ssh_host_key.as_ref(), token: None },
        now: waiting.now(),
        occasion: Occasion::Renewal,
    };
    let prepared = prepare(&asking, |profile| wanted.contains(&profile))?;
    let (granted, _) = ask(&prepared, &state.host, record, &record.roots, certificate, waiting, observer)?;
    let mut replaced = Vec::new();
    for one in &granted {
        replaced.extend(certificates::put(root, &one.issued)?);
    }
    let is_server = |profile: Profile| profile.policy().usage == Usage::Server;
    if let Some(rotation) = &record.rotation
        && wanted.iter().any(|profile| is_server(*profile))
    {
        state.renewed_in = Some(rotation.label());
        state.write(root)?;
    }
    Ok(replaced)
}

/// A certificate of the host with the intermediates above it.
struct PresentChain {
    profile: Profile,
    leaf: Certificate,
    chain: Vec<Certificate>,
}

impl PresentChain {
    /// Returns the pin of the root that it leads to; `None` if it leads to none of `roots`.
    fn root(&self, roots: &[Certificate]) -> Option<Fingerprint> {
        certificates::root_of(self.profile, &self.chain, roots)
    }
}

/// Returns true if the cluster's roots, or the phase of a rotation, require another certificate in place of this one.
fn is_required(one: &PresentChain, record: &Record, state: &JoinState) -> bool {
    let Some(root) = one.root(&record.roots) else { return true };
    record.rotation.as_ref().is_some_and(|rotation| {
        let is_server = one.profile.policy().usage == Usage::Server;
        let is_of_phase = state.renewed_in.as_ref() == Some(&rotation.label());
        rotation.replaces(&state.host, Present { is_server, is_new: root == rotation.new, is_of_phase })
    })
}

/// Returns the host's certificates with their profiles.
fn all_present(root: &Path) -> Result<Vec<PresentChain>, Error> {
    let mut all = Vec::new();
    for row in TABLE.iter().filter(|row| row.holder == Holder::Node) {
        let chain = certificates::present_chain(root, row.profile)?.unwrap_or_default();
        match chain.first().cloned() {
            Some(leaf) => all.push(PresentChain { profile: row.profile, leaf, chain }),
            None => {
                let path = root.join(certificates::certificate_path(row.profile).unwrap_or_default());
                return Err(JoinError::NoCertificate(path).into());
            }
        }
    }
    Ok(all)
}

/// Returns the time at which a certificate is due: after two thirds of its lifetime, or up to a thirtieth of the lifetime earlier.
///
/// How much earlier depends on the key, so that it is the same in each run, and differs between hosts.
#[must_use]
pub fn due(certificate: &Certificate) -> OffsetDateTime {
    let life = certificate.not_after - certificate.not_before;
    let digest = certificate.spki_fingerprint();
    let fraction = f64::from(digest.bytes()[0]) / 255.0;
    certificate.not_before + life * 2 / 3 - Duration::seconds_f64(life.as_seconds_f64() / 30.0 * fraction)
}

/// Returns the cluster's record, and whether it is new: if no endpoint gives one, it is that of an earlier run, which may be missing if
/// nothing is due. If nothing is due, each endpoint is asked once.
fn record(
    state: &mut JoinState,
    root: &Path,
    is_due: bool,
    waiting: &Waiting,
    observer: &mut dyn Observer,
) -> Result<Option<(Record, bool)>, Error> {
    let limit = if is_due { DISCOVERY } else { std::time::Duration::ZERO };
    let limited = Waiting::begin(waiting.now(), limit, observer.cancellation());
    match discover(state.sought(), &state.bootstrap, &limited, observer) {
        Ok(found) => {
            state.remember(&found);
            state.write(root)?;
            Ok(Some((found.record, true)))
        }
        // An old record was verified when it was fresh. Its endpoints still have to prove their names under the root.
        Err(error) => match state.known_record() {
            Some(record) => Ok(Some((record, false))),
            None if is_due => Err(error),
            None => Ok(None),
        },
    }
}

/// Adds roots of the record to the installed ones, if some are missing.
fn add_roots(root: &Path, record: &Record) -> Result<Option<PathBuf>, Error> {
    let installed = certificates::installed_roots(root);
    if record.roots.iter().all(|one| installed.contains(one)) {
        return Ok(None);
    }
    let left = installed.into_iter().filter(|one| !record.roots.contains(one));
    let all: Vec<Certificate> = left.chain(record.roots.iter().cloned()).collect();
    put_roots(root, &all)
}

/// Replaces the installed roots, if they differ.
fn put_roots(root: &Path, roots: &[Certificate]) -> Result<Option<PathBuf>, Error> {
    let prints = |roots: &[Certificate]| -> Vec<_> {
        let mut prints: Vec<_> = roots.iter().map(Certificate::fingerprint).collect();
        prints.sort_unstable();
        prints
    };
    if prints(&certificates::installed_roots(root)) == prints(roots) {
        return Ok(None);
    }
    certificates::put_roots(root, roots)
}

fn report(root: &Path, state: &JoinState, replaced: Vec<PathBuf>) -> Result<RenewReport, Error> {
    let next = all_present(root)?.iter().map(|one| due(&one.leaf)).min();
    let certificates = JoinedCertificate::all(root, &[])?;
    Ok(RenewReport { host: state.host.clone(), certificates, replaced, next })
}
