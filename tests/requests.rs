//! Requests of hosts: keys never leave them, and only the cluster file determines the content of certificates.

mod again;
mod evidence;
mod refusals;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use clusterctl::app::issue::IssueReason;
use serde_json::Value;
use time::Duration;

use crate::support::encryption::folder_of;
use crate::support::outside::needs;
use crate::support::plans::{issued, node_plan};
use crate::support::{CLUSTER, Lab, forms, good_tool};

const CLIENT: &str = "var/lib/kubelet/pki/kubelet-client";
const SERVER: &str = "var/lib/kubelet/pki/kubelet-server";

/// Runs `request` on a host whose root is `hosts/HOST`.
fn request(lab: &Lab, host: &str) -> Value {
    let root = format!("hosts/{host}");
    fs::create_dir_all(lab.path(&root)).expect("a root");
    let report = lab.good(&["request", host, "--root", &root, "-o", "json"]).out;
    forms::conforms("request", &report);
    serde_json::from_str(&report).expect("JSON")
}

/// Runs `sign` with JSON output.
fn sign(lab: &Lab, args: &[&str]) -> Value {
    let report = lab.good(&[&["sign", "-o", "json"], args].concat()).out;
    forms::conforms("sign", &report);
    serde_json::from_str(&report).expect("JSON")
}

/// A laboratory in which the requests of `on` were signed.
fn signed() -> Lab {
    let lab = Lab::with_roots();
    lab.good(&["issue-master", "--all"]);
    request(&lab, "on");
    sign(&lab, &["on.request"]);
    lab
}

fn key(lab: &Lab, base: &str) -> String {
    lab.read(&format!("hosts/on/{base}.key"))
}

/// Returns the files outside of `hosts` that contain a line of one of the host's keys.
fn leaks(lab: &Lab) -> Vec<String> {
    let keys = [key(lab, CLIENT), key(lab, SERVER)];
    let lines: Vec<&str> = keys.iter().flat_map(|key| key.lines()).filter(|line| !line.starts_with('-')).collect();
    let holds = |bytes: &[u8]| lines.iter().any(|line| bytes.windows(line.len()).any(|part| part == line.as_bytes()));
    let files = lab.snapshot().into_iter().filter(|(path, bytes)| !path.starts_with(lab.path("hosts")) && holds(bytes));
    files.map(|(path, _)| path.display().to_string()).collect()
}

fn install(lab: &Lab, args: &[&str]) -> Output {
    let bundle = lab.path("bundles/on/install.sh");
    Command::new("dash").arg(bundle).args(args).env("DESTDIR", lab.path("hosts/on")).output().expect("dash")
}

/// Creates a request with openssl, and returns its file.
fn csr(lab: &Lab, name: &str, key: &[&str], subject: &str) -> String {
    let path = |ending: &str| lab.path(&format!("{name}.{ending}")).display().to_string();
    let (made, out) = (path("pem"), path("csr"));
    let args: Vec<&str> = ["req", "-new"].iter().chain(key).copied().collect();
    good_tool("openssl", &[&args[..], &["-keyout", &made, "-subj", subject, "-out", &out]].concat());
    format!("{name}.csr")
}

const EC: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

#[test]
fn keys_are_generated_once_on_the_host_and_only_their_owner_can_read_them() {
    needs!("openssl");
    let lab = Lab::empty();
    let report = request(&lab, "worker-1");
    assert_eq!(report["keys"].as_array().map(Vec::len), Some(2));
    let root = lab.path("hosts/worker-1");
    let mode = |path: &str| fs::metadata(root.join(path)).expect("there").permissions().mode() & 0o7777;
    for base in [CLIENT, SERVER] {
        assert_eq!(mode(&format!("{base}.key")), 0o600);
    }
    assert_eq!((mode("var/lib/kubelet/pki"), mode("var/lib/kubelet")), (0o750, 0o750));
    let text = lab.read("worker-1.request");
    assert_eq!(text.matches("-----BEGIN CERTIFICATE REQUEST-----").count(), 2);
    assert!(!text.contains("PRIVATE"));
    for part in text.split_inclusive("-----END CERTIFICATE REQUEST-----\n") {
        lab.write("one.csr", part);
        good_tool("openssl", &["req", "-verify", "-noout", "-in", &lab.path("one.csr").display().to_string()]);
    }
    // A second run keeps the keys.
    let again = request(&lab, "worker-1");
    for i in 0..2 {
        let (one, other) = (&report["keys"][i], &again["keys"][i]);
        assert_eq!((&one["publicKey"], &one["created"]), (&other["publicKey"], &Value::Bool(true)));
        assert_eq!(other["created"], Value::Bool(false));
    }
}

#[test]
fn a_request_replaces_neither_keys_nor_other_files() {
    let lab = Lab::empty();
    fs::create_dir_all(lab.path("root/var/lib/kubelet/pki")).expect("made");
    lab.write(&format!("root/{SERVER}.key"), "not a key\n");
    let path = lab.path(&format!("root/{SERVER}.key"));
    let run = |args: &[&str]| lab.run(&[&["request", "worker-1", "--root", "root"], args].concat()).status;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
    assert_eq!(run(&[]), 3, "others can read it");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
    assert_eq!(run(&[]), 3, "it is not a key");
    assert_eq!(lab.read(&format!("root/{SERVER}.key")), "not a key\n");
    assert!(!lab.path("worker-1.request").exists());
    fs::remove_file(path).expect("removed");
    lab.write("notes", "mine\n");
    assert_eq!(run(&["--out", "notes"]), 3);
    assert_eq!(lab.read("notes"), "mine\n");
    assert_eq!(run(&["--keys", "ed25519"]), 0);
    assert_eq!(lab.run(&["request", "worker-1", "--root", "nowhere"]).status, 2);
    assert_eq!(lab.run(&["request", "Worker_1", "--root", "root"]).status, 2);
}

#[test]
fn certificates_are_signed_by_the_cluster_file_and_the_keys_stay_on_the_host() {
    needs!("openssl", "dash", "sqlite3");
    let lab = Lab::with_roots();
    lab.good(&["issue-master", "--all"]);
    request(&lab, "on");
    let dry = sign(&lab, &["on.request", "--dry-run"]);
    assert_eq!((&dry["dryRun"], &dry["certificates"][0]["certificate"]), (&Value::Bool(true), &Value::Null));
    let before = issued(&lab);
    let report = sign(&lab, &["on.request"]);
    assert_eq!((issued(&lab) - before, &report["hostsToDeliver"]), (2, &serde_json::json!(["on"])));
    let granted = &report["certificates"][0]["granted"];
    assert_eq!((&granted["user"], &granted["group"]), (&"kubelet:on".into(), &"kubelets".into()));
    assert_eq!(report["certificates"][1]["granted"]["names"], serde_json::json!(["on", "10.20.4.1"]));
    assert_eq!(folder_of(&lab, "pki/nodes/on"), ["kubelet-client.crt", "kubelet-server.crt"]);
    let events = "SELECT count(*) FROM events WHERE kind = 'sign' AND subject = 'on' AND by = 'admin@laptop' \
                  AND detail IN (SELECT sha256 FROM certificates WHERE host = 'on')";
    assert_eq!(good_tool("sqlite3", &[&lab.path("pki/ledger.sqlite3").display().to_string(), events]), "2\n");

    lab.good(&["issue-node", "--all"]);
    assert_eq!(folder_of(&lab, "pki/nodes/on").len(), 2, "no key is made over the host's");
    lab.good(&["bundle", "--all"]);
    lab.good(&["bundle", "on", "--format", "dir"]);
    lab.good(&["verify", "--offline"]);
    assert_eq!(leaks(&lab), Vec::<String>::new());

    let ran = install(&lab, &[]);
    assert!(ran.status.success(), "{ran:?}");
    let again = install(&lab, &[]);
    assert!(again.status.success(), "{again:?}");
    for base in [CLIENT, SERVER] {
        let path = |ending: &str| lab.path(&format!("hosts/on/{base}.{ending}")).display().to_string();
        let of_certificate = good_tool("openssl", &["x509", "-in", &path("crt"), "-noout", "-pubkey"]);
        assert_eq!(good_tool("openssl", &["pkey", "-in", &path("key"), "-pubout"]), of_certificate);
    }
}

/// The directory's keys for the host do not belong to the new certificates.
#[test]
fn keys_of_the_directory_are_deleted_once_the_host_has_its_own() {
    needs!("sqlite3");
    let lab = Lab::issued();
    let serial = |profile: &str| {
        let query =
            format!("SELECT sha256 FROM certificates WHERE host = 'on' AND profile = '{profile}' ORDER BY seq LIMIT 1");
        good_tool("sqlite3", &[&lab.path("pki/ledger.sqlite3").display().to_string(), &query]).trim().to_owned()
    };
    let old = [serial("kubelet-client"), serial("kubelet-server")];
    request(&lab, "on");
    for (args, left) in [(&["--dry-run", "on.request"][..], 4), (&["on.request"], 2)] {
        let report = sign(&lab, args);
        let deleted: Vec<&str> =
            (0..2).filter_map(|i| report["certificates"][i]["deletedKey"].as_str()?.rsplit('/').next()).collect();
        assert_eq!(deleted, ["kubelet-client.key", "kubelet-server.key"]);
        assert_eq!(folder_of(&lab, "pki/nodes/on").len(), left);
    }
    let events = "SELECT detail FROM events WHERE kind = 'forget-key' AND subject = 'on' ORDER BY seq";
    let events = good_tool("sqlite3", &[&lab.path("pki/ledger.sqlite3").display().to_string(), events]);
    assert_eq!(events.lines().collect::<Vec<_>>(), old);
    request(&lab, "on");
    assert_eq!(sign(&lab, &["on.request"])["certificates"][0]["deletedKey"], Value::Null, "there is none any more");
    lab.good(&["bundle", "on"]);
    lab.good(&["verify", "--offline"]);
}

#[test]
fn the_next_request_deletes_the_keys_of_a_killed_one() {
    needs!("strace");
    let lab = Lab::empty();
    fs::create_dir_all(lab.path("root")).expect("made");
    let root = lab.path("root").display().to_string();
    let inject = "inject=rename,renameat,renameat2:signal=KILL:when=1";
    let strace = ["-f", "-o", "/dev/null", "-e", "trace=rename,renameat,renameat2", "-e", inject];
    let ran = Command::new("strace")
        .args(strace)
        .args([env!("CARGO_BIN_EXE_clusterctl"), "request", "worker-1", "--root", &root])
        .current_dir(lab.dir())
        .output()
        .expect("strace");
    assert!(!ran.status.success());
    let files = || folder_of(&lab, "root/var/lib/kubelet/pki");
    assert!(files().iter().any(|name| name.starts_with(".unfinished-")), "{:?}", files());
    lab.good(&["request", "worker-1", "--root", "root"]);
    assert_eq!(files(), ["kubelet-client.key", "kubelet-server.key"]);
}

#[test]
fn links_out_of_an_image_are_not_followed() {
    let lab = Lab::empty();
    fs::create_dir_all(lab.path("elsewhere")).expect("made");
    fs::create_dir_all(lab.path("root/var/lib")).expect("made");
    std::os::unix::fs::symlink(lab.path("elsewhere"), lab.path("root/var/lib/kubelet")).expect("a link");
    assert_eq!(lab.run(&["request", "worker-1", "--root", "root"]).status, 3);
    assert_eq!(fs::read_dir(lab.path("elsewhere")).expect("listed").count(), 0);
    fs::remove_file(lab.path("root/var/lib/kubelet")).expect("removed");
    fs::create_dir_all(lab.path("root/data")).expect("made");
    std::os::unix::fs::symlink("../../data", lab.path("root/var/lib/kubelet")).expect("a link");
    lab.good(&["request", "worker-1", "--root", "root"]);
    assert!(lab.path("root/data/pki/kubelet-client.key").exists(), "a link inside is followed");
    assert_eq!(lab.run(&["request", "worker-2", "--root", "root", "--out", "worker-1.request"]).status, 3);
}

#[test]
fn a_bundle_without_keys_is_installed_only_where_its_keys_are() {
    needs!("dash");
    let lab = signed();
    lab.good(&["bundle", "on", "--format", "dir"]);
    let path = |base: &str| lab.path(&format!("hosts/on/{base}.key"));
    let (client, server) = (key(&lab, CLIENT), key(&lab, SERVER));
    let write = |base: &str, text: &str, mode: u32| {
        fs::write(path(base), text).expect("written");
        fs::set_permissions(path(base), fs::Permissions::from_mode(mode)).expect("set");
    };
    assert_eq!(lab.run(&["bundle", "on", "--format", "ignition"]).status, 2, "nothing would look for the keys");
    let refused = |what: &str| {
        for args in [&["--dry-run"][..], &[]] {
            let ran = install(&lab, args);
            assert_eq!(ran.status.code(), Some(1), "{what}: {ran:?}");
        }
        assert!(!lab.path("hosts/on/etc").exists(), "{what}: nothing is installed");
    };
    write(CLIENT, &server, 0o600);
    refused("another key");
    write(CLIENT, "", 0o600);
    refused("an empty file");
    fs::remove_file(path(CLIENT)).expect("removed");
    refused("no key");
    write(CLIENT, &client, 0o644);
    refused("a key that others can read");
    write(CLIENT, &client, 0o600);
    let ran = install(&lab, &[]);
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!((key(&lab, CLIENT), key(&lab, SERVER)), (client, server));
}

/// If openssl is needed to compare a key and is missing, nothing is installed.
#[test]
fn keys_of_every_kind_are_compared_with_their_certificates() {
    needs!("dash", "openssl");
    let forms: [&[&str]; 5] = [
        &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["ecparam", "-name", "prime256v1", "-genkey"],
        &["genpkey", "-algorithm", "ED25519"],
        &["genrsa", "-traditional"],
    ];
    let lab = Lab::with_roots();
    lab.good(&["issue-master", "--all"]);
    fs::create_dir_all(lab.path("hosts/on/var/lib/kubelet/pki")).expect("made");
    let base = |base: &str| lab.path(&format!("hosts/on/{base}.key")).display().to_string();
    for form in forms {
        for (profile, at) in [("kubelet-client", CLIENT), ("kubelet-server", SERVER)] {
            good_tool("openssl", &[form, &["-out", &base(at)]].concat());
            fs::set_permissions(base(at), fs::Permissions::from_mode(0o600)).expect("set");
            let csr = lab.path("x.csr").display().to_string();
            good_tool("openssl", &["req", "-new", "-key", &base(at), "-subj", "/CN=on", "-out", &csr]);
            sign(&lab, &["--host", "on", "--profile", profile, "x.csr"]);
        }
        lab.good(&["bundle", "on", "--format", "dir"]);
        let ran = install(&lab, &["--dry-run"]);
        assert!(ran.status.success(), "{form:?}: {ran:?}");
        // Without openssl, the public key in the key's file is compared.
        let bin = tempfile::tempdir().expect("a folder");
        for program in
            ["sh", "id", "dirname", "sha256sum", "cut", "sed", "wc", "tr", "grep", "date", "expr", "find", "od"]
                .iter()
                .chain(&["base64", "uname", "hostname", "awk", "df", "sort", "sync", "cat", "flock", "head", "tail"])
        {
            let at = good_tool("which", &[program]);
            std::os::unix::fs::symlink(at.trim(), bin.path().join(program)).expect("a link");
        }
        let ran = Command::new("/bin/dash")
            .args([lab.path("bundles/on/install.sh").as_os_str(), "--dry-run".as_ref()])
            .env("DESTDIR", lab.path("hosts/on"))
            .env("PATH", bin.path())
            .output()
            .expect("dash");
        assert_eq!(ran.status.success(), !form.contains(&"ED25519"), "{form:?}: {ran:?}");
    }
}

#[test]
fn due_certificates_of_a_host_with_its_own_keys_are_requested_and_never_issued() {
    let mut lab = signed();
    lab.good(&["issue-node", "--all"]);
    assert_eq!(node_plan(&lab, &["on"]).kept, 2);
    let folder = folder_of(&lab, "pki/nodes/on");
    for args in [&["issue-node", "on", "--reissue"][..], &["renew", "on", "--within", "2y"]] {
        let before = issued(&lab);
        let ran = lab.good(args);
        assert!(ran.err.contains("clusterctl sign on.request"), "{ran}");
        assert_eq!((issued(&lab), folder_of(&lab, "pki/nodes/on")), (before, folder.clone()));
    }
    lab.now += Duration::days(300);
    let rows: Value = serde_json::from_str(&lab.run(&["status", "on", "-o", "json"]).out).expect("JSON");
    assert!(rows.to_string().contains("send-request"), "{rows}");
    // The new request is for the same keys.
    request(&lab, "on");
    let report = sign(&lab, &["on.request"]);
    assert_eq!(report["certificates"].as_array().map(Vec::len), Some(2));
    lab.good(&["issue-node", "--all"]);
    lab.good(&["bundle", "on", "--format", "dir"]);
    // A revoked certificate is no reason to generate a key here either.
    lab.good(&["revoke", "on", "--yes"]);
    let plan = node_plan(&lab, &["on"]);
    assert!(plan.certificates.is_empty(), "{plan:?}");
    assert_eq!(lab.run(&["bundle", "on"]).status, 3);
    assert_eq!(lab.run(&["verify", "--offline"]).status, 1);
    assert_eq!(folder_of(&lab, "pki/nodes/on"), folder);
    // Without its certificates, the host counts as one without any certificate.
    fs::remove_dir_all(lab.path("pki/nodes/on")).expect("removed");
    let plan = node_plan(&lab, &["on"]);
    assert!(plan.certificates.iter().all(|(_, reasons)| matches!(reasons[..], [IssueReason::Problem(_)])), "{plan:?}");
    assert_eq!(plan.certificates.len(), 2);
}

#[test]
fn a_host_may_have_one_of_its_keys_from_the_admin_machine() {
    needs!("openssl");
    let lab = Lab::issued();
    let csr = csr(&lab, "server", &["-newkey", "rsa:2048", "-nodes"], "/CN=on");
    sign(&lab, &["--host", "on", "--profile", "kubelet-server", &csr]);
    let files = ["kubelet-client.crt", "kubelet-client.key", "kubelet-server.crt"];
    assert_eq!(folder_of(&lab, "pki/nodes/on"), files);
    let (client, server) = (lab.read("pki/nodes/on/kubelet-client.crt"), lab.read("pki/nodes/on/kubelet-server.crt"));
    lab.good(&["issue-node", "on", "--reissue"]);
    assert_eq!(folder_of(&lab, "pki/nodes/on"), files);
    assert_ne!(lab.read("pki/nodes/on/kubelet-client.crt"), client);
    assert_eq!(lab.read("pki/nodes/on/kubelet-server.crt"), server);
    lab.good(&["verify", "--offline"]);
    lab.good(&["bundle", "on"]);
}

#[test]
fn requests_of_cfssl_and_easy_rsa_are_signed() {
    needs!("cfssl", "sh");
    let lab = Lab::issued();
    let asked = r#"{"CN": "system:node:on", "hosts": ["on", "10.20.4.1"], "key": {"algo": "ecdsa", "size": 256},
                    "names": [{"O": "system:nodes"}]}"#;
    lab.write("cfssl.json", asked);
    let made = good_tool("cfssl", &["genkey", &lab.path("cfssl.json").display().to_string()]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    lab.write("cfssl.csr", made["csr"].as_str().expect("a request"));
    let report = sign(&lab, &["--profile", "kubelet-server", "cfssl.csr"]);
    assert_eq!(report["certificates"][0]["granted"]["names"], serde_json::json!(["on", "10.20.4.1"]));
    let easy_rsa = "/usr/share/easy-rsa/easyrsa";
    if !Path::new(easy_rsa).exists() {
        return;
    }
    fs::create_dir(lab.path("easy")).expect("made");
    let folder = lab.path("easy").display().to_string();
    let script = format!("cd {folder} && {easy_rsa} init-pki && {easy_rsa} --batch gen-req on nopass");
    good_tool("sh", &["-c", &script]);
    let report = sign(&lab, &["--host", "on", "--profile", "kubelet-client", "easy/pki/reqs/on.req"]);
    assert_eq!(report["certificates"][0]["granted"]["user"], "kubelet:on");
}

#[test]
fn requests_of_other_tools_are_signed_in_their_forms() {
    needs!("openssl");
    let lab = Lab::issued();
    let pem = csr(&lab, "openssl", &[&EC[..], &["-addext", "subjectAltName=DNS:on,IP:10.20.4.1"]].concat(), "/CN=on");
    let (path, der) = (lab.path(&pem).display().to_string(), lab.path("x.der").display().to_string());
    good_tool("openssl", &["req", "-in", &path, "-outform", "DER", "-out", &der]);
    let certreq = lab.read(&pem).replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST").replace('\n', "\r\n");
    lab.write("certreq.csr", &certreq);
    let kubelet = csr(&lab, "kubelet", &EC, "/O=system:nodes/CN=system:node:on");
    for file in [pem.as_str(), "x.der", "certreq.csr"] {
        let report = sign(&lab, &["--host", "on", "--profile", "kubelet-server", file]);
        assert_eq!(report["certificates"][0]["granted"]["user"], "system:node:on", "{file}");
    }
    let report = sign(&lab, &["--profile", "kubelet-client", &kubelet]);
    assert_eq!(report["certificates"][0]["granted"]["user"], "kubelet:on");
    lab.good(&["bundle", "on"]);
    lab.good(&["verify", "--offline"]);
}

#[test]
fn all_requests_are_signed_or_none() {
    needs!("sqlite3");
    let mut lab = Lab::with(CLUSTER);
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "correct horse battery".into());
    for args in [&["init-ca"][..], &["issue-master", "--all"]] {
        lab.good(args);
    }
    request(&lab, "on");
    request(&lab, "worker-b1");
    let before = issued(&lab);
    let sign_both = ["sign", "on.request", "worker-b1.request"];
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "wrong".into());
    assert_eq!(lab.run(&sign_both).status, 3);
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "correct horse battery".into());
    // One request of four is refused.
    let good = lab.read("worker-b1.request");
    lab.write("worker-b1.request", &lab.read("on.request"));
    assert_eq!(lab.run(&sign_both).status, 3);
    lab.write("worker-b1.request", &good);
    // The ledger fails at the last of them.
    let ledger = lab.path("pki/ledger.sqlite3").display().to_string();
    let forbid = "CREATE TRIGGER t BEFORE INSERT ON events WHEN NEW.kind = 'sign' AND NEW.subject = 'worker-b1' \
                  BEGIN SELECT RAISE(ABORT, 'not now'); END";
    good_tool("sqlite3", &[&ledger, forbid]);
    assert_eq!(lab.run(&sign_both).status, 4);
    assert_eq!((issued(&lab), lab.path("pki/nodes/on").exists()), (before, false));
    good_tool("sqlite3", &[&ledger, "DROP TRIGGER t"]);
    lab.good(&sign_both);
    assert_eq!(issued(&lab), before + 4);
    // A second run issues new certificates for the same keys.
    lab.good(&sign_both);
    assert_eq!(issued(&lab), before + 8);
}

#[test]
fn a_live_cluster_with_keys_that_only_a_host_has_is_verified() {
    let live = crate::support::live::Live::with_cas(1, 2, |lab| {
        request(lab, "node-1");
        sign(lab, &["node-1.request"]);
    });
    let ran = live.lab.run(&["verify", "--output", "json"]);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let results = report["results"].as_array().expect("results").iter();
    let failed: Vec<&Value> = results.filter(|one| one["status"] == "fail" || one["status"] == "warn").collect();
    assert!(failed.is_empty(), "{failed:#?}");
    // The bundle has no key either.
    live.lab.good(&["bundle", "node-1"]);
    let ran = live.lab.run(&["verify", "--from", "bundles/node-1.tar.gz", "--output", "json"]);
    assert_eq!(ran.status, 1, "{ran}");
    live.lab.good(&["show", "bundles/node-1.tar.gz"]);
    let of_kubelet = |one: &&Value| one["host"] == "node-1" && one["role"] == "node" && one["status"] == "pass";
    assert!(report["results"].as_array().expect("results").iter().any(|one| of_kubelet(&one)), "{report:#}");
}

#[test]
fn a_request_is_written_to_the_current_folder() {
    let lab = Lab::issued();
    request(&lab, "on");
    assert!(Path::new(&lab.path("on.request")).exists());
    assert_eq!(lab.run(&["sign"]).status, 2);
    assert_eq!(lab.run(&["sign", "--profile", "apiserver", "on.request"]).status, 2);
    let shown = lab.good(&["show", "on.request"]);
    assert!(!shown.out.is_empty());
}

#[test]
fn a_rebuilt_ledger_leaves_the_keys_to_the_hosts_that_made_them() {
    let mut lab = signed();
    lab.good(&["bundle", "on"]);
    fs::remove_file(lab.path("pki/ledger.sqlite3")).expect("removed");
    lab.good(&["ledger", "rebuild"]);
    lab.good(&["ledger", "check"]);
    lab.now += Duration::days(300);
    let before = lab.read("pki/nodes/on/kubelet-client.crt");
    lab.run(&["issue-node", "on"]);
    assert_eq!(lab.read("pki/nodes/on/kubelet-client.crt"), before);
    assert!(!lab.path("pki/nodes/on/kubelet-client.key").exists());
    request(&lab, "on");
    sign(&lab, &["on.request"]);
    assert_ne!(lab.read("pki/nodes/on/kubelet-client.crt"), before);
}
