//! Ignition configs, checked against the specification and with Ignition's validator.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64ct::Encoding;
use serde::Deserialize;

use crate::delivery::packed;
use crate::support::outside::needs;
use crate::support::{Lab, tool};

/// The fields of an Ignition config (specification 3.4.0) that clusterctl writes, and no others. Maintained by hand.
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
fn an_ignition_config_writes_every_file_by_the_specification() {
    let lab = Lab::issued();
    for host in ["on", "master-1"] {
        let bundle = packed(&lab, host);
        let ran = lab.good(&["bundle", host, "--format", "ignition"]);
        assert_eq!(ran.out, format!("DIR/bundles/{host}.ign\n"));
        let path = lab.path(&format!("bundles/{host}.ign"));
        assert_eq!(fs::metadata(&path).expect("facts").permissions().mode() & 0o777, 0o600);
        let config: Ignition = serde_json::from_slice(&fs::read(&path).expect("a config")).expect("a config");
        assert_eq!(config.ignition.version, "3.4.0");

        // Paths are absolute and unique among files, folders and drop-ins.
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
fn ignition_validate_accepts_the_config() {
    needs!("ignition-validate");
    let lab = Lab::issued();
    for host in ["on", "master-1"] {
        lab.good(&["bundle", host, "--format", "ignition"]);
        // Debian's Ignition knows 3.4 only by its experimental name.
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
