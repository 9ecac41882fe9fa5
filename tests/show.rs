//! `show`: one screen for anything, ours or anybody's; a key is never shown.

use crate::support::{Lab, good_tool};

#[test]
fn a_nodes_certificate_is_explained_on_one_screen() {
    let lab = Lab::issued();
    let shown = lab.good(&["show", "pki/nodes/on/kubelet-client.crt"]).out;
    let stable: Vec<&str> = shown
        .lines()
        .filter(|l| !["serial", "fingerprint", "pin"].iter().any(|w| l.trim_start().starts_with(w)))
        .collect();
    assert_eq!(
        stable,
        [
            "pki/nodes/on/kubelet-client.crt",
            "  certificate",
            "    subject      O=kubelets, CN=kubelet:on",
            "    account      user kubelet:on, groups kubelets, system:authenticated",
            "    names        none",
            "    usages       clientAuth, digitalSignature",
            "    valid        2026-11-23T11:55:00Z to 2027-11-23T12:00:00Z (365 days left)",
            "    key          ecdsa-p256",
            "    signature    ecdsa-with-SHA256",
            "    signed by    O=prod, CN=prod root ( DIR/pki/ca.crt )",
        ]
    );
    let path = lab.path("pki/nodes/on/kubelet-client.crt").display().to_string();
    let serial = good_tool("openssl", &["x509", "-in", &path, "-noout", "-serial"]);
    let serial = serial.trim().trim_start_matches("serial=").to_lowercase();
    assert!(shown.contains(&format!("serial       {serial}\n")), "{shown}");
}

#[test]
fn what_is_wrong_is_said() {
    let mut lab = Lab::issued();
    lab.now += time::Duration::days(400);
    let shown = lab.good(&["show", "pki/nodes/on/kubelet-server.crt"]).out;
    assert!(shown.contains("problem      expired 35 days ago on 2027-11-23T12:00:00Z\n"), "{shown}");
    lab.now -= time::Duration::days(400);
    lab.write("cluster.yaml", &lab.read("cluster.yaml").replace("10.20.4.1", "10.20.4.2"));
    let shown = lab.good(&["show", "pki/nodes/on/kubelet-server.crt"]).out;
    assert!(shown.contains("problem      10.20.4.2 is not in the certificate\n"), "{shown}");
}

#[test]
fn keys_show_their_kind_and_fingerprint_and_nothing_else() {
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
fn an_encrypted_key_stays_closed() {
    let mut lab = Lab::with(crate::support::CLUSTER);
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "x".into());
    lab.good(&["init-ca"]);
    let shown = lab.good(&["show", "pki/ca.key"]).out;
    assert_eq!(shown, "pki/ca.key\n  encrypted private key\n    kind         not to be seen without its passphrase\n");
}

#[test]
fn a_foreign_request_and_a_chain_are_explained() {
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
    let shown = lab.good(&["show", "csr"]).out;
    assert!(shown.contains("  certificate signing request\n    subject      O=system:masters, CN=eve\n    names        eve.example.net, 10.9.9.9\n    key          RSA 2048\n"), "{shown}");
    assert!(!shown.contains("problem"), "{shown}");
    good_tool(
        "openssl",
        &["x509", "-req", "-in", &at("csr"), "-signkey", &at("k"), "-sha1", "-days", "3650", "-out", &at("crt")],
    );
    let shown = lab.good(&["show", "crt"]).out;
    assert!(shown.contains("problem      its signature is too weak or of an unknown kind: SHA-1\n"), "{shown}");
}

#[test]
fn kubeconfigs_say_whom_they_trust_and_what_weakens_it() {
    let lab = Lab::issued();
    lab.write(
        "config",
        "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: a\n  cluster: {server: 'http://10.0.0.1', \
         insecure-skip-tls-verify: true}\n- name: b\n  cluster: {server: 'https://10.0.0.1', certificate-authority: pki/ca.crt}\n\
         users:\n- name: on\n  user: {client-certificate: pki/nodes/on/kubelet-client.crt, client-key: pki/nodes/on/kubelet-client.key, token: secret-token}\n",
    );
    let shown = lab.good(&["show", "config"]).out;
    for line in [
        "server       http://10.0.0.1 (a)",
        "trusts       DIR/pki/ca.crt",
        "user         on",
        "problem      http://10.0.0.1 is not https, so nobody is authenticated",
        "problem      insecure-skip-tls-verify: the master is not authenticated",
        "problem      a: no certificate authority, so the system's are trusted",
        "problem      user on also authenticates by a token",
        "account      user kubelet:on, groups kubelets, system:authenticated",
    ] {
        assert!(shown.contains(line), "{line:?} is not in {shown}");
    }
    assert!(!shown.contains("secret-token"));
}

#[test]
fn bundles_are_explained_and_damaged_ones_refused() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    let shown = lab.good(&["show", "bundles/on.tar.gz"]).out;
    for line in [
        "host         on (node)",
        "account      kubelet:on",
        "endpoint     https://api.prod.example.net:6443",
        "file         0600 var/lib/kubelet/pki/kubelet-client.key",
    ] {
        assert!(shown.contains(line), "{line:?} is not in {shown}");
    }
    assert!(!shown.contains("PRIVATE KEY"));
    let mut bytes = std::fs::read(lab.path("bundles/on.tar.gz")).expect("a bundle");
    bytes.truncate(bytes.len() / 2);
    std::fs::write(lab.path("cut.tar.gz"), bytes).expect("written");
    let ran = lab.run(&["show", "cut.tar.gz"]);
    assert_eq!(ran.status, 2, "{ran}");
    assert!(ran.err.starts_with("error: DIR/cut.tar.gz cannot be explained: "), "{ran}");
}

#[test]
fn a_certificate_that_limits_no_usage_is_an_account_to_kubernetes() {
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
    let shown = lab.good(&["show", "crt"]).out;
    assert!(shown.contains("account      user eve, groups system:masters, system:authenticated\n"), "{shown}");
}

#[test]
fn json_says_the_same_for_programs() {
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
fn what_cannot_be_explained_is_refused() {
    let lab = Lab::empty();
    lab.write("text", "just some words");
    let ran = lab.run(&["show", "text"]);
    assert_eq!(ran.status, 2, "{ran}");
    assert!(ran.err.contains("hint: show explains PEM and DER certificates"), "{ran}");
    let ran = lab.run(&["show", "absent"]);
    assert_eq!((ran.status, ran.err.as_str()), (2, "error: there is no file DIR/absent\n"));
}
