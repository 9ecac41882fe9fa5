//! Private keys: whether they belong to their certificates, who can read them, and which certificates share one.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::finding::{Findings, Place};
use super::material::{Entry, Found, FoundKey, Material};
use super::rules::key::{CA_BESIDE_CREDENTIALS, GROUP_READABLE, MISMATCH, SHARED, WEAK, WORLD_READABLE};
use super::sources::{Source, SourceContent, followed, has_key};
use crate::explain::file_item::FileItem;
use crate::explain::kubeconfig::{Field, ReadKubeconfig};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::store::files;

/// The permission bit for reading by other users.
const OTHERS: u32 = 0o004;
/// The permission bit for reading by the group.
const GROUP: u32 = 0o040;
/// The endings of keys beside `NAME.crt` or `NAME.pem` (kubeadm, k3s, Talos; cfssl; openssl's examples).
const KEY_NAMES: [&str; 4] = [".key", "-key.pem", ".key.pem", "_key.pem"];

pub(super) fn check(material: &Material<'_>, findings: &mut Findings) {
    beside(material, findings);
    of_users(material, findings);
    weak(material, findings);
    shared(material, findings);
    for source in material.sources {
        readable(source, findings);
    }
    cas(material, findings);
}

/// Returns the folder and the name without ending of a file that is named like a certificate.
fn certificate_name(path: &Path) -> Option<(PathBuf, String)> {
    let name = path.file_name()?.to_str()?;
    let stem = [".cert.pem", ".crt", ".cer", ".pem"].iter().find_map(|end| name.strip_suffix(end))?;
    Some((path.parent()?.to_owned(), stem.trim_end_matches("-cert").to_owned()))
}

/// Returns the folder and the name without ending of a file that is named like a key.
fn key_name(path: &Path) -> Option<(PathBuf, String)> {
    let name = path.file_name()?.to_str()?;
    let stem = KEY_NAMES.iter().find_map(|end| name.strip_suffix(end))?;
    Some((path.parent()?.to_owned(), stem.to_owned()))
}

/// Compares certificates with the key in the same file, or beside it.
fn beside(material: &Material<'_>, findings: &mut Findings) {
    let mut by_name: HashMap<(String, PathBuf, String), &FoundKey<'_>> = HashMap::new();
    let mut by_file: HashMap<(String, &Path), &FoundKey<'_>> = HashMap::new();
    // Paths in bundles are relative, and the same ones in each bundle.
    let bundle = |place: &'_ Place, path: &Path| if path.is_relative() { place.file.clone() } else { String::new() };
    let configs: HashSet<&Path> = material.configs.iter().map(|config| config.source.path.as_path()).collect();
    for key in material.keys.iter().filter(|key| !configs.contains(key.path)) {
        let of = bundle(&key.place, key.path);
        if let Some((folder, stem)) = key_name(key.path) {
            by_name.insert((of.clone(), folder, stem), key);
        }
        by_file.insert((of, key.path), key);
    }
    for (_, one) in material.places.iter().filter(|(_, one)| one.is_first && !configs.contains(one.path)) {
        let of = bundle(&one.place, one.path);
        let named = || {
            let (folder, stem) = certificate_name(one.path)?;
            by_name.get(&(of.clone(), folder, stem))
        };
        if let Some(key) = by_file.get(&(of.clone(), one.path)).or_else(named) {
            compare(one, key.facts.fingerprint, &key.place, findings);
        }
    }
}

fn compare(one: &Found<'_>, key: Option<Fingerprint>, place: &Place, findings: &mut Findings) {
    if key.is_some_and(|key| key != one.certificate.spki_fingerprint()) {
        let observed = format!("it is not the key of {} in {}", one.certificate.subject.text, one.place.file);
        findings.add(&MISMATCH, place, observed);
    }
}

/// Compares the certificate of each user of a kubeconfig with the user's key.
fn of_users(material: &Material<'_>, findings: &mut Findings) {
    for one in &material.configs {
        for user in &one.config.config().users {
            let items = |field| {
                let part = one.config.parts().iter().find(|part| part.of == user.name && part.field == field)?;
                followed(part, one.config, material.sources).ok()
            };
            let certificate = items(Field::Certificate).and_then(|items| items.iter().find_map(certificate));
            let key = items(Field::Key).and_then(|items| items.iter().find_map(key));
            if let (Some(certificate), Some(key)) = (certificate, key)
                && key != certificate.spki_fingerprint()
            {
                let place = one.source.place(Some(format!("user {}", user.name)));
                findings.add(&MISMATCH, &place, format!("its key is not that of {}", certificate.subject.text));
            }
        }
    }
}

fn certificate(item: &FileItem) -> Option<&Certificate> {
    match item {
        FileItem::Certificate(certificate, _) => Some(certificate),
        _ => None,
    }
}

fn key(item: &FileItem) -> Option<Fingerprint> {
    match item {
        FileItem::Key(facts, _) => facts.fingerprint,
        _ => None,
    }
}

/// Reports short RSA keys. Not every key has a certificate: those that sign tokens have none.
fn weak(material: &Material<'_>, findings: &mut Findings) {
    for key in &material.keys {
        let bits: Option<usize> = key.facts.kind.strip_prefix("RSA ").and_then(|bits| bits.parse().ok());
        if bits.is_some_and(|bits| bits < 2048) {
            findings.add(&WEAK, &key.place, key.facts.kind.as_str());
        }
    }
}

/// Reports keys that several different certificates have.
fn shared(material: &Material<'_>, findings: &mut Findings) {
    let mut by_key: HashMap<Fingerprint, &Entry<'_>> = HashMap::new();
    for entry in &material.entries {
        let certificate = entry.found.certificate;
        let first = *by_key.entry(certificate.spki_fingerprint()).or_insert(entry);
        if is_another(first, entry) {
            let other = &first.found;
            let observed = format!(
                "{} has the key of {} in {}",
                certificate.subject.text, other.certificate.subject.text, other.place.file
            );
            findings.add(&SHARED, &entry.found.place, observed);
        }
    }
}

/// Returns true unless one of them renews the other, or both are one CA.
fn is_another(first: &Entry<'_>, second: &Entry<'_>) -> bool {
    let (one, other) = (first.found.certificate, second.found.certificate);
    let is_same_ca = first.is_ca && second.is_ca && one.subject.der == other.subject.der;
    let is_renewed = one.subject.der == other.subject.der && one.extended_key_usage == other.extended_key_usage;
    one.fingerprint() != other.fingerprint() && !is_same_ca && !is_renewed
}

/// Reports a file with secrets that others can read.
fn readable(source: &Source, findings: &mut Findings) {
    let Some(mode) = source.mode else { return };
    let (is_secret, key_files) = match &source.content {
        SourceContent::Items(items) => (has_key(items), Vec::new()),
        SourceContent::Kubeconfig(config) => (has_secrets(config), key_files(config)),
        SourceContent::Bundle { has_keys } => (*has_keys, Vec::new()),
    };
    if is_secret {
        report(&source.place(None), mode, findings);
    }
    for path in key_files.iter().filter(|_| source.inside.is_none()) {
        if let Some(mode) = files::mode_of_file(Path::new(path)) {
            report(&Place { file: path.clone(), part: None }, mode, findings);
        }
    }
}

fn report(place: &Place, mode: u32, findings: &mut Findings) {
    if mode & OTHERS != 0 {
        findings.add(&WORLD_READABLE, place, format!("mode {mode:04o}"));
    } else if mode & GROUP != 0 {
        findings.add(&GROUP_READABLE, place, format!("mode {mode:04o}"));
    }
}

/// Returns true if a kubeconfig contains a key, a token or a password, and does not only name files.
fn has_secrets(config: &ReadKubeconfig) -> bool {
    let embeds_key = config.parts().iter().any(|part| part.field == Field::Key && part.is_embedded);
    let is_secret = |other: &str| ["a token", "user name and password"].contains(&other);
    embeds_key || config.config().users.iter().any(|user| user.others.iter().any(|other| is_secret(other)))
}

/// Returns the files of keys that a kubeconfig names, and that can be read.
fn key_files(config: &ReadKubeconfig) -> Vec<String> {
    let is_file = |part: &&crate::explain::kubeconfig::Part| {
        part.field == Field::Key && !part.is_embedded && part.items.as_deref().is_ok_and(has_key)
    };
    config.parts().iter().filter(is_file).map(|part| part.place.clone()).collect()
}

/// Reports unencrypted keys of CAs in folders with keys of other certificates.
fn cas(material: &Material<'_>, findings: &mut Findings) {
    let is_ca: HashMap<Fingerprint, bool> =
        material.entries.iter().map(|entry| (entry.found.certificate.spki_fingerprint(), entry.is_ca)).collect();
    let folder = |key: &FoundKey<'_>| key.path.parent().unwrap_or(Path::new("")).to_owned();
    let mut others: HashMap<PathBuf, &Place> = HashMap::new();
    for key in &material.keys {
        if key.facts.fingerprint.and_then(|key| is_ca.get(&key)) == Some(&false) {
            others.entry(folder(key)).or_insert(&key.place);
        }
    }
    for key in &material.keys {
        if key.facts.fingerprint.and_then(|key| is_ca.get(&key)) == Some(&true)
            && let Some(other) = others.get(&folder(key))
        {
            findings.add(&CA_BESIDE_CREDENTIALS, &key.place, format!("it is in one folder with {}", other.file));
        }
    }
}
