//! CAs that expire: when they are due, and what helps the certificates that expire with them.

use serde_json::Value;
use time::Duration;

use super::{answer, due, rows};
use crate::support::offline::offline;
use crate::support::openssl::{GOOD, P256, certificate, key};
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab};

/// Imports a CA that is valid for so many days, ten of which have passed, and returns the number of warnings.
fn import(lab: &Lab, days: i64) -> usize {
    key(lab, "ca", P256);
    certificate(lab, "ca", "/CN=imported", GOOD, None, days);
    let ran = lab.good(&[
        "import-ca",
        "--cert",
        "ca.crt",
        "--key",
        "ca.key",
        "--as",
        "cluster",
        "--plaintext-ca-key",
        "-o",
        "json",
    ]);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    report["warnings"].as_array().expect("warnings").len()
}

/// A cluster whose CA has twenty of thirty days left.
fn short_lived() -> Lab {
    let lab = Lab::with(CLUSTER);
    import(&lab, 30);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    lab
}

#[test]
fn a_ca_that_shortens_certificates_is_due_from_its_import_on() {
    needs!("openssl");
    assert_eq!(import(&Lab::with(CLUSTER), 30), import(&Lab::with(CLUSTER), 3650) + 1);
    let lab = short_lived();
    assert_eq!(due(&lab, &[]), rows(&[["-", "ca", "due", "plan-new-roots"]]));
    let audit = offline(&lab, &["--expires-within", "1d"]);
    assert!(audit.has("warn store.credential root plan-new-roots"), "{audit:?}");
    let (_, of_files) = answer(&lab, &["--pki", "pki/ca.crt", "pki/etcd/ca.crt"]);
    let states: Vec<&str> =
        of_files["rows"].as_array().expect("rows").iter().filter_map(|row| row["state"].as_str()).collect();
    assert_eq!(states, ["due", "valid"]);
}

#[test]
fn a_new_certificate_is_no_remedy_where_the_ca_limits_it() {
    needs!("openssl");
    let mut lab = short_lived();
    lab.good(&["issue-admin", "alice"]);
    lab.now += Duration::days(18);
    let limited = |credential: &str| ["ca", "verifier", "admin", "kubelet-client", "apiserver"].contains(&credential);
    let expiring: Vec<[String; 4]> = due(&lab, &[]).into_iter().filter(|row| limited(&row[1])).collect();
    assert_eq!(expiring.len(), 1 + 1 + 1 + 3 + 2, "{expiring:?}");
    for row in &expiring {
        assert_eq!(row[2..], ["expiring", "plan-new-roots"].map(str::to_owned), "{row:?}");
    }
    let audit = offline(&lab, &[]);
    assert!(audit.has("warn store.credential on plan-new-roots"), "{audit:?}");
    assert!(!audit.has_remedy("renew-host") && !audit.has_remedy("reissue-admin"), "{audit:?}");
    assert_eq!(lab.good(&["renew", "--all", "--admins", "--dry-run"]).out, "");
}

/// The lifetime in the cluster file limits it, not the CA.
#[test]
fn a_long_warning_period_blames_no_ca() {
    let lab = Lab::issued();
    let rows = due(&lab, &["--expires-within", "2y"]);
    let helps = |row: &[String; 4]| if row[1] == "verifier" { row[3] == "renew-verifier" } else { row[3] == "renew-host" };
    assert!(rows.len() > 20 && rows.iter().all(helps), "{rows:?}");
}

/// Neither `renew` nor `issue-master --all` renews what is not due, so the remedy is tried here.
#[test]
fn the_remedy_of_an_expiring_verifier_renews_it() {
    let mut lab = Lab::with(&CLUSTER.replace("masters:\n", "renewBefore: 5d\nmasters:\n"));
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.now += Duration::days(340);
    let verifier = |lab: &Lab| due(lab, &[]).into_iter().find(|row| row[1] == "verifier");
    assert_eq!(verifier(&lab), Some(["-", "verifier", "expiring", "renew-verifier"].map(str::to_owned)));
    assert!(offline(&lab, &[]).has("warn store.credential verifier renew-verifier"));
    for command in [&["renew", "--all", "--dry-run"][..], &["issue-master", "--all", "--dry-run"]] {
        assert_eq!(lab.good(command).out, "", "{command:?}");
    }
    let shown = lab.run(&["status"]).to_string();
    let command = shown.lines().filter_map(|line| line.split_once("clusterctl issue-master --all --renew-within "));
    let (_, time) = command.last().unwrap_or_else(|| panic!("{shown}"));
    lab.good(&["issue-master", "--all", "--renew-within", time.trim()]);
    assert_eq!(verifier(&lab), None);
    assert!(!offline(&lab, &[]).has_remedy("renew-verifier"));
}

/// An expired root cannot be rotated. What the remedy says instead is tried here.
#[test]
fn an_expired_root_is_replaced_in_a_new_directory() {
    let mut lab = Lab::issued();
    lab.good(&["issue-admin", "alice"]);
    lab.now += Duration::days(4000);
    assert!(due(&lab, &[]).iter().all(|row| row[2..] == ["expired", "replace-expired-root"].map(str::to_owned)));
    assert!(offline(&lab, &[]).has("fail store.credential root replace-expired-root"));
    for more in [&[][..], &["--emergency", "--yes"]] {
        assert_eq!(lab.run(&[&["rotate-ca", "start"], more].concat()).status, 3);
    }
    let copy = |from: &str, to: &str| std::fs::copy(lab.path(from), lab.path(to)).expect("copied");
    std::fs::rename(lab.path("pki"), lab.path("expired")).expect("moved");
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    for name in ["sa.key", "sa.pub"] {
        copy(&format!("expired/{name}"), &format!("pki/{name}"));
    }
    for command in ["issue-master", "issue-node", "bundle"] {
        lab.good(&[command, "--all"]);
    }
    assert_eq!((due(&lab, &[]), lab.read("pki/sa.key")), (rows(&[]), lab.read("expired/sa.key")));
    assert_eq!(offline(&lab, &[]).status, 0);
}

/// The CAs of the other roles are kept.
#[test]
fn an_expired_root_of_etcd_is_replaced_alone() {
    needs!("openssl");
    let mut lab = Lab::with(CLUSTER);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    std::fs::remove_dir_all(lab.path("pki/etcd")).expect("removed");
    key(&lab, "etcd", P256);
    certificate(&lab, "etcd", "/CN=imported etcd", GOOD, None, 30);
    let import = |lab: &Lab, role: &str, certificate: &str, key: &str| {
        lab.good(&["import-ca", "--as", role, "--cert", certificate, "--key", key, "--plaintext-ca-key"]);
    };
    import(&lab, "etcd", "etcd.crt", "etcd.key");
    lab.good(&["issue-master", "--all"]);
    lab.now += Duration::days(21);
    assert!(due(&lab, &[]).contains(&["-", "etcd-ca", "expired", "replace-expired-root"].map(str::to_owned)));
    std::fs::rename(lab.path("pki"), lab.path("expired")).expect("moved");
    import(&lab, "cluster", "expired/ca.crt", "expired/ca.key");
    import(&lab, "front-proxy", "expired/front-proxy/ca.crt", "expired/front-proxy/ca.key");
    for command in [&["init-ca", "--plaintext-ca-key"][..], &["issue-master", "--all"], &["issue-node", "--all"]] {
        lab.good(command);
    }
    assert_eq!(due(&lab, &[]), rows(&[]));
    assert_eq!(lab.read("pki/ca.crt"), lab.read("expired/ca.crt"));
}
