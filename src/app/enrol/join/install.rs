//! Installs the host's bundle: checks the archive, unpacks it, and runs its `install.sh`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use zeroize::Zeroizing;

use super::api::{Enrolment, NoAnswer};
use super::certificates;
use super::error::JoinError;
use super::notice::JoinNotice;
use super::options::{Backoff, Waiting};
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::app::package::open;
use crate::bundle::archive;
use crate::bundle::encryption::{self, Identity};
use crate::bundle::model::{Bundle, folder_mode};
use crate::cluster::name::HostName;
use crate::cluster::profile::Profile;
use crate::enrol::record::Record;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem;
use crate::pki::ssh::SshKey;
use crate::sanitize::sanitized;
use crate::store::files;

/// The folder in which the bundle is unpacked.
const FOLDER: &str = "var/lib/clusterctl/join";
/// The folder that exists while systemd runs (`sd_booted(3)`).
const SYSTEMD: &str = "/run/systemd/system";
/// How many bytes of the end of a program's output an error shows.
const SHOWN: usize = 2000;

/// The host whose bundle is installed, and what the bundle must match.
pub(super) struct Installing<'a> {
    pub(super) root: &'a Path,
    pub(super) host: &'a HostName,
    /// Whether the user gave the host's name, so that it may differ from the system's.
    pub(super) host_was_given: bool,
    pub(super) record: &'a Record,
    /// The host's SSH key, to which its bundle may be encrypted.
    pub(super) ssh_host_key: Option<&'a SshKey>,
    /// SHA-256 of the SubjectPublicKeyInfo of the host's client key.
    pub(super) client_key: Fingerprint,
}

/// Fetches the bundle, waits until it has the host's certificates, and installs it.
///
/// # Errors
/// Returns an error if there is no bundle in time, it is not the host's, or it cannot be installed.
pub(super) fn install(
    installing: &Installing<'_>,
    endpoint: &Enrolment,
    waiting: &Waiting,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let bundle = fetch(installing, endpoint, waiting, observer)?;
    let (root, host) = (installing.root, installing.host);
    // Creates the parents of a path, so FOLDER itself needs a name below it.
    files::create_folders_below(root, &format!("{FOLDER}/x"), folder_mode)?;
    let folder = root.join(FOLDER);
    files::sweep(&folder)?;
    files::remove_all(&folder, &[host.as_str().into()])?;
    let unpacked = folder.join(host.as_str());
    open::unpack(&bundle, &unpacked)?;
    let mut command = Command::new("sh");
    // The host's own allowed_signers applies, not the environment of the user.
    command.arg(unpacked.join("install.sh")).env_remove("CLUSTERCTL_SIGNER");
    if installing.host_was_given {
        command.arg("--force-host");
    }
    match root == Path::new("/") {
        true => command.env_remove("DESTDIR"),
        false => command.env("DESTDIR", root),
    };
    run(&mut command, "install.sh")?;
    Ok(files::remove_all(&folder, &[host.as_str().into()])?)
}

fn fetch(
    installing: &Installing<'_>,
    endpoint: &Enrolment,
    waiting: &Waiting,
    observer: &mut dyn Observer,
) -> Result<Bundle, Error> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut has_reported = false;
    loop {
        let (reason, after) = match endpoint.bundle(installing.host) {
            Ok(bytes) => {
                let damaged = |source| JoinError::Bundle { endpoint: endpoint.endpoint.clone(), source };
                let bytes = decrypted(bytes, installing.ssh_host_key)?;
                let bundle = archive::read(&bytes).map_err(damaged)?;
                check(&bundle, installing)?;
                if has_certificate_of(&bundle, installing.client_key) {
                    return Ok(bundle);
                }
                ("it has no certificate for the key of this host yet".to_owned(), None)
            }
            Err(NoAnswer::Final(error)) => return Err(error.into()),
            Err(NoAnswer::Later { reason, after, .. }) => (reason, after),
        };
        if !has_reported {
            has_reported = true;
            observer.notice(JoinNotice::WaitingForBundle { reason: reason.clone() }.into());
        }
        if !waiting.sleep(backoff.interval(after)) {
            let endpoint = endpoint.endpoint.clone();
            let missing = JoinError::NoBundle { endpoint, reason };
            return Err(if waiting.is_cancelled() { JoinError::Stopped } else { missing }.into());
        }
    }
}

/// Decrypts an archive with the host's SSH key. One that is not encrypted is returned as it is.
fn decrypted(bytes: Vec<u8>, key: Option<&SshKey>) -> Result<Zeroizing<Vec<u8>>, JoinError> {
    if !encryption::is_encrypted(&bytes) {
        return Ok(Zeroizing::new(bytes));
    }
    let failed = |reason: String| JoinError::Encrypted(reason);
    let key = key.ok_or_else(|| failed("no SSH host key was named".to_owned()))?;
    let identity = Identity::from_ssh(key).map_err(|error| failed(error.to_string()))?;
    encryption::decrypt(&bytes, &identity).map_err(|error| failed(error.to_string()))
}

/// Checks that a bundle is for this host and cluster, and has no private key for the kubelet: the host has made its own.
fn check(bundle: &Bundle, installing: &Installing<'_>) -> Result<(), JoinError> {
    let manifest = &bundle.manifest;
    let is_trusted = |pin: Fingerprint| installing.record.roots.iter().any(|root| root.spki_fingerprint() == pin);
    let brings_key =
        bundle.files.iter().any(|file| file.path.starts_with("var/lib/kubelet/") && file.path.ends_with(".key"));
    if manifest.host != *installing.host || !manifest.pins().all(is_trusted) || brings_key {
        return Err(JoinError::OtherBundle { host: manifest.host.clone(), pin: manifest.root_pin });
    }
    Ok(())
}

fn has_certificate_of(bundle: &Bundle, key: Fingerprint) -> bool {
    let file = certificates::certificate_path(Profile::KubeletClient).and_then(|path| bundle.file(&path));
    let der = file.and_then(|file| pem::certificates(&file.bytes).ok()?.into_iter().next());
    der.and_then(|der| Certificate::from_der(der).ok()).is_some_and(|leaf| leaf.spki_fingerprint() == key)
}

/// Starts the kubelet if systemd runs and `root` is `/`. Returns true if it was started.
///
/// # Errors
/// Returns an error if `systemctl` fails.
pub(super) fn start_kubelet(root: &Path) -> Result<bool, JoinError> {
    if root != Path::new("/") || !files::is_folder(Path::new(SYSTEMD)) {
        return Ok(false);
    }
    for args in [&["daemon-reload"][..], &["enable", "kubelet"], &["restart", "kubelet"]] {
        run(Command::new("systemctl").args(args), "systemctl")?;
    }
    Ok(true)
}

/// Runs a program without input, and waits for it.
pub(super) fn run(command: &mut Command, program: &'static str) -> Result<(), JoinError> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| JoinError::Program { program, reason: error.to_string() })?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let end = &text[text.len().saturating_sub(SHOWN)..];
    let shown: Vec<String> = String::from_utf8_lossy(end).lines().map(sanitized).collect();
    match program {
        "install.sh" => {
            Err(JoinError::Installer { status: output.status.code().unwrap_or(-1), output: shown.join("; ") })
        }
        _ => Err(JoinError::Program { program, reason: shown.join("; ") }),
    }
}
