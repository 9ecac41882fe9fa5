//! The systemd timer that renews a host's certificates.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::JoinError;
use super::install::run;
use super::state::STATE;
use crate::app::error::Error;
use crate::bundle::model::folder_mode;
use crate::store::files;

/// The path of the service on the host.
pub const SERVICE: &str = "etc/systemd/system/clusterctl-join-renew.service";
/// The path of the timer on the host.
pub const TIMER: &str = "etc/systemd/system/clusterctl-join-renew.timer";
const TIMER_NAME: &str = "clusterctl-join-renew.timer";
const SYSTEMD: &str = "/run/systemd/system";

/// Runs every hour, at a minute that differs between hosts. Certificates that are not due are kept.
const TIMER_TEXT: &str = "\
[Unit]
Description=Renew this host's certificates of its Kubernetes cluster when they are due

[Timer]
OnCalendar=hourly
RandomizedDelaySec=50m
FixedRandomDelay=true
Persistent=true

[Install]
WantedBy=timers.target
";

/// The result of installing the timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerReport {
    /// The files that were written.
    pub written: Vec<PathBuf>,
    /// Whether systemd started the timer.
    pub is_started: bool,
}

/// Writes the service and the timer, and starts the timer if systemd runs and `root` is `/`.
///
/// `program` is the path of clusterctl on the host.
///
/// # Errors
/// Returns an error if the host never joined, a file cannot be written, or `systemctl` fails.
pub fn install_timer(root: &Path, program: &Path) -> Result<TimerReport, Error> {
    if !files::is_folder(root) {
        return Err(JoinError::NoRoot(root.to_owned()).into());
    }
    if !files::is_plain_file(&root.join(STATE)) {
        return Err(JoinError::NoState(root.join(STATE)).into());
    }
    let mut written = Vec::new();
    for (below, text) in [(SERVICE, service(program)), (TIMER, TIMER_TEXT.to_owned())] {
        let path = root.join(below);
        if files::holds(&path, text.as_bytes()) {
            continue;
        }
        files::create_folders_below(root, below, folder_mode)?;
        files::replace(&path, text.as_bytes(), files::PUBLIC)?;
        written.push(path);
    }
    let is_started = root == Path::new("/") && files::is_folder(Path::new(SYSTEMD));
    if is_started {
        for args in [&["daemon-reload"][..], &["enable", "--now", TIMER_NAME]] {
            run(Command::new("systemctl").args(args), "systemctl")?;
        }
    }
    Ok(TimerReport { written, is_started })
}

/// Returns the text of the service. It may only write to the folders of certificates and of the state.
fn service(program: &Path) -> String {
    let program = program.display().to_string().replace('%', "%%");
    let arguments = "join --renew --wait 30m";
    format!(
        "\
[Unit]
Description=Renew this host's certificates of its Kubernetes cluster
ConditionPathExists=/{STATE}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart=\"{program}\" {arguments}
TimeoutStartSec=40m
CapabilityBoundingSet=CAP_DAC_OVERRIDE
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
ReadWritePaths=/var/lib/kubelet/pki /etc/kubernetes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077
"
    )
}
