//! `install.sh` and the programs of its host: which have to be restarted, and the restarts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clusterctl::bundle::input::CredentialPem;
use clusterctl::bundle::model::Bundle;
use clusterctl::bundle::render::Templates;
use clusterctl::pki::key::PrivateKey;

use crate::installer::{Ran, Scratch};
use crate::support::good_tool;
use crate::support::outside::needs;
use crate::support::site::{KEYS, Site, kubelet_config_with};

const PROGRAMS: [&str; 5] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"];
const NOTED: &str = "run/clusterctl-restarts";

pub(crate) const SYSTEMCTL: &str = r#"
unit=''
for word in "$@"; do unit=${word%.service}; done
case "$*" in
"is-active -q "*) [ "$(cat "$UNITS/$unit")" = active ] ;;
"is-active "*) cat "$UNITS/$unit" 2>/dev/null || echo inactive ;;
"show "*) echo "InvocationID=$(cat "$UNITS/$unit.id")" ;;
"--no-block restart "*)
    echo "restart $unit" >>"$UNITS/log"
    [ ! -e "$UNITS/$unit.fails" ] || exit 1
    [ -e "$UNITS/$unit.hangs" ] || echo again >>"$UNITS/$unit.id"
    ;;
*) echo "$*" >>"$UNITS/log" ;;
esac"#;

const CRICTL: &str = r#"
case "$*" in
ps*) for word in "$@"; do case "$word" in ^*) name=${word#^} ;; esac; done
    cat "$UNITS/pod.${name%$}" 2>/dev/null || : ;;
*stop*) for id in "$@"; do :; done
    echo "stop $id" >>"$UNITS/log"
    echo "$id-again" >"$UNITS/pod.${id%-again}" ;;
esac"#;

/// A machine whose folders stand in for those of this one while the installer runs.
pub(crate) struct Machine {
    scratch: Scratch,
    pub(crate) root: PathBuf,
    pub(crate) units: PathBuf,
    bin: PathBuf,
    shell: &'static [&'static str],
}

impl Machine {
    pub(crate) fn new(shell: &'static [&'static str]) -> Self {
        let scratch = Scratch::new();
        let folder = scratch.folder.path();
        let (root, units, bin) = (folder.join("machine"), folder.join("units"), folder.join("bin"));
        for made in [&units, &bin, &root.join("etc"), &root.join("var/lib"), &root.join("run")] {
            fs::create_dir_all(made).expect("made");
        }
        // awk is a link there.
        good_tool("cp", &["-a", "/etc/alternatives", &root.join("etc").display().to_string()]);
        let machine = Self { root, units, bin, shell, scratch };
        machine.program("systemctl", SYSTEMCTL);
        machine.program("crictl", CRICTL);
        machine.program("pidof", "[ -e \"$UNITS/process.$1\" ] && echo 42");
        machine.program("sleep", ":");
        // The machines of several tests share the folder that it locks.
        machine.program("flock", ":");
        machine
    }

    pub(crate) fn program(&self, name: &str, script: &str) {
        let file = self.bin.join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("set");
    }

    pub(crate) fn set(&self, file: &str, content: &str) {
        fs::write(self.units.join(file), content).expect("written");
    }

    /// All programs run as units of systemd.
    pub(crate) fn with_units(self) -> Self {
        for program in PROGRAMS {
            self.set(program, "active\n");
            self.set(&format!("{program}.id"), "first\n");
        }
        self
    }

    /// Returns a command that runs what its arguments say on the machine.
    pub(crate) fn command(&self) -> Command {
        let binds = "mount --bind \"$ROOT/etc\" /etc && mount --bind \"$ROOT/var\" /var && \
                     mount --bind \"$ROOT/run\" /run && exec \"$@\"";
        let path = std::env::var("PATH").expect("a PATH");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", binds, "sh"]).env("ROOT", &self.root).env("UNITS", &self.units);
        command.env("PATH", format!("{}:{path}", self.bin.display())).env_remove("DESTDIR").current_dir("/");
        command
    }

    fn install(&self, bundle: &Bundle, arguments: &[&str]) -> Ran {
        let unpacked = self.scratch.unpack(bundle);
        let mut command = self.command();
        command.args(self.shell).arg(unpacked.join("install.sh")).arg("--force-host").args(arguments);
        Ran::of(&mut command)
    }

    /// Returns what systemctl and crictl were told since the last call, without `daemon-reload`.
    pub(crate) fn told(&self) -> Vec<String> {
        let log = self.units.join("log");
        let text = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(log);
        text.lines().filter(|line| *line != "daemon-reload").map(ToOwned::to_owned).collect()
    }

    /// Returns the programs that the next run names.
    fn noted(&self) -> Vec<String> {
        let text = fs::read_to_string(self.root.join(NOTED)).unwrap_or_default();
        text.lines().filter_map(|line| line.rsplit(' ').next()).map(ToOwned::to_owned).collect()
    }
}

/// Bundles of a host in both roles.
struct Bundles {
    site: Site,
    credentials: Vec<CredentialPem>,
}

impl Bundles {
    fn new() -> Self {
        let site = Site::new();
        let credentials = site.credentials("both");
        Self { site, credentials }
    }

    fn bundle(&self, templates: &Templates, generation: u64) -> Bundle {
        self.site.try_bundle(templates, "both", &self.credentials, generation).expect("a bundle")
    }

    fn plain(&self, generation: u64) -> Bundle {
        self.bundle(&Templates::compiled_in().expect("templates"), generation)
    }

    /// The same with another key for service accounts, which two programs read.
    fn other_key(&mut self, generation: u64) -> Bundle {
        let key = PrivateKey::generate(KEYS).expect("a key").to_pem().as_bytes().to_vec();
        self.site.service_account = key.into();
        self.plain(generation)
    }
}

fn restarts(programs: &[&str]) -> Vec<String> {
    programs.iter().map(|program| format!("restart {program}")).collect()
}

/// Returns the programs for which the output has a command that restarts it.
fn named(ran: &Ran) -> Vec<&str> {
    ran.stdout
        .lines()
        .filter_map(|line| line.split_once("daemon-reload && systemctl restart "))
        .map(|(_, program)| program)
        .collect()
}

const SHELLS: [&[&str]; 2] = [&["dash"], &["busybox", "sh"]];

#[test]
fn only_programs_that_read_a_replaced_file_are_restarted() {
    needs!("root", "unshare", "dash", "busybox");
    for shell in SHELLS {
        let (machine, mut bundles) = (Machine::new(shell).with_units(), Bundles::new());
        let first = bundles.plain(1);
        let dry = machine.install(&first, &["--dry-run", "--restart"]);
        assert_eq!((dry.status, named(&dry)), (Some(0), PROGRAMS.to_vec()), "{dry:#?}");
        assert!(machine.told().is_empty() && !machine.root.join("etc/kubernetes").exists());
        // They are named until they are restarted.
        for _ in 0..2 {
            let ran = machine.install(&first, &[]);
            assert_eq!((ran.status, named(&ran)), (Some(0), PROGRAMS.to_vec()), "{ran:#?}");
            assert!(machine.told().is_empty());
            assert_eq!(machine.noted(), PROGRAMS);
        }
        let ran = machine.install(&first, &["--restart"]);
        assert_eq!((ran.status, machine.told()), (Some(0), restarts(&PROGRAMS)), "{ran:#?}");
        let ran = machine.install(&first, &["--restart"]);
        assert_eq!((ran.status, machine.told(), machine.noted()), (Some(0), Vec::new(), Vec::new()), "{ran:#?}");
        let second = bundles.other_key(2);
        let ran = machine.install(&second, &["--restart"]);
        let two = restarts(&["kube-apiserver", "kube-controller-manager"]);
        assert_eq!((ran.status, machine.told()), (Some(0), two), "{ran:#?}");
        // A unit that is stopped needs no restart.
        machine.set("kubelet", "inactive\n");
        let third = bundles.bundle(&kubelet_config_with("maxPods: 42\n"), 3);
        let ran = machine.install(&third, &["--restart"]);
        assert_eq!((ran.status, machine.told(), machine.noted()), (Some(0), Vec::new(), Vec::new()), "{ran:#?}");
    }
}

#[test]
fn a_failed_restart_stops_the_others_and_is_continued() {
    needs!("root", "unshare", "dash", "busybox");
    for (shell, how) in SHELLS.into_iter().zip(["fails", "hangs"]) {
        let (machine, bundles) = (Machine::new(shell).with_units(), Bundles::new());
        machine.set(&format!("kube-scheduler.{how}"), "");
        let ran = machine.install(&bundles.plain(1), &["--restart"]);
        assert_eq!((ran.status, machine.told()), (Some(3), restarts(&PROGRAMS[..4])), "{ran:#?}");
        assert_eq!(named(&ran), PROGRAMS[3..]);
        assert_eq!(machine.noted(), PROGRAMS[3..]);
        fs::remove_file(machine.units.join(format!("kube-scheduler.{how}"))).expect("removed");
        let ran = machine.install(&bundles.plain(1), &["--restart"]);
        assert_eq!((ran.status, machine.told()), (Some(0), restarts(&PROGRAMS[3..])), "{ran:#?}");
        assert!(machine.noted().is_empty());
    }
}

#[test]
fn a_restart_by_hand_or_a_boot_is_noticed() {
    needs!("root", "unshare", "dash");
    let (machine, bundles) = (Machine::new(&["dash"]).with_units(), Bundles::new());
    machine.install(&bundles.plain(1), &[]);
    machine.set("etcd.id", "by hand\n");
    let ran = machine.install(&bundles.plain(1), &[]);
    assert_eq!(named(&ran), PROGRAMS[1..], "{ran:#?}");
    for program in PROGRAMS {
        machine.set(&format!("{program}.id"), "of the boot\n");
    }
    let ran = machine.install(&bundles.plain(1), &["--restart"]);
    assert_eq!((named(&ran), machine.told()), (Vec::new(), Vec::new()), "{ran:#?}");
}

#[test]
fn programs_that_systemd_does_not_run_are_named() {
    needs!("root", "unshare", "dash", "busybox");
    for shell in SHELLS {
        let (machine, mut bundles) = (Machine::new(shell), Bundles::new());
        // As systemctl answers where systemd does not run.
        machine.program("systemctl", "echo 'System has not been booted with systemd' >&2; exit 1");
        let ran = machine.install(&bundles.plain(1), &["--restart"]);
        assert_eq!((ran.status, named(&ran)), (Some(0), vec!["kubelet"]), "nothing runs yet: {ran:#?}");
        machine.set("process.kube-apiserver", "");
        let ran = machine.install(&bundles.other_key(2), &["--restart"]);
        assert_eq!((ran.status, machine.noted()), (Some(3), vec!["kube-apiserver".to_owned()]), "{ran:#?}");
        assert!(ran.stdout.contains("  kube-apiserver"), "{ran:#?}");
        let ran = machine.install(&bundles.other_key(3), &[]);
        assert_eq!((ran.status, machine.noted()), (Some(0), vec!["kube-apiserver".to_owned()]), "{ran:#?}");
    }
}

#[test]
fn static_pods_are_restarted_by_their_kubelet() {
    needs!("root", "unshare", "dash", "busybox");
    for shell in SHELLS {
        let (machine, mut bundles) = (Machine::new(shell), Bundles::new());
        for program in &PROGRAMS[..4] {
            machine.set(&format!("pod.{program}"), &format!("{program}\n"));
        }
        machine.set("kubelet", "active\n");
        machine.set("kubelet.id", "first\n");
        // New manifests: the kubelet starts the pods.
        let ran = machine.install(&bundles.plain(1), &["--restart"]);
        assert_eq!((ran.status, machine.told()), (Some(0), restarts(&["kubelet"])), "{ran:#?}");
        // The same manifests and another file.
        let second = bundles.other_key(2);
        let ran = machine.install(&second, &[]);
        let pods = ["kube-apiserver", "kube-controller-manager"];
        assert_eq!((ran.status, machine.noted()), (Some(0), pods.map(str::to_owned).to_vec()), "{ran:#?}");
        assert_eq!(ran.stdout.matches("crictl stop").count(), 2, "{ran:#?}");
        let ran = machine.install(&second, &["--restart"]);
        let stopped: Vec<String> = pods.map(|pod| format!("stop {pod}")).to_vec();
        assert_eq!((ran.status, machine.told(), machine.noted()), (Some(0), stopped, Vec::new()), "{ran:#?}");
    }
}

#[test]
fn an_installation_that_was_undone_asks_for_no_restart() {
    needs!("root", "unshare", "dash");
    let (machine, bundles) = (Machine::new(&["dash"]).with_units(), Bundles::new());
    let fails = "case \"$3 $4\" in *clusterctl-new*kubelet-server.crt) exit 1 ;; esac; exec /bin/mv \"$@\"";
    machine.program("mv", fails);
    let ran = machine.install(&bundles.plain(1), &["--restart"]);
    assert_eq!((ran.status, machine.told()), (Some(1), Vec::new()), "{ran:#?}");
    assert!(!machine.root.join("etc/kubernetes").exists(), "{ran:#?}");
}

#[test]
fn an_image_restarts_nothing() {
    needs!("dash");
    let (scratch, bundles) = (Scratch::new(), Bundles::new());
    let unpacked = scratch.unpack(&bundles.plain(1));
    let log = scratch.folder.path().join("log");
    let ran = scratch.install_with(&unpacked, "systemctl", &format!("echo \"$*\" >>'{}'", log.display()));
    assert_eq!((ran.status, Path::new(&log).exists()), (Some(0), false), "{ran:#?}");
    assert!(!scratch.root.join(NOTED).exists());
}
