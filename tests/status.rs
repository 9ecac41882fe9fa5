//! `status`: what expires in a cluster directory, what is due, and what to do about it.

mod bundles;
mod cas;
mod expired_roots;
mod formats;
mod html;
mod pki;
mod units;

use serde_json::Value;
use time::Duration;

use crate::support::encryption::age_key;
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, NOW, forms};

/// Returns the output as JSON, which must match its schema, and the exit status.
fn answer(lab: &Lab, args: &[&str]) -> (u8, Value) {
    let ran = lab.run(&[&["status", "--output", "json"], args].concat());
    assert!(ran.status <= 1, "{ran}");
    forms::conforms("status", &ran.out);
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    let all_valid = answer["summary"]["valid"] == answer["summary"]["total"];
    assert_eq!(ran.status == 0, all_valid, "{ran}");
    (ran.status, answer)
}

/// The rows that are not valid, each as its host or person, its credential, its state and its remedy.
fn due(lab: &Lab, args: &[&str]) -> Vec<[String; 4]> {
    let (_, answer) = answer(lab, args);
    let rows = answer["rows"].as_array().expect("rows");
    rows.iter().filter(|row| row["state"] != "valid").map(shown).collect()
}

fn shown(row: &Value) -> [String; 4] {
    let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
    let whose = if row["host"].is_null() { text("person") } else { text("host") };
    [whose, text("credential"), text("state"), text("remedy")]
}

fn rows(expected: &[[&str; 4]]) -> Vec<[String; 4]> {
    expected.iter().map(|row| row.map(str::to_owned)).collect()
}

/// Replaces serial numbers, which are random.
fn without_serials(text: &str) -> String {
    let is_serial = |word: &str| word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split(' ').map(|word| if is_serial(word) { "SERIAL" } else { word }).collect::<Vec<_>>().join(" ")
}

#[test]
fn everything_that_was_just_issued_is_valid() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    let before = lab.snapshot();
    let (status, answer) = answer(&lab, &[]);
    assert_eq!(status, 0);
    // Three CAs, the verifier, two masters and three nodes.
    assert_eq!(answer["summary"]["total"], 3 + 1 + 2 * 9 + 3 * 2);
    let names: Vec<[String; 4]> = answer["rows"].as_array().expect("rows").iter().take(5).map(shown).collect();
    let valid = |whose, credential| [whose, credential, "valid", "-"];
    assert_eq!(
        names,
        rows(&[
            valid("-", "ca"),
            valid("-", "etcd-ca"),
            valid("-", "front-proxy-ca"),
            valid("-", "verifier"),
            valid("master-1", "apiserver"),
        ])
    );
    assert_eq!(lab.snapshot(), before, "status changes nothing");
    insta::assert_snapshot!(lab.good(&["status"]).out);
}

#[test]
fn certificates_reported_as_due_are_those_that_would_be_issued() {
    for renew_before in ["", "renewBefore: 90d\n"] {
        let mut lab =
            Lab::with(&CLUSTER.replace("masters:\n", &format!("validity: {{node: 200d}}\n{renew_before}masters:\n")));
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["issue-master", "--all"]);
        lab.good(&["issue-node", "--all"]);
        for day in [0, 109, 110, 111, 132, 134, 199, 201, 242, 244, 274, 276, 366] {
            lab.now = NOW + Duration::days(day);
            let planned = |command: &str| lab.good(&[command, "--all", "--dry-run"]).out.lines().count();
            let planned = planned("issue-master") + planned("issue-node");
            let due = due(&lab, &[]);
            assert_eq!(due.len(), planned, "day {day}, {renew_before:?}: {due:?}");
            assert!(due.iter().all(|[_, _, _, remedy]| remedy == "issue"), "{due:?}");
        }
    }
}

#[test]
fn states_follow_the_time_that_is_left() {
    let mut lab = Lab::issued();
    let states = |lab: &Lab, args: &[&str]| -> Vec<String> {
        let mut states: Vec<String> = due(lab, args).into_iter().map(|[_, _, state, _]| state).collect();
        states.dedup();
        states
    };
    assert_eq!(states(&lab, &["--expires-within", "2y"]), ["expiring"]);
    lab.now = NOW + Duration::days(250);
    assert_eq!(states(&lab, &[]), ["due"]);
    lab.now = NOW + Duration::days(340);
    assert_eq!(states(&lab, &[]), ["expiring"]);
    assert_eq!(states(&lab, &["--expires-within", "7d"]), ["due"]);
    lab.now = NOW + Duration::days(366);
    assert_eq!(states(&lab, &[]), ["expired"]);
    insta::assert_snapshot!(without_serials(&lab.run(&["status", "on"]).to_string()));
}

#[test]
fn a_ca_is_due_when_it_shortens_its_certificates() {
    let mut lab = Lab::issued();
    lab.now = NOW + Duration::days(9 * 365 - 1);
    let of_cas = |lab: &Lab| -> Vec<[String; 4]> {
        due(lab, &[]).into_iter().filter(|[_, credential, ..]| credential.ends_with("ca")).collect()
    };
    assert_eq!(of_cas(&lab), rows(&[]));
    lab.now = NOW + Duration::days(9 * 365 + 1);
    let due = |name| ["-", name, "due", "plan-new-roots"];
    assert_eq!(of_cas(&lab), rows(&[due("ca"), due("etcd-ca"), due("front-proxy-ca")]));
}

/// Issuing certificates does not help against a wrong clock or an expired CA.
#[test]
fn remedies_are_possible_with_a_wrong_clock_and_an_expired_ca() {
    let mut lab = Lab::issued();
    lab.good(&["issue-admin", "alice"]);
    let issued = lab.now;
    for (now, state, remedy) in [
        (issued - Duration::days(30), "not-yet-valid", "compare-clocks"),
        (issued + Duration::days(4000), "expired", "replace-expired-root"),
    ] {
        lab.now = now;
        let due = due(&lab, &[]);
        assert!(due.len() > 20, "{due:?}");
        for [whose, credential, found, helps] in due {
            assert_eq!((found.as_str(), helps.as_str()), (state, remedy), "{whose} {credential}");
        }
    }
}

#[test]
fn certificates_that_were_never_issued_are_missing() {
    let lab = Lab::with_roots();
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "on"]);
    let missing = |host, credential| [host, credential, "missing", "issue"];
    let (one, other) = ("worker-a1.fra1.example.net", "worker-b1");
    let expected =
        [one, other].into_iter().flat_map(|host| [missing(host, "kubelet-client"), missing(host, "kubelet-server")]);
    assert_eq!(due(&lab, &[]), rows(&expected.collect::<Vec<_>>()));
}

#[test]
fn a_host_that_left_is_reported_as_long_as_its_certificates_are_valid() {
    let mut lab = Lab::issued();
    let line = "- {name: worker-b1, addresses: [10.20.2.11]}\n";
    lab.write("cluster.yaml", &CLUSTER.replace(line, ""));
    let left = |credential| ["worker-b1", credential, "left", "remove-host"];
    let expected = rows(&[left("kubelet-client"), left("kubelet-server")]);
    assert_eq!(due(&lab, &[]), expected);
    assert_eq!(due(&lab, &["worker-*"]), expected);
    assert_eq!(due(&lab, &["worker-b1"]), expected);
    lab.now = NOW + Duration::days(366);
    assert!(due(&lab, &[]).iter().all(|[host, ..]| host != "worker-b1"));
}

#[test]
fn bundles_older_than_their_certificates_are_outdated() {
    needs!("age-keygen");
    let mut lab = Lab::issued();
    let recipient = age_key(&lab, "age");
    for encryption in [&[][..], &["--encrypt-to", &recipient]] {
        lab.good(&[&["bundle", "--all"], encryption].concat());
        assert_eq!(due(&lab, &[]), rows(&[]));
        lab.now += Duration::hours(1);
        lab.good(&["issue-node", "on", "--reissue"]);
        lab.good(&["issue-master", "master-2", "--reissue"]);
        let outdated = |host| [host, "bundle", "outdated", "pack-bundle"];
        let expected = rows(&[outdated("master-2"), outdated("on")]);
        assert_eq!(due(&lab, &[]), expected);
        lab.now += Duration::hours(1);
        lab.good(&[&["bundle", "on"], encryption].concat());
        assert_eq!(due(&lab, &[]), expected[..1]);
        lab.good(&[&["bundle", "--all"], encryption].concat());
        assert_eq!(due(&lab, &[]), rows(&[]));
    }
}

#[test]
fn discarded_keys_are_named() {
    needs!("age-keygen");
    let lab = Lab::issued();
    lab.good(&["bundle", "on", "--encrypt-to", &age_key(&lab, "age"), "--discard-keys"]);
    let (_, answer) = answer(&lab, &[]);
    let rows = answer["rows"].as_array().expect("rows");
    let discarded: Vec<&Value> =
        rows.iter().filter(|row| row["keyDiscarded"] == true).map(|row| &row["host"]).collect();
    assert_eq!(discarded, ["on", "on"]);
}

#[test]
fn revoked_certificates_and_crls_are_reported() {
    let mut lab = Lab::issued();
    lab.good(&["revoke", "--yes", "on"]);
    let revoked = |credential| ["on", credential, "revoked", "issue"];
    assert_eq!(due(&lab, &[]), rows(&[revoked("kubelet-client"), revoked("kubelet-server")]));
    lab.good(&["issue-node", "on"]);
    assert_eq!(due(&lab, &[]), rows(&[]));
    for (day, state) in [(61, "due"), (85, "expiring"), (90, "expired")] {
        lab.now = NOW + Duration::days(day);
        assert_eq!(due(&lab, &[]), rows(&[["-", "crl", state, "renew-crl"]]), "day {day}");
    }
    lab.now = NOW;
    lab.write("pki/crl.pem", "no CRL");
    assert_eq!(due(&lab, &[]), rows(&[["-", "crl", "unreadable", "renew-crl"]]));
    std::fs::remove_file(lab.path("pki/crl.pem")).expect("removed");
    assert_eq!(due(&lab, &[]), rows(&[["-", "crl", "missing", "renew-crl"]]));
    // A CRL that is older than the last revocation.
    lab.good(&["crl", "renew"]);
    let older = lab.read("pki/crl.pem");
    lab.good(&["revoke", "--yes", "on"]);
    lab.good(&["issue-node", "on"]);
    lab.write("pki/crl.pem", &older);
    assert_eq!(due(&lab, &[]), rows(&[["-", "crl", "outdated", "renew-crl"]]));
    let plan = lab.good(&["plan", "--output", "json"]);
    forms::conforms("apply", &plan.out);
    let plan: Value = serde_json::from_str(&plan.out).expect("JSON");
    assert_eq!(plan["crls"], serde_json::json!([{"ca": "cluster", "reason": "outdated"}]));
    lab.good(&["renew", "--all"]);
    assert_eq!(due(&lab, &[]), rows(&[]));
    lab.good(&["crl", "show"]);
}

#[test]
fn administrators_are_reported_from_the_ledger_and_their_files() {
    let mut lab = Lab::issued();
    lab.good(&["issue-admin", "alice", "--validity", "30d"]);
    lab.good(&["issue-admin", "bob", "--validity", "30d"]);
    lab.good(&["issue-admin", "--break-glass", "--yes", "--validity", "4h"]);
    let people = |lab: &Lab| -> Vec<[String; 4]> {
        let (_, answer) = answer(lab, &[]);
        let rows = answer["rows"].as_array().expect("rows");
        rows.iter().filter(|row| row["kind"] == "kubeconfig").map(shown).collect()
    };
    let of = |state, remedy| [["alice", "admin", state, remedy], ["bob", "admin", state, remedy]];
    let [alice, bob] = of("valid", "-");
    let emergency = people(&lab).pop().expect("a row");
    assert_eq!(emergency[1..], ["break-glass", "valid", "-"].map(str::to_owned));
    assert_eq!(people(&lab)[..2], rows(&[alice, bob]));
    std::fs::remove_file(lab.path("pki/admins/bob.conf")).expect("delivered");
    assert_eq!(people(&lab)[..2], rows(&[alice, bob]), "the ledger has it");
    lab.now = NOW + Duration::days(21);
    let expected = of("due", "reissue-admin");
    assert_eq!(people(&lab)[..2], rows(&expected));
    assert_eq!(people(&lab)[2][2..], ["expired", "delete-admin"].map(str::to_owned));
    lab.now = NOW + Duration::days(31);
    assert_eq!(people(&lab)[..1], rows(&[["alice", "admin", "expired", "reissue-admin"]]));
    assert_eq!(people(&lab).len(), 2, "nothing is left of bob");
    lab.write("pki/admins/alice.conf", "no kubeconfig");
    assert!(people(&lab).contains(&["alice", "admin", "unreadable", "reissue-admin"].map(str::to_owned)));
}

#[test]
fn hosts_are_named_by_lists_and_patterns() {
    let lab = Lab::issued();
    let hosts = |args: &[&str]| -> Vec<String> {
        let (_, answer) = answer(&lab, args);
        let rows = answer["rows"].as_array().expect("rows");
        let mut hosts: Vec<String> = rows.iter().map(|row| row["host"].as_str().unwrap_or("-").to_owned()).collect();
        hosts.dedup();
        hosts
    };
    assert_eq!(hosts(&["on,master-1"]), ["master-1", "on"]);
    assert_eq!(hosts(&["worker-*"]), ["worker-a1.fra1.example.net", "worker-b1"]);
    assert_eq!(hosts(&["o?", "master-2"]), ["master-2", "on"]);
    for unknown in ["worker-b2", "rack-*", "on,,master-1"] {
        assert_eq!(lab.run(&["status", unknown]).status, 2, "{unknown}");
    }
    let hint = lab.run(&["status", "worker-b2"]);
    assert!(hint.err.contains("worker-b1"), "{hint}");
}

#[test]
fn rows_are_sorted() {
    let mut lab = Lab::issued();
    lab.good(&["issue-admin", "alice", "--validity", "30d"]);
    lab.now = NOW + Duration::days(250);
    let column = |sort: &str, key: &str| -> Vec<String> {
        let (_, answer) = answer(&lab, &["--sort", sort]);
        let rows = answer["rows"].as_array().expect("rows");
        rows.iter().map(|row| row[key].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert!(column("expires", "expires").is_sorted());
    assert!(column("credential", "credential").is_sorted());
    assert_eq!(column("state", "state").first().map(String::as_str), Some("expired"));
    assert_eq!(column("state", "state").last().map(String::as_str), Some("valid"));
    assert_eq!(column("host", "host").last().map(String::as_str), Some("worker-b1"));
}

#[test]
fn without_a_ca_status_fails() {
    let lab = Lab::with(CLUSTER);
    let ran = lab.run(&["status"]);
    assert_ne!(ran.status, 0, "{ran}");
    assert_eq!(ran.out, "");
}

#[test]
fn before_there_is_a_ca_the_commands_that_read_the_ledger_ask_for_one() {
    let lab = Lab::with(CLUSTER);
    for args in [&["status"][..], &["log"], &["renew", "--all"]] {
        let ran = lab.run(args);
        assert_eq!((ran.status, ran.out.as_str()), (3, ""), "{args:?}: {ran}");
    }
    insta::assert_snapshot!("no_ca", lab.run(&["status"]).err);
    // A lost ledger is an error.
    let lab = Lab::issued();
    std::fs::remove_file(lab.path("pki/ledger.sqlite3")).expect("the ledger");
    for args in [&["status"][..], &["log"], &["renew", "--all"]] {
        assert_eq!(lab.run(args).status, 4, "{args:?}");
    }
}
