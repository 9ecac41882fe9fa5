//! The page of `status --output html`, read by Python's HTML parser: it has no scripts, loads nothing and has no external
//! links.

use serde_json::Value;
use time::Duration;

use super::pki::{lab, leaf, root};
use crate::support::outside::needs;
use crate::support::{Lab, NOW, pages};

/// Returns the page, which must be self-contained.
fn page(lab: &Lab, args: &[&str]) -> Value {
    let ran = lab.run(&[&["status", "--output", "html"], args].concat());
    assert!(ran.status <= 1, "{ran}");
    pages::page(&ran.out)
}

#[test]
fn a_page_lists_what_is_due_and_is_self_contained() {
    needs!("python3");
    let mut lab = Lab::issued();
    let valid = page(&lab, &[]);
    assert!(valid["text"].as_str().expect("text").contains("28"));
    lab.good(&["revoke", "--yes", "on"]);
    lab.now = NOW + Duration::days(250);
    let due = page(&lab, &[]);
    let text = due["text"].as_str().expect("text");
    for part in ["prod", "due", "revoked", "kubelet-client", "worker-b1", "clusterctl issue-master"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn untrusted_text_is_escaped() {
    needs!("openssl", "python3");
    let mut lab = lab();
    const MARKUP: &str = "<script>alert(1)<\\/script><img src=x onerror=alert(2)>";
    root(&lab, "pki/ca.crt", 3650, MARKUP);
    leaf(&lab, "pki/ca.crt", "pki/<img src=x onerror=alert(3)>\"'&.crt", 20, MARKUP);
    lab.write("pki/<b>damaged.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    lab.now += Duration::days(21);
    let page = page(&lab, &["--pki", "pki"]);
    let text = page["text"].as_str().expect("text");
    // The graph and the timeline have the certificates, too.
    assert_eq!(page["tags"]["svg"], 2);
    assert!(text.contains("pki/<img src=x onerror=alert(3)>\"'&.crt") && text.contains("<b>damaged.crt"), "{text}");
}
