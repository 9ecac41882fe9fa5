//! Administrators' kubeconfigs, and the one that bypasses every authorizer.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use base64ct::{Base64, Encoding as _};
use clusterctl::app::admin::{self, AdminAccount, AdminError, AdminOptions, NameOwner};
use clusterctl::app::{Env, Error, Remedy, Silent};
use clusterctl::cluster::name::HostName;
use clusterctl::cluster::profile::Profile;
use clusterctl::config;
use clusterctl::store::layout::Layout;
use serde_json::Value;

use crate::support::outside::needs;
use crate::support::{Lab, Ran, good_tool};

#[test]
fn an_administrator_is_a_member_of_a_group_whose_rights_are_rbacs() {
    needs!("kubectl", "openssl", "python3");
    let lab = Lab::with_roots();
    let ran = lab.good(&["issue-admin"]);
    assert_eq!(ran.out, "DIR/pki/admins/kubernetes-admin.conf\n");
    insta::assert_snapshot!(ran.err, @"kubernetes-admin, group clusterctl:admins, until 2027-02-21T12:00:00Z. Give it only to that person; its rights come with clusterctl policy");
    let path = lab.path("pki/admins/kubernetes-admin.conf");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o7777, 0o600);
    let path = path.display().to_string();
    let view = good_tool("kubectl", &["config", "view", "--raw", "--minify", "--kubeconfig", &path, "-o", "json"]);
    let view: Value = serde_json::from_str(&view).expect("JSON");
    assert_eq!(view["clusters"][0]["cluster"]["server"], "https://api.prod.example.net:6443");
    let pem = |value: &Value, name: &str| {
        let file = lab.path(name);
        let script = "import base64, sys; sys.stdout.buffer.write(base64.b64decode(sys.argv[1]))";
        let text = good_tool("/usr/bin/python3", &["-c", script, value.as_str().expect("base64")]);
        std::fs::write(&file, text).expect("written");
        file.display().to_string()
    };
    let certificate = pem(&view["users"][0]["user"]["client-certificate-data"], "admin.crt");
    let key = pem(&view["users"][0]["user"]["client-key-data"], "admin.key");
    let root = pem(&view["clusters"][0]["cluster"]["certificate-authority-data"], "root.crt");
    assert_eq!(std::fs::read(root).expect("the root"), std::fs::read(lab.path("pki/ca.crt")).expect("the root"));
    let subject = good_tool("openssl", &["x509", "-in", &certificate, "-noout", "-subject", "-nameopt", "RFC2253"]);
    assert_eq!(subject, "subject=CN=kubernetes-admin,O=clusterctl:admins\n");
    let public = good_tool("openssl", &["pkey", "-in", &key, "-pubout"]);
    assert_eq!(good_tool("openssl", &["x509", "-in", &certificate, "-noout", "-pubkey"]), public);
    let at = lab.now.unix_timestamp().to_string();
    let root = lab.path("pki/ca.crt").display().to_string();
    let strict = ["verify", "-x509_strict", "-purpose", "sslclient", "-attime", &at, "-CAfile", &root, &certificate];
    good_tool("openssl", &strict);
}

#[test]
fn a_kubeconfig_is_replaced_only_when_that_is_asked_for() {
    let lab = Lab::with_roots();
    // The flag's earlier name.
    lab.good(&["issue-admin", "alice", "--for", "30d"]);
    let before = lab.read("pki/admins/alice.conf");
    let refused = lab.run(&["issue-admin", "alice"]);
    assert_eq!(refused.status, 3, "{refused}");
    assert!(refused.err.contains("DIR/pki/admins/alice.conf"), "{refused}");
    assert_eq!(lab.read("pki/admins/alice.conf"), before);
    lab.good(&["issue-admin", "alice", "--reissue"]);
    assert_ne!(lab.read("pki/admins/alice.conf"), before);
    for wrong in ["system:masters", "Alice", "../alice", ""] {
        assert_eq!(lab.run(&["issue-admin", wrong]).status, 2, "{wrong:?}");
    }
}

#[test]
fn a_reissued_kubeconfig_keeps_its_group_and_validity() {
    let mut lab = Lab::with_roots();
    let flags =
        [("anna", "--approver", "approvers"), ("sam", "--signer", "signers"), ("rita", "--announcer", "announcers")];
    for (name, flag, group) in flags {
        lab.good(&["issue-admin", name, flag, "--validity", "30d"]);
        let kept = lab.good(&["issue-admin", name, "--reissue"]);
        assert!(kept.err.contains(&format!("clusterctl:{group}, until 2026-12-23T")), "{kept}");
        // A kubeconfig that is damaged or gone, too: the ledger has its certificate.
        lab.write(&format!("pki/admins/{name}.conf"), "damaged");
        let kept = lab.good(&["issue-admin", name, "--reissue"]);
        assert!(kept.err.contains(&format!("clusterctl:{group}, until 2026-12-23T")), "{kept}");
        // Another group is refused.
        let other = if flag == "--signer" { "--approver" } else { "--signer" };
        let before = lab.read(&format!("pki/admins/{name}.conf"));
        assert_eq!(lab.run(&["issue-admin", name, other, "--reissue"]).status, 3);
        assert_eq!(lab.read(&format!("pki/admins/{name}.conf")), before);
    }
    lab.typed = Some(["y".to_owned()].into());
    lab.good(&["issue-admin", "--break-glass"]);
    assert_eq!(lab.run(&["issue-admin", "break-glass", "--reissue"]).status, 3, "it was not asked for");
    lab.typed = Some(["y".to_owned()].into());
    lab.good(&["issue-admin", "--break-glass", "--reissue"]);
    lab.good(&["issue-admin", "alice", "--validity", "30d"]);
    assert_eq!(lab.run(&["issue-admin", "alice", "--approver", "--reissue"]).status, 3);
}

#[test]
fn a_kubeconfig_of_an_unknown_group_is_not_reissued_as_an_administrators() {
    let lab = Lab::with_roots();
    lab.good(&["issue-admin", "alice"]);
    for content in ["damaged", "", "apiVersion: v1\nkind: Config\nclusters: []\nusers: []\n"] {
        // The ledger has no certificate of this name.
        lab.write("pki/admins/anna.conf", content);
        let before = lab.snapshot();
        let ran = lab.run(&["issue-admin", "anna", "--reissue"]);
        assert!(ran.status == 3 && ran.err.contains("DIR/pki/admins/anna.conf"), "{content:?}: {ran}");
        assert!(ran.err.contains("--approver"), "the flag that is missing is named: {ran}");
        assert_eq!(lab.snapshot(), before, "nothing is issued");
    }
    let named = lab.good(&["issue-admin", "anna", "--approver", "--reissue"]);
    assert!(named.err.contains("clusterctl:approvers"), "{named}");
    lab.good(&["issue-admin", "bob", "--reissue"]);
}

#[test]
fn an_administrator_cannot_have_the_name_of_a_host_or_component() {
    let lab = Lab::with_roots();
    let cluster = config::read(lab.read("cluster.yaml").as_bytes()).expect("a good file");
    let env = Env { layout: Layout::new(lab.dir().to_owned()), now: lab.now, actor: "admin@laptop".into() };
    for (name, owner) in [
        ("kube-apiserver", NameOwner::Account(Profile::Apiserver)),
        ("kube-apiserver-kubelet-client", NameOwner::Account(Profile::ApiserverKubeletClient)),
        ("kube-apiserver-etcd-client", NameOwner::Account(Profile::ApiserverEtcdClient)),
        ("front-proxy-client", NameOwner::Account(Profile::FrontProxyClient)),
        ("kube-etcd-healthcheck-client", NameOwner::Account(Profile::EtcdHealthcheckClient)),
        ("master-2", NameOwner::Host),
        ("on", NameOwner::Host),
    ] {
        for (account, more) in [
            (AdminAccount::Admin, &[][..]),
            (AdminAccount::BreakGlass, &["--break-glass", "--yes"]),
            (AdminAccount::Approver, &["--approver"]),
        ] {
            let ran = lab.run(&[&["issue-admin", name], more].concat());
            assert_eq!(ran.status, 2, "{name}: {ran}");
            let name = HostName::parse(name).expect("a name");
            let options =
                AdminOptions { name: Some(name.clone()), validity: None, account: Some(account), reissue: false };
            let error = admin::plan(&options, &cluster, &env, &mut Silent).expect_err("a name that is taken");
            assert_eq!(error.remedy(), Some(Remedy::NameThePerson), "{name}: {error:?}");
            let Error::Admin(error) = error else { panic!("{name}: {error:?}") };
            assert_eq!(error, AdminError::NameTaken { name, owner });
        }
    }
    assert!(!lab.path("pki/admins").exists(), "nothing was issued");
    lab.good(&["issue-admin", "kube-apiserver-admin"]);
}

#[test]
fn break_glass_needs_a_flag_and_confirmation_and_is_short_lived() {
    needs!("sqlite3");
    let mut lab = Lab::issued();
    let refused = lab.run(&["issue-admin", "--break-glass"]);
    assert_eq!(refused.status, 2, "{refused}");
    let long = lab.run(&["issue-admin", "--break-glass", "--yes", "--validity", "8d"]);
    assert_eq!(long.status, 2, "{long}");
    lab.typed = Some(["n".to_owned()].into());
    let declined = lab.run(&["issue-admin", "--break-glass"]);
    assert_eq!(declined.status, 3, "{declined}");
    assert!(!lab.path("pki/admins").exists(), "nothing was issued");

    lab.typed = Some(["y".to_owned()].into());
    let ran = lab.good(&["issue-admin", "--break-glass", "--validity", "4h"]);
    assert_eq!(ran.out, "DIR/pki/admins/break-glass.conf\n");
    assert!(ran.err.contains("2026-11-23T16:00:00Z"), "{ran}");
    let ledger = lab.path("pki/ledger.sqlite3").display().to_string();
    let query = "SELECT c.profile, c.account, c.not_after, e.kind, e.subject, e.detail LIKE 'group system:masters, until 2026-11-23T16:00:00Z, sha256 ' || c.sha256 FROM certificates c, events e WHERE c.profile = 'break-glass' AND e.kind = 'BREAK-GLASS'";
    assert_eq!(
        good_tool("sqlite3", &[&ledger, query]),
        "break-glass|break-glass|2026-11-23T16:00:00Z|BREAK-GLASS|break-glass|1\n"
    );
    let offline = lab.run(&["verify", "--offline", "--output", "json"]);
    let emergency = judged(&offline, "admin break-glass");
    assert_eq!((&emergency["id"], &emergency["status"]), (&"store.credential".into(), &"warn".into()));
    assert_eq!(emergency["remedy"], "delete-emergency-admin");
    insta::assert_snapshot!(
        emergency["observed"].as_str().expect("text"),
        @"system:masters, which bypasses every authorizer, until 2026-11-23T16:00:00Z"
    );
    assert_eq!(offline.status, 0, "a warning: {offline}");
    lab.now += time::Duration::hours(5);
    let later = lab.run(&["verify", "--offline", "--output", "json"]);
    assert_eq!(later.status, 1, "what has ended is to be removed: {later}");
    let emergency = judged(&later, "admin break-glass");
    assert_eq!((&emergency["status"], &emergency["remedy"]), (&"fail".into(), &"delete-admin".into()));
}

/// Returns the only result about `host` in a report in JSON.
fn judged(ran: &Ran, host: &str) -> Value {
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran}"));
    let results = report["results"].as_array().expect("results").iter();
    let found: Vec<&Value> = results.filter(|result| result["host"] == host).collect();
    assert_eq!(found.len(), 1, "{ran}");
    found[0].clone()
}

#[test]
fn only_break_glass_issues_for_system_masters() {
    needs!("sqlite3");
    let lab = Lab::issued();
    lab.good(&["issue-admin"]);
    let ledger = lab.path("pki/ledger.sqlite3").display().to_string();
    let ders = good_tool("sqlite3", &[&ledger, "SELECT hex(der) FROM certificates"]);
    let masters: String = b"system:masters".iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(ders.lines().count() > 20 && !ders.contains(&masters));
}

/// A file that somebody put into the folder of administrators gives nobody their rights, and is not replaced.
#[test]
fn only_kubeconfigs_that_were_issued_for_their_name_are_reissued() {
    let (mut lab, other) = (Lab::with_roots(), Lab::with_roots());
    lab.good(&["issue-node", "on"]);
    lab.good(&["issue-admin", "alice"]);
    other.good(&["issue-admin", "eve"]);
    // Copies of kubeconfigs, of one that was replaced and of a current one, another cluster's, and a node's.
    lab.write("pki/admins/alice-old.conf", &lab.read("pki/admins/alice.conf"));
    lab.good(&["issue-admin", "alice", "--reissue"]);
    lab.write("pki/admins/alice-new.conf", &lab.read("pki/admins/alice.conf"));
    lab.write("pki/admins/eve.conf", &other.read("pki/admins/eve.conf"));
    let embedded = |path: &str| Base64::encode_string(lab.read(path).as_bytes());
    let of_node = format!(
        "apiVersion: v1\nkind: Config\nclusters: []\nusers:\n- name: on\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
        embedded("pki/nodes/on/kubelet-client.crt"),
        embedded("pki/nodes/on/kubelet-client.key"),
    );
    lab.write("pki/admins/kubelet:on.conf", &of_node);
    let files = ["alice-old", "alice-new", "eve", "kubelet:on"].map(|name| format!("pki/admins/{name}.conf"));
    let foreign = |lab: &Lab| files.clone().map(|file| lab.read(&file));
    let before = foreign(&lab);
    for name in ["alice-old", "alice-new", "eve"] {
        for more in [&[][..], &["--approver"]] {
            let ran = lab.run(&[&["issue-admin", name, "--reissue"], more].concat());
            assert!(ran.status == 3 && ran.err.contains(&format!("DIR/pki/admins/{name}.conf")), "{ran}");
        }
    }
    lab.now += time::Duration::days(80);
    let report = lab.run(&["status", "--output", "json"]);
    let report: Value = serde_json::from_str(&report.out).expect("JSON");
    let rows = report["rows"].as_array().expect("rows").iter().filter(|row| row["kind"] == "kubeconfig");
    let rows: Vec<[&str; 3]> =
        rows.map(|row| ["person", "state", "remedy"].map(|key| row[key].as_str().unwrap_or("-"))).collect();
    let away = |name| [name, "unreadable", "move-admin-away"];
    let mut expected = BTreeSet::from(["alice-old", "alice-new", "eve", "kubelet:on"].map(away));
    expected.insert(["alice", "expiring", "reissue-admin"]);
    assert_eq!(rows.iter().copied().collect::<BTreeSet<_>>(), expected);
    let renewed = lab.good(&["renew", "--admins", "--within", "1y", "--output", "json"]);
    let renewed: Value = serde_json::from_str(&renewed.out).expect("JSON");
    assert_eq!(renewed["admins"].as_array().map(Vec::len), Some(1), "{renewed:#}");
    assert_eq!(foreign(&lab), before);
    let ran = lab.run(&["verify", "--offline", "--output", "json"]);
    for name in ["alice-old", "alice-new", "eve", "kubelet:on"] {
        let found = judged(&ran, &format!("admin {name}"));
        assert_eq!((&found["status"], &found["remedy"]), (&"fail".into(), &"move-admin-away".into()), "{found:#}");
    }
}
