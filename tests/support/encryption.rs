//! Keys of ssh-keygen and age-keygen, and bundles that are encrypted to them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clusterctl::app::package::encryption::{Encryption, Recipients};
use clusterctl::app::package::{PackageError, PackageReport};
use clusterctl::cluster::name::HostName;

use super::{CLUSTER, Lab, good_tool, tool};
use crate::support::packages::package_with;

/// Returns a host's name.
pub(crate) fn host(name: &str) -> HostName {
    HostName::parse(name).expect("a name")
}

/// Packs hosts through the library, encrypted to these recipients.
pub(crate) fn encrypt(lab: &Lab, hosts: &[&str], recipients: Recipients) -> Result<PackageReport, PackageError> {
    package_with(lab, hosts, |cluster, options| {
        options.encryption = Encryption::plan(&options.hosts, cluster, options.format, &recipients)?;
        Ok(())
    })
}

/// Makes a key pair with ssh-keygen at `name`, and returns the public key without the comment.
pub(crate) fn ssh_key(lab: &Lab, name: &str, kind: &str, passphrase: &str) -> String {
    let path = lab.path(name).display().to_string();
    good_tool("ssh-keygen", &["-q", "-t", kind, "-N", passphrase, "-C", "root@on", "-f", &path]);
    let public = lab.read(&format!("{name}.pub"));
    public.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Makes an identity with age-keygen at `name`, and returns its recipient.
pub(crate) fn age_key(lab: &Lab, name: &str) -> String {
    let path = lab.path(name).display().to_string();
    good_tool("age-keygen", &["-o", &path]);
    good_tool("age-keygen", &["-y", &path]).trim().to_owned()
}

/// Decrypts a file with `age`.
pub(crate) fn age_opens(lab: &Lab, encrypted: &str, key: &str) -> Option<Vec<u8>> {
    let (encrypted, key) = (lab.path(encrypted).display().to_string(), lab.path(key).display().to_string());
    let output = tool("age", &["-d", "-i", &key, &encrypted]);
    output.status.success().then_some(output.stdout)
}

/// [`CLUSTER`], with `sealTo` for the node called `on`.
pub(crate) fn cluster_with(seal_to: &str) -> String {
    let entry = "- {name: on, addresses: [10.20.4.1]}";
    assert!(CLUSTER.contains(entry));
    CLUSTER.replace(entry, &format!("- name: on\n  addresses: [10.20.4.1]\n  sealTo: {seal_to}"))
}

/// Returns the names of the packed bundles.
pub(crate) fn bundles(lab: &Lab) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(lab.path("bundles"))
        .map(|entries| entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

/// Returns the files of an unpacked bundle, with their modes.
pub(crate) fn unpacked(folder: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let mode = fs::metadata(&path).expect("metadata").permissions().mode() & 0o7777;
                found.push((path.strip_prefix(folder).expect("below").display().to_string(), mode));
            }
        }
    }
    found.sort();
    found
}

/// Returns the names of the files in a folder.
pub(crate) fn folder_of(lab: &Lab, of: &str) -> Vec<String> {
    let entries = fs::read_dir(lab.path(of)).expect("a folder");
    let mut names: Vec<String> = entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into()).collect();
    names.sort();
    names
}
