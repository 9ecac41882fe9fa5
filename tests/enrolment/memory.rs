//! A mailbox in memory, whose calls can be made to fail.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clusterctl::enrol::request::{Condition, EnrolmentRequest, State, state_of};
use clusterctl::mailbox::{Arrived, Change, LeaseTerms, Mailbox, MailboxError, Ruling};

/// A mailbox in memory.
#[derive(Default)]
pub(super) struct Memory {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    requests: BTreeMap<String, EnrolmentRequest>,
    lease: Option<(String, Instant)>,
    listed: bool,
    changed: Vec<String>,
    /// Chooses the calls that fail; `None` if all succeed.
    faults: Option<Faults>,
}

/// Chooses calls that fail, by pseudo-random numbers.
struct Faults {
    seed: u64,
    /// One call in this many fails.
    one_in: u64,
}

impl Faults {
    fn fails(&mut self) -> bool {
        // A linear congruential generator (Knuth, MMIX).
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33).is_multiple_of(self.one_in)
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request, or replaces it.
    pub(super) fn put(&self, request: EnrolmentRequest) {
        let mut inner = self.lock();
        inner.changed.push(request.name.clone());
        inner.requests.insert(request.name.clone(), request);
    }

    pub(super) fn get(&self, name: &str) -> EnrolmentRequest {
        self.lock().requests.get(name).cloned().unwrap_or_else(|| panic!("no request {name}"))
    }

    /// Returns the holder of the Lease.
    pub(super) fn holder(&self) -> Option<String> {
        self.lock().lease.as_ref().map(|(holder, _)| holder.clone())
    }

    pub(super) fn remove(&self, name: &str) {
        self.lock().requests.remove(name);
    }

    /// Makes the next call list everything again, as after a restart of the signer.
    pub(super) fn restart(&self) {
        let mut inner = self.lock();
        inner.listed = false;
        inner.changed.clear();
    }

    /// Makes calls fail from now on: each with a chance of 1 in `one_in` before its change, and again after it, so that the
    /// reply is lost.
    pub(super) fn fail(&self, seed: u64, one_in: u64) {
        self.lock().faults = Some(Faults { seed, one_in });
    }

    pub(super) fn stop_failing(&self) {
        self.lock().faults = None;
    }

    /// Adds a condition to a request, as an approver does.
    pub(super) fn condition(&self, name: &str, kind: &str) {
        let mut inner = self.lock();
        let request = inner.requests.get_mut(name).expect("a request");
        add(request, kind, "Test", "by a person");
        inner.changed.push(name.to_owned());
    }
}

fn add(request: &mut EnrolmentRequest, kind: &str, reason: &str, message: &str) {
    request.conditions.push(Condition {
        kind: kind.to_owned(),
        status: "True".to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_update: None,
        last_transition: None,
    });
    request.state = state_of(&request.conditions, !request.certificate.is_empty());
}

fn lost() -> MailboxError {
    MailboxError::Unreachable { server: "memory".to_owned(), reason: "a fault of the test".to_owned() }
}

impl Inner {
    /// Changes a request. A fault before the change prevents it; a fault after it loses the reply.
    fn change(
        &mut self,
        request: &EnrolmentRequest,
        change: impl FnOnce(&mut EnrolmentRequest) -> Result<(), MailboxError>,
    ) -> Result<EnrolmentRequest, MailboxError> {
        if self.faults.as_mut().is_some_and(Faults::fails) {
            return Err(lost());
        }
        let name = request.name.clone();
        let found = self.requests.get_mut(&name).filter(|found| found.uid == request.uid);
        let found = found.ok_or_else(|| MailboxError::Gone(name.clone()))?;
        change(found)?;
        found.state = state_of(&found.conditions, !found.certificate.is_empty());
        let changed = found.clone();
        self.changed.push(name);
        if self.faults.as_mut().is_some_and(Faults::fails) { Err(lost()) } else { Ok(changed) }
    }
}

impl Mailbox for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn changes(&self, wait: Duration) -> Result<Vec<Change>, MailboxError> {
        let deadline = Instant::now() + wait;
        loop {
            {
                let mut inner = self.lock();
                if inner.faults.as_mut().is_some_and(Faults::fails) {
                    inner.listed = false;
                    return Err(lost());
                }
                let arrived = |request: &EnrolmentRequest| Arrived::Request(Box::new(request.clone()));
                if !std::mem::replace(&mut inner.listed, true) {
                    inner.changed.clear();
                    return Ok(vec![Change::All(inner.requests.values().map(arrived).collect())]);
                }
                let changed = std::mem::take(&mut inner.changed);
                if !changed.is_empty() {
                    let change = |name: String| match inner.requests.get(&name) {
                        Some(request) => Change::One(arrived(request)),
                        None => Change::Gone(name),
                    };
                    return Ok(changed.into_iter().map(change).collect());
                }
            }
            if Instant::now() >= deadline {
                return Ok(Vec::new());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn rule(&self, rulings: &[(EnrolmentRequest, Ruling)]) -> Vec<Result<EnrolmentRequest, MailboxError>> {
        let mut inner = self.lock();
        let one = |(request, ruling): &(EnrolmentRequest, Ruling)| {
            inner.change(request, |found| {
                let expected = if ruling.kind.as_str() == "Failed" { State::Approved } else { State::Pending };
                if found.state != expected {
                    return Err(MailboxError::Conflict(found.name.clone()));
                }
                add(found, ruling.kind.as_str(), &ruling.reason, &ruling.message);
                found.annotations.extend(ruling.annotations.clone());
                Ok(())
            })
        };
        rulings.iter().map(one).collect()
    }

    fn deliver(&self, certificates: &[(EnrolmentRequest, String)]) -> Vec<Result<EnrolmentRequest, MailboxError>> {
        let mut inner = self.lock();
        let one = |(request, pem): &(EnrolmentRequest, String)| {
            inner.change(request, |found| {
                if found.state != State::Approved {
                    return Err(MailboxError::Conflict(found.name.clone()));
                }
                found.certificate = pem.clone().into_bytes();
                Ok(())
            })
        };
        certificates.iter().map(one).collect()
    }

    fn hold_lease(&self, terms: &LeaseTerms) -> Result<bool, MailboxError> {
        let mut inner = self.lock();
        let is_free =
            inner.lease.as_ref().is_none_or(|(holder, until)| *holder == terms.holder || Instant::now() >= *until);
        if is_free {
            inner.lease = Some((terms.holder.clone(), Instant::now() + Duration::from_secs(terms.seconds.into())));
        }
        Ok(is_free)
    }

    fn release_lease(&self, terms: &LeaseTerms) -> Result<(), MailboxError> {
        let mut inner = self.lock();
        inner.lease.take_if(|(holder, _)| *holder == terms.holder);
        Ok(())
    }
}
