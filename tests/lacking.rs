//! Hosts whose credentials are missing, unreadable, from the future or forgotten: nothing is packed, and what helps is said.

use std::fs;

use crate::support::outside::needs;
use crate::support::{Lab, good_tool};

#[test]
fn a_host_without_credentials_is_told_with_the_command_that_makes_them() {
    let lab = Lab::with_roots();
    for format in ["tar.gz", "dir", "cloud-init", "ignition"] {
        let ran = lab.run(&["bundle", "--all", "--format", format]);
        assert_eq!((ran.status, ran.out.as_str()), (3, ""), "{ran}");
        assert!(ran.err.contains("clusterctl issue-master"), "{ran}");
        assert!(!lab.path("bundles").exists(), "nothing is packed");
    }
    lab.good(&["issue-master", "--all"]);
    let ran = lab.run(&["bundle", "on", "--format", "ignition"]);
    assert_eq!(ran.status, 3, "{ran}");
    assert!(ran.err.ends_with("\nhint: issue them with: clusterctl issue-node on\n"), "{ran}");
}

#[test]
fn a_key_that_cannot_be_read_is_not_to_be_issued_again() {
    let lab = Lab::issued();
    let folder_for = |file: &str| {
        fs::rename(lab.path(file), lab.path("aside")).expect("moved");
        fs::create_dir(lab.path(file)).expect("a folder");
    };
    folder_for("pki/nodes/on/kubelet-client.key");
    let key = "DIR/pki/nodes/on/kubelet-client.key";
    let look = format!("a folder and a file took each other's place: look at {key}, and move away what is wrong");
    let ran = lab.run(&["bundle", "on"]);
    assert_eq!(ran.status, 4, "{ran}");
    assert!(ran.err.starts_with("error: on has credentials that cannot be read, so nothing was packed:\n"), "{ran}");
    assert!(ran.err.contains(&format!("on kubelet-client: cannot read {key}: Is a directory")), "{ran}");
    assert!(ran.err.ends_with(&format!("\nhint: {look}\n")), "{ran}");
    let issue = lab.run(&["issue-node", "on"]);
    assert!(issue.status == 4 && issue.err.ends_with(&format!("\nhint: {look}\n")), "{issue}");
    // What is lacking beside it can be issued, but not before.
    fs::remove_dir_all(lab.path("pki/nodes/worker-b1")).expect("removed");
    folder_for("pki/nodes/worker-a1.fra1.example.net/kubelet-server.key");
    let ran = lab.run(&["bundle", "--all"]);
    assert_eq!(ran.status, 3, "{ran}");
    let then = ", and so for 1 more; then issue the others with: clusterctl issue-node worker-b1\n";
    assert!(ran.err.ends_with(then), "{ran}");
    let masters_own = "pki/masters/master-1/apiserver-kubelet-client.key";
    for (file, args) in [(masters_own, &["bundle", "--verifier"][..]), ("pki/sa.key", &["bundle", "master-1"])] {
        folder_for(file);
        let ran = lab.run(args);
        assert_eq!(ran.status, 4, "{ran}");
        assert!(
            ran.err.contains("cannot be read, so nothing was packed") && ran.err.contains("\nhint: a folder and"),
            "{ran}"
        );
        fs::remove_dir(lab.path(file)).expect("removed");
        fs::rename(lab.path("aside"), lab.path(file)).expect("back");
    }
    let offline = lab.run(&["verify", "--offline"]);
    assert!(!offline.out.contains("others can read it"), "of a folder nobody asks for the mode: {offline}");
}

#[test]
fn a_pipe_in_a_keys_place_is_not_waited_for() {
    let lab = Lab::issued();
    let key = lab.path("pki/nodes/on/kubelet-client.key");
    fs::remove_file(&key).expect("removed");
    good_tool("mkfifo", &[&key.display().to_string()]);
    for args in [&["bundle", "on"][..], &["issue-node", "on"], &["verify", "--offline"]] {
        let ran = lab.run(args);
        assert_ne!(ran.status, 0, "{ran}");
        // A report breaks lines where the folder's real name makes them long.
        let told = [ran.out, ran.err].concat().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains("DIR/pki/nodes/on/kubelet-client.key is in the way"), "{told}");
    }
}

#[test]
fn under_a_clock_that_is_behind_it_is_the_clock_that_is_told() {
    let mut lab = Lab::issued();
    lab.now -= time::Duration::days(400);
    for args in [&["bundle", "on"][..], &["issue-node", "on", "--reissue"], &["verify", "--offline"]] {
        let ran = lab.run(args);
        assert_ne!(ran.status, 0, "{ran}");
        let told = [ran.out, ran.err].concat();
        assert!(told.contains("clock (date)") && told.contains("not valid before"), "{told}");
        assert!(!told.contains("clusterctl issue-node") && !told.contains("restore"), "{told}");
    }
}

#[test]
fn many_keys_that_were_forgotten_are_not_answered_with_a_reissue_of_all() {
    needs!("age-keygen");
    let nodes: String = (0..60).map(|i| format!("- {{name: n{i}, addresses: [10.1.0.{}]}}\n", i + 1)).collect();
    let lab = Lab::with(&format!(
        "apiVersion: clusterctl/v1\nkind: Cluster\nname: fleet\nmasters:\n- {{name: m, addresses: [10.0.0.1]}}\nnodes:\n{nodes}"
    ));
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    let pair = good_tool("age-keygen", &[]);
    let recipient = pair.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a recipient");
    lab.good(&["bundle", "--all", "--seal-to", recipient, "--forget-keys"]);
    for i in 0..57 {
        fs::remove_file(lab.path(&format!("bundles/n{i}.tar.gz.age"))).expect("removed");
    }
    let ran = lab.run(&["bundle", "--all", "--seal-to", recipient]);
    assert_eq!(ran.status, 3, "{ran}");
    assert!(ran.err.contains("issue-node --reissue n0 n1 ") && !ran.err.contains("--all"), "{ran}");
    assert!(ran.err.ends_with(" n49   (and 7 more: run this again to see them)\n"), "{ran}");
}
