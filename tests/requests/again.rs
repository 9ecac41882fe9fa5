//! Requests that were signed before: the certificate that exists already is named.

use serde_json::Value;
use time::Duration;

use super::{request, sign};
use crate::support::Lab;

/// The earlier certificates of both profiles.
fn earlier(report: &Value) -> [&Value; 2] {
    [0, 1].map(|i| &report["certificates"][i]["earlier"])
}

fn has_warned(lab: &Lab, args: &[&str]) -> bool {
    lab.good(&[&["sign", "on.request"], args].concat()).err.lines().any(|line| line.starts_with("warning: "))
}

#[test]
fn a_request_that_was_signed_names_its_certificate() {
    let mut lab = Lab::with_roots();
    request(&lab, "on");
    assert!(!has_warned(&lab, &["--dry-run"]));
    let first = sign(&lab, &["on.request"]);
    assert_eq!(earlier(&first), [&Value::Null; 2]);
    lab.now += Duration::days(1);
    assert!(has_warned(&lab, &["--dry-run"]));
    for args in [&["--dry-run", "on.request"][..], &["on.request"]] {
        let again = sign(&lab, args);
        for (i, one) in earlier(&again).into_iter().enumerate() {
            let signed = &first["certificates"][i]["certificate"];
            assert_eq!((&one["serial"], &one["expires"]), (&signed["serial"], &signed["expires"]));
            assert_eq!((&one["issued"], &one["isDue"]), (&Value::from("2026-11-23T12:00:00Z"), &Value::Bool(false)));
        }
    }
    // A renewal by the same key is usual.
    lab.now += Duration::days(300);
    assert!(!has_warned(&lab, &["--dry-run"]));
    assert_eq!(earlier(&sign(&lab, &["--dry-run", "on.request"]))[0]["isDue"], Value::Bool(true));
    // What is no longer valid, or was revoked, is not named.
    lab.now += Duration::days(100);
    assert_eq!(earlier(&sign(&lab, &["--dry-run", "on.request"])), [&Value::Null; 2]);
    request(&lab, "worker-b1");
    sign(&lab, &["worker-b1.request"]);
    lab.good(&["revoke", "worker-b1", "--reason", "superseded", "--yes"]);
    assert_eq!(earlier(&sign(&lab, &["--dry-run", "worker-b1.request"])), [&Value::Null; 2]);
}
