//! The enrolment CA's server when the disk is full, SQLite is busy, a reply is lost, or the process is killed.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::PATIENCE;
use crate::support::enrolment::{Api, CSRS, Served, directory, program, request, runtime};
use crate::support::outside::needs;

fn conditions(object: &Value) -> Vec<String> {
    let all = object["status"]["conditions"].as_array().into_iter().flatten();
    all.filter_map(|one| one["type"].as_str().map(str::to_owned)).collect()
}

/// A full disk: the largest size of a file is reached, as with `ulimit -f`.
#[test]
fn a_full_disk_loses_nothing_that_was_answered() {
    needs!("bash");
    let dir = directory();
    let mut limited = Command::new("bash");
    limited.args(["-c", "ulimit -f 600; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_clusterctl"), "--dir"]);
    limited.arg(dir.path()).stdin(Stdio::null());
    let served = Served::with(dir.path(), limited);
    let (alice, anonymous) = (served.api(Some("alice")), served.api(None));
    let (mut accepted, mut refused) = (Vec::new(), 0);
    for i in 0..2000 {
        let name = format!("r{i}");
        let node = served.api_of_node("node-1");
        let api = if i % 2 == 0 { &anonymous } else { &node };
        match api.post(CSRS, &request(&name, "node-1")).0 {
            201 => {
                accepted.push(name.clone());
                // The host's places are limited, so it is decided at once.
                match alice.approve(&name).0 {
                    200 => {
                        alice.send("DELETE", &format!("{CSRS}/{name}"), "", Vec::new());
                        accepted.pop();
                    }
                    503 => refused += 1,
                    other => panic!("{other}"),
                }
            }
            503 => refused += 1,
            429 => {}
            other => panic!("{other}"),
        }
        if refused > 3 {
            break;
        }
    }
    assert!(refused > 3, "the disk was never full");
    assert_eq!(anonymous.get("/readyz").0, 500, "it is not ready");
    assert_eq!(anonymous.get("/livez").0, 200, "it is alive");
    assert_eq!(alice.get(CSRS).0, 200, "what is there can be read");
    drop(served);
    let served = Served::start(dir.path());
    let (alice, anonymous) = (served.api(Some("alice")), served.api(None));
    for name in &accepted {
        assert_eq!(alice.get(&format!("{CSRS}/{name}")).0, 200, "{name}");
    }
    assert_eq!(anonymous.post(CSRS, &request("after", "node-2")).0, 201, "with room again it goes on");
    assert_eq!(anonymous.get("/readyz").0, 200);
}

#[test]
fn a_locked_database_is_tried_again_by_the_client() {
    let dir = directory();
    let served = Served::start(dir.path());
    let api = served.api(None);
    assert_eq!(api.post(CSRS, &request("one", "node-1")).0, 201);
    let other = rusqlite::Connection::open(dir.path().join("enrolment.sqlite")).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let began = Instant::now();
    let (status, object) = api.post(CSRS, &request("two", "node-2"));
    assert_eq!((status, object["reason"].as_str()), (503, Some("ServiceUnavailable")), "{object}");
    assert!(began.elapsed() > Duration::from_secs(4), "it waited for the lock");
    assert_eq!(api.get(&format!("{CSRS}/one")).0, 200, "reads do not wait");
    other.execute_batch("ROLLBACK").expect("unlocked");
    assert_eq!(api.post(CSRS, &request("two", "node-2")).0, 201);
}

#[test]
fn a_lost_reply_leaves_one_request_that_the_client_finds() {
    let dir = directory();
    let served = Served::start(dir.path());
    let api = served.api(None);
    let body = request("one", "node-1");
    // The client disconnects as soon as it has sent the request.
    let lost = Api { client: reqwest_with_timeout(&served), url: api.url.clone() };
    for _ in 0..20 {
        let sent = runtime()
            .block_on(async { lost.sent("POST", CSRS, "application/json", body.to_string().into_bytes()).await });
        if sent.is_err() {
            break;
        }
    }
    let began = Instant::now();
    while api.get(&format!("{CSRS}/one")).0 != 200 {
        assert!(began.elapsed() < PATIENCE, "it was not created");
        api.post(CSRS, &body);
    }
    let (_, first) = api.get(&format!("{CSRS}/one"));
    assert_eq!(api.post(CSRS, &body).0, 409, "the same name again");
    assert_eq!(api.get(&format!("{CSRS}/one")).1, first, "it is the same request, and nothing else was made");
    assert_eq!(served.api(Some("alice")).get(CSRS).1["items"].as_array().map(Vec::len), Some(1));
}

fn reqwest_with_timeout(served: &Served) -> reqwest::Client {
    let certificate = std::fs::read(served.dir.join("pki/ca.crt")).expect("a CA");
    let mut roots = rustls::RootCertStore::empty();
    for der in clusterctl::pki::pem::certificates(&certificate).expect("PEM") {
        roots.add(der.into()).expect("a root");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let tls =
        builder.with_safe_default_protocol_versions().expect("TLS").with_root_certificates(roots).with_no_client_auth();
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    builder.timeout(Duration::from_millis(8)).build().expect("a client")
}

/// Kills the server at random moments while requests are created, approved and denied.
fn kill(times: u64) {
    let dir = directory();
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |limit: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % limit
    };
    for round in 0..times {
        let served = Served::start(dir.path());
        let (host, alice) = (served.api(None), served.api(Some("alice")));
        // Everything that was answered before is there, in the same state.
        for (name, state) in &known {
            let (status, object) = alice.get(&format!("{CSRS}/{name}"));
            assert_eq!(status, 200, "{name} is lost");
            let found = conditions(&object);
            assert!(state.is_empty() || found == [*state], "{name} was {state}, and is {found:?}");
        }
        let pid = served.child.id();
        // After some answers, so that a slow machine gets as far as a fast one.
        let (answers, delay) = (random(9), Duration::from_millis(random(12)));
        let answered = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&answered);
        let killer = std::thread::spawn(move || {
            let end = Instant::now() + PATIENCE;
            while count.load(Ordering::Relaxed) < answers && Instant::now() < end {
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(delay);
            let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        });
        for i in 0.. {
            let name = format!("r{round}-{i}");
            let body = request(&name, &format!("node-{}", i % 2 + 1)).to_string().into_bytes();
            let created = runtime().block_on(async { host.sent("POST", CSRS, "application/json", body).await });
            match created {
                Ok((201, _)) => drop(known.insert(name.clone(), "")),
                Ok(_) => {}
                Err(_) => break,
            }
            answered.fetch_add(1, Ordering::Relaxed);
            let kind = if i % 3 == 0 { "Denied" } else { "Approved" };
            let body =
                serde_json::json!({"status": {"conditions": [{"type": kind, "status": "True", "reason": "Test"}]}});
            let path = format!("{CSRS}/{name}/approval");
            let decided = runtime().block_on(async {
                alice.sent("PATCH", &path, "application/merge-patch+json", body.to_string().into_bytes()).await
            });
            answered.fetch_add(1, Ordering::Relaxed);
            match decided {
                Ok((200, _)) => drop(known.insert(name.clone(), kind)),
                // The host has too many open requests, so it was not created.
                Ok(_) => continue,
                Err(_) => break,
            }
            if kind == "Approved" {
                // So that the host's places do not run out; what is deleted is not checked any more.
                known.remove(&name);
                let path = format!("{CSRS}/{name}");
                if i % 2 == 0 {
                    let deleted = runtime().block_on(async { alice.sent("DELETE", &path, "", Vec::new()).await });
                    if deleted.is_err() {
                        break;
                    }
                } else {
                    known.insert(name, kind);
                }
            }
        }
        killer.join().expect("it ends");
    }
    assert!(known.values().any(|state| *state == "Approved"), "something was approved");
}

#[test]
fn nothing_that_was_answered_is_lost_when_it_is_killed() {
    kill(8);
}

#[test]
fn nothing_that_was_answered_is_lost_in_200_kills() {
    kill(200);
}

/// The state is bound to its version: a program of an older version refuses the queue of a later one.
#[test]
fn a_queue_of_a_later_version_is_refused() {
    let dir = directory();
    drop(Served::start(dir.path()));
    let database = rusqlite::Connection::open(dir.path().join("enrolment.sqlite")).expect("a database");
    database.pragma_update(None, "user_version", 99).expect("set");
    drop(database);
    let output = program(dir.path()).args(["serve", "ca", "--listen", "127.0.0.1:0"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
}
