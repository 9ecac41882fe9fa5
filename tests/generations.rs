//! Generations of bundles: equal for equal content and greater for changed content, so that no older bundle is
//! installed by mistake.

use std::fs;

use clusterctl::bundle::archive;
use clusterctl::bundle::format;

use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, good_tool, tool};

/// Packs a bundle, and returns its generation and its bytes.
fn packed(lab: &Lab, args: &[&str], file: &str) -> (u64, Vec<u8>) {
    lab.good(&[&["bundle", "on"], args].concat());
    let bytes = fs::read(lab.path(file)).expect("a bundle");
    (format::read(&bytes).expect("a bundle").manifest.generation, bytes)
}

const ARCHIVE: &str = "bundles/on.tar.gz";

#[test]
fn equal_content_keeps_its_generation_and_other_content_gets_a_later_one() {
    let lab = Lab::issued();
    let first = packed(&lab, &[], ARCHIVE);
    lab.good(&["bundle", "--all"]);
    assert_eq!(packed(&lab, &[], ARCHIVE), first, "other bundles in between do not matter");
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
fn a_bundle_from_before_a_changed_setting_is_not_installed_again() {
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
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert_eq!(lab.read("root/var/lib/kubelet/config.yaml"), config);
}

#[test]
fn a_template_that_prints_the_generation_is_stable() {
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
fn an_unrecorded_generation_is_not_used_again() {
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
fn bundles_after_a_restored_ledger_have_later_generations() {
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
    // A slow clock does not decrease the generation.
    lab.now -= time::Duration::minutes(3);
    let before = packed(&lab, &["--set", "etcdVersion=3.6.1"], ARCHIVE).0;
    lab.now += time::Duration::minutes(3);
    lab.good(&["issue-node", "on", "--reissue"]);
    let after = packed(&lab, &[], ARCHIVE).0;
    assert!(after > before && after > installed);
}
