//! A change of `accounts:` gives earlier certificates no rights, and one command revokes the replaced certificates.

use std::fs;

use super::support::kubernetes::documents;
use super::support::{CLUSTER, Lab, good_tool};

use crate::support::offline::offline;
use crate::support::outside::needs;
use crate::support::plans::issued_by;

const RULES: &str = "policy/masters/authorization.yaml";
const CLIENT: &str = "pki/nodes/worker-b1/kubelet-client.crt";

fn scheme(lab: &Lab, accounts: &str) {
    lab.write("cluster.yaml", &CLUSTER.replace("serviceCIDRs", &format!("accounts: {accounts}\nserviceCIDRs")));
}

fn lab(accounts: &str) -> Lab {
    let lab = Lab::with_roots();
    scheme(&lab, accounts);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    lab
}

fn digest(lab: &Lab, certificate: &str) -> String {
    let path = lab.path(certificate).display().to_string();
    let text = good_tool("openssl", &["x509", "-in", &path, "-noout", "-fingerprint", "-sha256"]);
    text.trim().split_once('=').expect("a fingerprint").1.replace(':', "").to_lowercase()
}

#[test]
fn issue_after_a_change_of_accounts_revokes_the_replaced_certificates() {
    needs!("openssl");
    for (from, to, prefix) in [("kubelet", "system-node", "kubelet:"), ("system-node", "kubelet", "system:node:")] {
        let lab = lab(from);
        lab.good(&["policy"]);
        let (client, server) = (digest(&lab, CLIENT), digest(&lab, "pki/nodes/worker-b1/kubelet-server.crt"));
        scheme(&lab, to);
        insta::assert_snapshot!(format!("policy_after_a_change_to_{to}"), lab.good(&["policy"]).err);
        let found = offline(&lab, &[]);
        let observed = found.observed("warn store.credential accounts replace-accounts");
        assert!(observed.contains(&format!("{prefix}HOST")), "{found:?}");
        let before = lab.snapshot();
        let plan = lab.good(&["issue-node", "--all", "--dry-run"]);
        assert_eq!(plan.out.matches(&format!("revoke {prefix}")).count(), 3, "{plan}");
        assert_eq!(before, lab.snapshot());

        lab.good(&["issue-node", "worker-b1"]);
        let rules = lab.read(RULES);
        assert_eq!(rules.matches("X509SHA256=").count(), 1, "what is not replaced yet is still needed");
        assert!(rules.contains(&client) && !rules.contains(&server));
        lab.good(&["issue-node", "--all"]);
        assert_eq!(lab.read(RULES).matches("X509SHA256=").count(), 3);
        let list = lab.path("pki/crl.pem").display().to_string();
        let list = good_tool("openssl", &["crl", "-in", &list, "-noout", "-text"]);
        assert_eq!(list.matches("Superseded").count(), 3, "{list}");
        lab.good(&["bundle", "--all"]);
        insta::assert_snapshot!(format!("policy_after_the_issue_for_{to}"), lab.good(&["policy"]).err);
        assert_eq!(offline(&lab, &[]).ids(), [""; 0]);
        assert_eq!(issued_by(&lab, &["issue-node", "--all"]).0, 0);
    }
}

#[test]
fn certificates_replaced_by_an_older_version_are_revoked_by_the_next_issue() {
    needs!("openssl", "sqlite3");
    let lab = lab("kubelet");
    let client = digest(&lab, CLIENT);
    scheme(&lab, "system-node");
    lab.good(&["issue-node", "--all"]);
    // The ledger as an older version left it.
    let ledger = lab.path("pki/ledger.sqlite3").display().to_string();
    good_tool("sqlite3", &[&ledger, "delete from revocations; update sequence set number = 0"]);
    fs::remove_file(lab.path("pki/crl.pem")).expect("removed");
    fs::remove_dir_all(lab.path("policy")).expect("removed");
    lab.good(&["issue-node", "--all"]);
    assert!(lab.read(RULES).contains(&client));
}

#[test]
fn more_certificates_than_api_servers_can_deny_stay_valid_and_are_named_once_a_run() {
    needs!("sqlite3");
    let lab = lab("kubelet");
    // As many revoked clients as rules hold, but for two.
    let ledger = lab.path("pki/ledger.sqlite3").display().to_string();
    let sql = format!(
        "BEGIN; INSERT INTO certificates (serial, sha256, spki_sha256, profile, host, account, not_before, not_after, \
         issuer_sha256, issued_at, issued_by, der) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
         SELECT printf('%032x', i), printf('%064x', i), printf('%064x', i), 'kubelet-client', 'gone', 'kubelet:gone', \
         '2026-01-01T00:00:00Z', '2027-12-01T00:00:00Z', (SELECT sha256 FROM certificates WHERE seq = 1), \
         '2026-01-01T00:00:00Z', 'x', x'00' FROM n; INSERT INTO revocations (sha256, reason, revoked_at, revoked_by) \
         SELECT sha256, 'superseded', '2026-11-01T00:00:00Z', 'x' FROM certificates WHERE host = 'gone'; COMMIT;",
        76_800 - 2
    );
    good_tool("sqlite3", &[&ledger, &sql]);
    scheme(&lab, "system-node");
    let first = lab.good(&["issue-node", "--all"]);
    let warned = |ran: &super::support::Ran| ran.err.matches("stay valid").count();
    assert_eq!(warned(&first), 1, "{first}");
    // There is nothing to do that would be done.
    let again = lab.good(&["issue-node", "--all", "--output", "json"]);
    assert_eq!(warned(&again), 1, "{again}");
    let report: serde_json::Value = serde_json::from_str(&again.out).expect("JSON");
    assert_eq!((&report["certificates"], &report["revoked"]), (&serde_json::json!([]), &serde_json::json!([])));
}

#[test]
fn policy_lists_the_objects_of_removed_accounts_for_deletion() {
    needs!("python3-yaml");
    let lab = lab("kubelet");
    lab.good(&["policy"]);
    assert!(!lab.path("policy/delete").exists());
    let objects = |lab: &Lab| -> Vec<String> {
        let named = |document: serde_json::Value| {
            format!(
                "{} {}",
                document["kind"].as_str().expect("a kind"),
                document["metadata"]["name"].as_str().expect("a name")
            )
        };
        documents(&lab.read("policy/delete/rbac.yaml")).into_iter().map(named).collect()
    };
    // A node that was removed.
    let without = CLUSTER.lines().filter(|line| !line.contains("worker-b1")).map(|line| format!("{line}\n"));
    lab.write("cluster.yaml", &without.collect::<String>());
    let ran = lab.good(&["policy"]);
    insta::assert_snapshot!("policy_after_a_node_was_removed", ran.err);
    let kinds = ["ClusterRoleBinding", "RoleBinding", "ClusterRole", "Role"];
    assert_eq!(objects(&lab), kinds.map(|kind| format!("{kind} kubelet:worker-b1")));
    // All of them.
    scheme(&lab, "system-node");
    lab.good(&["policy"]);
    let all = objects(&lab);
    assert_eq!(all.len(), 4 * 4);
    assert_eq!(all[..4], kinds.map(|kind| format!("{kind} kubelets")));
}

#[test]
fn commands_report_removed_hosts_with_their_certificates_and_files() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    let without = CLUSTER.lines().filter(|line| !line.contains("worker-b1")).map(|line| format!("{line}\n"));
    lab.write("cluster.yaml", &without.collect::<String>());
    // Its bundle, and the command that removes it.
    let names_it = |args: &[&str]| {
        let ran = lab.good(args);
        ["DIR/bundles/worker-b1.tar.gz", "clusterctl remove worker-b1"].map(|text| ran.err.contains(text))
    };
    const LEFT: &str = "warn store.credential worker-b1 remove-host";
    for command in [["issue-node", "--all"], ["issue-node", "--all"], ["issue-master", "--all"], ["bundle", "--all"]] {
        assert_eq!(names_it(&command), [true, true], "{command:?}");
    }
    assert!(offline(&lab, &[]).has(LEFT));
    lab.good(&["remove", "worker-b1", "--yes"]);
    for command in [["issue-node", "--all"], ["bundle", "--all"]] {
        assert_eq!(names_it(&command), [false, false], "{command:?}");
    }
    assert!(!offline(&lab, &[]).has(LEFT));
}
