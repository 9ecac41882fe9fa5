//! The open requests of a mailbox, and when each is judged again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::enrol::request::{EnrolmentRequest, State};
use crate::mailbox::{Arrived, Change};

/// The first wait after a failure, which doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A queued request is judged again after this time: the cluster file or the ledger may have changed.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// The number of finished requests that are remembered.
const MOST_DONE: usize = 100_000;
/// A request that waits for a free reviewer, or for another request of its host, is judged again after this time.
const POSTPONED: Duration = Duration::from_millis(250);
/// After so many failures of reviewers, a person decides.
pub(super) const TRIES: u32 = 5;

/// The open requests of a mailbox.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    requests: BTreeMap<String, Open>,
    /// The number of requests that arrived so far.
    arrived: u64,
    /// By uid.
    schedule: HashMap<String, Schedule>,
    /// The uids of finished requests: an older state of one may still arrive.
    done: HashSet<String>,
    /// Denied requests that are not recorded in the ledger yet.
    denied: Vec<EnrolmentRequest>,
}

/// An open request, and its place in the order of arrival.
#[derive(Debug)]
struct Open {
    number: u64,
    request: EnrolmentRequest,
}

#[derive(Debug, Clone, Copy)]
struct Schedule {
    due: Instant,
    failures: u32,
    /// Whether it was reported that it waits for a person.
    is_announced: bool,
    /// Whether it waits for a free reviewer, or for another request of its host.
    is_postponed: bool,
}

impl Waiting {
    /// Applies changes. Returns the names of the requests that cannot be read, each with the reason.
    pub(super) fn take(&mut self, changes: Vec<Change>) -> Vec<(String, String)> {
        let mut unreadable = Vec::new();
        for change in changes {
            match change {
                Change::All(all) => {
                    self.requests.clear();
                    self.done.clear();
                    all.into_iter().for_each(|one| self.one(one, &mut unreadable));
                    let known: HashSet<&str> = self.requests.values().map(|open| open.request.uid.as_str()).collect();
                    self.schedule.retain(|uid, _| known.contains(uid.as_str()));
                }
                Change::One(one) => self.one(one, &mut unreadable),
                Change::Gone(name) => self.remove(&name),
            }
        }
        unreadable
    }

    fn one(&mut self, arrived: Arrived, unreadable: &mut Vec<(String, String)>) {
        match arrived {
            Arrived::Unreadable { name, reason } => unreadable.push((name, reason.to_string())),
            Arrived::Request(request) if request.state == State::Denied && !self.done.contains(&request.uid) => {
                self.remove(&request.name);
                self.done.insert(request.uid.clone());
                self.denied.push(*request);
            }
            Arrived::Request(request) if self.done.contains(&request.uid) => self.remove(&request.name),
            Arrived::Request(request) if request.state.is_open() => {
                let known = self.requests.get(&request.name);
                let changed = known.is_none_or(|known| known.request != *request);
                if changed && let Some(schedule) = self.schedule.get_mut(&request.uid) {
                    schedule.due = Instant::now();
                }
                // A request keeps its place when it changes.
                let number = known.filter(|known| known.request.uid == request.uid).map(|known| known.number);
                self.arrived += 1;
                let number = number.unwrap_or(self.arrived);
                self.requests.insert(request.name.clone(), Open { number, request: *request });
            }
            Arrived::Request(request) => self.remove(&request.name),
        }
    }

    /// Removes a finished request.
    pub(super) fn remove(&mut self, name: &str) {
        if let Some(Open { request, .. }) = self.requests.remove(name) {
            self.schedule.remove(&request.uid);
            if self.done.len() >= MOST_DONE {
                self.done.clear();
            }
            self.done.insert(request.uid);
        }
    }

    /// Returns the requests that are due, at most `most`: those that have waited longest.
    pub(super) fn due(&self, most: usize) -> Vec<EnrolmentRequest> {
        let now = Instant::now();
        let is_due = |open: &&Open| self.schedule.get(&open.request.uid).is_none_or(|one| one.due <= now);
        let mut due: Vec<&Open> = self.requests.values().filter(is_due).collect();
        due.sort_unstable_by_key(|open| open.number);
        due.into_iter().take(most).map(|open| open.request.clone()).collect()
    }

    /// Returns true if a request is due.
    pub(super) fn has_due(&self) -> bool {
        let now = Instant::now();
        self.requests.values().any(|open| self.schedule.get(&open.request.uid).is_none_or(|one| one.due <= now))
    }

    /// Marks a request as waiting for a person. Returns true the first time.
    pub(super) fn queue(&mut self, request: &EnrolmentRequest) -> bool {
        let schedule = self.schedule_of(request);
        let is_first = !std::mem::replace(&mut schedule.is_announced, true);
        schedule.due = Instant::now() + LOOK_AGAIN;
        schedule.is_postponed = false;
        is_first
    }

    /// Counts a failure of a request, and returns the number of its failures so far.
    pub(super) fn fail(&mut self, request: &EnrolmentRequest) -> u32 {
        let schedule = self.schedule_of(request);
        let wait = FIRST_WAIT.saturating_mul(1 << schedule.failures.min(10)).min(LONGEST_WAIT);
        schedule.due = Instant::now() + wait;
        schedule.is_postponed = false;
        schedule.failures = schedule.failures.saturating_add(1);
        schedule.failures
    }

    /// Returns the number of open requests.
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Returns true if there are denied requests that [`Self::take_denied`] has not returned yet.
    pub(super) fn has_denied(&self) -> bool {
        !self.denied.is_empty()
    }

    /// Returns the denied requests, each once.
    pub(super) fn take_denied(&mut self) -> Vec<EnrolmentRequest> {
        std::mem::take(&mut self.denied)
    }

    /// Returns the number of failures of a request.
    pub(super) fn failures(&self, request: &EnrolmentRequest) -> u32 {
        self.schedule.get(&request.uid).map_or(0, |schedule| schedule.failures)
    }

    /// Marks a request as being judged by a reviewer.
    pub(super) fn hold(&mut self, request: &EnrolmentRequest) {
        let schedule = self.schedule_of(request);
        schedule.due = Instant::now() + LONGEST_WAIT;
        schedule.is_postponed = false;
    }

    /// Marks a request as postponed: all reviewers are busy, or another request of its host is signed first.
    pub(super) fn postpone(&mut self, request: &EnrolmentRequest) {
        let schedule = self.schedule_of(request);
        schedule.due = Instant::now() + POSTPONED;
        schedule.is_postponed = true;
    }

    /// Returns true if a request is postponed.
    pub(super) fn has_postponed(&self) -> bool {
        self.schedule.values().any(|schedule| schedule.is_postponed)
    }

    /// Returns the latest state of a request, if it is still open and the same.
    pub(super) fn current(&self, request: &EnrolmentRequest) -> Option<&EnrolmentRequest> {
        self.requests.get(&request.name).map(|open| &open.request).filter(|known| known.uid == request.uid)
    }

    fn schedule_of(&mut self, request: &EnrolmentRequest) -> &mut Schedule {
        let new = Schedule { due: Instant::now(), failures: 0, is_announced: false, is_postponed: false };
        self.schedule.entry(request.uid.clone()).or_insert(new)
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::cluster::key_kind::KeyKind;
    use crate::cluster::profile::Usage;
    use crate::enrol::request::{RequestContent, RequestFields, Requester, State};
    use crate::pki::key::PrivateKey;
    use crate::pki::local_key::LocalKey;
    use crate::pki::pem;
    use crate::pki::request::create_request;

    fn request(name: &str) -> EnrolmentRequest {
        let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
        let key = LocalKey::open(&key).expect("a key");
        let csr = create_request(&key, "kubelet:node-1", &[], Usage::Client).expect("a request");
        let usages = ["digital signature".to_owned(), "client auth".to_owned()];
        let (signer, pem) = ("clusterctl.io/kubelet-client", pem::write_request(&csr));
        let fields = RequestFields { signer, usages: &usages, pem: pem.as_bytes() };
        EnrolmentRequest {
            name: name.to_owned(),
            uid: format!("uid of {name}"),
            resource_version: String::new(),
            annotations: BTreeMap::new(),
            created: OffsetDateTime::UNIX_EPOCH,
            content: RequestContent::read(fields).expect("a request"),
            requester: Requester::default(),
            state: State::Pending,
            conditions: Vec::new(),
            certificate: Vec::new(),
        }
    }

    /// Names that come first in the alphabet do not hold up others for ever.
    #[test]
    fn those_that_have_waited_longest_are_first() {
        let mut waiting = Waiting::default();
        let arrive = |request: EnrolmentRequest, waiting: &mut Waiting| {
            assert!(waiting.take(vec![Change::One(Arrived::Request(Box::new(request)))]).is_empty());
        };
        let first = request("z");
        for request in [first.clone(), request("b"), request("a")] {
            arrive(request, &mut waiting);
        }
        let changed = EnrolmentRequest { resource_version: "2".to_owned(), ..first };
        arrive(changed, &mut waiting);
        let names = |waiting: &Waiting| waiting.due(2).into_iter().map(|one| one.name).collect::<Vec<_>>();
        assert_eq!(names(&waiting), ["z", "b"], "a change keeps the place");
        waiting.remove("z");
        assert_eq!(names(&waiting), ["b", "a"]);
        assert!(waiting.has_due());
    }
}
