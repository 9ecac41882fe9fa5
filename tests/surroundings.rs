//! What `verify --offline` finds beside the credentials: an end that is near, leftovers, doors that stand open, things that are
//! no files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{CLUSTER, Lab, good_tool};

/// What it says, in one line, and how it ends.
fn told(lab: &Lab, args: &[&str]) -> (u8, String) {
    let ran = lab.run(&[&["verify", "--offline"], args].concat());
    (ran.status, ran.out.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn set_mode(lab: &Lab, path: &str, mode: u32) {
    fs::set_permissions(lab.path(path), fs::Permissions::from_mode(mode)).expect("set");
}

#[test]
fn an_end_that_is_near_is_warned_of_with_the_command_that_renews() {
    let mut lab = Lab::issued();
    let (status, quiet) = told(&lab, &["--fail-on", "warn"]);
    assert_eq!(status, 0, "{quiet}");
    let (status, far) = told(&lab, &["--expires-within", "2y", "--fail-on", "warn"]);
    assert_eq!(status, 1, "{far}");
    assert!(
        far.contains("warn store.credential at node on") && far.contains("365 days left, until 2027-11-23"),
        "{far}"
    );
    assert!(far.contains("hint renew it in time: clusterctl issue-node on --reissue"), "{far}");
    assert!(!far.contains("plan for new roots"), "their ten years are not near: {far}");
    lab.now += time::Duration::days(340);
    let (status, near) = told(&lab, &[]);
    assert_eq!(status, 0, "a warning fails nothing by itself: {near}");
    assert!(near.contains("saw 25 days left, until") && near.contains("wanted more than 30 days left"), "{near}");
    lab.good(&["issue-node", "on", "--reissue"]);
    let (_, renewed) = told(&lab, &[]);
    assert!(!renewed.contains("node on"), "{renewed}");
    let (_, roots) = told(&lab, &["--expires-within", "20y"]);
    assert!(roots.contains("plan for new roots"), "{roots}");
}

#[test]
fn what_a_killed_command_left_is_told_of_wherever_it_lies() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    lab.good(&["issue-admin", "alice"]);
    for folder in ["", "bundles/", "pki/admins/", "pki/etcd/", "pki/front-proxy/"] {
        let left = lab.path(&format!("{folder}.unfinished-1-0"));
        fs::write(&left, "a key").expect("written");
        let (status, out) = told(&lab, &["--fail-on", "warn"]);
        assert_eq!(status, 1, "{folder}: {out}");
        let at = left.parent().expect("a folder").display().to_string();
        assert!(out.contains("perhaps with keys: 1 in DIR"), "{folder}: {out}");
        assert!(out.contains("hint if no clusterctl runs here: rm -r DIR"), "{folder}: {out}");
        // As the hint has it.
        good_tool("sh", &["-c", &format!("rm -r {at}/.unfinished-*")]);
        assert_eq!(told(&lab, &["--fail-on", "warn"]).0, 0, "{folder}");
    }
    fs::write(lab.path(".unfinished-1-0"), "half a verifier bundle").expect("written");
    lab.good(&["bundle", "--verifier"]);
    assert!(!lab.path(".unfinished-1-0").exists(), "whoever writes there next removes it");
}

#[test]
fn bundles_and_keys_of_hosts_that_are_gone_are_not_open_to_others() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    lab.write("cluster.yaml", &CLUSTER.replace("- {name: worker-b1, addresses: [10.20.2.11]}\n", ""));
    assert_eq!(told(&lab, &[]).0, 0);
    for path in ["pki/nodes/worker-b1/kubelet-client.key", "bundles/worker-b1.tar.gz", "bundles/on.tar.gz"] {
        set_mode(&lab, path, 0o644);
        let (status, out) = told(&lab, &[]);
        assert_eq!(status, 1, "{path}: {out}");
        assert!(out.contains(&format!("DIR/{path} has mode 0644, others can read it")), "{out}");
        set_mode(&lab, path, 0o600);
    }
    assert_eq!(told(&lab, &[]).0, 0);
    // What is no bundle is nobody's secret here, and what is sealed may lie open.
    lab.write("bundles/README", "which is which");
    let sealed = lab.path("bundles/on.tar.gz.age");
    fs::write(&sealed, "age-encryption.org/v1\n").expect("written");
    for path in ["bundles/README", "bundles/on.tar.gz.age"] {
        set_mode(&lab, path, 0o644);
    }
    assert!(!told(&lab, &[]).1.contains("others can read it"));
}

#[test]
fn an_end_that_is_near_is_warned_of_where_the_key_is_on_its_host_alone() {
    let lab = Lab::issued();
    let pair = good_tool("age-keygen", &[]);
    let recipient = pair.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a recipient");
    lab.good(&["bundle", "on", "--seal-to", recipient, "--forget-keys"]);
    let (_, far) = told(&lab, &[]);
    assert!(!far.contains("renew it in time"), "{far}");
    let (_, near) = told(&lab, &["--expires-within", "400d"]);
    assert!(
        near.contains("365 days left, until") && near.contains("renew it in time: clusterctl issue-node on --reissue"),
        "{near}"
    );
}

#[test]
fn a_roots_key_that_others_can_read_is_closed_and_not_restored() {
    let lab = Lab::issued();
    set_mode(&lab, "pki/etcd/ca.key", 0o644);
    let (status, out) = told(&lab, &[]);
    assert_eq!(status, 1, "{out}");
    assert!(out.contains("hint chmod 600 DIR/pki/etcd/ca.key") && !out.contains("backup"), "{out}");
}

#[test]
fn a_pipe_in_a_files_place_is_not_waited_for() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    for (path, args) in [
        ("bundles/on.tar.gz", &["verify", "--offline"][..]),
        ("pki/ca.key", &["issue-node", "on", "--reissue"]),
        ("cluster.yaml", &["issue-node", "on"]),
    ] {
        let aside = lab.path("aside");
        fs::rename(lab.path(path), &aside).expect("moved");
        good_tool("mkfifo", &["-m", "600", &lab.path(path).display().to_string()]);
        let ran = lab.run(args);
        assert_ne!(ran.status, 0, "{ran}");
        let said = [ran.out, ran.err].concat().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&format!("DIR/{path} is in the way")), "{said}");
        fs::rename(&aside, lab.path(path)).expect("back");
    }
}
