//! `verify --crl`: usable and unusable CRLs at command level, and the directory's own `pki/crl.pem`.

use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::certificate::{Certificate, Serial};
use clusterctl::pki::issuer::{Issuer, create_root};
use clusterctl::pki::{pem, untrusted};
use clusterctl::store::ca;
use clusterctl::store::layout::Layout;
use serde_json::Value;
use time::Duration;

use crate::support::live::Live;
use crate::support::outside::needs;
use crate::support::{Ran, good_tool, undated};

/// A live cluster, its root, and the certificate of its first node's kubelet.
struct Site {
    live: Live,
    root: Issuer,
    serial: Serial,
}

impl Site {
    fn new() -> Self {
        let live = Live::sized(1, 2, None);
        let root = ca::open(&Layout::new(live.lab.dir().to_owned()), CaRole::Cluster, None);
        let root = root.expect("the root").into_issuer(live.lab.now).expect("a valid root");
        let pem = std::fs::read(live.lab.path("pki/nodes/node-1/kubelet-server.crt")).expect("issued");
        let der = pem::certificates(&pem).expect("PEM").remove(0);
        let serial = Certificate::from_der(der).expect("a certificate").serial;
        Self { live, root, serial }
    }

    /// Writes a CRL by `root` that is valid from `from` to `to`, in days from now.
    fn crl(&self, file: &str, root: &Issuer, serials: &[Serial], from: i64, to: i64) {
        let now = self.live.lab.now;
        let der = untrusted::revocation_list(root, serials, now + Duration::days(from), now + Duration::days(to));
        std::fs::write(self.live.lab.path(file), der.expect("a CRL")).expect("written");
    }

    fn verify(&self, more: &[&str]) -> Ran {
        self.live.lab.run(&[&["verify", "--node", "node-1", "--output", "json"], more].concat())
    }

    /// Returns status, observation and remedy of `node.revoked`, and the run's exit status.
    fn judged(&self, more: &[&str]) -> (u8, String, String, String) {
        let ran = self.verify(more);
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        let results = report["results"].as_array().expect("results");
        let of_node = |result: &&Value| result["id"] == "node.revoked" && result["host"] == "node-1";
        let result = results.iter().find(of_node).unwrap_or_else(|| panic!("{ran}"));
        let text = |key: &str| result[key].as_str().unwrap_or_default().to_owned();
        assert!(results.iter().any(|result| result["id"] == "master.revoked"), "{ran}");
        assert_eq!(text("severity"), "error");
        (ran.status, text("status"), text("observed"), text("remedy"))
    }
}

#[test]
fn without_a_crl_revocation_is_not_reported() {
    needs!("xmllint");
    let site = Site::new();
    let ran = site.verify(&[]);
    assert!(ran.status == 0 && !ran.out.contains(".revoked"), "{ran}");
}

#[test]
fn a_current_crl_of_the_ca_passes_and_revokes() {
    needs!("openssl", "xmllint");
    let site = Site::new();
    site.crl("others.crl", &site.root, &[Serial(vec![7; 16])], -1, 1);
    let (status, judged, observed, _) = site.judged(&["--crl", "others.crl"]);
    assert_eq!((status, judged.as_str()), (0, "pass"), "{observed}");
    site.crl("ours.crl", &site.root, &[Serial(vec![7; 16]), site.serial.clone()], -1, 1);
    let (status, judged, observed, remedy) = site.judged(&["--crl", "others.crl", "--crl", "ours.crl"]);
    assert_eq!((status, judged.as_str()), (1, "fail"), "{observed}");
    assert!(observed.contains(&site.serial.to_string()), "{observed}");
    assert_eq!(remedy, "reissue");
    // PEM is accepted, too, and the directory's own CRL is used without a flag.
    let at = |name: &str| site.live.lab.path(name).display().to_string();
    good_tool("openssl", &["crl", "-inform", "DER", "-in", &at("ours.crl"), "-out", &at("pki/crl.pem")]);
    assert_eq!(site.judged(&["--crl", "pki/crl.pem"]).1, "fail");
    assert_eq!(site.judged(&[]).1, "fail");
}

#[test]
fn an_unusable_crl_fails_with_the_reason() {
    needs!("xmllint");
    let site = Site::new();
    let name = &clusterctl::cluster::name::ClusterName::parse("live").expect("a name");
    let lifetime = clusterctl::cluster::lifetime::Lifetime::TEN_YEARS;
    let keys = clusterctl::cluster::key_kind::KeyKind::EcdsaP256;
    let made = |kind| {
        let root = create_root(kind, name, keys, lifetime, site.live.lab.now).expect("a root");
        Issuer::open(kind, root.get(), site.live.lab.now).expect("a valid root")
    };
    let (same_name_root, other) = (made(CaRole::Cluster), made(CaRole::Etcd));
    site.crl("expired.crl", &site.root, &[], -2, -1);
    site.crl("early.crl", &site.root, &[], 1, 2);
    site.crl("twin.crl", &same_name_root, &[], -1, 1);
    site.crl("other.crl", &other, &[], -1, 1);
    site.live.lab.write("garbage.crl", "what is this?\n");
    site.live.lab.write("empty.crl", "");
    std::fs::write(site.live.lab.path("cut.crl"), [0x30, 0x82, 0x01]).expect("written");
    std::fs::copy(site.live.lab.path("pki/ca.crt"), site.live.lab.path("root.crl")).expect("copied");
    let cases =
        ["expired.crl", "early.crl", "twin.crl", "other.crl", "garbage.crl", "empty.crl", "cut.crl", "root.crl"];
    let mut reasons = String::new();
    for file in cases {
        let (status, judged, observed, remedy) = site.judged(&["--crl", file]);
        reasons.push_str(&format!("{file}: {}\n", undated(&observed)));
        assert_eq!((status, judged.as_str()), (1, "fail"), "{file}: {observed}");
        assert_eq!(remedy, "provide-current-crl", "{file}");
    }
    insta::assert_snapshot!("reasons_of_unusable_crls", reasons);
    // A current CRL replaces an expired one, but not a file that is not a CRL.
    site.crl("fresh.crl", &site.root, &[], -1, 1);
    assert_eq!(site.judged(&["--crl", "expired.crl", "--crl", "fresh.crl"]).1, "pass");
    assert_eq!(site.judged(&["--crl", "garbage.crl", "--crl", "fresh.crl"]).1, "fail");
    // A file that does not exist is a usage error.
    let ran = site.verify(&["--crl", "absent.crl"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran}");
}

#[test]
fn a_recorded_crl_is_judged_by_the_time_of_the_recording() {
    needs!("xmllint");
    let mut site = Site::new();
    site.crl("fresh.crl", &site.root, &[], -1, 1);
    let ran = site.verify(&["--crl", "fresh.crl", "--record", "run.json"]);
    assert_eq!(ran.status, 0, "{ran}");
    std::fs::remove_file(site.live.lab.path("fresh.crl")).expect("removed");
    site.live.lab.now += Duration::days(30);
    let again = site.live.lab.run(&["verify", "--replay", "run.json", "--output", "json"]);
    assert_eq!((again.status, again.out), (0, ran.out));
}
