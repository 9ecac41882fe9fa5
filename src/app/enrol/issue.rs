//! Issues certificates for approved requests, many at once.
//!
//! The cluster directory is read again, under its lock, and each request is judged again. Only the public key is taken from a
//! request. The ledger records a certificate before anyone gets it, and a request that got one gets the same again.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use time::{Duration, OffsetDateTime};

use super::judge::{Inventory, Judge};
use super::proofs;
use crate::app::directory::{self, ClusterFileCache};
use crate::app::env::Env;
use crate::app::error::{Error, with_causes};
use crate::app::observer::Observer;
use crate::app::sign::RequestProblem;
use crate::app::sign::certify::{self, Made};
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::CertificateSpec;
use crate::enrol::request::EnrolmentRequest;
use crate::enrol::token::TokenUse;
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::{Certificate, Serial};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::Issuer;
use crate::store::ledger::enrolments::{DENIED, EnrolmentRecord};
use crate::store::ledger::records::CertificateRecord;
use crate::store::tokens;

/// What killed processes left is removed again after this time.
const SWEPT_FOR: Duration = Duration::minutes(1);

/// An approved request, to be signed.
#[derive(Debug, Clone)]
pub struct Order {
    /// The request.
    pub request: EnrolmentRequest,
    /// The longest lifetime of the certificate; `None` for that of the cluster file.
    pub validity: Option<Lifetime>,
    /// Who or what approved it, for the ledger.
    pub approved_by: String,
}

/// The result of issuing for an approved request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has a certificate.
    Issued(IssuedChain),
    /// It cannot have one.
    Refused(Vec<RequestProblem>),
    /// Another request of its host, or with its key, is signed first.
    NextRound,
    /// It may have one later.
    NotNow(String),
}

/// A certificate for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedChain {
    /// The certificate and the intermediates above it, without the root; PEM.
    pub pem: String,
    /// The serial number.
    pub serial: Serial,
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// When it expires.
    pub not_after: OffsetDateTime,
    /// Whether the request got this certificate in an earlier run.
    pub again: bool,
}

/// What a signer keeps between calls of [`issue`].
#[derive(Debug, Default)]
pub struct Kept {
    /// The cluster file.
    pub(super) cluster: ClusterFileCache,
    /// When it last removed what killed processes left.
    swept: Mutex<Option<OffsetDateTime>>,
}

impl Kept {
    /// Returns true if what killed processes left has to be removed now: listing the hosts' folders takes long in a large
    /// cluster.
    fn sweeps(&self, now: OffsetDateTime) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = swept.is_none_or(|swept| !(swept..swept + SWEPT_FOR).contains(&now));
        if is_due {
            *swept = Some(now);
        }
        is_due
    }
}

/// Issues certificates for approved requests; the outcomes are in the order of the requests. A request that cannot have
/// one does not affect the others.
///
/// # Errors
/// Returns an error if the directory cannot be locked or read, or the ledger or a file cannot be written.
pub fn issue(
    orders: &[Order],
    issuers: &[Issuer],
    env: &Env,
    kept: &Kept,
    observer: &mut dyn Observer,
) -> Result<Vec<Outcome>, Error> {
    let _lock = directory::lock(env, "signer", observer)?;
    let mut judge = Judge::open_with(env, &kept.cluster)?;
    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(orders.len());
    let mut work: Vec<(usize, CertificateSpec)> = Vec::new();
    let (mut holders, mut keys) = (HashSet::new(), HashSet::new());
    for (at, order) in orders.iter().enumerate() {
        let known = answered(&judge, order, env.now)?;
        outcomes.push(match known {
            Ok(outcome) => Some(outcome),
            Err(spec) => {
                let content = &order.request.content;
                let is_first = holders.insert((content.host.clone(), spec.profile)) && keys.insert(content.key());
                if is_first {
                    work.push((at, spec));
                }
                (!is_first).then_some(Outcome::NextRound)
            }
        });
    }
    let make = |(at, spec): (usize, CertificateSpec)| {
        let order = &orders[at];
        let made = certify::make(&spec, order.request.content.csr.clone(), issuers, env.now);
        (at, spec, made)
    };
    let (mut made, mut records) = (Vec::new(), Vec::new());
    for (at, spec, result) in work.into_par_iter().map(make).collect::<Vec<_>>() {
        match result {
            Err(error) => outcomes[at] = Some(Outcome::NotNow(with_causes(&error))),
            Ok(certificate) => {
                let order = &orders[at];
                let chain = chain_of(certificate.get(), &spec, &judge.cas, false);
                records.push(record(order, &spec, &chain));
                outcomes[at] = Some(Outcome::Issued(chain));
                made.push(Made { host: order.request.content.host.clone(), spec, certificate });
            }
        }
    }
    log_refused(orders, &outcomes, env, &mut judge)?;
    if !made.is_empty() {
        // Before the ledger, so that no certificate exists for a token that another key could use. If this process is
        // killed in between, the same key may use the token again.
        use_tokens(orders, &made, &judge, env)?;
        certify::write(made, &records, env, &mut judge.ledger, &judge.cas, kept.sweeps(env.now))?;
    }
    let missing = || Outcome::NotNow("no result was computed for it".to_owned());
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect())
}

/// Records the use of one-time tokens.
fn use_tokens(orders: &[Order], made: &[Made], judge: &Judge, env: &Env) -> Result<(), Error> {
    if judge.tokens.all().next().is_none() {
        return Ok(());
    }
    let made: HashSet<Fingerprint> = made.iter().map(|one| one.certificate.get().spki_fingerprint()).collect();
    let is_made = |order: &&Order| made.contains(&order.request.content.key());
    let used = orders.iter().filter(is_made).filter_map(|order| {
        let evidence = proofs::evidence(&order.request);
        let record = proofs::proven_token(&order.request, evidence, &judge.tokens, &judge.cas).ok()?;
        let content = &order.request.content;
        Some((record.token.id, TokenUse { profile: content.profile(), key: content.key(), at: env.now }))
    });
    let used: Vec<(String, TokenUse)> = used.collect();
    if !used.is_empty() {
        tokens::update(&env.layout, |tokens| {
            for (id, used) in used {
                if let Some(record) = tokens.find_mut(&id) {
                    record.record_use(used);
                }
            }
        })?;
    }
    Ok(())
}

/// Returns the outcome of a request for which nothing is signed (`Ok`), or the certificate to sign (`Err`).
fn answered(judge: &Judge, order: &Order, now: OffsetDateTime) -> Result<Result<Outcome, CertificateSpec>, Error> {
    let request = &order.request;
    let spec = match judge.inventory(request)? {
        Inventory::Granted(spec) => *spec,
        Inventory::Unknown(problem) => return Ok(Ok(Outcome::NotNow(problem.to_string()))),
        Inventory::Refused(problems) => return Ok(Ok(Outcome::Refused(problems))),
    };
    if let Some(certificate) = judge.ledger.enrolled(request.content.csr_digest)?
        && let Some(record) = judge.ledger.certificate_record(certificate)?
    {
        return Ok(Ok(again(&record, &spec, judge, now)));
    }
    let lifetime = order.validity.map_or(spec.lifetime, |validity| validity.min(spec.lifetime));
    Ok(Err(CertificateSpec { lifetime, ..spec }))
}

/// Returns the certificate that a request got before.
fn again(record: &CertificateRecord, spec: &CertificateSpec, judge: &Judge, now: OffsetDateTime) -> Outcome {
    let issued = &record.issued;
    let is_own = issued.host.as_deref() == spec.host.as_ref().map(crate::cluster::name::HostName::as_str)
        && issued.profile == spec.policy().name;
    let (serial, host, profile) = (issued.serial.clone(), issued.host.clone(), issued.profile.clone());
    match (&issued.revocation, Certificate::from_der(record.der.clone())) {
        _ if !is_own => Outcome::Refused(vec![RequestProblem::KeyOfAnother { host, profile, serial }]),
        (Some(revocation), _) => {
            Outcome::Refused(vec![RequestProblem::KeyRevoked { serial, reason: revocation.reason }])
        }
        _ if issued.not_after <= now => {
            Outcome::Refused(vec![RequestProblem::IssuedBefore { serial, not_after: issued.not_after }])
        }
        (None, Ok(certificate)) => Outcome::Issued(chain_of(&certificate, spec, &judge.cas, true)),
        (None, Err(error)) => Outcome::NotNow(error.to_string()),
    }
}

fn chain_of(certificate: &Certificate, spec: &CertificateSpec, cas: &CaSet, again: bool) -> IssuedChain {
    let chain = cas.issuer_of(spec).ca_of(certificate).chain();
    IssuedChain {
        pem: [certificate].into_iter().chain(chain).map(Certificate::to_pem).collect(),
        serial: certificate.serial.clone(),
        fingerprint: certificate.fingerprint(),
        not_after: certificate.not_after,
        again,
    }
}

fn record(order: &Order, spec: &CertificateSpec, chain: &IssuedChain) -> EnrolmentRecord {
    let request = &order.request;
    EnrolmentRecord {
        csr: request.content.csr_digest,
        certificate: chain.fingerprint,
        host: request.content.host.to_string(),
        detail: format!(
            "{}, serial {}, for request {}: {}",
            spec.policy().name,
            chain.serial,
            request.name,
            order.approved_by
        ),
    }
}

/// Records in the ledger which approved requests were refused.
fn log_refused(orders: &[Order], outcomes: &[Option<Outcome>], env: &Env, judge: &mut Judge) -> Result<(), Error> {
    let refused = orders.iter().zip(outcomes).filter_map(|(order, outcome)| match outcome {
        Some(Outcome::Refused(problems)) => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let detail = format!("request {} was approved and is refused: {}", order.request.name, problems.join("; "));
            Some((order.request.content.host.to_string(), detail))
        }
        _ => None,
    });
    let events: Vec<(String, String)> = refused.collect();
    if !events.is_empty() {
        judge.ledger.log_events(DENIED, &events, &env.audit())?;
    }
    Ok(())
}
