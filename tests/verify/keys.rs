//! Servers whose keys are of kinds that cannot all be verified here, or that have several.

use clusterctl::verify::finding::Status;

use super::site::{Foreign, SERVER};

use crate::support::outside::needs;

/// Makes a key with openssl's options and a certificate for it, signed by `by`, as `{name}.crt` and `{name}.key`.
fn issue(lab: &Foreign, by: &str, key: &[&str], name: &str, valid: &[&str]) {
    let (crt, key_file) = (format!("{name}.crt"), format!("{name}.key"));
    let request = ["req", "-nodes", "-keyout", &key_file, "-subj", "/CN=node-1", "-out", "csr"];
    lab.openssl(&[&request[..], key].concat());
    std::fs::write(lab.path("ext"), SERVER).expect("written");
    let (ca, ca_key) = (format!("{by}.crt"), format!("{by}.key"));
    let sign =
        ["x509", "-req", "-in", "csr", "-CA", &ca, "-CAkey", &ca_key, "-out", &crt, "-extfile", "ext", "-sha256"];
    lab.openssl(&[&sign[..], valid].concat());
}

const P256: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P521: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"];
const YEAR: [&str; 2] = ["-days", "90"];

#[test]
fn unsupported_keys_of_servers_are_not_proven() {
    needs!("openssl", "python3", "xmllint");
    let lab = Foreign::new();
    let mut kinds = String::new();
    for (key, chain) in [(&P521[..], "pass"), (&["-newkey", "rsa:1024"], "warn")] {
        issue(&lab, "ca", key, "server", &YEAR);
        let _server = lab.s_server(&["-www", "-cipher", "ALL:@SECLEVEL=0"]);
        lab.expect(&[("tls", "pass"), ("chain", chain), ("possession", "not-proven"), ("caller", "not-proven")]);
        assert_eq!(lab.verdicts()["possession"].1, "use-verifiable-key");
        kinds.push_str(&format!("{}\n", lab.observed("possession", Status::NotProven)));
    }
    insta::with_settings!({ snapshot_path => "../snapshots" }, { insta::assert_snapshot!("keys_of_servers", kinds) });
}

#[test]
fn a_p_521_ca_is_not_proven() {
    needs!("openssl", "python3", "xmllint");
    let mut lab = Foreign::new();
    let authority = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
    let root =
        ["req", "-x509", "-nodes", "-keyout", "large.key", "-out", "large.crt", "-subj", "/CN=large", "-days", "90"];
    lab.openssl(&[&root[..], &P521, &authority[..2], &authority[2..]].concat());
    issue(&lab, "large", &P256, "server", &YEAR);
    let pem = std::fs::read(lab.path("large.crt")).expect("a root");
    let der = clusterctl::pki::pem::certificates(&pem).expect("PEM").remove(0);
    lab.target.roots = vec![clusterctl::pki::certificate::Certificate::from_der(der).expect("a root")];
    let _server = lab.s_server(&["-www"]);
    lab.expect(&[("tls", "pass"), ("chain", "not-proven"), ("possession", "pass"), ("caller", "not-proven")]);
    assert_eq!(lab.verdicts()["chain"].1, "use-verifiable-key");
    let observed = lab.observed("chain", Status::NotProven);
    insta::with_settings!({ snapshot_path => "../snapshots" }, { insta::assert_snapshot!("key_of_a_root", observed) });
}

#[test]
fn each_certificate_of_a_server_that_has_several_is_judged() {
    needs!("openssl", "python3", "xmllint");
    let lab = Foreign::new();
    issue(&lab, "ca", &P256, "server", &YEAR);
    for (days, dates) in [(YEAR.to_vec(), "pass"), (vec!["-days", "-1"], "fail")] {
        issue(&lab, "ca", &["-newkey", "rsa:2048"], "other", &days);
        let _server = lab.s_server(&["-www", "-dcert", "other.crt", "-dkey", "other.key"]);
        lab.expect(&[("chain", "pass"), ("dates", dates)]);
    }
}
