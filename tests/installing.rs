//! `install.sh` after a kill or a power failure, and its refusals: another root, a folder that is not an image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use clusterctl::bundle::model::Bundle;

use crate::installer::{Ran, Scratch};
use crate::support::outside::needs;
use crate::support::outside::{stdout, tree};
use crate::support::site::{Site, text};
use crate::support::{good_tool, without_temporary_folders};

/// Programs that change files on the disk.
const STEPS: [&str; 9] = ["mv", "rm", "ln", "cp", "mkdir", "rmdir", "sync", "cat", "chmod"];
/// The state of an unfinished installation.
const STATE: &str = "etc/kubernetes/clusterctl/unfinished";
const UNIT: &str = "etc/systemd/system/clusterctl-unfinished.service";
const WANTED: &str = "etc/systemd/system/multi-user.target.wants/clusterctl-unfinished.service";

type Tree = BTreeMap<String, (u32, Vec<u8>)>;

/// An installation over an earlier one, step by step.
struct Steps {
    scratch: Scratch,
    unpacked: PathBuf,
    before: PathBuf,
    bin: PathBuf,
}

impl Steps {
    /// `hook` is run before each step, with its name and arguments as `$0` and `$@`.
    fn new(before: Option<&Bundle>, bundle: &Bundle, hook: &str) -> Self {
        let scratch = Scratch::new();
        if let Some(before) = before {
            scratch.install(&scratch.unpack(before), &[]).succeeded();
            // As an earlier version installed it.
            let drop_ins = scratch.root.join("etc/systemd/system/kubelet.service.d");
            fs::write(drop_ins.join("10-clusterctl.conf"), "# Written by clusterctl.\n").expect("written");
        }
        let before = scratch.folder.path().join("before");
        copy(&scratch.root, &before);
        let bin = scratch.folder.path().join("steps");
        fs::create_dir(&bin).expect("made");
        for step in STEPS {
            let script = format!(
                "#!/bin/sh\nread -r n <\"$COUNT\"; n=$((n + 1)); echo $n >\"$COUNT\"\n\
                 [ $n != \"$AT\" ] || kill -9 0\n{hook}\nexec /bin/{step} \"$@\"\n"
            );
            fs::write(bin.join(step), script).expect("written");
            fs::set_permissions(bin.join(step), fs::Permissions::from_mode(0o755)).expect("set");
        }
        let unpacked = scratch.unpack(bundle);
        Self { scratch, unpacked, before, bin }
    }

    /// Installs into a copy of the earlier installation. The whole process group is killed before step `at`. Returns
    /// the number of steps.
    fn killed(&self, root: &Path, at: usize) -> usize {
        copy(&self.before, root);
        let count = root.with_extension("count");
        fs::write(&count, "0\n").expect("written");
        let path = std::env::var("PATH").expect("a PATH");
        let ran = Command::new("dash")
            .arg(self.unpacked.join("install.sh"))
            .env("DESTDIR", root)
            .env("PATH", format!("{}:{path}", self.bin.display()))
            .env("COUNT", &count)
            .env("AT", at.to_string())
            .process_group(0)
            .output()
            .expect("dash");
        let steps = fs::read_to_string(&count).expect("a count").trim().parse().expect("a number");
        assert!(at == 0 || ran.status.code().is_none(), "{at} of {steps}: {ran:?}");
        steps
    }

    /// Kills one run before every step. After a second run or a boot, the host is either in the earlier or in the later
    /// state.
    #[track_caller]
    fn hold(&self, every: usize) {
        let folder = self.scratch.folder.path();
        let steps = self.killed(&folder.join("whole"), 0);
        let old = tree(&self.before);
        self.scratch.install(&self.unpacked, &[]).succeeded();
        let new = self.scratch.tree();
        assert!(steps > 30, "{steps}");
        let next = AtomicUsize::new(1);
        let one = |worker: usize| {
            let root = folder.join(format!("root{worker}"));
            while let at = next.fetch_add(every, Ordering::Relaxed)
                && at <= steps
            {
                self.killed(&root, at);
                let cut = folder.join(format!("cut{worker}"));
                copy(&root, &cut);
                let undecided = !root.join(STATE).join("journal").exists();
                boot(&root);
                let booted = tree(&root);
                let held =
                    booted == old || booted == new || (undecided && differ_in_the_state_alone(&booted, &old, &new));
                assert!(held, "booted after step {at}: {:#?}", names(&booted, &old, &new));
                let again = Ran::of(
                    Command::new("dash").arg(self.unpacked.join("install.sh")).env("DESTDIR", &cut).current_dir("/"),
                );
                assert_eq!(again.status, Some(0), "{at}: {again:#?}");
                let rerun = tree(&cut);
                assert!(rerun == new, "run again after step {at}: {:#?}", names(&rerun, &old, &new));
            }
        };
        std::thread::scope(|scope| {
            for worker in 0..3 {
                scope.spawn(move || one(worker));
            }
        });
    }
}

fn copy(from: &Path, to: &Path) {
    good_tool("rm", &["-rf", &to.display().to_string()]);
    good_tool("cp", &["-a", &from.display().to_string(), &to.display().to_string()]);
}

/// Runs the unit as at the next boot, if it was enabled.
fn boot(root: &Path) {
    let script = root.join(STATE).join("finish.sh");
    if root.join(WANTED).exists() && script.exists() {
        let ran = Ran::of(Command::new("sh").arg(script).arg("--finish").env("DESTDIR", root));
        assert_eq!(ran.status, Some(0), "{ran:#?}");
    }
}

/// Asserts that only the installer's own state differs. A run changes nothing before its journal exists or after the
/// journal is removed. If it is killed then, it may leave empty folders and its own state, which contains no key.
fn differ_in_the_state_alone(now: &Tree, old: &Tree, new: &Tree) -> bool {
    let unit = "etc/systemd/system/.clusterctl-unfinished.service.clusterctl-new";
    let own = |path: &str| path.starts_with(STATE) || [UNIT, WANTED, unit].contains(&path);
    let files = |tree: &Tree| -> Tree {
        let files = tree.iter().filter(|(path, (_, bytes))| !own(path) && !bytes.is_empty());
        files.map(|(path, file)| (path.clone(), file.clone())).collect()
    };
    files(now) == files(old) || files(now) == files(new)
}

/// Returns the files that differ from both trees, for a message.
fn names(now: &Tree, old: &Tree, new: &Tree) -> Vec<String> {
    let paths: BTreeSet<&String> = now.keys().chain(old.keys()).chain(new.keys()).collect();
    let mark = |path: &&String| {
        let (now, old, new) = (now.get(*path), old.get(*path), new.get(*path));
        (now != old || now != new).then(|| format!("{path}: as before {}, as after {}", now == old, now == new))
    };
    paths.iter().filter_map(mark).collect()
}

#[test]
fn an_upgrade_killed_at_any_step_is_all_or_nothing() {
    needs!("dash");
    let site = Site::new();
    Steps::new(Some(&site.bundle("on", 1)), &site.bundle("on", 2), "").hold(1);
}

#[test]
fn a_first_installation_killed_at_any_step_is_all_or_nothing() {
    needs!("dash");
    Steps::new(None, &Site::new().bundle("on", 1), "").hold(3);
}

#[test]
fn a_rollback_killed_at_any_step_is_all_or_nothing() {
    needs!("dash");
    let site = Site::new();
    let fails = r#"case "$0 $3 $4" in */mv*clusterctl-new*kubelet-server.crt) exit 1 ;; esac"#;
    let steps = Steps::new(Some(&site.bundle("on", 1)), &site.bundle("on", 2), fails);
    let root = steps.scratch.folder.path().join("put back");
    steps.killed(&root, 0);
    assert!(tree(&root) == tree(&steps.before));
    steps.hold(3);
}

#[test]
fn files_are_synced_before_renames_and_the_journal_is_removed_last() {
    needs!("dash");
    let site = Site::new();
    let scratch = Scratch::new();
    scratch.install(&scratch.unpack(&site.bundle("on", 1)), &[]).succeeded();
    let unpacked = scratch.unpack(&site.bundle("on", 2));
    let bin = scratch.folder.path().join("log");
    fs::create_dir(&bin).expect("made");
    let log = scratch.folder.path().join("steps");
    for step in ["mv", "sync", "rm"] {
        let script = format!(
            "#!/bin/sh\nfor a in \"$@\"; do echo \"{step}:$a\" >>'{}'; done\nexec /bin/{step} \"$@\"\n",
            log.display()
        );
        fs::write(bin.join(step), script).expect("written");
        fs::set_permissions(bin.join(step), fs::Permissions::from_mode(0o755)).expect("set");
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a PATH"));
    Ran::of(scratch.installer(&unpacked, &[]).env("PATH", path)).succeeded();
    let log = fs::read_to_string(log).expect("a log");
    let lines: Vec<&str> = log.lines().collect();
    let at = |line: &str| lines.iter().position(|one| *one == line).unwrap_or_else(|| panic!("{line} is in\n{log}"));
    let root = scratch.root.display();
    let pki = format!("{root}/var/lib/kubelet/pki");
    // It is renamed to this name first, and from this name when all is prepared.
    let forward = format!("mv:{root}/{STATE}/forward");
    let decided = lines.iter().rposition(|line| *line == forward).expect("a rename");
    let forgotten = at(&format!("rm:{root}/{STATE}/journal"));
    for file in ["kubelet-client.crt", "kubelet-client.key", "kubelet-server.crt", "kubelet-server.key"] {
        assert!(at(&format!("sync:{pki}/.{file}.clusterctl-new")) < decided, "{log}");
        assert!(at(&format!("mv:{pki}/{file}")) > decided, "{log}");
    }
    let last = lines.iter().rposition(|line| line.starts_with("mv:")).expect("a rename");
    let synced = |line: &str, from: usize, to: usize| lines[from..to].contains(&line);
    assert!(synced(&format!("sync:{pki}"), 0, decided) && synced(&format!("sync:{pki}"), last, forgotten), "{log}");
    assert!(synced(&format!("sync:{root}/{STATE}"), decided, last), "{log}");
}

#[test]
fn the_unit_that_finishes_an_installation_is_valid_and_ordered() {
    needs!("dash", "systemd-analyze");
    let site = Site::new();
    let steps = Steps::new(Some(&site.bundle("on", 1)), &site.bundle("on", 2), "");
    let root = steps.scratch.folder.path().join("interrupted");
    // In the middle, where the unit is there.
    steps.killed(&root, steps.killed(&steps.scratch.folder.path().join("whole"), 0) / 2);
    assert_eq!(fs::read_link(root.join(WANTED)).expect("a link"), Path::new("../clusterctl-unfinished.service"));
    let unit = root.join(UNIT);
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(&unit)
        .output()
        .expect("systemd-analyze");
    let complaints = String::from_utf8_lossy(&verified.stderr);
    assert!(!complaints.contains("clusterctl-unfinished"), "{complaints}");
    let unit = fs::read_to_string(unit).expect("a unit");
    let before = unit.lines().find_map(|line| line.strip_prefix("Before=")).expect("an order");
    for program in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"] {
        assert!(before.split(' ').any(|unit| unit == format!("{program}.service")), "{before}");
    }
}

#[test]
fn finish_without_interruption_and_dry_run_change_nothing() {
    needs!("dash");
    let site = Site::new();
    let steps = Steps::new(Some(&site.bundle("on", 1)), &site.bundle("on", 2), "");
    let finish = |root: &Path| {
        Ran::of(Command::new("dash").arg(steps.unpacked.join("install.sh")).arg("--finish").env("DESTDIR", root))
    };
    let before = tree(&steps.before);
    let ran = finish(&steps.before);
    ran.succeeded();
    insta::assert_snapshot!("finish_without_an_interrupted_installation", without_temporary_folders(&ran.stdout));
    assert!(tree(&steps.before) == before, "{ran:#?}");
    let root = steps.scratch.folder.path().join("interrupted");
    steps.killed(&root, steps.killed(&steps.scratch.folder.path().join("whole"), 0) / 2);
    let interrupted = tree(&root);
    let planned =
        Ran::of(Command::new("dash").arg(steps.unpacked.join("install.sh")).arg("--dry-run").env("DESTDIR", &root));
    planned.succeeded();
    insta::assert_snapshot!("dry_run_with_an_interrupted_installation", without_temporary_folders(&planned.stdout));
    assert!(tree(&root) == interrupted, "{planned:#?}");
    finish(&root).succeeded();
    assert!(!root.join(STATE).exists() && !root.join(UNIT).exists());
}

#[test]
fn busybox_installs_and_finishes() {
    needs!("busybox");
    let site = Site::new();
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&site.bundle("on", 1));
    let bin = scratch.folder.path().join("busybox");
    fs::create_dir(&bin).expect("made");
    let busybox = stdout(Command::new("sh").args(["-c", "command -v busybox"]));
    for applet in good_tool("busybox", &["--list"]).lines() {
        symlink(busybox.trim(), bin.join(applet)).expect("linked");
    }
    let run = |arguments: &[&str]| {
        Ran::of(
            Command::new(bin.join("sh"))
                .arg(unpacked.join("install.sh"))
                .args(arguments)
                .env("PATH", &bin)
                .env("DESTDIR", &scratch.root),
        )
    };
    run(&[]).succeeded();
    let installed = scratch.tree();
    assert!(installed.contains_key("var/lib/kubelet/pki/kubelet-client.key") && !installed.contains_key(STATE));
    assert_eq!(run(&[]).files(), [""; 0]);
    run(&["--finish"]).succeeded();
    assert!(scratch.tree() == installed);
}

// ── files that are replaced only on request ──

#[test]
fn another_ca_of_the_same_name_is_refused_with_both_pins() {
    needs!("dash");
    let (site, other, scratch) = (Site::new(), Site::new(), Scratch::new());
    scratch.install(&scratch.unpack(&site.bundle("on", 1)), &[]).succeeded();
    let before = scratch.tree();
    let unpacked = scratch.unpack(&other.bundle("on", 2));
    let pin = |site: &Site| site.root.certificate.spki_fingerprint().as_pin();
    for arguments in [&[][..], &["--dry-run"], &["--force"], &["--force-host"]] {
        let refused = scratch.install(&unpacked, arguments);
        refused.refused_naming(&pin(&site));
        refused.refused_naming(&pin(&other));
        assert!(refused.stderr.contains("--replace") && scratch.tree() == before, "{refused:#?}");
    }
    scratch.install(&unpacked, &["--replace"]).succeeded();
    assert!(scratch.tree() != before);
}

#[test]
fn an_unknown_installed_ca_is_refused_with_its_pin() {
    needs!("dash");
    let (site, other, scratch) = (Site::new(), Site::new(), Scratch::new());
    let pki = scratch.root.join("etc/kubernetes/pki");
    fs::create_dir_all(&pki).expect("made");
    fs::write(pki.join("ca.crt"), other.root.certificate.to_pem()).expect("written");
    let before = scratch.tree();
    let unpacked = scratch.unpack(&site.bundle("on", 1));
    let refused = scratch.install(&unpacked, &[]);
    refused.refused_naming(&other.root.certificate.spki_fingerprint().as_pin());
    assert!(scratch.tree() == before);
    scratch.install(&unpacked, &["--replace"]).succeeded();

    // The same CA, installed by another tool.
    let scratch = Scratch::new();
    let pki = scratch.root.join("etc/kubernetes/pki");
    fs::create_dir_all(&pki).expect("made");
    fs::write(pki.join("ca.crt"), site.root.certificate.to_pem()).expect("written");
    scratch.install(&scratch.unpack(&site.bundle("on", 1)), &[]).succeeded();
}

#[test]
fn destdir_must_be_an_existing_root_folder() {
    needs!("dash");
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    let into = |path: &Path| Ran::of(scratch.installer(&unpacked, &[]).env("DESTDIR", path));
    let typo = scratch.folder.path().join("scratch rot");
    into(&typo).refused("a_folder_that_does_not_exist_as_image");
    assert!(!typo.exists());
    let file = scratch.folder.path().join("file");
    fs::write(&file, "").expect("written");
    into(&file).refused("a_file_as_image");
    // A folder with something else in it, hidden or not.
    for name in ["report.txt", ".git"] {
        let folder = scratch.folder.path().join(format!("with {name}"));
        fs::create_dir(&folder).expect("made");
        fs::write(folder.join(name), "").expect("written");
        into(&folder).refused_naming(&folder.display().to_string());
        assert_eq!(tree(&folder).len(), 1, "{name}");
    }
    for good in ["etc", "usr", "lost+found"] {
        let folder = scratch.folder.path().join(format!("image with {good}"));
        fs::create_dir_all(folder.join(good)).expect("made");
        into(&folder).succeeded();
    }
}

#[test]
fn an_expired_bundle_is_refused_without_force() {
    needs!("dash");
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    let bin = scratch.folder.path().join("later");
    fs::create_dir(&bin).expect("made");
    fs::write(bin.join("date"), "#!/bin/sh\necho 2031-01-01T00:00:00Z\n").expect("written");
    fs::set_permissions(bin.join("date"), fs::Permissions::from_mode(0o755)).expect("set");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a PATH"));
    let later = |arguments: &[&str]| Ran::of(scratch.installer(&unpacked, arguments).env("PATH", &path));
    for arguments in [&[][..], &["--dry-run"], &["--replace"], &["--force-host"]] {
        later(arguments).refused("an_expired_bundle");
        assert!(scratch.tree().is_empty());
    }
    let forced = later(&["--force"]);
    assert_eq!((forced.status, forced.stderr.matches("warning: ").count()), (Some(0), 1), "{forced:#?}");
    assert!(forced.stderr.contains("2027-11-23T12:00:00Z"), "{forced:#?}");
}

#[test]
fn installing_into_an_image_suggests_no_restart() {
    needs!("dash");
    let (site, scratch) = (Site::new(), Scratch::new());
    for host in ["m1", "both", "on"] {
        let ran = scratch.install(&scratch.unpack(&site.bundle(host, 1)), &["--replace"]);
        ran.succeeded();
        let enable = format!("systemctl --root={} enable", scratch.root.display());
        assert!(ran.stdout.contains(&enable) && !ran.stdout.contains("restart"), "{ran:#?}");
        assert!(!ran.stdout.contains("daemon-reload"), "{ran:#?}");
    }
}

// ── drop-ins ──

#[test]
fn drop_ins_of_an_earlier_bundle_are_removed() {
    needs!("dash");
    let (site, scratch) = (Site::new(), Scratch::new());
    let folder = |program: &str| scratch.root.join(format!("etc/systemd/system/{program}.service.d"));
    let programs = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"];
    for program in programs {
        fs::create_dir_all(folder(program)).expect("made");
        let text = if program == "etcd" { "# somebody's own\n" } else { "# As it was. Written by clusterctl.\n" };
        fs::write(folder(program).join("10-clusterctl.conf"), text).expect("written");
    }
    let unpacked = scratch.unpack(&site.bundle("both", 1));
    let planned = scratch.install(&unpacked, &["--dry-run"]);
    assert_eq!(planned.stdout.matches("  remove  ").count(), 4, "{planned:#?}");
    scratch.install(&unpacked, &[]).succeeded();
    for program in programs {
        assert!(folder(program).join("99-clusterctl.conf").exists(), "{program}");
        assert_eq!(folder(program).join("10-clusterctl.conf").exists(), program == "etcd", "{program}");
    }
}

/// The last `ExecStart=` that systemd reads of the kubelet's unit below `root`, and the names of its files.
fn kubelets_unit(root: &Path) -> (String, Vec<String>) {
    let root = format!("--root={}", root.display());
    let unit = good_tool("systemd-analyze", &[&root, "cat-config", "systemd/system/kubelet.service"]);
    let files = unit
        .lines()
        .filter(|line| line.starts_with("# /"))
        .map(|line| line.rsplit('/').next().unwrap_or_default().to_owned());
    let start = unit.rfind("\nExecStart=").expect("a command");
    (unit[start..].to_owned(), files.collect())
}

#[test]
fn the_bundles_drop_in_overrides_kubeadms() {
    needs!("dash", "systemd-analyze");
    let scratch = Scratch::new();
    let bundle = Site::new().bundle("on", 1);
    let packaged = scratch.root.join("usr/lib/systemd/system");
    fs::create_dir_all(packaged.join("kubelet.service.d")).expect("made");
    fs::write(packaged.join("kubelet.service"), "[Service]\nExecStart=/usr/bin/kubelet\n").expect("written");
    let kubeadms = "[Service]\nExecStart=\nExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS\n";
    fs::write(packaged.join("kubelet.service.d/10-kubeadm.conf"), kubeadms).expect("written");
    scratch.install(&scratch.unpack(&bundle), &[]).succeeded();
    let (starts, files) = kubelets_unit(&scratch.root);
    assert_eq!(files, ["kubelet.service", "10-kubeadm.conf", "99-clusterctl.conf"]);
    assert!(starts.contains("--hostname-override=on") && starts.contains("--node-ip="), "{starts}");
    assert!(text(&bundle, "etc/systemd/system/kubelet.service.d/99-clusterctl.conf").contains("$EXTRA_ARGS"));
}

#[test]
fn an_etcd_drop_in_that_would_be_reset_is_reported() {
    needs!("dash");
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("m1", 1));
    let drop_ins = scratch.root.join("etc/systemd/system/etcd.service.d");
    fs::create_dir_all(&drop_ins).expect("made");
    fs::write(drop_ins.join("20-extra.conf"), "[Service]\nEnvironment=EXTRA_ARGS=--quota-backend-bytes=1\n")
        .expect("written");
    let ran = scratch.install(&unpacked, &[]);
    assert!(ran.status == Some(0) && ran.stderr.contains("20-extra.conf"), "{ran:#?}");
    fs::rename(drop_ins.join("20-extra.conf"), drop_ins.join("99-extra.conf")).expect("renamed");
    scratch.install(&unpacked, &[]).succeeded();
}
