//! Writes and reads bundles as cloud-init's user-data (`#cloud-config`).
//!
//! cloud-init writes the files to a folder in memory and runs the bundle's `install.sh`, which checks the host's name,
//! the checksums and the generation. User-data that was given to the wrong machine therefore installs nothing.

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::archive::{self, ArchiveError};
use super::model::{Bundle, BundleFile, INSTALLER};
use super::packer::Packer;
use crate::cluster::spec::Role;

/// The folder of the files until they are installed. Only root can read it, and it does not survive a reboot.
const STAGING: &str = "/run/clusterctl";
/// cloud-init's encoding name for plain text.
const TEXT: &str = "text/plain";
const FIRST_LINE: &str = "#cloud-config\n";

/// Returns compressed user-data. The same bundle gives the same bytes.
///
/// It is compressed because clouds limit its size, and cloud-init accepts gzip.
pub(super) fn user_data(bundle: &Bundle, packer: &mut Packer) -> Zeroizing<Vec<u8>> {
    packer.gzip(&config(bundle))
}

/// Returns true if these bytes begin as those of [`user_data`] do.
pub(super) fn looks_like_user_data(bytes: &[u8]) -> bool {
    archive::begins_with(bytes, FIRST_LINE.as_bytes())
}

/// Returns the user-data as text.
fn config(bundle: &Bundle) -> Zeroizing<Vec<u8>> {
    let manifest = &bundle.manifest;
    let size: usize = bundle.files.iter().map(|file| file.bytes.len() * 2 + 256).sum();
    // The capacity is sufficient, because growing would leave copies of keys in memory.
    let mut out = Zeroizing::new(String::with_capacity(size + 4096));
    out.push_str(FIRST_LINE);
    out.push_str(&format!(
        "# {} of cluster {}, generation {}. Written by clusterctl. It has the host's keys, unencrypted.\n\
         # cloud-init creates the folder first, so that only root can read it, and runs install.sh last.\n",
        manifest.host, manifest.cluster, manifest.generation
    ));
    let folder = ["cloud-init-per", "instance", "clusterctl", "install", "-d", "-m", "0700", STAGING];
    out.push_str(&format!("bootcmd:\n- {}\nwrite_files:\n", json(&folder)));
    for file in &bundle.files {
        let (encoding, content) = encoded(&file.bytes);
        out.push_str(&format!(
            "- {{\"path\": {}, \"owner\": \"root:root\", \"permissions\": \"{:04o}\", \"encoding\": \"{encoding}\", \"content\": ",
            json(&format!("{STAGING}/{}/{}", manifest.host, file.path)),
            file.mode
        ));
        out.push_str(&content);
        out.push_str("}\n");
    }
    out.push_str(&format!("runcmd:\n- {}\n", json(&["sh", "-c", &installation(bundle)])));
    Zeroizing::new(std::mem::take(&mut *out).into_bytes())
}

/// Returns the last command: install, start the host's programs, and remove the folder in any case.
fn installation(bundle: &Bundle) -> String {
    let manifest = &bundle.manifest;
    let mut steps = vec![format!("sh {STAGING}/{}/{INSTALLER}", manifest.host), "systemctl daemon-reload".to_owned()];
    if manifest.roles.contains(&Role::Node) {
        steps.push("systemctl enable kubelet".to_owned());
        steps.push("systemctl restart kubelet".to_owned());
    }
    if manifest.roles.contains(&Role::Master) {
        // If a kubelet runs the control plane, these units do not exist. etcd waits for its peers, so this must not
        // wait for etcd.
        steps.push(
            "for unit in etcd kube-apiserver kube-controller-manager kube-scheduler; do \
             if systemctl is-enabled --quiet $unit; then systemctl restart --no-block $unit; fi; done"
                .to_owned(),
        );
    }
    format!("{}; status=$?; rm -rf {STAGING}; exit $status", steps.join(" && "))
}

/// Returns a file's contents as a quoted string, and its encoding.
///
/// Plain ASCII text compresses best, and all YAML parsers agree on it; other contents are base64.
fn encoded(bytes: &[u8]) -> (&'static str, Zeroizing<String>) {
    let plain = |b: &u8| matches!(b, b' '..=b'~' | b'\n' | b'\t');
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.iter().all(plain) => (TEXT, Zeroizing::new(json(text))),
        _ => ("b64", Zeroizing::new(json(Zeroizing::new(Base64::encode_string(bytes)).as_str()))),
    }
}

fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    // Serializing strings and lists of strings cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    #[serde(rename = "owner")]
    _owner: String,
    permissions: String,
    encoding: String,
    content: Zeroizing<String>,
}

/// Reads user-data that [`user_data`] wrote.
///
/// # Errors
/// Returns an error if it is anything else, was changed since, or is not a valid bundle.
pub(super) fn read(bytes: &[u8]) -> Result<Bundle, ArchiveError> {
    let unzipped;
    let plain = match bytes {
        [0x1f, 0x8b, ..] => {
            unzipped = archive::unzip(bytes)?;
            unzipped.as_slice()
        }
        _ => bytes,
    };
    let text = std::str::from_utf8(plain).ok().filter(|text| text.starts_with(FIRST_LINE));
    let text = text.ok_or(ArchiveError::NotOurs { what: "cloud-init's user-data" })?;
    let mut folder: Option<String> = None;
    let mut files = Vec::new();
    let mut left = archive::MAX_UNPACKED;
    for line in text.lines().filter_map(|line| line.strip_prefix("- {\"path\"").map(|_| &line[2..])) {
        let entry: Entry = serde_json::from_str(line).map_err(|error| ArchiveError::Unreadable(error.to_string()))?;
        let path = entry.path.strip_prefix(STAGING).and_then(|path| path.strip_prefix('/'));
        let (top, path) = path.and_then(|path| path.split_once('/')).unwrap_or_default();
        if folder.get_or_insert_with(|| top.to_owned()) != top {
            return Err(ArchiveError::Path { path: entry.path });
        }
        let mode = u32::from_str_radix(&entry.permissions, 8)
            .map_err(|_| ArchiveError::Unreadable(format!("{:?} is not a mode", entry.permissions)))?;
        let bytes = if entry.encoding == TEXT {
            Zeroizing::new(entry.content.as_bytes().to_vec())
        } else {
            Base64::decode_vec(&entry.content)
                .map(Zeroizing::new)
                .map_err(|_| ArchiveError::Unreadable(format!("the content of {path} is not base64")))?
        };
        left = left.checked_sub(bytes.len() as u64).ok_or(ArchiveError::TooLarge)?;
        files.push(BundleFile { path: path.to_owned(), mode, bytes: bytes.into() });
    }
    let bundle = archive::confirmed(folder.unwrap_or_default(), files)?;
    // It may have been decompressed.
    let again = config(&bundle);
    if again.as_slice() == plain && (plain == bytes || user_data(&bundle, &mut Packer::small()).as_slice() == bytes) {
        Ok(bundle)
    } else {
        Err(ArchiveError::NotOurs { what: "cloud-init's user-data" })
    }
}
