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
    let helps =
        |row: &[String; 4]| if row[1] == "verifier" { row[3] == "renew-verifier" } else { row[3] == "renew-host" };
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
    let mut command = shown.lines().filter_map(|line| line.split_once("clusterctl issue-master --all --renew-within "));
    let (_, time) = command.next_back().unwrap_or_else(|| panic!("{shown}"));
    lab.good(&["issue-master", "--all", "--renew-within", time.trim()]);
    assert_eq!(verifier(&lab), None);
    assert!(!offline(&lab, &[]).has_remedy("renew-verifier"));
}
