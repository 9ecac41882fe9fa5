use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Just;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-29 12:00:00 UTC);

fn host() -> HostName {
    HostName::parse("worker-1").expect("a name")
}

fn rule(name: &str, require: &[Requirement], then: Then) -> Rule {
    Rule { name: name.to_owned(), when: When::default(), require: require.to_vec(), then }
}

fn decided(policy: &Policy, answers: &[(Requirement, Answer)]) -> (Decision, Vec<&'static str>) {
    let host = host();
    let target = Target { host: &host, profile: Profile::KubeletClient, kind: RequestKind::First, needs_proof: false };
    let mut asked = Vec::new();
    let decision = decide(policy, &target, NOW, &mut |requirement| {
        asked.push(requirement.name());
        let found = answers.iter().find(|(one, _)| one == requirement);
        found.map_or(Answer::Failed("no".to_owned()), |(_, answer)| answer.clone())
    });
    (decision, asked)
}

const QUEUE: Then = Then::Queue { approvals: None };

#[test]
fn the_first_rule_that_decides_wins_and_each_requirement_is_asked_once() {
    let rules = Policy::Rules(vec![
        rule("one", &[Requirement::Inventory, Requirement::SameHost], Then::Approve),
        rule("two", &[Requirement::Inventory, Requirement::SshHostKey, Requirement::Token], Then::Approve),
        rule("three", &[Requirement::Inventory, Requirement::SshHostKey], Then::Approve),
        rule("four", &[], Then::Deny),
    ]);
    let answers = [(Requirement::Inventory, Answer::ok("listed")), (Requirement::SshHostKey, Answer::ok("SHA256:x"))];
    let (decision, asked) = decided(&rules, &answers);
    assert_eq!(decision.verdict, Verdict::Approve { validity: None });
    assert_eq!(decision.rule.as_deref(), Some("three"));
    assert_eq!(asked, ["inventory", "same-host", "ssh-host-key", "token"]);
    assert_eq!(decision.rules.len(), 3);
    assert!(!decision.rules[1].decided && decision.rules[2].decided);
    assert_eq!(decided(&rules, &[]).0.verdict, Verdict::Deny, "the last rule needs nothing");
}

#[test]
fn without_a_rule_that_decides_a_person_does() {
    let rules = Policy::Rules(vec![rule("one", &[Requirement::Token], Then::Approve)]);
    let (decision, _) = decided(&rules, &[]);
    assert_eq!((decision.verdict, decision.rule), (Verdict::Queue { approvals: None }, None));
    assert_eq!(decided(&Policy::Queue, &[]).0.verdict, Verdict::Queue { approvals: None });
    assert_eq!(decided(&Policy::AlwaysReject, &[]).0.verdict, Verdict::Deny);
}

#[test]
fn a_request_that_meets_fewer_requirements_needs_as_many_approvals() {
    let two = NonZeroU8::new(2);
    let signed = |name: &str, require: &[Requirement], count| {
        rule(name, require, Then::Queue { approvals: NonZeroU8::new(count) })
    };
    let other = Rule {
        when: When { kind: Some(RequestKind::Renewal), ..When::default() },
        ..signed("renewals", &[Requirement::Inventory], 3)
    };
    let rules = Policy::Rules(vec![
        rule("known", &[Requirement::Token], Then::Approve),
        signed("few", &[Requirement::SshHostKey], 1),
        signed("two", &[Requirement::SameHost], 2),
        other,
    ]);
    let verdict = |requirement, answer| decided(&rules, &[(requirement, answer)]).0.verdict;
    assert_eq!(decided(&rules, &[]).0.verdict, Verdict::Queue { approvals: two }, "no rule decides");
    let gone = || Answer::Unknown("gone".into());
    assert_eq!(verdict(Requirement::Token, gone()), Verdict::Retry { approvals: two }, "a rule that approves");
    assert_eq!(verdict(Requirement::SshHostKey, gone()), Verdict::Retry { approvals: two }, "a rule that queues");
    let queued = Answer::Queued("a person".into());
    assert_eq!(
        verdict(Requirement::Token, queued),
        Verdict::Queue { approvals: two },
        "a reviewer leaves it to a person"
    );
    let one = Verdict::Queue { approvals: NonZeroU8::new(1) };
    assert_eq!(verdict(Requirement::SshHostKey, Answer::ok("SHA256:x")), one, "a rule that decides");
}

#[test]
fn conditions_select_the_requests_of_a_rule() {
    let when = |kind, hosts: &str, profile| When {
        kind,
        hosts: crate::cluster::host_pattern::HostPattern::parse_all(&[hosts.to_owned()]).expect("patterns"),
        profile,
    };
    let deny = |when| {
        let policy = Policy::Rules(vec![Rule { name: "a".into(), when, require: Vec::new(), then: Then::Deny }]);
        decided(&policy, &[]).0.verdict == Verdict::Deny
    };
    assert!(deny(When::default()));
    assert!(deny(when(Some(RequestKind::First), "worker-*", Some(Profile::KubeletClient))));
    assert!(!deny(when(Some(RequestKind::Renewal), "worker-*", None)));
    assert!(!deny(when(None, "master-*", None)));
    assert!(!deny(when(None, "*", Some(Profile::KubeletServer))));
}

#[test]
fn insecure_approval_lasts_a_day_at_most() {
    let verdict = |until| decided(&Policy::InsecureAlwaysApprove { until }, &[]).0.verdict;
    let approved = Verdict::Approve { validity: None };
    assert_eq!(verdict(NOW + Duration::hours(24)), approved);
    assert_eq!(verdict(NOW + Duration::seconds(1)), approved);
    for until in [NOW, NOW - Duration::hours(1), NOW + Duration::hours(25)] {
        assert_eq!(verdict(until), Verdict::Queue { approvals: None }, "{until}");
    }
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::ok("x")),
        Just(Answer::Failed("x".into())),
        Just(Answer::Denied("x".into())),
        Just(Answer::Queued("x".into())),
        Just(Answer::Unknown("x".into())),
        (1_u64..100)
            .prop_map(|days| Answer::Ok { evidence: "x".into(), validity: Lifetime::parse(&format!("{days}d")).ok() }),
    ]
}

const WORDS: [Requirement; 5] = [
    Requirement::Inventory,
    Requirement::SameHost,
    Requirement::SshHostKey,
    Requirement::Token,
    Requirement::SourceAddress,
];

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let one =
        (prop::collection::vec(0_usize..5, 0..4), prop_oneof![Just(Then::Approve), Just(QUEUE), Just(Then::Deny)]);
    prop::collection::vec(one, 0..5).prop_map(|rules| {
        let one = |(i, (require, then)): (usize, (Vec<usize>, Then))| {
            let require: Vec<Requirement> = require.into_iter().map(|at| WORDS[at].clone()).collect();
            rule(&format!("rule-{i}"), &require, then)
        };
        rules.into_iter().enumerate().map(one).collect()
    })
}

proptest! {
    /// The rules as the documentation words them.
    #[test]
    fn decisions_follow_the_rules(rules in rules(), answers in prop::collection::vec(answer(), 5)) {
        let known: Vec<(Requirement, Answer)> = WORDS.into_iter().zip(answers).collect();
        let of = |requirement: &Requirement| known.iter().find(|(one, _)| one == requirement).expect("known").1.clone();
        let expected = rules.iter().find_map(|rule| {
            let stop = rule.require.iter().map(of).find(|answer| !matches!(answer, Answer::Ok { .. }));
            match stop {
                Some(Answer::Failed(_)) => None,
                Some(Answer::Denied(_)) => Some("deny"),
                Some(Answer::Queued(_)) => Some("queue"),
                Some(Answer::Unknown(_)) => Some("retry"),
                Some(Answer::Ok { .. }) => unreachable!("it is no stop"),
                None => Some(rule.then.as_str()),
            }
        });
        let (decision, _) = decided(&Policy::Rules(rules), &known);
        prop_assert_eq!(decision.verdict.as_str(), expected.unwrap_or("queue"));
    }

    #[test]
    fn no_answer_never_denies_and_never_approves(rules in rules(), known in any::<bool>()) {
        let answers: Vec<(Requirement, Answer)> = WORDS
            .into_iter()
            .map(|one| (one, if known { Answer::ok("x") } else { Answer::Unknown("gone".into()) }))
            .collect();
        let first_asks = rules.first().is_some_and(|rule| !rule.require.is_empty());
        let (decision, _) = decided(&Policy::Rules(rules), &answers);
        if first_asks && !known {
            prop_assert_eq!(decision.verdict, Verdict::Retry { approvals: None });
        }
    }

    #[test]
    fn several_reviewers_shorten_to_the_shortest(days in prop::collection::vec(1_u64..400, 1..5)) {
        let limited = |days: &u64| Answer::Ok {
            evidence: "x".into(),
            validity: Lifetime::parse(&format!("{days}d")).ok(),
        };
        let answers: Vec<(Requirement, Answer)> = WORDS.into_iter().zip(days.iter().map(limited)).collect();
        let require: Vec<Requirement> = answers.iter().map(|(one, _)| one.clone()).collect();
        let (decision, _) = decided(&Policy::Rules(vec![rule("a", &require, Then::Approve)]), &answers);
        let shortest = days.iter().min().and_then(|days| Lifetime::parse(&format!("{days}d")).ok());
        prop_assert_eq!(decision.verdict, Verdict::Approve { validity: shortest });
    }
}
