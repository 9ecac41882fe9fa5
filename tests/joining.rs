//! Hosts that join: discovery by the id of the cluster, keys that stay on the host, evidence, certificates, the bundle.

mod failures;
mod proof;
mod renewal;
mod rotation;
mod whole;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use base64ct::{Base64, Encoding};
use clusterctl::enrol::evidence;
use clusterctl::pki::pem::{self, Item};
use serde_json::Value;

use crate::support::encryption::ssh_key;
use crate::support::joining::Joinable;
use crate::support::outside::needs;
use crate::support::{Ran, forms, good_tool};

pub(super) const CLIENT: &str = "hosts/on/var/lib/kubelet/pki/kubelet-client";
pub(super) const SERVER: &str = "hosts/on/var/lib/kubelet/pki/kubelet-server";

/// Joins, waits until the requests are sent, approves them, and joins again.
pub(super) fn joined(args: &[&str]) -> (Joinable, Ran) {
    let on = Joinable::start();
    assert_eq!(on.join(args).status, 5, "nothing is decided yet");
    on.approve();
    let ran = on.join(&[args, &["-o", "json"]].concat());
    assert_eq!(ran.status, 0, "{ran}");
    (on, ran)
}

/// Returns the text of a request: a CSR and its evidence.
pub(super) fn text_of(request: &Value) -> String {
    let text = Base64::decode_vec(request["spec"]["request"].as_str().expect("text")).expect("base64");
    String::from_utf8(text).expect("PEM")
}

#[test]
fn a_host_joins_by_its_ssh_key_and_keeps_its_keys() {
    needs!("openssl", "ssh-keygen", "python3", "dash");
    let on = Joinable::start();
    let host_key = ssh_key(&on.lab, "host_key", "ed25519", "");
    let by_key = ["--ssh-host-key", "host_key"];
    let first = on.join(&by_key);
    assert_eq!(first.status, 5, "{first}");
    let mode = |path: &str| fs::metadata(on.lab.path(path)).expect("there").permissions().mode() & 0o7777;
    let keys = [CLIENT, SERVER].map(|base| on.lab.read(&format!("{base}.key")));
    assert_eq!([CLIENT, SERVER].map(|base| mode(&format!("{base}.key"))), [0o600; 2]);

    // ssh-keygen and openssl judge what was sent.
    let requests = on.requests();
    assert_eq!(requests.len(), 2);
    on.lab.write("allowed", &format!("on {host_key}\n"));
    for (_, request) in &requests {
        let text = text_of(request);
        on.lab.write("sent.pem", &text);
        good_tool("openssl", &["req", "-verify", "-noout", "-in", &on.lab.path("sent.pem").display().to_string()]);
        let Ok(items) = pem::read_all(text.as_bytes()) else { panic!("PEM") };
        let Some(Item::Csr(der)) = items.into_iter().next() else { panic!("a CSR first") };
        let evidence = evidence::read(text.as_bytes(), &der).expect("evidence");
        on.lab.write("signature", &text[text.find("-----BEGIN SSH SIGNATURE-----").expect("a signature")..]);
        let path = |name: &str| on.lab.path(name).display().to_string();
        let mut verify = Command::new("ssh-keygen")
            .args([
                "-Y",
                "verify",
                "-f",
                &path("allowed"),
                "-I",
                "on",
                "-n",
                evidence::NAMESPACE,
                "-s",
                &path("signature"),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-keygen");
        let statement = evidence.statement.expect("a statement").to_text();
        std::io::Write::write_all(&mut verify.stdin.take().expect("a pipe"), statement.as_bytes()).expect("written");
        assert!(verify.wait().expect("it ends").success());
    }

    on.approve();
    let second = on.join(&[&by_key[..], &["-o", "json"]].concat());
    assert_eq!(second.status, 0, "{second}");
    forms::conforms("join", &second.out);
    assert_eq!(on.requests().len(), 2, "the same names again");
    assert_eq!([CLIENT, SERVER].map(|base| on.lab.read(&format!("{base}.key"))), keys, "and the same keys");
    let root = on.lab.path("pki/ca.crt").display().to_string();
    for base in [CLIENT, SERVER] {
        let certificate = on.lab.path(&format!("{base}.crt")).display().to_string();
        good_tool("openssl", &["verify", "-no_check_time", "-CAfile", &root, &certificate]);
        let public = good_tool("openssl", &["x509", "-pubkey", "-noout", "-in", &certificate]);
        let key = on.lab.path(&format!("{base}.key")).display().to_string();
        assert_eq!(public, good_tool("openssl", &["pkey", "-pubout", "-in", &key]));
    }
    assert!(on.lab.path("hosts/on/etc/kubernetes/kubelet.conf").exists());
    assert!(on.lab.path("hosts/on/etc/kubernetes/clusterctl/manifest.json").exists(), "by the bundle's own installer");

    let seen = on.lab.read("box/seen");
    assert!(!seen.contains("PRIVATE"), "no key was sent");
    let before = on.lab.snapshot();
    let third = on.join(&[&by_key[..], &["-o", "json"]].concat());
    assert_eq!(third.status, 0, "{third}");
    let third: Value = serde_json::from_str(&third.out).expect("JSON");
    assert_eq!(third["changed"], Value::Bool(false));
    assert_eq!(on.lab.snapshot(), before, "nothing to do");
}

#[test]
fn a_token_proves_a_host_and_is_never_sent() {
    needs!("python3", "dash");
    let on = Joinable::start();
    let created = on.lab.good(&["token", "create", "on", "-o", "json"]).out;
    forms::conforms("token", &created);
    let created: Value = serde_json::from_str(&created).expect("JSON");
    let token = created["token"].as_str().expect("a token");
    on.lab.write("token", token);
    assert_eq!(on.join(&["--token-file", "token"]).status, 5);
    let warnings = |mode: u32| {
        fs::set_permissions(on.lab.path("token"), fs::Permissions::from_mode(mode)).expect("a file");
        on.join(&["--token-file", "token"]).err.matches("chmod 600").count()
    };
    assert_eq!((warnings(0o600), warnings(0o644)), (0, 1), "others may read the token");
    let (id, secret) = token.split_once('.').expect("two parts");
    let seen = on.lab.read("box/seen");
    assert!(!seen.contains(secret));
    let layout = clusterctl::store::layout::Layout::new(on.lab.dir().to_owned());
    let tokens = clusterctl::store::tokens::read(&layout).expect("tokens");
    for (_, request) in on.requests() {
        let text = text_of(&request);
        let Ok(items) = pem::read_all(text.as_bytes()) else { panic!("PEM") };
        let Some(Item::Csr(der)) = items.into_iter().next() else { panic!("a CSR first") };
        let claim = evidence::read(text.as_bytes(), &der).expect("evidence").token.expect("a token");
        assert_eq!(claim.id, id);
        assert!(claim.verifies(&tokens.find(id).expect("known").token.secret));
        assert!(
            !Base64::decode_vec(request["spec"]["request"].as_str().expect("text"))
                .expect("base64")
                .windows(secret.len())
                .any(|part| part == secret.as_bytes())
        );
    }
    let listed = on.lab.good(&["token", "list", "-o", "json"]).out;
    assert!(!listed.contains(secret), "it is shown once");
    let state: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(state["tokens"][0]["state"], "valid");
    on.lab.good(&["token", "revoke", id]);
    let listed: Value = serde_json::from_str(&on.lab.good(&["token", "list", "-o", "json"]).out).expect("JSON");
    assert_eq!(listed["tokens"][0]["state"], "revoked");
    assert_eq!(on.lab.run(&["token", "create", "nobody"]).status, 2);
    let master = on.lab.run(&["token", "create", "master-1"]);
    assert_eq!(master.status, 2);
    assert!(master.err.contains("issue-master master-1"), "a master is no misspelt node: {master}");
    assert_eq!(on.lab.run(&["token", "revoke", "nothing"]).status, 2);
    let mode = fs::metadata(on.lab.path("pki/tokens.json")).expect("there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}
