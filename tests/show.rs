//! `show`: describes any certificate, key, request, kubeconfig or bundle; a private key is never printed.

use crate::support::outside::needs;
use crate::support::{Lab, good_tool};

#[test]
fn show_describes_a_nodes_certificate() {
    needs!("openssl");
    let lab = Lab::issued();
    let shown = lab.good(&["show", "pki/nodes/on/kubelet-client.crt"]).out;
    let random = |line: &&str| ["serial", "fingerprint", "pin"].iter().any(|word| line.trim_start().starts_with(word));
    let stable: Vec<&str> = shown.lines().filter(|line| !random(line)).collect();
    insta::assert_snapshot!(stable.join("\n"));
    let path = lab.path("pki/nodes/on/kubelet-client.crt").display().to_string();
    let serial = good_tool("openssl", &["x509", "-in", &path, "-noout", "-serial"]);
    let serial = serial.trim().trim_start_matches("serial=").to_lowercase();
    assert!(shown.contains(&format!("serial       {serial}\n")), "{shown}");
}

#[test]
fn show_reports_problems() {
    let mut lab = Lab::issued();
    lab.now += time::Duration::days(400);
    let problems =
        |lab: &Lab| json_of(lab, &["pki/nodes/on/kubelet-server.crt"])["files"][0]["items"][0]["problems"].clone();
    insta::assert_snapshot!("problem_expired", problems(&lab));
    lab.now -= time::Duration::days(400);
    lab.write("cluster.yaml", &lab.read("cluster.yaml").replace("10.20.4.1", "10.20.4.2"));
    insta::assert_snapshot!("problem_address", problems(&lab));
}

#[test]
fn show_describes_a_key_without_its_secret() {
    needs!("openssl");
    let lab = Lab::issued();
    let generate = |name: &str, args: &[&str]| {
        let path = lab.path(name).display().to_string();
        let mut all = args.to_vec();
        all.extend(["-out", &path]);
        good_tool("openssl", &all);
    };
    generate("rsa8.key", &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    generate("rsa.key", &["rsa", "-traditional", "-in", &lab.path("rsa8.key").display().to_string()]);
    generate("sec1.key", &["ecparam", "-name", "prime256v1", "-genkey", "-noout"]);
    generate("ed.key", &["genpkey", "-algorithm", "ed25519"]);
    let cases = [
        ("pki/nodes/on/kubelet-client.key", "ecdsa-p256"),
        ("rsa.key", "RSA 2048"),
        ("rsa8.key", "RSA 2048"),
        ("sec1.key", "ecdsa-p256"),
        ("ed.key", "ed25519"),
    ];
    for (file, kind) in cases {
        let shown = lab.good(&["show", file]).out;
        let path = lab.path(file).display().to_string();
        let spki = lab.path("spki").display().to_string();
        good_tool("openssl", &["pkey", "-in", &path, "-pubout", "-outform", "DER", "-out", &spki]);
        let digest = good_tool("openssl", &["dgst", "-sha256", "-r", &spki]);
        let digest = digest.split(' ').next().expect("a digest");
        assert_eq!(
            shown,
            format!("{file}\n  private key\n    kind         {kind}\n    public key   sha256:{digest}\n")
        );
    }
}

#[test]
fn show_does_not_decrypt_a_key() {
    let mut lab = Lab::with(crate::support::CLUSTER);
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "x".into());
    lab.good(&["init-ca", "--allow-weak-passphrase"]);
    let shown = lab.good(&["show", "pki/ca.key"]).out;
    insta::assert_snapshot!(shown);
}

#[test]
fn show_describes_a_request_and_a_chain_of_openssl() {
    needs!("openssl");
    let lab = Lab::empty();
    let at = |name: &str| lab.path(name).display().to_string();
    good_tool(
        "openssl",
        &[
            "req",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            &at("k"),
            "-out",
            &at("csr"),
            "-subj",
            "/O=system:masters/CN=eve",
            "-addext",
            "subjectAltName=DNS:eve.example.net,IP:10.9.9.9",
        ],
    );
    let item = &json_of(&lab, &["csr"])["files"][0]["items"][0];
    assert_eq!(item["kind"], "certificate signing request");
    assert_eq!(item["facts"]["subject"], "O=system:masters, CN=eve");
    assert_eq!(item["problems"], serde_json::json!([]));
    good_tool(
        "openssl",
        &["x509", "-req", "-in", &at("csr"), "-signkey", &at("k"), "-sha1", "-days", "3650", "-out", &at("crt")],
    );
    let item = &json_of(&lab, &["crt"])["files"][0]["items"][0];
    assert!(item["problems"].as_array().is_some_and(|problems| !problems.is_empty()), "{item}");
}

#[test]
fn show_describes_the_trust_of_kubeconfigs() {
    let lab = Lab::issued();
    lab.write(
        "config",
        "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: a\n  cluster: {server: 'http://10.0.0.1', \
         insecure-skip-tls-verify: true}\n- name: b\n  cluster: {server: 'https://10.0.0.1', certificate-authority: pki/ca.crt}\n\
         users:\n- name: on\n  user: {client-certificate: pki/nodes/on/kubelet-client.crt, client-key: pki/nodes/on/kubelet-client.key, token: secret-token}\n",
    );
    let shown = lab.good(&["show", "config"]).out;
    let random = |line: &&str| {
        ["serial", "fingerprint", "pin", "public key"].iter().any(|word| line.trim_start().starts_with(word))
    };
    let stable: Vec<&str> = shown.lines().filter(|line| !random(line)).collect();
    insta::assert_snapshot!(stable.join("\n").replace(&lab.dir().display().to_string(), "DIR"));
    assert!(!shown.contains("secret-token"));
}

#[test]
fn show_describes_bundles_and_refuses_damaged_ones() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    let shown = lab.good(&["show", "bundles/on.tar.gz"]).out;
    let item = &json_of(&lab, &["bundles/on.tar.gz"])["files"][0]["items"][0];
    assert_eq!(
        (&item["facts"]["host"], &item["facts"]["endpoint"]),
        (&"on".into(), &"https://api.prod.example.net:6443".into())
    );
    assert!(!shown.contains("PRIVATE KEY"));
    let mut bytes = std::fs::read(lab.path("bundles/on.tar.gz")).expect("a bundle");
    bytes.truncate(bytes.len() / 2);
    std::fs::write(lab.path("cut.tar.gz"), bytes).expect("written");
    let ran = lab.run(&["show", "cut.tar.gz"]);
    assert_eq!(ran.status, 2, "{ran}");
}

#[test]
fn a_certificate_without_extended_key_usage_has_a_user() {
    needs!("openssl");
    let lab = Lab::empty();
    let at = |name: &str| lab.path(name).display().to_string();
    good_tool(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            &at("k"),
            "-subj",
            "/O=system:masters/CN=eve",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-out",
            &at("crt"),
        ],
    );
    let facts = json_of(&lab, &["crt"])["files"][0]["items"][0]["facts"].clone();
    assert_eq!((&facts["user"], &facts["groups"]), (&"eve".into(), &serde_json::json!(["system:masters"])));
}

#[test]
fn show_json_has_the_same_facts() {
    let lab = Lab::issued();
    let shown = lab.good(&["show", "--output", "json", "pki/nodes/on/kubelet-client.crt"]).out;
    let value: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(value["schemaVersion"], 1);
    let item = &value["files"][0]["items"][0];
    assert_eq!(
        (&item["kind"], &item["facts"]["subject"]),
        (&"certificate".into(), &"O=kubelets, CN=kubelet:on".into())
    );
    assert_eq!(item["problems"], serde_json::json!([]));
}

#[test]
fn show_refuses_unknown_files() {
    let lab = Lab::empty();
    lab.write("text", "just some words");
    let ran = lab.run(&["show", "text"]);
    insta::assert_snapshot!("show_text", ran);
    assert_eq!(lab.run(&["show", "absent"]).status, 2);
}

/// Copies a file of `tests/data/show` into a lab.
pub(super) fn put(lab: &Lab, name: &str) {
    let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/show").join(name);
    std::fs::copy(from, lab.path(name)).expect("copied");
}

pub(super) fn json_of(lab: &Lab, args: &[&str]) -> serde_json::Value {
    let ran = lab.run(&[&["show", "--output", "json"], args].concat());
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran}"))
}

#[test]
fn json_has_facts_as_data() {
    let lab = Lab::issued();
    let value = json_of(&lab, &["pki/nodes/on/kubelet-client.crt", "pki/nodes/on/kubelet-server.crt", "pki/ca.crt"]);
    let facts = |file: usize| &value["files"][file]["items"][0]["facts"];
    let client = facts(0);
    assert_eq!(client["notBefore"], "2026-11-23T11:55:00Z");
    assert_eq!(client["notAfter"], "2027-11-23T12:00:00Z");
    assert_eq!(client["user"], "kubelet:on");
    assert_eq!(client["groups"], serde_json::json!(["kubelets"]));
    assert_eq!(client["issuer"], "O=prod, CN=prod root");
    assert_eq!(client["signedBy"]["subject"], "O=prod, CN=prod root");
    assert_eq!(client["usages"], serde_json::json!(["clientAuth", "digitalSignature"]));
    assert_eq!((&client["key"], &client["revoked"]), (&"ecdsa-p256".into(), &false.into()));
    assert!(client["serial"].as_str().is_some_and(|serial| !serial.is_empty()));
    let server = facts(1);
    assert!(server["ipAddresses"].as_array().is_some_and(|ips| ips.contains(&"10.20.4.1".into())), "{server}");
    assert!(server["dnsNames"].is_array() && server["user"].is_null(), "{server}");
    let root = facts(2);
    assert_eq!((&root["isCa"], &root["selfSigned"], &root["user"]), (&true.into(), &true.into(), &().into()));
}

#[test]
fn show_json_reports_revocation_by_ledger_and_crl() {
    let lab = Lab::issued();
    lab.good(&["revoke", "on", "--yes"]);
    let client = "pki/nodes/on/kubelet-client.crt";
    let facts = json_of(&lab, &[client])["files"][0]["items"][0]["facts"].clone();
    assert_eq!(facts["revoked"], true);
    assert!(facts["revokedAt"].is_string() && facts["revocationReason"].is_string(), "{facts}");
    // Without a ledger only the CRL shows it.
    let elsewhere = Lab::empty();
    for (from, to) in [(client, "a.crt"), ("pki/ca.crt", "ca.crt"), ("pki/crl.pem", "crl.pem")] {
        std::fs::copy(lab.path(from), elsewhere.path(to)).expect("copied");
    }
    let revoked = |args: &[&str]| json_of(&elsewhere, args)["files"][0]["items"][0]["facts"]["revoked"].clone();
    assert_eq!(revoked(&["a.crt"]), serde_json::Value::Null);
    assert_eq!(revoked(&["a.crt", "ca.crt", "crl.pem"]), true);
}

/// The certificates of API servers and other programs on masters have the same accounts, so another master's entry is no measure.
#[test]
fn certificates_of_a_removed_master_are_compared_with_no_other_masters_entry() {
    let lab = Lab::issued();
    lab.good(&["revoke", &crate::revoking::serial(&lab, "pki/masters/master-2/apiserver.crt"), "--yes"]);
    let file = lab.read("cluster.yaml");
    lab.write("cluster.yaml", &file.replace("- {name: master-2, addresses: [10.20.0.12]}\n", ""));
    for input in ["master-2", "pki/masters/master-2"] {
        let value = json_of(&lab, &[input]);
        let files = value["files"].as_array().expect("files").iter();
        let items: Vec<&serde_json::Value> = files.flat_map(|file| file["items"].as_array().expect("items")).collect();
        let certificates: Vec<_> = items.iter().filter(|item| item["kind"] == "certificate").collect();
        assert_eq!(certificates.len(), 9, "{input}");
        for item in certificates {
            let problems = item["problems"].as_array().expect("problems");
            let is_revoked = item["facts"]["revoked"] == true;
            assert_eq!(item["facts"]["hostLeft"], true, "{item}");
            assert_eq!(problems.len(), 1 + usize::from(is_revoked), "{item}");
        }
    }
    let present = json_of(&lab, &["master-1"]);
    let items = present["files"][0]["items"].as_array().expect("items");
    assert!(items.iter().all(|item| item["problems"] == serde_json::json!([]) && item["facts"]["hostLeft"].is_null()));
}

#[test]
fn show_links_files_given_together() {
    let lab = Lab::issued();
    let elsewhere = Lab::empty();
    for (from, to) in [
        ("pki/nodes/on/kubelet-client.crt", "a.crt"),
        ("pki/nodes/on/kubelet-client.key", "a.key"),
        ("pki/nodes/on/kubelet-server.key", "b.key"),
        ("pki/ca.crt", "ca.crt"),
    ] {
        std::fs::copy(lab.path(from), elsewhere.path(to)).expect("copied");
    }
    let signed_by =
        |args: &[&str]| json_of(&elsewhere, args)["files"][0]["items"][0]["facts"]["signedBy"]["subject"].clone();
    assert_eq!(signed_by(&["a.crt"]), serde_json::Value::Null);
    assert_eq!(signed_by(&["a.crt", "ca.crt"]), "O=prod, CN=prod root");
    elsewhere.write("chain.pem", &format!("{}{}", elsewhere.read("a.crt"), elsewhere.read("ca.crt")));
    assert_eq!(signed_by(&["chain.pem"]), "O=prod, CN=prod root");
    let problems = |args: &[&str]| json_of(&elsewhere, args)["files"][0]["items"][0]["problems"].clone();
    assert_eq!(problems(&["a.key", "a.crt"]), serde_json::json!([]));
    assert_eq!(problems(&["b.key"]), serde_json::json!([]));
    assert_eq!(problems(&["b.key", "a.crt"]).as_array().map(Vec::len), Some(1));
    for (key, wrong) in [("a.key", 0), ("b.key", 1)] {
        elsewhere.write(
            "conf",
            &format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- {{name: c, cluster: {{server: 'https://10.0.0.1:6443', \
                 certificate-authority: ca.crt}}}}\nusers:\n- {{name: u, user: {{client-certificate: a.crt, client-key: {key}}}}}\n\
                 contexts:\n- {{name: c, context: {{cluster: c, user: u}}}}\n"
            ),
        );
        let value = json_of(&elsewhere, &["conf"]);
        let items = value["files"][0]["items"].as_array().expect("items");
        assert_eq!(items[0]["problems"].as_array().map(Vec::len), Some(wrong), "{value}");
        assert_eq!(items[2]["facts"]["signedBy"]["subject"], "O=prod, CN=prod root");
    }
}

#[test]
fn a_missing_kubeconfig_context_is_a_problem() {
    let lab = Lab::empty();
    let config = "apiVersion: v1\nkind: Config\ncurrent-context: gone\nclusters:\n- {name: c, cluster: {server: 'https://10.0.0.1:6443'}}\n\
                  users: []\ncontexts:\n- {name: c, context: {cluster: c, user: u}}\n";
    let problems = |text: &str| {
        lab.write("conf", text);
        json_of(&lab, &["conf"])["files"][0]["items"][0]["problems"].as_array().map(Vec::len)
    };
    let whole = problems(&config.replace("gone", "c"));
    assert_eq!(problems(config), whole.map(|count| count + 1));
}

#[test]
fn a_kubeconfigs_key_that_belongs_to_another_certificate_is_a_problem() {
    let lab = Lab::empty();
    put(&lab, "mismatch.conf");
    let value = json_of(&lab, &["mismatch.conf"]);
    let items = value["files"][0]["items"].as_array().expect("items").clone();
    assert_eq!(items[0]["problems"].as_array().map(Vec::len), Some(1), "{value}");
}

#[test]
fn show_describes_issuer_next_update_and_size_of_a_crl() {
    let mut lab = Lab::issued();
    lab.good(&["revoke", "on", "--yes"]);
    let facts = |lab: &Lab| json_of(lab, &["pki/crl.pem"])["files"][0]["items"][0].clone();
    let item = facts(&lab);
    assert_eq!(item["facts"]["issuer"], "O=prod, CN=prod root");
    assert_eq!(item["facts"]["signedBy"], "O=prod, CN=prod root");
    assert_eq!(item["facts"]["overdue"], false);
    assert_eq!(
        item["facts"]["revokedCount"].as_u64(),
        item["facts"]["revokedSerials"].as_array().map(|s| s.len() as u64)
    );
    assert!(item["facts"]["revokedCount"].as_u64() > Some(0) && item["facts"]["nextUpdate"].is_string(), "{item}");
    lab.now += time::Duration::days(400);
    let item = facts(&lab);
    assert_eq!(item["facts"]["overdue"], true);
    assert_eq!(item["problems"].as_array().map(Vec::len), Some(1), "{item}");
    put(&lab, "crl.pem");
    assert!(json_of(&lab, &["crl.pem"])["files"][0]["items"][0]["facts"]["issuer"].is_string());
}

#[test]
fn an_intermediate_is_not_a_problem() {
    needs!("openssl");
    let lab = Lab::empty();
    let at = |name: &str| lab.path(name).display().to_string();
    let p256 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let ca = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"];
    let (key, crt, key2, crt2) = (at("root.key"), at("root.crt"), at("sub.key"), at("sub.crt"));
    good_tool(
        "openssl",
        &[&["req", "-x509", "-subj", "/CN=root", "-days", "9000", "-keyout", &key, "-out", &crt][..], &p256].concat(),
    );
    good_tool(
        "openssl",
        &[
            &[
                "req", "-x509", "-subj", "/CN=sub", "-days", "8000", "-CA", &crt, "-CAkey", &key, "-keyout", &key2,
                "-out", &crt2,
            ][..],
            &p256,
            &ca,
        ]
        .concat(),
    );
    let mut lab = lab;
    lab.now = time::OffsetDateTime::now_utc();
    let value = json_of(&lab, &["sub.crt", "root.crt"]);
    let item = &value["files"][0]["items"][0];
    assert_eq!((&item["kind"], &item["problems"]), (&"CA certificate".into(), &serde_json::json!([])), "{value}");
    assert_eq!(item["facts"]["signedBy"]["subject"], "CN=root");
    let alone = json_of(&lab, &["sub.crt"]);
    assert_eq!(alone["files"][0]["items"][0]["problems"], serde_json::json!([]));
}

#[test]
fn a_server_without_names_has_a_problem() {
    let mut lab = Lab::empty();
    lab.now = time::macros::datetime!(2026-12-01 12:00 UTC);
    put(&lab, "cn-only.crt");
    let value = json_of(&lab, &["cn-only.crt"]);
    assert_eq!(value["files"][0]["items"][0]["problems"].as_array().map(Vec::len), Some(1), "{value}");
}
