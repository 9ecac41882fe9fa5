//! Renewal: at two thirds of the life, by the present certificate, or by the SSH host key after a year off.

use std::fs;
use std::path::Path;

use serde_json::Value;
use time::Duration;

use super::{CLIENT, SERVER, joined, text_of};
use crate::support::encryption::ssh_key;
use crate::support::joining::Joinable;
use crate::support::outside::needs;
use crate::support::{Ran, forms, good_tool};

fn renew(on: &Joinable, args: &[&str]) -> Ran {
    on.lab.run(&[&["join", "--renew", "--root", "hosts/on", "--wait", "2s", "-o", "json"], args].concat())
}

fn files(on: &Joinable) -> Vec<Vec<u8>> {
    let names = [CLIENT, SERVER].into_iter().flat_map(|base| [format!("{base}.crt"), format!("{base}.key")]);
    names.map(|name| fs::read(on.lab.path(&name)).expect("there")).collect()
}

#[test]
fn certificates_are_renewed_when_they_are_due_and_keys_are_kept() {
    needs!("python3", "dash");
    let (mut on, _) = joined(&[]);
    let before = files(&on);
    let idle = renew(&on, &[]);
    assert_eq!(idle.status, 0, "{idle}");
    forms::conforms("join-renew", &idle.out);
    let idle: Value = serde_json::from_str(&idle.out).expect("JSON");
    assert_eq!(idle["replaced"], Value::Array(Vec::new()));
    assert_eq!(on.requests().len(), 2, "nothing was asked for");

    // Certificates of nodes are valid for a year: at 60 per cent nothing is due, at 70 per cent everything is.
    on.lab.now += Duration::days(365 * 6 / 10);
    on.announce();
    assert_eq!(renew(&on, &[]).status, 0);
    assert_eq!(files(&on), before);
    on.lab.now += Duration::days(365 / 10);
    on.announce();
    assert_eq!(renew(&on, &[]).status, 5, "nothing is decided yet");
    let requests = on.requests();
    assert_eq!(requests.len(), 4, "renewals have names of their own");
    let renewals = requests.iter().filter(|(_, request)| text_of(request).contains("CLUSTERCTL STATEMENT"));
    assert_eq!(renewals.count(), 4);
    on.approve();
    let renewed = renew(&on, &[]);
    assert_eq!(renewed.status, 0, "{renewed}");
    let renewed: Value = serde_json::from_str(&renewed.out).expect("JSON");
    assert_eq!(renewed["replaced"].as_array().map(Vec::len), Some(2));
    let after = files(&on);
    assert_ne!((&after[0], &after[2]), (&before[0], &before[2]), "new certificates");
    assert_eq!((&after[1], &after[3]), (&before[1], &before[3]), "the same keys");
    assert_eq!(on.requests().len(), 4);
}

#[test]
fn a_host_that_was_off_for_a_year_comes_back_by_its_ssh_key() {
    needs!("python3", "dash", "ssh-keygen");
    let (mut on, _) = joined(&[]);
    ssh_key(&on.lab, "host_key", "ed25519", "");
    on.lab.now += Duration::days(400);
    on.renew_masters();
    let before = files(&on);
    assert_eq!(renew(&on, &[]).status, 3, "its certificate has expired, and nothing else proves it");
    let by_key = ["--ssh-host-key", "host_key"];
    assert_eq!(renew(&on, &by_key).status, 5, "nothing is decided yet");
    on.approve();
    let ran = renew(&on, &by_key);
    assert_eq!(ran.status, 0, "{ran}");
    let after = files(&on);
    assert_ne!((&after[0], &after[2]), (&before[0], &before[2]));
    assert_eq!((&after[1], &after[3]), (&before[1], &before[3]));
}

#[test]
fn an_unjoined_host_has_nothing_to_renew() {
    let lab = crate::support::Lab::empty();
    fs::create_dir_all(lab.path("hosts/on")).expect("made");
    assert_eq!(lab.run(&["join", "--renew", "--root", "hosts/on"]).status, 2);
    assert_eq!(lab.run(&["join", "--install-timer", "--root", "hosts/on"]).status, 2);
    assert_eq!(lab.run(&["join", "--renew", "--root", "nowhere"]).status, 2);
}

#[test]
fn the_timer_is_systemds() {
    needs!("python3", "dash", "systemd-analyze");
    let (on, _) = joined(&[]);
    let install = || on.lab.good(&["join", "--install-timer", "--root", "hosts/on", "-o", "json"]).out;
    let first: Value = serde_json::from_str(&install()).expect("JSON");
    assert_eq!(first["written"].as_array().map(Vec::len), Some(2));
    let again: Value = serde_json::from_str(&install()).expect("JSON");
    assert_eq!(again["written"], Value::Array(Vec::new()));
    let unit = |name: &str| on.lab.path(&format!("hosts/on/etc/systemd/system/clusterctl-join-renew.{name}"));
    let service = fs::read_to_string(unit("service")).expect("there");
    let program = service.lines().find_map(|line| line.strip_prefix("ExecStart=\"")).expect("a program");
    assert!(Path::new(program.split('"').next().expect("a path")).is_absolute());
    let units = [unit("service").display().to_string(), unit("timer").display().to_string()];
    good_tool("systemd-analyze", &["verify", &units[0], &units[1]]);
}
