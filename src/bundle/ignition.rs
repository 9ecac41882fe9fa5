//! Writes and reads bundles as Ignition configs (specification 3.4.0).
//!
//! Every file has its path, mode and checksum; systemd drop-ins are Ignition's drop-ins. There is no `install.sh`,
//! because Ignition applies all files or none, before the first boot continues.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::archive::{self, ArchiveError};
use super::manifest::Manifest;
use super::model::{Bundle, BundleFile, MANIFEST, folder_mode};
use super::paths::RECORD;
use crate::cluster::spec::Role;

/// The specification's version.
const VERSION: &str = "3.4.0";
/// Folders that every system has, whose modes are not set.
const SYSTEMS: [&str; 4] = ["etc", "etc/systemd", "var", "var/lib"];
const DROP_INS: &str = "etc/systemd/system/";
const DATA: &str = "data:;base64,";

/// Returns a config. The same bundle gives the same bytes.
pub(super) fn config(bundle: &Bundle) -> Zeroizing<Vec<u8>> {
    let size: usize = bundle.files.iter().map(|file| file.bytes.len() * 2 + 512).sum();
    // The capacity is sufficient, because growing would leave copies of keys in memory.
    let mut out = Zeroizing::new(String::with_capacity(size + 4096));
    out.push_str(&format!(
        "{{\n  \"ignition\": {{\"version\": \"{VERSION}\"}},\n  \"storage\": {{\n    \"directories\": [\n"
    ));
    let folders: Vec<String> = folders(bundle)
        .into_iter()
        .map(|path| {
            format!("      {{\"path\": {}, {}, \"mode\": {}}}", json(&format!("/{path}")), ROOTS, folder_mode(&path))
        })
        .collect();
    out.push_str(&folders.join(",\n"));
    out.push_str("\n    ],\n    \"files\": [\n");
    let mut first = true;
    for (path, file) in placed(bundle) {
        out.push_str(if std::mem::take(&mut first) { "" } else { ",\n" });
        out.push_str(&format!(
            "      {{\"path\": {}, \"overwrite\": true, {ROOTS}, \"mode\": {}, \"contents\": {{\"verification\": \
             {{\"hash\": \"sha256-{}\"}}, \"source\": \"{DATA}",
            json(&format!("/{path}")),
            file.mode,
            file.bytes.sha256()
        ));
        out.push_str(&Zeroizing::new(Base64::encode_string(&file.bytes)));
        out.push_str("\"}}");
    }
    out.push_str("\n    ]\n  },\n  \"systemd\": {\n    \"units\": [\n");
    let units: Vec<String> =
        units(bundle).into_iter().map(|(unit, drop_ins)| unit_json(bundle, unit, &drop_ins)).collect();
    out.push_str(&units.join(",\n"));
    out.push_str("\n    ]\n  }\n}\n");
    Zeroizing::new(std::mem::take(&mut *out).into_bytes())
}

/// The owner of all files.
const ROOTS: &str = "\"user\": {\"id\": 0}, \"group\": {\"id\": 0}";

/// Returns the files with their paths on the host.
///
/// Files that are not installed are left out. The manifest is placed as the record of what was installed.
fn placed(bundle: &Bundle) -> impl Iterator<Item = (&str, &BundleFile)> {
    let place = |file: &'_ BundleFile| -> bool { drop_in(&file.path).is_none() && is_placed(&file.path) };
    let own = bundle.files.iter().filter(move |file| place(file)).map(|file| (file.path.as_str(), file));
    own.chain(bundle.file(MANIFEST).map(|file| (RECORD, file)))
}

fn is_placed(path: &str) -> bool {
    path.contains('/')
}

/// Returns the unit and the name of a drop-in.
fn drop_in(path: &str) -> Option<(&str, &str)> {
    let (folder, name) = path.strip_prefix(DROP_INS)?.split_once('/')?;
    Some((folder.strip_suffix(".d")?, name))
}

fn units(bundle: &Bundle) -> BTreeMap<&str, Vec<(&str, &BundleFile)>> {
    let mut units: BTreeMap<&str, Vec<(&str, &BundleFile)>> = BTreeMap::new();
    for file in &bundle.files {
        if let Some((unit, name)) = drop_in(&file.path) {
            units.entry(unit).or_default().push((name, file));
        }
    }
    units
}

/// Returns a unit with its drop-ins.
///
/// The kubelet is enabled. Other units are enabled by the operator, if they run the control plane.
fn unit_json(bundle: &Bundle, unit: &str, drop_ins: &[(&str, &BundleFile)]) -> String {
    let enabled = unit == "kubelet.service" && bundle.manifest.roles.contains(&Role::Node);
    let drop_ins: Vec<String> = drop_ins
        .iter()
        .map(|(name, file)| {
            let contents = String::from_utf8_lossy(&file.bytes);
            format!("        {{\"name\": {}, \"contents\": {}}}", json(name), json(&contents))
        })
        .collect();
    let enabled = if enabled { "\"enabled\": true, " } else { "" };
    format!("      {{\"name\": {}, {enabled}\"dropins\": [\n{}\n      ]}}", json(unit), drop_ins.join(",\n"))
}

/// Returns all folders of the files, and their parents, each once.
fn folders(bundle: &Bundle) -> Vec<String> {
    let mut all: Vec<String> = placed(bundle)
        .flat_map(|(path, _)| path.match_indices('/').map(|(end, _)| path[..end].to_owned()).collect::<Vec<_>>())
        .filter(|path| !SYSTEMS.contains(&path.as_str()))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    // Serializing strings cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

#[derive(Deserialize)]
struct Config {
    storage: Storage,
    systemd: Systemd,
}

#[derive(Deserialize)]
struct Storage {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    mode: u32,
    contents: Contents,
}

#[derive(Deserialize)]
struct Contents {
    source: Zeroizing<String>,
}

#[derive(Deserialize)]
struct Systemd {
    units: Vec<Unit>,
}

#[derive(Deserialize)]
struct Unit {
    name: String,
    dropins: Vec<DropIn>,
}

#[derive(Deserialize)]
struct DropIn {
    name: String,
    contents: String,
}

/// Reads a config that [`config`] wrote. Files that are not installed are not in the returned bundle.
///
/// # Errors
/// Returns an error if it is anything else, was changed since, or is not a valid bundle.
pub(super) fn read(bytes: &[u8]) -> Result<Bundle, ArchiveError> {
    let config: Config = serde_json::from_slice(bytes).map_err(|error| ArchiveError::Unreadable(error.to_string()))?;
    let mut files = Vec::new();
    for file in config.storage.files {
        let path = file.path.strip_prefix('/').unwrap_or(&file.path);
        let path = if path == RECORD { MANIFEST } else { path };
        let decoded = file.contents.source.strip_prefix(DATA).and_then(|text| Base64::decode_vec(text).ok());
        let bytes =
            decoded.ok_or_else(|| ArchiveError::Unreadable(format!("the contents of {path} are not base64")))?;
        files.push(BundleFile { path: path.to_owned(), mode: file.mode, bytes: bytes.into() });
    }
    for Unit { name: unit, dropins } in config.systemd.units {
        let file = |drop_in: DropIn| BundleFile {
            path: format!("{DROP_INS}{unit}.d/{}", drop_in.name),
            mode: 0o644,
            bytes: drop_in.contents.into_bytes().into(),
        };
        files.extend(dropins.into_iter().map(file));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let manifest = files.iter().find(|file| file.path == MANIFEST).ok_or(ArchiveError::NoManifest)?;
    let bundle = Bundle { manifest: Manifest::parse(&manifest.bytes)?, files };
    archive::confirm(&bundle, is_placed)?;
    if self::config(&bundle).as_slice() == bytes {
        Ok(bundle)
    } else {
        Err(ArchiveError::NotOurs { what: "an Ignition config" })
    }
}
