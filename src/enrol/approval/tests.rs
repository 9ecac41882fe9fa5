use std::collections::BTreeMap;

use proptest::prelude::{any, prop, prop_assert, proptest};
use time::macros::datetime;

use super::*;
use crate::cluster::account::Account;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::{Profile, Usage};
use crate::enrol::request::{RequestContent, RequestFields, Requester, State};
use crate::pki::key::PrivateKey;
use crate::pki::local_key::LocalKey;
use crate::pki::pem::write_request;
use crate::pki::request::create_request;

const NOW: OffsetDateTime = datetime!(2026-11-29 12:00:00 UTC);
const ANN: &str = include_str!("../../../tests/data/openssh/ecdsa-256-short");
const BOB: &str = include_str!("../../../tests/data/openssh/ecdsa-384-short");

fn key(pem: &str) -> SshKey {
    SshKey::from_pem(pem.as_bytes()).expect("a key")
}

fn public(pem: &str) -> String {
    let signature = key(pem).sign(NAMESPACE, b"").expect("signed");
    SshSignature::from_pem(signature.as_bytes()).expect("a signature").public_key().expect("a key")
}

fn signers() -> AllowedSigners {
    let lines = format!(
        "ann@example.net namespaces=\"{NAMESPACE}\" {}\nbob@example.net {}\nann-again@example.net {}\n",
        public(ANN),
        public(BOB),
        public(ANN)
    );
    AllowedSigners::parse(&lines).expect("signers")
}

fn request() -> EnrolmentRequest {
    let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
    let pem = write_request(
        &create_request(&LocalKey::open(&key).expect("a key"), "kubelet:worker-1", &[], Usage::Client)
            .expect("a request"),
    );
    let usages = ["digital signature", "client auth"].map(str::to_owned);
    let fields = RequestFields { signer: "clusterctl.io/kubelet-client", usages: &usages, pem: pem.as_bytes() };
    EnrolmentRequest {
        name: "one".into(),
        uid: "1".into(),
        resource_version: String::new(),
        annotations: BTreeMap::new(),
        created: NOW,
        content: RequestContent::read(fields).expect("a request"),
        requester: Requester::anonymous(),
        state: State::Pending,
        conditions: Vec::new(),
        certificate: Vec::new(),
    }
}

fn spec(user: &str) -> CertificateSpec {
    CertificateSpec {
        profile: Profile::KubeletClient,
        host: None,
        subject: Account { user: user.to_owned(), group: Some("kubelets".into()) },
        names: Vec::new(),
        lifetime: Lifetime::ONE_YEAR,
    }
}

fn subject() -> Subject {
    Subject::of(&request(), &spec("kubelet:worker-1"), Fingerprint::of(b"root"))
}

fn counted(decisions: &[SignedDecision], subject: &Subject) -> Tally {
    tally(decisions, subject, &signers(), &[], NOW)
}

#[test]
fn each_person_and_each_key_counts_once() {
    let subject = subject();
    let by = |pem, choice| sign(&subject, choice, NOW, &key(pem)).expect("signed");
    let all = [by(ANN, Choice::Approve), by(ANN, Choice::Approve), by(BOB, Choice::Approve)];
    let tally = counted(&all, &subject);
    assert_eq!(tally.approved, ["ann@example.net", "bob@example.net"]);
    assert_eq!(tally.ignored.len(), 1);
    let denied = counted(&[by(ANN, Choice::Approve), by(BOB, Choice::Deny)], &subject);
    assert_eq!((denied.approved.len(), denied.denied.len()), (1, 1));
    let only_bob = ["bob@example.net".to_owned()];
    assert_eq!(super::tally(&all, &subject, &signers(), &only_bob, NOW).approved, only_bob);
}

#[test]
fn a_decision_is_about_one_request_and_one_certificate() {
    let (request, root) = (request(), Fingerprint::of(b"root"));
    let subject = Subject::of(&request, &spec("kubelet:worker-1"), root);
    let decision = [sign(&subject, Choice::Approve, NOW, &key(BOB)).expect("signed")];
    assert_eq!(counted(&decision, &subject).approved.len(), 1);
    let renamed = EnrolmentRequest { name: "two".into(), ..request.clone() };
    let again = EnrolmentRequest { uid: "2".into(), ..request.clone() };
    let others = [
        Subject::of(&renamed, &spec("kubelet:worker-1"), root),
        Subject::of(&again, &spec("kubelet:worker-1"), root),
        Subject::of(&request, &spec("kubelet:worker-2"), root),
        Subject::of(&request, &spec("kubelet:worker-1"), Fingerprint::of(b"another")),
        self::subject(),
    ];
    for other in others {
        assert_eq!(counted(&decision, &other).approved, Vec::<String>::new(), "{other:?}");
    }
    let turned = [SignedDecision { decision: Choice::Deny, ..decision[0].clone() }];
    assert_eq!(counted(&turned, &subject).denied, Vec::<String>::new());
}

#[test]
fn strangers_other_namespaces_and_wrong_clocks_do_not_count() {
    let subject = subject();
    let only_ann = AllowedSigners::parse(&format!("ann@example.net {}\n", public(ANN))).expect("signers");
    let by_bob = [sign(&subject, Choice::Approve, NOW, &key(BOB)).expect("signed")];
    assert_eq!(tally(&by_bob, &subject, &only_ann, &[], NOW).approved, Vec::<String>::new());
    let elsewhere = key(BOB).sign("file", subject.text(Choice::Approve, NOW).as_bytes()).expect("signed");
    let elsewhere = SignedDecision { signature: elsewhere, ..by_bob[0].clone() };
    assert_eq!(counted(&[elsewhere], &subject).ignored.len(), 1);
    for time in [NOW + Duration::hours(2), NOW - Duration::days(8)] {
        let late = sign(&subject, Choice::Approve, time, &key(BOB)).expect("signed");
        assert_eq!(counted(&[late], &subject).ignored.len(), 1, "{time}");
    }
}

#[test]
fn the_annotation_is_bounded() {
    let decision = sign(&subject(), Choice::Approve, NOW, &key(BOB)).expect("signed");
    let mut annotation = String::new();
    for _ in 0..MAX_DECISIONS {
        annotation = added(&annotation, decision.clone()).expect("room");
    }
    assert_eq!(read(&annotation).map(|all| all.len()), Ok(MAX_DECISIONS));
    assert_eq!(added(&annotation, decision), Err(DecisionsError::TooMany(MAX_DECISIONS + 1)));
    assert_eq!(read(&" ".repeat(MAX_ANNOTATION + 1)), Err(DecisionsError::TooLarge(MAX_ANNOTATION + 1)));
}

proptest! {
    #[test]
    fn any_annotation_is_read_or_refused(text in ".{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&text);
        let _ = read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_changed_octet_approves_nothing(at in 0_usize..400, octet in any::<u8>()) {
        let subject = subject();
        let decision = sign(&subject, Choice::Deny, NOW, &key(BOB)).expect("signed");
        let mut text = serde_json::to_string(&[decision]).expect("JSON").into_bytes();
        let at = at % text.len();
        text[at] = octet;
        if let Ok(decisions) = read(&String::from_utf8_lossy(&text)) {
            prop_assert!(counted(&decisions, &subject).approved.is_empty());
        }
    }
}
