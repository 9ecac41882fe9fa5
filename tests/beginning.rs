//! `init` with a person at the terminal: a slip is asked for again, and nothing that was typed before it is lost.

use super::support::Lab;

#[test]
fn a_line_that_cannot_be_read_is_asked_for_again() {
    let mut lab = Lab::empty();
    let typed = ["m1", "m1=10.0.0.1", "m2=10.0.0.2", "", "10.0.0.9", "https://10.0.0.9:6443", "n1=10.0.1.1", ""];
    lab.typed = Some(typed.map(str::to_owned).into());
    let ran = lab.good(&["init", "--name", "lab"]);
    assert_eq!(
        ran.err,
        "warning: \"m1\" is not NAME=ADDRESS,ADDRESS; type it again\n\
         warning: \"10.0.0.9\" is no endpoint: it must begin with https://; type it again\n\
         cluster lab with 2 masters and 1 node. Look it over, then go on with: clusterctl init-ca\n"
    );
    let file = lab.read("cluster.yaml");
    assert!(file.contains("\nendpoint: \"https://10.0.0.9:6443\"\n"), "{file}");
    assert!(file.contains("- name: \"m1\"\n  addresses: [\"10.0.0.1\"]\n"), "{file}");
}

#[test]
fn a_person_who_leaves_leaves_nothing_behind() {
    let mut lab = Lab::empty();
    lab.typed = Some(["m1=10.0.0.1"].map(str::to_owned).into());
    assert_ne!(lab.run(&["init", "--name", "lab"]).status, 0);
    assert!(!lab.path("cluster.yaml").exists());
}
