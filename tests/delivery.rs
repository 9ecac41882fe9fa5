//! The forms in which bundles are handed over, as programs that nobody here wrote read them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clusterctl::bundle::archive;
use clusterctl::bundle::contents::Bundle;

use crate::support::{Lab, good_tool};

/// The bundle that `bundle HOST` packs as an archive.
fn packed(lab: &Lab, host: &str) -> Bundle {
    lab.good(&["bundle", host]);
    archive::read(&fs::read(lab.path(&format!("bundles/{host}.tar.gz"))).expect("an archive")).expect("a bundle")
}

/// Path → mode, in octal, and bytes; folders have none.
fn tree(top: &Path) -> BTreeMap<String, (String, Vec<u8>)> {
    let listed = good_tool("find", &[&top.display().to_string(), "-printf", "%P %m\n"]);
    let entry = |line: &str| {
        let (path, mode) = line.rsplit_once(' ').expect("a path and a mode");
        (path.to_owned(), (mode.to_owned(), fs::read(top.join(path)).unwrap_or_default()))
    };
    listed.lines().map(entry).collect()
}

// ── a folder ──

#[test]
fn a_folder_has_every_file_with_its_mode_and_is_its_owners_alone() {
    let lab = Lab::issued();
    let bundle = packed(&lab, "on");
    let ran = lab.good(&["bundle", "on", "--format", "dir"]);
    assert_eq!(ran.out, "DIR/bundles/on\n");
    let tree = tree(&lab.path("bundles/on"));
    let (folders, files): (BTreeMap<_, _>, BTreeMap<_, _>) =
        tree.into_iter().partition(|(path, _)| lab.path("bundles/on").join(path).is_dir());
    let wanted: BTreeMap<String, (String, Vec<u8>)> = bundle
        .files
        .iter()
        .map(|file| (file.path.clone(), (format!("{:o}", file.mode), file.bytes.to_vec())))
        .collect();
    assert_eq!(files, wanted);
    let mode = |path: &str| folders[path].0.as_str();
    assert_eq!((mode(""), mode("etc/kubernetes"), mode("var/lib/kubelet/pki")), ("700", "755", "750"));
    // What `install.sh` says of the folder is what it says of the archive.
    let checked = lab.path("bundles/on/install.sh").display().to_string();
    let root = lab.path("root");
    fs::create_dir(&root).expect("a folder");
    let plan = good_tool("env", &[&format!("DESTDIR={}", root.display()), "dash", &checked, "--dry-run"]);
    assert!(plan.contains("Would install"), "{plan}");
}

#[test]
fn a_folders_modes_do_not_depend_on_the_umask_and_a_second_run_replaces_it_whole() {
    let lab = Lab::issued();
    let dir = |umask: &str| {
        let script = format!("umask {umask}; exec \"$0\" bundle --all --format dir");
        let ran = std::process::Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_clusterctl")])
            .current_dir(lab.dir())
            .output()
            .expect("sh");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        tree(&lab.path("bundles"))
    };
    let first = dir("022");
    fs::write(lab.path("bundles/on/etc/kubernetes/stray"), "a stray").expect("written");
    assert_eq!(dir("077"), first);
    assert_eq!(dir("000"), first);
    let unfinished = fs::read_dir(lab.path("bundles")).expect("a folder").count();
    assert_eq!(unfinished, 5, "one folder a host, and nothing else");
    let mode = fs::metadata(lab.path("bundles")).expect("facts").permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
}
