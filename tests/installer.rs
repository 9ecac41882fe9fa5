//! `install.sh` on scratch roots: atomic, on the right host, never an older bundle, under several shells.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clusterctl::bundle::model::Bundle;
use clusterctl::bundle::packer;

use crate::support::outside::needs;
use crate::support::outside::{stdout, tree};
use crate::support::site::{Site, kubelet_config_with, text};
use crate::support::without_temporary_folders;

/// A bundle unpacked by tar, and a scratch root to install into.
pub(crate) struct Scratch {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) root: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("scratch root");
        fs::create_dir(&root).expect("made");
        Self { folder, root }
    }

    /// Unpacks over an earlier bundle, and returns the folder of install.sh.
    pub(crate) fn unpack(&self, bundle: &Bundle) -> PathBuf {
        let at = self.folder.path().join("unpacked");
        if at.exists() {
            fs::remove_dir_all(&at).expect("removed");
        }
        fs::create_dir(&at).expect("made");
        let packed = self.folder.path().join("bundle.tar.gz");
        fs::write(&packed, packer::pack(bundle)).expect("written");
        stdout(Command::new("tar").arg("-xzf").arg(&packed).arg("-C").arg(&at));
        at.join(bundle.manifest.host.as_str())
    }

    pub(crate) fn installer(&self, unpacked: &Path, arguments: &[&str]) -> Command {
        let mut sh = Command::new("dash");
        sh.arg(unpacked.join("install.sh")).args(arguments).env("DESTDIR", &self.root).current_dir("/");
        sh
    }

    pub(crate) fn install(&self, unpacked: &Path, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.installer(unpacked, arguments))
    }

    /// Runs the installer with a stub before the system's program of that name in PATH.
    pub(crate) fn install_with(&self, unpacked: &Path, program: &str, script: &str) -> Ran {
        let bin = self.folder.path().join("bin");
        let _ = fs::remove_dir_all(&bin);
        fs::create_dir(&bin).expect("made");
        let file = bin.join(program);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("set");
        let path = std::env::var("PATH").expect("a PATH");
        Ran::of(self.installer(unpacked, &[]).env("PATH", format!("{}:{path}", bin.display())))
    }

    pub(crate) fn tree(&self) -> BTreeMap<String, (u32, Vec<u8>)> {
        tree(&self.root)
    }
}

#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { status: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Asserts that the installer refused, with the messages of this snapshot.
    #[track_caller]
    pub(crate) fn refused(&self, snapshot: &str) {
        assert_eq!(self.status, Some(1), "{self:#?}");
        insta::assert_snapshot!(snapshot, without_temporary_folders(&self.stderr));
    }

    /// Asserts that the installer refused, and that the messages name this path or host.
    #[track_caller]
    pub(crate) fn refused_naming(&self, name: &str) {
        assert!(self.status == Some(1) && self.stderr.contains(name), "{name}: {self:#?}");
    }

    /// Returns the files that were installed, or that would be.
    pub(crate) fn files(&self) -> Vec<&str> {
        self.stdout.lines().filter(|line| line.starts_with("  ") && line.contains("  0")).collect()
    }

    #[track_caller]
    pub(crate) fn succeeded(&self) {
        assert!(self.status == Some(0) && self.stderr.is_empty(), "{self:#?}");
    }
}

#[test]
fn shellcheck_passes_the_installer() {
    needs!("shellcheck");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("install.sh");
    fs::write(&file, text(&Site::new().bundle("both", 1), "install.sh")).expect("written");
    assert_eq!(stdout(Command::new("shellcheck").args(["--shell=sh", "--severity=style"]).arg(&file)), "");
}

#[test]
fn install_writes_every_file_with_its_mode_and_is_idempotent() {
    needs!("dash");
    let (site, scratch) = (Site::new(), Scratch::new());
    let bundle = site.bundle("both", 4);
    let unpacked = scratch.unpack(&bundle);

    let planned = scratch.install(&unpacked, &["--dry-run"]);
    planned.succeeded();
    assert!(planned.files().iter().any(|line| line.starts_with("  new      0600  ")), "{}", planned.stdout);
    assert!(scratch.tree().is_empty());

    let first = scratch.install(&unpacked, &[]);
    first.succeeded();
    // In an image, no program is run.
    assert!(first.stdout.contains("systemctl --root=") && !first.stdout.contains("restart"), "{first:#?}");
    let installed = scratch.tree();
    let mut expected: BTreeMap<String, (u32, Vec<u8>)> = bundle
        .files
        .iter()
        .filter(|file| file.path.contains('/'))
        .map(|file| (file.path.clone(), (file.mode, file.bytes.to_vec())))
        .collect();
    let record = bundle.file("manifest.json").expect("a manifest").bytes.to_vec();
    expected.insert("etc/kubernetes/clusterctl/manifest.json".into(), (0o644, record));
    let (folders, files): (BTreeMap<_, _>, BTreeMap<_, _>) =
        installed.clone().into_iter().partition(|(path, _)| scratch.root.join(path).is_dir());
    assert_eq!(files, expected);
    assert_eq!((folders["etc/kubernetes/pki"].0, folders["var/lib/kubelet/pki"].0), (0o755, 0o750));

    let again = scratch.install(&unpacked, &[]);
    again.succeeded();
    insta::assert_snapshot!("installed_a_second_time", without_temporary_folders(&again.stdout));
    assert_eq!(scratch.tree(), installed);
}

#[test]
fn keys_are_created_with_mode_0600() {
    needs!("dash");
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    let log = scratch.folder.path().join("modes");
    // The mode and the owner of the file that cat is about to write.
    let cat =
        format!(r#"mode=$(stat -L -c %a /proc/$$/fd/1); echo "$mode $2" >>'{}'; exec /bin/cat "$@""#, log.display());
    scratch.install_with(&unpacked, "cat", &cat).succeeded();
    let modes = fs::read_to_string(log).expect("a log");
    let of = |ending: &str| -> Vec<&str> {
        modes.lines().filter(|line| line.ends_with(ending)).filter_map(|line| line.split(' ').next()).collect()
    };
    assert_eq!((of(".key"), of("kubelet.conf"), of("ca.crt")), (vec!["600"; 2], vec!["600"], vec!["644"]), "{modes}");
}

#[test]
fn sh_and_bash_install_the_same() {
    needs!("bash", "dash");
    for shell in ["sh", "bash"] {
        let scratch = Scratch::new();
        let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
        let installed = Ran::of(Command::new(shell).arg(unpacked.join("install.sh")).env("DESTDIR", &scratch.root));
        installed.succeeded();
        assert_eq!(scratch.install(&unpacked, &[]).files(), [""; 0], "{shell}");
    }
}

#[test]
fn only_changed_files_are_installed_again() {
    needs!("dash");
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    scratch.install(&unpacked, &[]).succeeded();
    let good = scratch.tree();
    let at = |path: &str| scratch.root.join(path);
    fs::set_permissions(at("var/lib/kubelet/pki/kubelet-client.key"), fs::Permissions::from_mode(0o644)).expect("set");
    fs::write(at("etc/kubernetes/pki/ca.crt"), "another root").expect("written");
    let put_right = scratch.install(&unpacked, &[]);
    put_right.succeeded();
    assert_eq!(put_right.stdout.matches("  0").count(), 2, "{put_right:#?}");
    assert_eq!(scratch.tree(), good);
}

#[test]
fn damaged_and_missing_files_are_reported_and_nothing_is_installed() {
    needs!("dash");
    let (site, scratch) = (Site::new(), Scratch::new());
    let bundle = site.bundle("on", 1);
    let damaged = |path: &str| {
        let unpacked = scratch.unpack(&bundle);
        let mut bytes = fs::read(unpacked.join(path)).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(unpacked.join(path), bytes).expect("written");
        scratch.install(&unpacked, &["--force-host", "--replace"])
    };
    for file in bundle.files.iter().filter(|file| file.path != "install.sh") {
        let ran = damaged(&file.path);
        ran.refused_naming(if file.path.starts_with("manifest") { "manifest.json" } else { &file.path });
        assert!(scratch.tree().is_empty(), "{}", file.path);
    }
    let unpacked = scratch.unpack(&bundle);
    fs::remove_file(unpacked.join("var/lib/kubelet/pki/kubelet-server.key")).expect("removed");
    std::os::unix::fs::symlink("/etc/passwd", unpacked.join("var/lib/kubelet/pki/kubelet-server.key")).expect("linked");
    scratch.install(&unpacked, &[]).refused("a_link_in_place_of_a_file");
    fs::remove_file(unpacked.join("manifest.sha256")).expect("removed");
    scratch.install(&unpacked, &[]).refused("no_checksum_of_the_manifest");
    assert!(scratch.tree().is_empty());
}

#[test]
fn a_bundle_is_refused_on_another_host() {
    needs!("dash");
    let (site, scratch) = (Site::new(), Scratch::new());
    let unpacked = scratch.unpack(&site.bundle("worker-a1.fra1.example.net", 1));
    // Without DESTDIR the target is this machine, which has another name. A dry run, to be safe.
    let mut here = scratch.installer(&unpacked, &["--dry-run"]);
    Ran::of(here.env_remove("DESTDIR")).refused_naming("worker-a1.fra1.example.net");

    fs::create_dir(scratch.root.join("etc")).expect("made");
    let called = |name: &str| fs::write(scratch.root.join("etc/hostname"), name).expect("written");
    for other in ["worker-a2.fra1.example.net\n", "worker-a1.ams1.example.net\n", "worker-a\n", "example.net\n"] {
        called(other);
        scratch.install(&unpacked, &[]).refused_naming(&format!(" {other}"));
        assert_eq!(scratch.tree().len(), 2, "{other}");
    }
    let forced = scratch.install(&unpacked, &["--dry-run", "--force-host"]);
    assert_eq!((forced.status, forced.stderr.matches("warning: ").count()), (Some(0), 1), "{forced:#?}");
    for same in ["worker-a1.fra1.example.net\n", "Worker-A1\n"] {
        called(same);
        scratch.install(&unpacked, &["--dry-run"]).succeeded();
    }
}

#[test]
fn comments_and_empty_lines_in_etc_hostname_are_skipped() {
    needs!("dash");
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    fs::create_dir(scratch.root.join("etc")).expect("made");
    let called = |name: &str| fs::write(scratch.root.join("etc/hostname"), name).expect("written");
    for before in ["# written by cloud-init\n", "\n", "# one\n#two\n\n  \t\n  # three\n\r\n"] {
        called(&format!("{before}other\non\n"));
        scratch.install(&unpacked, &[]).refused("a_bundle_for_a_host_of_another_name");
        assert_eq!(scratch.tree().len(), 2, "{before:?}");
        for name in ["on\n", "on", "on\nother\n", "  on  \n", "on\r\n"] {
            called(&format!("{before}{name}"));
            let planned = scratch.install(&unpacked, &["--dry-run"]);
            planned.succeeded();
            assert!(!planned.stdout.contains("/etc/hostname"), "{before:?} {name:?}: {planned:#?}");
        }
        // An empty file contains no host name: the output reports that the name was not checked.
        called(before);
        let planned = scratch.install(&unpacked, &["--dry-run"]);
        planned.succeeded();
        assert!(planned.stdout.contains("/etc/hostname"), "{before:?}: {planned:#?}");
    }
}

#[test]
fn an_older_or_foreign_bundle_needs_replace() {
    needs!("dash");
    let (site, scratch) = (Site::new(), Scratch::new());
    scratch.install(&scratch.unpack(&site.bundle("on", 10)), &[]).succeeded();
    let newest = scratch.tree();
    let older = scratch.unpack(&site.bundle("on", 9));
    scratch.install(&older, &[]).refused("an_older_generation");
    assert_eq!(scratch.tree(), newest);
    scratch.install(&older, &["--replace"]).succeeded();
    assert_ne!(scratch.tree(), newest);
    let other = scratch.unpack(&site.bundle("1e3", 11));
    scratch.install(&other, &[]).refused("a_bundle_of_another_host");
    scratch.install(&scratch.unpack(&site.bundle("on", 11)), &[]).succeeded();
}

#[test]
fn an_unwritable_root_is_refused_without_leftovers() {
    needs!("dash");
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    let nowhere = Ran::of(scratch.installer(&unpacked, &[]).env("DESTDIR", "/proc/clusterctl-test"));
    nowhere.refused("a_destdir_that_does_not_exist");

    // The error comes before anything is prepared.
    fs::write(scratch.root.join("var"), "a file").expect("written");
    let before = scratch.tree();
    let refused = scratch.install(&unpacked, &[]);
    refused.refused("a_file_in_place_of_a_folder");
    assert_eq!(scratch.tree(), before);
    fs::remove_file(scratch.root.join("var")).expect("removed");

    fs::create_dir_all(scratch.root.join("etc/kubernetes/kubelet.conf")).expect("made");
    scratch.install(&unpacked, &[]).refused("a_folder_in_place_of_a_file");
}

#[test]
fn a_full_disk_is_refused_before_and_rolled_back_after() {
    needs!("dash");
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    let df = "echo Filesystem 1024-blocks Used Available Capacity Mounted on\necho /dev/with space 100 90 10 90% /";
    scratch.install_with(&unpacked, "df", df).refused_naming(" 10 KiB ");
    assert!(scratch.tree().is_empty());
    // No file may grow, so the first write fails as on a full disk.
    let mut limited = Command::new("dash");
    limited.args(["-c", r#"ulimit -f 0; exec dash "$0""#]).arg(unpacked.join("install.sh"));
    Ran::of(limited.env("DESTDIR", &scratch.root)).refused_naming(".clusterctl-new");
    assert!(scratch.tree().is_empty());
}

#[test]
fn a_failed_rename_rolls_back_the_earlier_ones() {
    needs!("dash");
    let (site, scratch) = (Site::new(), Scratch::new());
    let mv = r#"case "$4" in *config.yaml) exit 1 ;; esac; exec /bin/mv "$@""#;
    let first = scratch.unpack(&site.bundle("on", 1));
    scratch.install_with(&first, "mv", mv).refused_naming("config.yaml");
    assert!(scratch.tree().is_empty());

    scratch.install(&first, &[]).succeeded();
    let before = scratch.tree();
    let changed = kubelet_config_with("# changed\n");
    let bundle = site.try_bundle(&changed, "on", &site.credentials("on"), 2).expect("a bundle");
    let second = scratch.unpack(&bundle);
    scratch.install_with(&second, "mv", mv).refused_naming("config.yaml");
    assert_eq!(scratch.tree(), before);
    scratch.install(&second, &[]).succeeded();
}

#[test]
fn a_killed_installation_is_finished_by_the_next_one() {
    needs!("dash");
    let (site, scratch) = (Site::new(), Scratch::new());
    scratch.install(&scratch.unpack(&site.bundle("on", 1)), &[]).succeeded();
    let before = scratch.tree();
    let unpacked = scratch.unpack(&site.bundle("on", 2));
    // SIGTERM before the first rename: nothing is changed.
    let ended = scratch.install_with(&unpacked, "sync", "kill -TERM $PPID");
    assert_eq!(ended.status, Some(143), "{ended:#?}");
    assert_eq!(scratch.tree(), before);
    // SIGKILL between two renames.
    let mv = r#"case "$4" in *kubelet-client.key) kill -9 $PPID; exit 1 ;; esac; exec /bin/mv "$@""#;
    assert_eq!(scratch.install_with(&unpacked, "mv", mv).status, None);
    assert!(scratch.tree().keys().any(|path| path.ends_with(".clusterctl-new")));
    scratch.install(&unpacked, &[]).succeeded();
    let names: Vec<String> = scratch.tree().into_keys().collect();
    assert_eq!(names, before.into_keys().collect::<Vec<_>>());
    assert_eq!(scratch.install(&unpacked, &[]).files(), [""; 0]);
}

#[test]
fn concurrent_installations_are_refused() {
    needs!("dash", "flock");
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    let mut held = Command::new("flock");
    held.arg(&scratch.root).arg("dash").arg(unpacked.join("install.sh")).env("DESTDIR", &scratch.root);
    Ran::of(&mut held).refused("another_installation_is_running");
    scratch.install(&unpacked, &[]).succeeded();
}

#[test]
fn an_overriding_drop_in_is_reported_until_it_is_masked() {
    needs!("dash");
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    let packaged = scratch.root.join("usr/lib/systemd/system/kubelet.service.d");
    fs::create_dir_all(&packaged).expect("made");
    fs::write(packaged.join("99-vendor.conf"), "[Service]\nExecStart=\nExecStart=/usr/bin/kubelet\n").expect("written");
    // /lib is a link, as on current systems.
    std::os::unix::fs::symlink("usr/lib", scratch.root.join("lib")).expect("linked");
    let warned = scratch.install(&unpacked, &[]);
    assert_eq!((warned.status, warned.stderr.matches("warning:").count()), (Some(0), 1), "{warned:#?}");
    assert!(warned.stderr.contains("99-vendor.conf") && warned.stderr.contains("ExecStart="), "{warned:#?}");
    let mask = scratch.root.join("etc/systemd/system/kubelet.service.d/99-vendor.conf");
    std::os::unix::fs::symlink("/dev/null", mask).expect("linked");
    fs::remove_file(scratch.root.join("etc/kubernetes/kubelet.conf")).expect("removed");
    scratch.install(&unpacked, &[]).succeeded();
}

#[test]
fn an_overriding_drop_in_is_reported_when_nothing_is_installed() {
    needs!("dash");
    let (site, scratch) = (Site::new(), Scratch::new());
    let unpacked = scratch.unpack(&site.bundle("on", 1));
    scratch.install(&unpacked, &[]).succeeded();
    // kubeadm's package comes after the bundle.
    let packaged = scratch.root.join("usr/lib/systemd/system/kubelet.service.d");
    fs::create_dir_all(&packaged).expect("made");
    fs::write(packaged.join("99-vendor.conf"), "[Service]\nExecStart=\nExecStart=/usr/bin/kubelet\n").expect("written");
    let warned = |ran: &Ran, something_to_do: bool| {
        assert_eq!((ran.status, ran.stderr.matches("warning:").count()), (Some(0), 1), "{ran:#?}");
        assert!(ran.stderr.contains("99-vendor.conf") && ran.stderr.contains("ExecStart="), "{ran:#?}");
        // The output has the command that masks the drop-in.
        assert!(ran.stdout.contains(" ln -sf /dev/null "), "{ran:#?}");
        assert_eq!(!ran.files().is_empty(), something_to_do, "{ran:#?}");
    };
    let before = scratch.tree();
    warned(&scratch.install(&unpacked, &[]), false);
    warned(&scratch.install(&unpacked, &["--dry-run"]), false);
    assert_eq!(scratch.tree(), before);
    let newer = scratch.unpack(&site.bundle("on", 2));
    warned(&scratch.install(&newer, &["--dry-run"]), true);
    assert_eq!(scratch.tree(), before);
    let mask = scratch.root.join("etc/systemd/system/kubelet.service.d/99-vendor.conf");
    std::os::unix::fs::symlink("/dev/null", mask).expect("linked");
    scratch.install(&newer, &["--dry-run"]).succeeded();
    scratch.install(&newer, &[]).succeeded();
    scratch.install(&newer, &[]).succeeded();

    // A host without an installed kubelet has nothing to roll back.
    let master = Scratch::new();
    let packaged = master.root.join("usr/lib/systemd/system/kubelet.service.d");
    fs::create_dir_all(&packaged).expect("made");
    fs::write(packaged.join("99-vendor.conf"), "[Service]\nExecStart=/usr/bin/kubelet\n").expect("written");
    let unpacked = master.unpack(&site.bundle("m1", 1));
    for arguments in [&["--dry-run"][..], &[], &[]] {
        master.install(&unpacked, arguments).succeeded();
    }
}

#[test]
fn an_unknown_argument_is_a_usage_error() {
    needs!("dash");
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    let ran = scratch.install(&unpacked, &["--froce"]);
    assert!(ran.status == Some(2) && ran.stderr.contains("--froce"), "{ran:#?}");
}

#[test]
fn links_out_of_the_image_are_refused() {
    needs!("dash");
    let site = Site::new();
    let bundle = site.bundle("on", 1);
    let outside = |scratch: &Scratch| {
        let outside = scratch.folder.path().join("outside");
        fs::create_dir(&outside).expect("made");
        fs::create_dir(scratch.root.join("etc")).expect("made");
        outside
    };
    let scratch = Scratch::new();
    let elsewhere = outside(&scratch);
    let link = scratch.root.join("etc/kubernetes");
    std::os::unix::fs::symlink(&elsewhere, &link).expect("linked");
    let before = scratch.tree();
    for arguments in [&[][..], &["--dry-run"], &["--replace"]] {
        scratch.install(&scratch.unpack(&bundle), arguments).refused("a_link_out_of_the_image");
    }
    assert!(fs::read_dir(&elsewhere).expect("a folder").next().is_none() && scratch.tree() == before);
    // Within the image a link is accepted like a folder.
    fs::remove_file(&link).expect("removed");
    fs::create_dir(scratch.root.join("data")).expect("made");
    std::os::unix::fs::symlink("../data", &link).expect("linked");
    scratch.install(&scratch.unpack(&bundle), &[]).succeeded();
    assert!(scratch.root.join("data/kubelet.conf").is_file());

    let scratch = Scratch::new();
    outside(&scratch);
    std::os::unix::fs::symlink("/nowhere", scratch.root.join("etc/kubernetes")).expect("linked");
    scratch.install(&scratch.unpack(&bundle), &[]).refused("a_link_to_nowhere");
}

#[test]
fn files_of_an_earlier_bundle_only_are_reported() {
    needs!("dash");
    let (site, scratch) = (Site::new(), Scratch::new());
    scratch.install(&scratch.unpack(&site.bundle("both", 1)), &[]).succeeded();
    // The same host, which is no longer a master.
    let mut node = site.bundle("both", 2);
    node.files.retain(|file| !file.path.contains("sa.key"));
    let left = "etc/kubernetes/pki/sa.key";
    let manifest = node.files.iter_mut().find(|file| file.path == "manifest.json").expect("a manifest");
    let without: Vec<&str> =
        std::str::from_utf8(&manifest.bytes).expect("text").lines().filter(|line| !line.contains(left)).collect();
    manifest.bytes = format!("{}\n", without.join("\n")).into_bytes().into();
    let sum = format!("{}  manifest.json\n", clusterctl::pki::fingerprint::Fingerprint::of(&manifest.bytes));
    node.files.iter_mut().find(|file| file.path == "manifest.sha256").expect("a sum").bytes = sum.into_bytes().into();
    let ran = scratch.install(&scratch.unpack(&node), &[]);
    ran.succeeded();
    let named: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("  left ")).collect();
    assert!(named.len() == 1 && named[0].ends_with(left), "{ran:#?}");
    assert!(scratch.root.join(left).is_file());
}
