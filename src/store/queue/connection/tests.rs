use std::collections::BTreeMap;

use proptest::prelude::*;
use time::Duration as Age;
use time::macros::datetime;

use super::*;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::profile::Usage;
use crate::enrol::request::{Condition, RequestContent, RequestFields, Requester, SignerName, State};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::key::PrivateKey;
use crate::pki::local_key::LocalKey;
use crate::pki::pem::write_request;
use crate::pki::request::create_request;
use crate::store::queue::change::{Edit, Kind, Limits, NewRequest, Precondition, Retention};
use crate::store::queue::error::Refused;
use crate::store::queue::read::Selection;

const NOW: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);
const LIMITS: Limits = Limits { of_host: 4, of_unknown: 3 };

fn content(host: &str) -> RequestContent {
    let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
    let csr = create_request(&LocalKey::open(&key).expect("a key"), &format!("kubelet:{host}"), &[], Usage::Client)
        .expect("a request");
    let usages = ["digital signature".to_owned(), "client auth".to_owned()];
    let signer = SignerName::KubeletClient.as_str();
    RequestContent::read(RequestFields { signer, usages: &usages, pem: write_request(&csr).as_bytes() })
        .expect("a request")
}

fn new(name: &str, host: &str) -> NewRequest {
    NewRequest {
        name: name.to_owned(),
        content: content(host),
        annotations: BTreeMap::new(),
        expiration: None,
        requester: Requester::anonymous(),
        proven: false,
        known: true,
        token: None,
        limits: LIMITS,
    }
}

fn create(new: NewRequest) -> Change {
    Change::Create(Box::new(new))
}

fn condition(kind: &str) -> Condition {
    Condition {
        kind: kind.to_owned(),
        status: "True".to_owned(),
        reason: "Test".to_owned(),
        message: String::new(),
        last_update: Some(NOW),
        last_transition: Some(NOW),
    }
}

fn approval(name: &str, kinds: &[&str]) -> Change {
    let conditions = kinds.iter().map(|kind| condition(kind)).collect();
    let edit = Box::new(Edit::Approval { conditions, annotations: BTreeMap::new() });
    Change::Update { name: name.to_owned(), precondition: Precondition::default(), edit, by: "alice".to_owned() }
}

fn status(name: &str, kinds: &[&str], certificate: Option<(Vec<u8>, Fingerprint)>) -> Change {
    let conditions = kinds.iter().map(|kind| condition(kind)).collect();
    let edit = Box::new(Edit::Status { conditions, certificate });
    Change::Update { name: name.to_owned(), precondition: Precondition::default(), edit, by: "signer".to_owned() }
}

fn queue() -> (tempfile::TempDir, Queue) {
    let dir = tempfile::tempdir().expect("a folder");
    let queue = Queue::open(&dir.path().join("enrolment.sqlite")).expect("a queue");
    (dir, queue)
}

fn one(queue: &mut Queue, change: Change) -> Result<State, QueueError> {
    let (mut outcomes, events) = queue.commit(&[change], NOW);
    assert!(events.windows(2).all(|two| two[0].version < two[1].version), "versions grow");
    match outcomes.remove(0)? {
        Answer::Request(request) => Ok(request.state),
        Answer::Lease(_) | Answer::Count(_) => panic!("a request was changed"),
    }
}

#[test]
fn a_request_goes_from_pending_to_issued_and_nowhere_else() {
    let (_dir, mut queue) = queue();
    let new = new("one", "a");
    let certificate = || Some((b"pem".to_vec(), new.content.key()));
    assert_eq!(one(&mut queue, create(new.clone())), Ok(State::Pending));
    assert_eq!(one(&mut queue, create(new.clone())), Err(Refused::Exists.into()));
    let early = Refused::State { from: State::Pending, to: State::Issued };
    assert_eq!(one(&mut queue, status("one", &[], certificate())), Err(early.into()));
    assert_eq!(one(&mut queue, approval("one", &["Approved"])), Ok(State::Approved));
    assert_eq!(one(&mut queue, approval("one", &["Approved"])), Ok(State::Approved), "the same again changes nothing");
    assert_eq!(one(&mut queue, approval("one", &[])), Err(Refused::ConditionChanged.into()));
    assert!(one(&mut queue, approval("one", &["Approved", "Denied"])).is_err());
    let other = Some((b"pem".to_vec(), Fingerprint::of(b"other")));
    assert_eq!(one(&mut queue, status("one", &["Approved"], other)), Err(Refused::OtherKey.into()));
    assert_eq!(one(&mut queue, status("one", &["Approved"], certificate())), Ok(State::Issued));
    let changed = Some((b"pem 2".to_vec(), new.content.key()));
    assert_eq!(one(&mut queue, status("one", &["Approved"], changed)), Err(Refused::CertificateChanged.into()));
    let row = queue.get("one").expect("a read").expect("a row");
    assert_eq!((row.state, row.certificate.as_slice()), (State::Issued, b"pem".as_slice()));
}

#[test]
fn another_version_is_a_conflict() {
    let (_dir, mut queue) = queue();
    one(&mut queue, create(new("one", "a"))).expect("created");
    let with = |precondition: Precondition| {
        let Change::Update { name, edit, by, .. } = approval("one", &["Approved"]) else { unreachable!() };
        Change::Update { name, precondition, edit, by }
    };
    let old = Precondition { uid: None, version: Some(77) };
    assert_eq!(one(&mut queue, with(old)), Err(Refused::Conflict.into()));
    let other = Precondition { uid: Some("x".into()), version: None };
    assert_eq!(one(&mut queue, with(other)), Err(Refused::Conflict.into()));
    assert_eq!(one(&mut queue, approval("two", &["Approved"])), Err(Refused::Missing.into()));
}

#[test]
fn a_proven_request_is_never_pushed_out_by_unproven_ones() {
    let (_dir, mut queue) = queue();
    for i in 0..LIMITS.of_host {
        one(&mut queue, create(new(&format!("unproven-{i}"), "a"))).expect("room");
    }
    assert_eq!(one(&mut queue, create(new("more", "a"))), Err(Refused::TooManyOfHost { open: 4 }.into()));
    let proven = |name: &str| create(NewRequest { proven: true, ..new(name, "a") });
    for i in 0..LIMITS.of_host {
        assert_eq!(one(&mut queue, proven(&format!("proven-{i}"))), Ok(State::Pending));
        let old = queue.get(&format!("unproven-{i}")).expect("a read").expect("a row");
        assert_eq!((old.state, old.conditions[0].kind.as_str()), (State::Superseded, "Failed"));
    }
    assert!(one(&mut queue, create(new("late", "a"))).is_err(), "unproven ones do not push out proven ones");
    assert_eq!(one(&mut queue, create(new("other", "b"))), Ok(State::Pending), "other hosts have their own room");
}

#[test]
fn unknown_hosts_share_a_small_part() {
    let (_dir, mut queue) = queue();
    let unknown = |i: u32| create(NewRequest { known: false, ..new(&format!("u{i}"), &format!("unknown-{i}")) });
    for i in 0..LIMITS.of_unknown {
        one(&mut queue, unknown(i)).expect("room");
    }
    assert_eq!(one(&mut queue, unknown(9)), Err(Refused::TooManyUnknown { open: 3 }.into()));
    one(&mut queue, create(new("known", "a"))).expect("known hosts have room");
    let proven = NewRequest { proven: true, known: false, ..new("proven", "unknown-10") };
    one(&mut queue, create(proven)).expect("proven ones have room");
}

#[test]
fn a_token_is_for_one_key() {
    let (_dir, mut queue) = queue();
    let with = |name: &str| NewRequest { token: Some("abcdef".into()), proven: true, ..new(name, "a") };
    let first = with("one");
    one(&mut queue, create(first.clone())).expect("the first use");
    assert_eq!(one(&mut queue, create(with("two"))), Err(Refused::TokenUsed.into()));
    let again = NewRequest { name: "three".into(), ..first };
    one(&mut queue, create(again)).expect("the same key again");
}

#[test]
fn what_is_not_decided_expires_and_what_is_finished_is_archived() {
    let (_dir, mut queue) = queue();
    one(&mut queue, create(new("known", "a"))).expect("created");
    one(&mut queue, create(NewRequest { known: false, ..new("unknown", "b") })).expect("created");
    one(&mut queue, create(new("denied", "c"))).expect("created");
    one(&mut queue, approval("denied", &["Denied"])).expect("denied");
    let retention = Retention { open: Age::DAY, unknown: Age::HOUR, finished: Age::HOUR, archived: Age::days(90) };
    let expire = Change::Expire { retention, limit: 100 };
    let after = |queue: &mut Queue, age: Age| {
        let (outcomes, _) = queue.commit(std::slice::from_ref(&expire), NOW + age);
        assert!(outcomes[0].is_ok(), "{outcomes:?}");
        let page = queue.list(&Selection::default(), "", 10).expect("a list");
        page.requests.into_iter().map(|one| (one.name, one.state)).collect::<Vec<_>>()
    };
    let known = || ("known".to_owned(), State::Pending);
    assert_eq!(after(&mut queue, Age::minutes(61)), [known(), ("unknown".to_owned(), State::Expired)]);
    assert_eq!(after(&mut queue, Age::hours(3)), [known()]);
    assert_eq!(after(&mut queue, Age::hours(25)), [("known".to_owned(), State::Expired)]);
    one(&mut queue, create(new("unknown", "b"))).expect("the name is free again");
    after(&mut queue, Age::days(200));
    after(&mut queue, Age::days(400));
    let kept: i64 = queue.read(|c| c.query_row("SELECT count(*) FROM requests", [], |row| row.get(0))).expect("count");
    assert!(kept <= 2, "old rows are deleted: {kept}");
}

#[test]
fn a_watch_from_a_version_misses_nothing() {
    let (_dir, mut queue) = queue();
    one(&mut queue, create(new("one", "a"))).expect("created");
    one(&mut queue, create(new("two", "b"))).expect("created");
    let version = queue.version().expect("a version");
    one(&mut queue, approval("one", &["Approved"])).expect("approved");
    one(&mut queue, create(new("three", "c"))).expect("created");
    let delete = Change::Delete { name: "two".into(), precondition: Precondition::default(), by: "alice".into() };
    queue.commit(&[delete], NOW);
    let changes = queue.since(&Selection::default(), version, 100).expect("changes");
    let (now, seen) = (changes.version, changes.requests);
    let seen: Vec<_> = seen.iter().map(|(kind, row)| (*kind, row.name.as_str())).collect();
    assert_eq!(seen, [(Kind::Modified, "one"), (Kind::Added, "three"), (Kind::Deleted, "two")]);
    assert_eq!(now, queue.version().expect("a version"));
    for (name, kind) in [("one", Kind::Modified), ("three", Kind::Added), ("two", Kind::Deleted)] {
        let selection = Selection { name: Some(name.to_owned()), ..Selection::default() };
        let found = queue.since(&selection, version, 100).expect("changes").requests;
        assert_eq!(found.iter().map(|(kind, row)| (*kind, row.name.as_str())).collect::<Vec<_>>(), [(kind, name)]);
        assert!(queue.since(&selection, now, 100).expect("changes").requests.is_empty(), "{name}");
        let page = queue.list(&selection, "", 10).expect("a page");
        assert_eq!(page.requests.len(), usize::from(kind != Kind::Deleted), "{name}");
    }
    // A selection of nothing among as many changes as are read proves nothing about those that were not read.
    let nothing = Selection { signer: Some("another".to_owned()), ..Selection::default() };
    let of = |limit| queue.since(&nothing, version, limit).expect("changes");
    assert!(of(2).requests.is_empty() && of(2).has_more && !of(3).has_more);
    let signer = Some("another".to_owned());
    let other = Selection { name: Some("one".to_owned()), signer };
    assert!(queue.list(&other, "", 10).expect("a page").requests.is_empty());
    let pages = [queue.list(&Selection::default(), "", 1), queue.list(&Selection::default(), "one", 1)];
    let pages = pages.map(|page| page.expect("a page"));
    assert_eq!([&pages[0].requests[0].name, &pages[1].requests[0].name], ["one", "three"]);
    assert_eq!([pages[0].has_more, pages[1].has_more], [true, false]);
}

#[test]
fn a_lease_changes_only_from_its_present_version() {
    let (_dir, mut queue) = queue();
    let (namespace, name) = ("kube-system".to_owned(), "signer".to_owned());
    let make = Change::CreateLease { namespace: namespace.clone(), name: name.clone(), spec: "{}".into() };
    let Ok(Answer::Lease(lease)) = queue.commit(std::slice::from_ref(&make), NOW).0.remove(0) else {
        panic!("a lease")
    };
    assert!(queue.commit(&[make], NOW).0[0].is_err());
    let update = |version| Change::UpdateLease {
        namespace: namespace.clone(),
        name: name.clone(),
        precondition: Precondition { uid: None, version: Some(version) },
        spec: "{\"a\":1}".into(),
    };
    assert!(queue.commit(&[update(lease.version)], NOW).0[0].is_ok());
    assert!(queue.commit(&[update(lease.version)], NOW).0[0].is_err(), "the other signer was faster");
}

#[test]
fn a_locked_database_fails_and_works_afterwards() {
    let (dir, mut queue) = queue();
    queue.connection.busy_timeout(Duration::from_millis(10)).expect("a limit");
    let other = Connection::open(dir.path().join("enrolment.sqlite")).expect("a connection");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let (outcomes, events) = queue.commit(&[create(new("one", "a")), create(new("two", "b"))], NOW);
    assert!(outcomes.iter().all(|one| matches!(one, Err(QueueError::Database { cause: Cause::Busy, .. }))));
    assert!(events.is_empty() && queue.get("one").expect("a read").is_none());
    other.execute_batch("ROLLBACK").expect("unlocked");
    assert_eq!(one(&mut queue, create(new("one", "a"))), Ok(State::Pending));
}

/// What a transaction changed in memory is forgotten with it.
#[test]
fn a_transaction_that_fails_leaves_nothing_in_memory() {
    let (_dir, mut queue) = queue();
    one(&mut queue, create(new("good", "a"))).expect("created");
    queue
        .connection
        .execute_batch(
            "CREATE TRIGGER broken BEFORE INSERT ON requests WHEN NEW.name = 'bad' BEGIN SELECT RAISE(ABORT, 'x'); END",
        )
        .expect("a trigger");
    let (outcomes, events) = queue.commit(&[approval("good", &["Approved"]), create(new("bad", "b"))], NOW);
    assert!(outcomes[0].is_ok() && outcomes[1].is_err(), "{outcomes:?}");
    assert_eq!(events.len(), 1);
    assert_eq!(queue.get("good").expect("a read").expect("a row").state, State::Approved, "it is durable");
    assert_eq!(one(&mut queue, approval("bad", &["Approved"])), Err(Refused::Missing.into()));
}

/// One step of the model below.
#[derive(Debug, Clone)]
enum Step {
    Create(u8),
    Approve(u8),
    Deny(u8),
    Issue(u8),
    Fail(u8),
    Delete(u8),
}

fn step() -> impl Strategy<Value = Step> {
    (0..6u8, 0..4u8).prop_map(|(kind, at)| match kind {
        0 => Step::Create(at),
        1 => Step::Approve(at),
        2 => Step::Deny(at),
        3 => Step::Issue(at),
        4 => Step::Fail(at),
        _ => Step::Delete(at),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is asked in whatever groups: no certificate without an approval, and final states stay.
    #[test]
    fn no_order_of_changes_issues_without_approval(steps in prop::collection::vec(step(), 1..40), group in 1..9usize) {
        let (_dir, mut queue) = queue();
        let contents: Vec<RequestContent> = (0..4).map(|i| content(&format!("host-{i}"))).collect();
        let mut approved = [false; 4];
        for steps in steps.chunks(group) {
            let changes: Vec<Change> = steps.iter().map(|step| {
                let name = |at: &u8| format!("r{at}");
                match step {
                    Step::Create(at) => create(NewRequest {
                        content: contents[usize::from(*at)].clone(), ..new(&name(at), "x")
                    }),
                    Step::Approve(at) => approval(&name(at), &["Approved"]),
                    Step::Deny(at) => approval(&name(at), &["Denied"]),
                    Step::Issue(at) => status(
                        &name(at), &["Approved"], Some((b"pem".to_vec(), contents[usize::from(*at)].key())),
                    ),
                    Step::Fail(at) => status(&name(at), &["Approved", "Failed"], None),
                    Step::Delete(at) => Change::Delete {
                        name: name(at), precondition: Precondition::default(), by: "x".into(),
                    },
                }
            }).collect();
            let (outcomes, events) = queue.commit(&changes, NOW);
            prop_assert_eq!(outcomes.len(), changes.len());
            for event in events {
                let at = usize::from(event.request.name.as_bytes()[1] - b'0');
                match (event.kind, event.request.state) {
                    (Kind::Added | Kind::Deleted, _) => approved[at] = false,
                    (_, State::Approved) => approved[at] = true,
                    (_, State::Issued) => prop_assert!(approved[at], "issued without approval"),
                    _ => {}
                }
                prop_assert_eq!(event.request.state == State::Issued, !event.request.certificate.is_empty());
            }
        }
    }
}
