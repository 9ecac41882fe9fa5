//! Tests of refusals: which responses prove that a client was refused.

use super::*;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::CaRole;
use crate::pki::issuer::create_root;
use crate::verify::checks::fixture::{NOW, PODS, answer, fixture, issue, master, statuses};
use crate::verify::observation::Untrusted;
use crate::verify::target::Place;

#[test]
fn answers_of_an_unproven_server_prove_nothing() {
    let fixture = fixture();
    let same_name_ca =
        create_root(CaRole::Cluster, &fixture.cluster.name, KeyKind::EcdsaP256, Lifetime::TEN_YEARS, NOW);
    let impostor = issue(same_name_ca.expect("a root").get(), &fixture.node_spec(), NOW).certificate;
    let calls = [
        (master(), answer(200, PODS)),
        (Client::Anonymous, answer(401, "Unauthorized")),
        (Client::Untrusted(Untrusted::ForgedCa), Outcome::Alert("UnknownCA".into())),
        (Client::OtherNode("n2".into()), answer(200, PODS)),
    ];
    let found = fixture.judged(Place::Node, &impostor, &calls, NOW);
    assert_eq!(statuses(&found, &["chain", "name", "dates"]), ["fail", "pass", "pass"]);
    assert_eq!(statuses(&found, &["caller", "anonymous", "untrusted", "other-node"]), ["not-proven"; 4]);
}

#[test]
fn refusals_prove_nothing_if_all_clients_are_refused() {
    let fixture = fixture();
    let refused = answer(401, "Unauthorized");
    let calls = [
        (master(), refused.clone()),
        (Client::Anonymous, refused),
        (Client::Untrusted(Untrusted::ForgedCa), Outcome::Reset),
    ];
    let found = fixture.judged(Place::Node, &fixture.node_cert(), &calls, NOW);
    assert_eq!(statuses(&found, &["caller", "anonymous", "untrusted"]), ["fail", "not-proven", "not-proven"]);
}

#[test]
fn only_authentication_errors_are_refusals() {
    let fixture = fixture();
    let cases = [
        (answer(401, ""), "pass"),
        (answer(403, ""), "pass"),
        (Outcome::Alert("CertificateRequired".into()), "pass"),
        (Outcome::Alert("DecryptError".into()), "pass"),
        (Outcome::Reset, "pass"),
        (Outcome::Closed, "pass"),
        (answer(200, ""), "fail"),
        (answer(204, ""), "fail"),
        (answer(404, ""), "not-proven"),
        (answer(302, ""), "not-proven"),
        (answer(400, ""), "not-proven"),
        (answer(500, ""), "not-proven"),
        (Outcome::Alert("InternalError".into()), "not-proven"),
        // Alerts that are not about a certificate.
        (Outcome::Alert("UnrecognizedName".into()), "not-proven"),
        (Outcome::Alert("DecodeError".into()), "not-proven"),
        (Outcome::TimedOut(5000), "not-proven"),
        (Outcome::Failed("?".into()), "not-proven"),
    ];
    for (outcome, expected) in cases {
        for untrusted in [Client::Untrusted(Untrusted::ForgedCa), Client::Untrusted(Untrusted::UnknownCa)] {
            // The control-plane node connects again after the untrusted client, and is accepted.
            let calls = [(master(), answer(200, PODS)), (untrusted, outcome.clone()), (master(), answer(200, PODS))];
            let found = fixture.judged(Place::Node, &fixture.node_cert(), &calls, NOW);
            assert_eq!(found["untrusted"].status.as_str(), expected, "{outcome:?}");
        }
    }
}

#[test]
fn a_refusal_that_names_another_user_than_anonymous_is_an_authentication() {
    let fixture = fixture();
    let kubelets =
        |user: &str| answer(403, &format!("Forbidden (user={user}, verb=get, resource=nodes, subresource=proxy)"));
    let judged = |client: Client, refused: Outcome| {
        let aspect = match client {
            Client::Anonymous => "anonymous",
            Client::OtherNode(_) => "other-node",
            _ => "untrusted",
        };
        let calls = [(master(), answer(200, PODS)), (client, refused)];
        fixture.judged(Place::Node, &fixture.node_cert(), &calls, NOW)[aspect].status.as_str()
    };
    for client in [Client::Untrusted(Untrusted::ForgedCa), Client::Untrusted(Untrusted::UnknownCa), Client::Anonymous] {
        assert_eq!(judged(client.clone(), kubelets("kube-apiserver-kubelet-client")), "fail", "{client:?}");
        assert_eq!(judged(client.clone(), kubelets("system:anonymous")), "pass", "{client:?}");
    }
    let other = || Client::OtherNode("n2".into());
    assert_eq!(judged(other(), kubelets("kubelet:n2")), "pass");
    assert_eq!(judged(other(), kubelets("kubelet:n1")), "fail");
    let nodes = |user: &str| {
        let message = format!("nodes is forbidden: User \"{user}\" cannot list resource \"nodes\" in API group \"\"");
        answer(403, &serde_json::json!({"kind": "Status", "message": message, "code": 403}).to_string())
    };
    let known = fixture.review("kubelet:n1", &["kubelets", "system:authenticated"], None);
    for (user, expected) in [("kubelet:n1", "fail"), ("kubernetes-admin", "fail"), ("system:anonymous", "pass")] {
        for client in [Client::Untrusted(Untrusted::ForgedCa), Client::Untrusted(Untrusted::UnknownCa)] {
            let calls = [(Client::Node("n1".into()), known.clone()), (client, nodes(user))];
            let found = fixture.judged(Place::Master, &fixture.master_cert(), &calls, NOW);
            assert_eq!(found["untrusted"].status.as_str(), expected, "{user}");
        }
    }
}

/// Returns the status of a client that the API server refuses with 403, and then responds `said` to `request`.
fn then(client: Client, request: Request, said: Outcome) -> &'static str {
    let fixture = fixture();
    let known = fixture.review("kubelet:n1", &["kubelets", "system:authenticated"], None);
    let aspect = if client == Client::Anonymous { Aspect::Anonymous } else { Aspect::Untrusted };
    let calls = [(Client::Node("n1".into()), known), (client, answer(403, &STATUS.replace("401", "403")))];
    let more = [observation::FollowUp { request, outcome: said, server_chain: Default::default() }];
    let found = fixture.findings_of_several(Place::Master, &fixture.master_cert(), &calls, &more, NOW);
    found.iter().find(|f| f.id.1 == aspect).expect("a finding").status.as_str()
}

#[test]
fn a_review_for_another_user_than_anonymous_is_an_authentication() {
    let fixture = fixture();
    let reviewed_as_anonymous = |groups: &[&str], credential| fixture.review(ANONYMOUS, groups, credential);
    let cases = [
        (reviewed_as_anonymous(&["system:unauthenticated"], None), "pass"),
        (reviewed_as_anonymous(&[], None), "pass"),
        (reviewed_as_anonymous(&["system:unauthenticated", "system:masters"], None), "fail"),
        (reviewed_as_anonymous(&["system:authenticated"], None), "fail"),
        (reviewed_as_anonymous(&["system:unauthenticated"], Some("X509SHA256=00")), "fail"),
        (fixture.review("kubelet:n1", &["kubelets"], None), "fail"),
        (fixture.review("", &[], None), "fail"),
        (answer(201, "{}"), "not-proven"),
        (answer(401, STATUS), "pass"),
    ];
    for (said, expected) in cases {
        for client in [Client::Anonymous, Client::Untrusted(Untrusted::LoneLeaf)] {
            for request in [Request::WhoAmI, Request::WhoAmIByHeader] {
                assert_eq!(then(client.clone(), request, said.clone()), expected, "{client:?} {said:?}");
            }
        }
    }
}

#[test]
fn an_untrusted_client_has_to_be_refused_on_every_path() {
    let untrusted = || Client::Untrusted(Untrusted::UnknownCa);
    for request in [Request::Nodes, Request::Secrets, Request::AllPods] {
        assert_eq!(then(untrusted(), request, answer(200, "")), "fail");
        assert_eq!(then(untrusted(), request, answer(403, "no")), "pass");
    }
}

#[test]
fn a_refusal_that_repeats_the_name_in_an_untrusted_certificate_proves_nothing() {
    let fixture = fixture();
    let known = fixture.review("kubelet:n1", &["kubelets", "system:authenticated"], None);
    let said = |message: &str| {
        answer(403, &serde_json::json!({"kind": "Status", "message": message, "code": 403}).to_string())
    };
    let cases = [
        ("nodes is forbidden: user kubelet:n1 may not", "fail"),
        ("not for CN=kubelet:n1", "not-proven"),
        ("not for the group kubelets", "not-proven"),
        ("not even for system:masters", "not-proven"),
        ("forbidden", "pass"),
    ];
    for (message, expected) in cases {
        let calls =
            [(Client::Node("n1".into()), known.clone()), (Client::Untrusted(Untrusted::ForgedCa), said(message))];
        let found = fixture.judged(Place::Master, &fixture.master_cert(), &calls, NOW);
        assert_eq!(found["untrusted"].status.as_str(), expected, "{message}");
        // It counts as much after a first refusal that names no user.
        assert_eq!(then(Client::Untrusted(Untrusted::ForgedCa), Request::Secrets, said(message)), expected);
    }
}

#[test]
fn a_closed_connection_is_a_refusal_only_if_the_master_is_accepted_afterwards() {
    let fixture = fixture();
    for cut_off in [Outcome::Closed, Outcome::Reset] {
        let calls = |after: Outcome| {
            let before = (master(), answer(200, PODS));
            let found = fixture.judged(
                Place::Node,
                &fixture.node_cert(),
                &[before, (Client::Anonymous, cut_off.clone()), (master(), after)],
                NOW,
            );
            (found["anonymous"].status.as_str(), found["caller"].status.as_str())
        };
        assert_eq!(calls(answer(200, PODS)), ("pass", "pass"));
        // A kubelet that restarts, or a limit on connections, closes every connection.
        assert_eq!(calls(Outcome::Closed), ("not-proven", "pass"));
        assert_eq!(calls(Outcome::Failed("connection refused".into())), ("not-proven", "pass"));
    }
}

#[test]
fn without_an_accepted_master_only_the_handshake_refuses() {
    let fixture = fixture();
    let untrusted = |of_the_master: Outcome, refused: Outcome| {
        let calls = [
            (master(), of_the_master),
            (Client::Untrusted(Untrusted::ForgedCa), refused),
            (Client::Untrusted(Untrusted::UnknownCa), answer(401, "")),
        ];
        fixture.judged(Place::Node, &fixture.node_cert(), &calls, NOW)["untrusted"].status.as_str()
    };
    let alert = || Outcome::Alert("UnknownCA".into());
    assert_eq!(untrusted(answer(404, "404 page not found"), alert()), "pass");
    assert_eq!(untrusted(answer(404, "404 page not found"), answer(401, "")), "not-proven");
    assert_eq!(untrusted(answer(404, "404 page not found"), Outcome::Closed), "not-proven");
    // A failing server has accepted no client.
    for status in [500, 502, 503, 429, 302, 400] {
        assert_eq!(untrusted(answer(status, ""), alert()), "not-proven", "{status}");
    }
}

const STATUS: &str = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"m","reason":"r","code":401}"#;

#[test]
fn an_api_servers_refusal_is_a_status_or_the_verifier_is_accepted_there() {
    let fixture = fixture();
    let node = || Client::Node("n1".into());
    let known = || fixture.review("kubelet:n1", &["kubelets", "system:authenticated"], None);
    let nodes = r#"{"kind":"NodeList","apiVersion":"v1","metadata":{},"items":[]}"#;
    let anonymous = |calls: &[(Client, Outcome)], refused: Outcome| {
        let calls: Vec<_> = calls.iter().cloned().chain([(Client::Anonymous, refused)]).collect();
        fixture.judged(Place::Master, &fixture.master_cert(), &calls, NOW)["anonymous"].status.as_str()
    };
    let forbidden = STATUS.replace("401", "403");
    assert_eq!(anonymous(&[(node(), known())], answer(401, STATUS)), "pass");
    assert_eq!(anonymous(&[(node(), known())], answer(403, &forbidden)), "pass");
    // A proxy may respond for this path only.
    for (status, body) in [(401, "<html>"), (403, "<html>"), (401, ""), (403, STATUS)] {
        assert_eq!(anonymous(&[(node(), known())], answer(status, body)), "not-proven", "{status} {body}");
    }
    let verifier = |outcome: Outcome| [(Client::Verifier, outcome)];
    assert_eq!(anonymous(&verifier(answer(200, nodes)), answer(401, "<html>")), "pass");
    assert_eq!(anonymous(&verifier(answer(200, nodes)), answer(403, "<html>")), "pass");
    // A client that is forbidden is authenticated: a 401 differs from that, another 403 does not.
    assert_eq!(anonymous(&verifier(answer(403, &forbidden)), answer(401, STATUS)), "pass");
    assert_eq!(anonymous(&verifier(answer(403, &forbidden)), answer(403, &forbidden)), "skipped");
    assert_eq!(anonymous(&verifier(answer(403, "<html>")), answer(401, STATUS)), "not-proven");
    assert_eq!(anonymous(&verifier(answer(401, STATUS)), answer(401, STATUS)), "not-proven");
    assert_eq!(anonymous(&[], answer(401, STATUS)), "skipped");
    // A client that is authenticated as anonymous is not accepted.
    let reviewed_as_anonymous = fixture.review("system:anonymous", &["system:unauthenticated"], None);
    assert_eq!(anonymous(&[(node(), reviewed_as_anonymous)], answer(401, STATUS)), "not-proven");
}

#[test]
fn without_a_master_the_verifier_proves_that_the_kubelet_trusts_the_ca() {
    let fixture = fixture();
    let none = || (master(), Outcome::NoCredential("no key".into()));
    let words = "Forbidden (user=clusterctl:verifier, verb=get, resource=nodes, subresource(s)=[pods proxy])";
    let judged = |verifier: Outcome, refused: Outcome| {
        let calls = [none(), (Client::Verifier, verifier), (Client::Anonymous, refused)];
        let found = fixture.judged(Place::Node, &fixture.node_cert(), &calls, NOW);
        (found["caller"].status.as_str(), found["anonymous"].status.as_str())
    };
    assert_eq!(judged(answer(403, words), answer(401, "")), ("skipped", "pass"));
    let reviewed_as_anonymous = words.replace("clusterctl:verifier", "system:anonymous");
    assert_eq!(judged(answer(403, words), answer(403, &reviewed_as_anonymous)), ("skipped", "skipped"));
    assert_eq!(judged(answer(403, "<html>"), answer(401, "")), ("skipped", "not-proven"));
    assert_eq!(judged(answer(401, ""), answer(401, "")), ("skipped", "not-proven"));
}

#[test]
fn without_a_key_a_check_is_skipped_but_open_access_is_found() {
    let fixture = fixture();
    let none = Outcome::NoCredential("no key".into());
    let calls = [
        (master(), none),
        (Client::Anonymous, answer(200, PODS)),
        (Client::Untrusted(Untrusted::ForgedCa), answer(401, "")),
    ];
    let found = fixture.judged(Place::Node, &fixture.node_cert(), &calls, NOW);
    assert_eq!(statuses(&found, &["caller", "anonymous", "untrusted"]), ["skipped", "fail", "skipped"]);
}
