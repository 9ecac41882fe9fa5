//! Endpoints that lie, that are not there, or that do not stop talking; and a host that is killed.

use std::fs;
use std::process::{Command, Stdio};

use base64ct::{Base64, Encoding};
use clusterctl::enrol::record::{Record, RecordError};
use clusterctl::pki::fingerprint::Fingerprint;
use serde_json::Value;
use time::Duration;

use super::{CLIENT, SERVER, joined};
use crate::support::joining::{Joinable, mailbox, register, start_bootstrap, write_announcer};
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab};

fn id_of(cluster: &str) -> Fingerprint {
    let id = cluster.split_once('@').expect("an id").0;
    Fingerprint::parse(id.trim_start_matches("sha256:")).expect("a pin")
}

/// The file of the record at the endpoint.
fn record_file(on: &Joinable) -> String {
    format!("boot/clusters/{}.json", id_of(&on.cluster))
}

/// Asserts that the host refused, made no key, and sent nothing.
#[track_caller]
fn refuses(on: &Joinable, status: u8) {
    let ran = on.join(&[]);
    assert_eq!(ran.status, status, "{ran}");
    assert!(!on.lab.path(&format!("{CLIENT}.key")).exists(), "no key is made for a cluster that is not proven");
    assert!(!on.lab.path("box/seen").exists(), "nothing was sent");
}

#[test]
fn a_bootstrap_endpoint_can_withhold_a_record_and_not_forge_one() {
    needs!("python3");
    let on = Joinable::start();
    let (file, now) = (record_file(&on), on.lab.now);
    let signed = on.lab.read(&file);
    let id = id_of(&on.cluster);
    let record = Record::verify(signed.as_bytes(), id, now).expect("a record");
    assert_eq!(record.enrolment.len(), 1);

    // Another endpoint in the record, with the signature as it was.
    let mut forged: Value = serde_json::from_str(&signed).expect("JSON");
    let inner = Base64::decode_vec(forged["record"].as_str().expect("base64")).expect("base64");
    let inner = String::from_utf8(inner).expect("JSON").replace("127.0.0.1", "127.0.0.9");
    forged["record"] = Base64::encode_string(inner.as_bytes()).into();
    on.lab.write(&file, &forged.to_string());
    assert_eq!(Record::verify(forged.to_string().as_bytes(), id, now), Err(RecordError::Signature));
    refuses(&on, 3);

    // Another cluster's record, with an announcer of its own root.
    let other = Lab::with(CLUSTER);
    other.good(&["init-ca", "--plaintext-ca-key"]);
    write_announcer(&other);
    let endpoint = start_bootstrap(&other, &on.time);
    let url = format!("https://{}", endpoint.address);
    let theirs = register(&other, &url);
    other.good(&["announce", &url, "--enrolment", &on.enrolment, "--kubeconfig", "announcer.conf"]);
    let stolen = other.read(&format!("boot/clusters/{}.json", id_of(&theirs)));
    let found = Record::verify(stolen.as_bytes(), id, now);
    assert_eq!(found, Err(RecordError::OtherCluster(id_of(&theirs))));
    on.lab.write(&file, &stolen);
    refuses(&on, 3);

    // Nothing at all.
    fs::remove_file(on.lab.path(&file)).expect("removed");
    refuses(&on, 3);
    for nonsense in ["", "{}", "[", "\u{0}"] {
        on.lab.write(&file, nonsense);
        refuses(&on, 3);
    }
    on.lab.write(&file, &signed);
    assert_eq!(on.join(&[]).status, 5, "the true one");
}

#[test]
fn a_record_ends_and_its_number_only_grows() {
    needs!("python3");
    let mut on = Joinable::start();
    let (file, id) = (record_file(&on), id_of(&on.cluster));
    let old = on.lab.read(&file);
    on.lab.now += Duration::HOUR;
    on.announce();
    assert_eq!(on.join(&[]).status, 5, "a newer one is known now");
    on.lab.write(&file, &old);
    assert_eq!(on.join(&[]).status, 3, "an old record that is still valid");
    let record = Record::verify(old.as_bytes(), id, on.lab.now).expect("valid");
    assert!(matches!(record.check_sequence(Some(record.seq + 1)), Err(RecordError::Stale { .. })));

    let expired = Record::verify(old.as_bytes(), id, record.expires);
    assert!(matches!(expired, Err(RecordError::Expired { .. })));
    let early = Record::verify(old.as_bytes(), id, record.issued - Duration::DAY);
    assert!(
        matches!(early, Err(RecordError::Dates { .. } | RecordError::Early { .. })),
        "a clock that is wrong: {early:?}"
    );
    on.lab.now += Duration::days(30);
    assert_eq!(on.join(&[]).status, 3, "expired");
}

#[test]
fn endpoints_that_are_not_there_are_tried_until_the_end_of_the_wait() {
    needs!("python3");
    let mut on = Joinable::start();
    on.bootstrap = None;
    let began = std::time::Instant::now();
    refuses(&on, 4);
    assert!(began.elapsed().as_secs() >= 2);
    // One of two is enough.
    on.bootstrap = Some(start_bootstrap(&on.lab, &on.time));
    let (id, dead) = on.cluster.split_once('@').expect("two parts");
    let alive = on.bootstrap.as_ref().expect("started").address;
    on.cluster = format!("{id}@{dead},https://{alive}");
    assert_eq!(on.join(&[]).status, 5);
}

#[test]
fn another_ca_at_the_enrolment_endpoint_gets_no_request() {
    needs!("python3");
    let mut on = Joinable::start();
    let other = Lab::with(CLUSTER);
    other.good(&["init-ca", "--plaintext-ca-key"]);
    other.good(&["issue-master", "--all"]);
    let (mut child, port) = mailbox(&other, "pki/masters/master-1/apiserver");
    on.enrolment = format!("https://127.0.0.1:{port}");
    on.lab.now += Duration::SECOND;
    on.announce();
    let ran = on.join(&[]);
    let was_sent = other.path("box/seen").exists();
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(ran.status, 4, "{ran}");
    assert!(!was_sent);
}

#[test]
fn hostile_enrolment_endpoints_are_refused_in_bounded_time() {
    needs!("python3");
    let on = Joinable::start();
    for (mode, statuses) in
        [("garbage", &[3, 4][..]), ("huge", &[3, 4]), ("redirect", &[3]), ("busy", &[4]), ("silent", &[4])]
    {
        on.misbehave(mode);
        let began = std::time::Instant::now();
        let ran = on.join(&[]);
        // The limit of one request is longer than the wait.
        assert!(began.elapsed().as_secs() < 13, "{mode}: {ran}");
        assert!(statuses.contains(&ran.status), "{mode}: {ran}");
    }
    on.misbehave("");
    assert_eq!(on.join(&[]).status, 5);
}

#[test]
fn a_denied_request_and_a_wrong_certificate_are_refused() {
    needs!("python3", "openssl");
    let on = Joinable::start();
    assert_eq!(on.join(&[]).status, 5);
    let names: Vec<String> = on.requests().into_iter().map(|(name, _)| name).collect();
    on.lab.write(&format!("box/denied/{}", names[0]), "");
    assert_eq!(on.join(&[]).status, 3, "denied");
    fs::remove_file(on.lab.path(&format!("box/denied/{}", names[0]))).expect("removed");
    // A certificate for another key, of the same host and under the same root.
    on.lab.good(&["issue-node", "on"]);
    for (name, profile) in names.iter().zip(["kubelet-client", "kubelet-server"]) {
        fs::copy(on.lab.path(&format!("pki/nodes/on/{profile}.crt")), on.lab.path(&format!("box/issued/{name}")))
            .expect("copied");
    }
    assert_eq!(on.join(&[]).status, 3, "for another key");
    assert!(!on.lab.path(&format!("{CLIENT}.crt")).exists());
}

#[test]
fn a_host_is_in_one_cluster_by_one_name() {
    needs!("python3", "dash");
    let (on, _) = joined(&[]);
    let url = on.cluster.split_once('@').expect("a URL").1;
    let other = format!("sha256:{}@{url}", "0".repeat(64));
    let ran = on.lab.run(&["join", "--cluster", &other, "--host", "on", "--root", "hosts/on", "--wait", "1s"]);
    assert_eq!(ran.status, 3, "{ran}");
    let ran =
        on.lab.run(&["join", "--cluster", &on.cluster, "--host", "worker-b1", "--root", "hosts/on", "--wait", "1s"]);
    assert_eq!(ran.status, 3, "{ran}");
}

#[test]
fn a_host_that_is_killed_at_any_write_goes_on_with_the_same_keys() {
    needs!("python3", "strace", "dash");
    let on = Joinable::now();
    let always = ["join", "--cluster", &on.cluster, "--host", "on", "--root", "hosts/on", "--wait", "1s"];
    let keys = || [CLIENT, SERVER].map(|base| fs::read(on.lab.path(&format!("{base}.key"))).ok());
    let killed = |call: &str, nth: usize| {
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
        let ran = Command::new("strace")
            .args(["-o", "/dev/null", "-e", &trace, "-e", &inject, env!("CARGO_BIN_EXE_clusterctl")])
            .args(always)
            .current_dir(on.lab.dir())
            .output()
            .expect("strace");
        ran.status.code()
    };
    let mut known = [None, None];
    let mut kills = 0;
    for approved in [false, true] {
        for nth in 1..40 {
            let ended = killed("renameat2", nth);
            let now = keys();
            for (before, now) in known.iter().zip(&now) {
                assert!(before.is_none() || before == now, "a key that was written stays");
            }
            known = now;
            match ended {
                None => kills += 1,
                Some(137) => kills += 1,
                Some(code) => {
                    assert_eq!(code, if approved { 0 } else { 5 });
                    break;
                }
            }
        }
        if !approved {
            on.approve();
        }
    }
    assert!(kills >= 4, "{kills}: it was killed at its writes");
    assert_eq!(on.requests().len(), 2, "two requests in all of this");
    let pki = on.lab.path("hosts/on/var/lib/kubelet/pki");
    let mut names: Vec<String> = fs::read_dir(pki)
        .expect("a folder")
        .map(|one| one.expect("one").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["kubelet-client.crt", "kubelet-client.key", "kubelet-server.crt", "kubelet-server.key"]);
}

#[test]
fn joins_at_once_on_one_host_wait_for_each_other() {
    needs!("python3", "dash");
    let on = Joinable::now();
    let start = |wait: &str| {
        let args = ["join", "--cluster", &on.cluster, "--host", "on", "--root", "hosts/on", "--wait", wait];
        let mut command = Command::new(env!("CARGO_BIN_EXE_clusterctl"));
        command.args(args).current_dir(on.lab.dir()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("clusterctl")
    };
    let running = ["1s", "1s", "1s"].map(start);
    let codes = running.map(|mut one| one.wait().expect("its status").code());
    // 5: nothing is decided yet. 4: another one held the lock for the whole time.
    assert!(codes.contains(&Some(5)), "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, Some(4 | 5))), "{codes:?}");
    assert_eq!(on.requests().len(), 2, "one request for each key");
}

#[test]
fn an_endpoint_that_is_not_there_does_not_keep_the_record_from_others() {
    needs!("python3", "dash");
    let on = Joinable::start();
    let before = on.lab.read(&record_file(&on));
    let (_, url) = on.cluster.split_once('@').expect("an endpoint");
    let ends = ["--enrolment", &on.enrolment, "--kubeconfig", "announcer.conf"];
    let ran = on.lab.run(&[&["announce", "https://127.0.0.1:1", url][..], &ends[..]].concat());
    assert_eq!(ran.status, 4, "{ran}");
    assert_ne!(before, on.lab.read(&record_file(&on)), "the endpoint that is there has the new record");
}

/// A master has a copy of the directory for this, with as little as is needed.
#[test]
fn a_record_is_announced_without_the_ledger_and_other_cas() {
    needs!("python3");
    let on = Joinable::start();
    let before = on.lab.read(&record_file(&on));
    fs::create_dir_all(on.lab.path("copy/pki")).expect("made");
    for file in ["cluster.yaml", "pki/ca.crt", "announcer.conf"] {
        fs::copy(on.lab.path(file), on.lab.path(&format!("copy/{file}"))).expect("copied");
    }
    let (_, url) = on.cluster.split_once('@').expect("an endpoint");
    let (folder, kubeconfig) = (on.lab.path("copy"), on.lab.path("copy/announcer.conf"));
    let (folder, kubeconfig) = (folder.to_str().expect("UTF-8"), kubeconfig.to_str().expect("UTF-8"));
    let args = ["--dir", folder, "announce", url, "--enrolment", &on.enrolment, "--kubeconfig", kubeconfig];
    on.lab.good(&args);
    assert_ne!(before, on.lab.read(&record_file(&on)), "a new record");
    let left: Vec<_> = fs::read_dir(on.lab.path("copy/pki")).expect("a folder").flatten().collect();
    assert_eq!(left.len(), 1, "nothing was added");
}

/// The error has both times, and does not accuse the endpoint.
#[test]
fn a_clock_that_is_wrong_is_told_as_such() {
    needs!("python3");
    let mut on = Joinable::start();
    let now = on.lab.now;
    on.lab.now = now - Duration::days(400);
    let ran = on.join(&[]);
    assert_eq!(ran.status, 3, "{ran}");
    let here = on.lab.now.date().to_string();
    assert!(ran.err.contains(&here) && ran.err.contains(&now.date().to_string()), "both times: {ran}");
    // The record is new, and the serving certificate is that of a year ago.
    on.lab.now = now + Duration::days(366);
    on.lab.good(&["issue-admin", "announcer", "--announcer", "--validity", "1y", "--reissue"]);
    fs::copy(on.lab.path("pki/admins/announcer.conf"), on.lab.path("announcer.conf")).expect("copied");
    on.announce();
    let ran = on.join(&[]);
    assert_eq!(ran.status, 4, "{ran}");
    let here = on.lab.now.date().to_string();
    assert!(ran.err.contains(&here) && !ran.err.contains("UNIX"), "both times: {ran}");
}

#[test]
fn an_endpoint_that_accepts_nothing_now_is_not_called_unreachable() {
    needs!("python3");
    let on = Joinable::start();
    on.misbehave("busy");
    let ran = on.join(&[]);
    assert_eq!(ran.status, 4, "{ran}");
    assert!(ran.err.contains("accepts"), "{ran}");
}
