//! Generations of bundles: the same for the same content, later for any other, so that nobody installs an older one unawares.

use std::fs;

use clusterctl::bundle::archive;
use clusterctl::bundle::format;

use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, good_tool, tool};

/// The generation of the bundle that is made now, and all of its bytes.
fn packed(lab: &Lab, args: &[&str], file: &str) -> (u64, Vec<u8>) {
    lab.good(&[&["bundle", "on"], args].concat());
    let bytes = fs::read(lab.path(file)).expect("a bundle");
    (format::read(&bytes).expect("a bundle").manifest.generation, bytes)
}

const ARCHIVE: &str = "bundles/on.tar.gz";

#[test]
fn the_same_content_is_of_one_generation_and_any_other_of_a_later_one() {
    let lab = Lab::issued();
    let first = packed(&lab, &[], ARCHIVE);
    lab.good(&["bundle", "--all"]);
    assert_eq!(packed(&lab, &[], ARCHIVE), first, "whatever else was packed meanwhile");
    let ignition = packed(&lab, &["--format", "ignition"], "bundles/on.ign");
    assert_eq!(ignition.0, first.0, "another form of the same");

    lab.write("cluster.yaml", &format!("{CLUSTER}kubelet: {{maxPods: 50}}\n"));
    let second = packed(&lab, &[], ARCHIVE);
    assert!(second.0 > first.0, "{} and then {}", first.0, second.0);
    lab.write("cluster.yaml", CLUSTER);
    let third = packed(&lab, &[], ARCHIVE);
    assert!(third.0 > second.0, "what is as it was before is newer than what was in between");
    lab.good(&["issue-node", "on", "--reissue"]);
    assert!(packed(&lab, &[], ARCHIVE).0 > third.0);
}

#[test]
fn what_was_packed_before_a_setting_changed_does_not_take_its_place_again() {
    needs!("dash");
    let lab = Lab::issued();
    let unpack = |folder: &str| {
        lab.good(&["bundle", "on"]);
        let folder = lab.path(folder).display().to_string();
        fs::create_dir(&folder).expect("a folder");
        good_tool("tar", &["-xzf", &lab.path(ARCHIVE).display().to_string(), "-C", &folder]);
        format!("{folder}/on/install.sh")
    };
    let old = unpack("old");
    lab.write("cluster.yaml", &format!("{CLUSTER}kubelet: {{maxPods: 50}}\n"));
    let new = unpack("new");
    fs::create_dir(lab.path("root")).expect("a folder");
    let root = format!("DESTDIR={}", lab.path("root").display());
    good_tool("env", &[&root, "dash", &new]);
    let config = lab.read("root/var/lib/kubelet/config.yaml");
    assert!(config.contains("maxPods: 50"), "{config}");
    let refused = tool("env", &[&root, "dash", &old]);
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("is installed here, and this bundle is older: generation "), "{told}");
    assert_eq!(lab.read("root/var/lib/kubelet/config.yaml"), config);
}

#[test]
fn a_template_that_prints_the_generation_settles() {
    let lab = Lab::issued();
    let ejected = lab.path("templates").display().to_string();
    lab.good(&["bundle", "--eject-templates", &ejected]);
    let drop_in = "templates/node/etc/systemd/system/kubelet.service.d/99-clusterctl.conf";
    lab.write(drop_in, &format!("{}# generation {{{{ generation }}}}\n", lab.read(drop_in)));
    let pack = || {
        let (generation, bytes) = packed(&lab, &["--templates", &ejected], ARCHIVE);
        let bundle = archive::read(&bytes).expect("a bundle");
        let printed = bundle.file("etc/systemd/system/kubelet.service.d/99-clusterctl.conf").expect("a drop-in");
        let printed = String::from_utf8_lossy(&printed.bytes).into_owned();
        assert!(printed.contains(&format!("# generation {generation}\n")), "{printed}");
        (generation, bytes)
    };
    packed(&lab, &[], ARCHIVE);
    let first = pack();
    assert_eq!(pack(), first);
    lab.write("cluster.yaml", &format!("{CLUSTER}kubelet: {{maxPods: 50}}\n"));
    let second = pack();
    assert!(second.0 > first.0);
    assert_eq!(pack(), second);
}

#[test]
fn killed_before_it_was_remembered_the_same_bundle_is_newer_and_nothing_else_has_its_generation() {
    needs!("sqlite3");
    let lab = Lab::issued();
    let first = packed(&lab, &[], ARCHIVE);
    let ledger = lab.path("pki/ledger.sqlite3").display().to_string();
    good_tool("sqlite3", &[&ledger, "delete from bundles"]);
    let second = packed(&lab, &[], ARCHIVE);
    assert!(second.0 > first.0);
    assert_eq!(packed(&lab, &[], ARCHIVE), second);
}

#[test]
fn after_a_ledger_from_a_backup_what_is_packed_is_newer_all_the_same() {
    let mut lab = Lab::issued();
    let ledger = lab.path("pki/ledger.sqlite3");
    let backup = fs::read(&ledger).expect("a ledger");
    for _ in 0..3 {
        lab.good(&["issue-node", "on", "--reissue"]);
        packed(&lab, &[], ARCHIVE);
    }
    let installed = packed(&lab, &[], ARCHIVE).0;
    fs::write(&ledger, backup).expect("put back");
    lab.now += time::Duration::minutes(1);
    lab.good(&["issue-node", "on", "--reissue"]);
    assert!(packed(&lab, &[], ARCHIVE).0 > installed);
    // A clock that is behind makes nothing older.
    lab.now -= time::Duration::minutes(3);
    let before = packed(&lab, &["--set", "etcdVersion=3.6.1"], ARCHIVE).0;
    lab.now += time::Duration::minutes(3);
    lab.good(&["issue-node", "on", "--reissue"]);
    let after = packed(&lab, &[], ARCHIVE).0;
    assert!(after > before && after > installed);
}
