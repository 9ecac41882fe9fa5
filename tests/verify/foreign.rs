//! Servers of other projects: etcd and OpenSSL, with usual and unusual settings.

use std::process::Command;
use std::sync::Arc;

use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::issuer::Issuer;
use clusterctl::verify::checks::{Clock, judge};
use clusterctl::verify::finding::Status;
use clusterctl::verify::observation::{Client, Handshake, OldHello, Outcome};
use clusterctl::verify::options::Options;
use clusterctl::verify::probe::run;
use time::Duration;

use super::site::{Foreign, SERVER, Server, free_port};

use crate::support::ends;
use crate::support::outside::needs;

#[test]
fn etcd_is_judged_by_its_handshake() {
    needs!("etcd", "openssl", "python3", "xmllint");
    let lab = Foreign::new();
    let issuer = Issuer::open(CaRole::Cluster, &lab.root, lab.now).expect("a valid root");
    lab.write(issuer.issue_credential(&lab.leaf(), lab.cluster.keys, lab.now).expect("a credential").get());
    let client = format!("https://127.0.0.1:{}", lab.port);
    let peer = format!("http://127.0.0.1:{}", free_port());
    let cluster = format!("default={peer}");
    let mut command = Command::new("etcd");
    let files = [
        ("--data-dir", "data"),
        ("--cert-file", "server.crt"),
        ("--key-file", "server.key"),
        ("--trusted-ca-file", "ca.crt"),
    ];
    for (flag, file) in files {
        command.arg(flag).arg(lab.path(file));
    }
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client, "--client-cert-auth"]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer, "--initial-cluster", &cluster]);
    let _etcd = Server::start(&mut command, lab.port);
    lab.expect(&[
        ("connect", "pass"),
        ("tls", "pass"),
        ("protocol", "pass"),
        ("chain", "pass"),
        ("possession", "pass"),
        ("dates", "pass"),
        ("name", "pass"),
        ("usage", "pass"),
        // etcd is not a kubelet: its 404 proves nothing for any client.
        ("caller", "not-proven"),
        ("anonymous", "pass"),
        ("untrusted", "pass"),
        // etcd accepts every client of its CA: this is why it has its own root.
        ("other-node", "not-proven"),
    ]);
    let dial = lab.dial();
    let outcome = |wanted: fn(&Client) -> bool| {
        &dial.exchanges.iter().find(|exchange| wanted(&exchange.client)).expect("an exchange").outcome
    };
    assert!(matches!(outcome(|client| *client == Client::Anonymous), Outcome::Alert(_)), "{dial:#?}");
    let master = outcome(|client| matches!(client, Client::Master(_)));
    assert!(matches!(master, Outcome::Answer(answer) if answer.status == 404), "{dial:#?}");
}

#[test]
fn an_open_web_server_fails_the_refusals_and_is_not_a_kubelet() {
    needs!("openssl", "python3", "xmllint");
    let lab = Foreign::new();
    let issuer = Issuer::open(CaRole::Cluster, &lab.root, lab.now).expect("a valid root");
    lab.write(issuer.issue_credential(&lab.leaf(), lab.cluster.keys, lab.now).expect("a credential").get());
    let _server = lab.s_server(&["-www"]);
    lab.expect(&[
        ("chain", "pass"),
        ("name", "pass"),
        ("caller", "not-proven"),
        ("anonymous", "fail"),
        ("untrusted", "fail"),
        ("other-node", "fail"),
    ]);
}

/// An RSA key for the first node, and a certificate of our root's that was signed with this digest.
fn rsa(lab: &Foreign, digest: &str) {
    let request =
        ["req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-subj", "/CN=node-1", "-out", "csr"];
    lab.openssl(&request);
    std::fs::write(lab.path("ext"), SERVER).expect("written");
    let sign =
        ["x509", "-req", "-in", "csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-out", "server.crt", "-extfile", "ext"];
    lab.openssl(&[&sign[..], &["-days", "90", digest]].concat());
}

#[test]
fn a_sha1_signature_is_not_accepted() {
    needs!("openssl", "python3", "xmllint");
    let lab = Foreign::new();
    rsa(&lab, "-sha256");
    let server = lab.s_server(&["-www"]);
    lab.expect(&[("chain", "pass"), ("name", "pass"), ("dates", "pass"), ("usage", "pass")]);
    drop(server);
    rsa(&lab, "-sha1");
    let _server = lab.s_server(&["-www", "-cipher", "ALL:@SECLEVEL=0"]);
    lab.expect(&[("chain", "fail"), ("name", "pass"), ("anonymous", "not-proven"), ("caller", "not-proven")]);
}

#[test]
fn tls_1_1_is_refused_with_its_alert() {
    needs!("openssl", "python3", "xmllint");
    let lab = Foreign::new();
    let issuer = Issuer::open(CaRole::Cluster, &lab.root, lab.now).expect("a valid root");
    lab.write(issuer.issue_credential(&lab.leaf(), lab.cluster.keys, lab.now).expect("a credential").get());
    let _server = lab.s_server(&["-www", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    lab.expect(&[("connect", "pass"), ("tls", "fail"), ("chain", "not-proven"), ("anonymous", "not-proven")]);
    assert_eq!(lab.handshake(), Handshake::Alert("ProtocolVersion".into()));
}

#[test]
fn a_tls_1_2_only_server_passes() {
    needs!("openssl", "python3", "xmllint");
    let lab = Foreign::new();
    let issuer = Issuer::open(CaRole::Cluster, &lab.root, lab.now).expect("a valid root");
    lab.write(issuer.issue_credential(&lab.leaf(), lab.cluster.keys, lab.now).expect("a credential").get());
    let _server = lab.s_server(&["-www", "-tls1_2", "-Verify", "1", "-verify_return_error", "-CAfile", "ca.crt"]);
    lab.expect(&[
        ("tls", "pass"),
        ("protocol", "pass"),
        ("chain", "pass"),
        ("possession", "pass"),
        ("caller", "not-proven"),
        ("anonymous", "pass"),
        ("untrusted", "pass"),
    ]);
}

#[test]
fn resolved_names_are_used_and_unknown_ones_are_reported() {
    needs!("openssl", "python3", "xmllint");
    let mut lab = Foreign::new();
    let name = clusterctl::cluster::address::Address::parse("node-1").expect("an address");
    lab.target.nodes[0].addresses = vec![name];
    let issuer = Issuer::open(CaRole::Cluster, &lab.root, lab.now).expect("a valid root");
    lab.write(issuer.issue_credential(&lab.leaf(), lab.cluster.keys, lab.now).expect("a credential").get());
    let _server = lab.s_server(&["-www"]);
    let mut options = Options { readonly_port: None, ..Options::default() };
    options.pin("node-1:127.0.0.1").expect("a pin");
    let target = Arc::new(lab.target.clone());
    let seen = run(&target, &options, lab.now, &|_, _| {}).expect("a network");
    let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
    let status = |id: &str| findings.iter().find(|f| f.host == "node-1" && f.id.to_string() == id).expect(id).status;
    for id in ["node.resolve", "node.connect", "node.tls", "node.chain", "node.name"] {
        assert_eq!(status(id), Status::Pass, "{id}");
    }
    assert_eq!(status("node.anonymous"), Status::Fail);
}

#[test]
fn a_server_that_accepts_any_certificate_fails_for_untrusted_clients() {
    needs!("openssl", "python3", "xmllint");
    for version in ["-tls1_2", "-tls1_3"] {
        let lab = Foreign::new();
        lab.write(&lab.issue());
        // Without -verify_return_error OpenSSL requires a certificate but accepts one of an unknown CA.
        let _server = lab.s_server(&["-www", version, "-Verify", "1", "-CAfile", "ca.crt"]);
        lab.expect(&[("chain", "pass"), ("anonymous", "pass"), ("untrusted", "fail"), ("other-node", "fail")]);
    }
}

#[test]
fn accepted_old_tls_versions_give_a_warning() {
    needs!("openssl", "python3", "xmllint");
    let lab = Foreign::new();
    lab.write(&lab.issue());
    let _server = lab.s_server(&["-www", "-min_protocol", "TLSv1", "-cipher", "ALL:@SECLEVEL=0"]);
    lab.expect(&[("tls", "pass"), ("protocol", "warn"), ("chain", "pass")]);
    assert_eq!(lab.dial().old, Some(OldHello::Spoken("TLS 1.1".into())));
}

#[test]
fn a_server_with_a_hello_retry_request_passes() {
    needs!("openssl", "python3", "xmllint");
    let lab = Foreign::new();
    lab.write(&lab.issue());
    let _server = lab.s_server(&["-www", "-groups", "P-384"]);
    lab.expect(&[("tls", "pass"), ("protocol", "pass"), ("possession", "pass"), ("anonymous", "fail")]);
    assert!(matches!(lab.dial().old, Some(OldHello::Alert(_) | OldHello::Closed)));
}

#[test]
fn unsupported_tls_parameters_are_not_proven() {
    needs!("openssl", "python3", "xmllint");
    let lab = Foreign::new();
    lab.write(&lab.issue());
    for offers in [&["-groups", "P-521"][..], &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]] {
        let _server = lab.s_server(&[&["-www"], offers].concat());
        lab.expect(&[("connect", "pass"), ("tls", "not-proven"), ("chain", "not-proven")]);
    }
}

#[test]
fn invalid_intermediates_fail_the_chain() {
    needs!("openssl", "python3", "xmllint");
    let lab = Foreign::new();
    // A node's certificate signs another certificate (CVE-2002-0862).
    lab.sign("ca", SERVER, "leaf");
    lab.sign("leaf", SERVER, "server");
    let server = lab.s_server(&["-www", "-cert_chain", "leaf.crt"]);
    lab.expect(&[("chain", "fail"), ("name", "pass"), ("anonymous", "not-proven")]);
    drop(server);
    // Our roots allow no intermediates.
    lab.sign("ca", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n", "between");
    lab.sign("between", SERVER, "server");
    let server = lab.s_server(&["-www", "-cert_chain", "between.crt"]);
    lab.expect(&[("chain", "fail")]);
    drop(server);
    std::fs::copy(lab.path("ca.crt"), lab.path("server.crt")).expect("copied");
    std::fs::copy(lab.path("ca.key"), lab.path("server.key")).expect("copied");
    let _server = lab.s_server(&["-www"]);
    // Go accepts a certificate of the trust file itself, even a CA's; only its names fail.
    lab.expect(&[("chain", "pass"), ("usage", "warn"), ("name", "fail")]);
}

#[test]
fn intermediates_count_only_when_they_are_sent() {
    needs!("openssl", "python3", "xmllint");
    let mut lab = Foreign::new();
    let config = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90"];
    let issuer = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"];
    let files = ["req", "-x509", "-keyout", "open.key", "-out", "open.crt", "-subj", "/CN=open root"];
    lab.openssl(&[&files[..], &config, &issuer[..2], &issuer[2..]].concat());
    lab.sign("open", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n", "between");
    lab.sign("between", SERVER, "server");
    let pem = std::fs::read(lab.path("open.crt")).expect("a root");
    let der = clusterctl::pki::pem::certificates(&pem).expect("PEM").remove(0);
    // During a rotation there are two roots in the file, and a chain to either is valid.
    lab.target.roots.push(clusterctl::pki::certificate::Certificate::from_der(der).expect("a root"));
    let server = lab.s_server(&["-www"]);
    lab.expect(&[("chain", "fail"), ("name", "pass")]);
    drop(server);
    let server = lab.s_server(&["-www", "-cert_chain", "between.crt"]);
    lab.expect(&[("chain", "pass"), ("dates", "pass"), ("possession", "pass")]);
    drop(server);
    lab.write(&lab.issue());
    let _server = lab.s_server(&["-www"]);
    lab.expect(&[("chain", "pass"), ("dates", "pass")]);
}

#[test]
fn huge_chains_and_name_lists_are_bounded() {
    needs!("openssl", "python3", "xmllint");
    let lab = Foreign::new();
    lab.write(&lab.issue());
    let ours = std::fs::read_to_string(lab.path("ca.crt")).expect("a root");
    lab.sign("ca", "basicConstraints=critical,CA:TRUE\n", "between");
    let one = std::fs::read_to_string(lab.path("between.crt")).expect("written");
    std::fs::write(lab.path("many.crt"), ours + &one.repeat(99)).expect("written");
    let server = lab.s_server(&["-www", "-cert_chain", "many.crt"]);
    // Only exponential work would take long.
    let lab = ends(move || {
        lab.expect(&[("tls", "pass"), ("chain", "pass"), ("possession", "pass")]);
        lab
    });
    drop(server);
    let names: Vec<String> = (0..10_000).map(|i| format!("DNS:name-{i}.example.net")).collect();
    lab.sign("ca", &format!("subjectAltName={}\nextendedKeyUsage=serverAuth\n", names.join(",")), "server");
    let _server = lab.s_server(&["-www"]);
    // rustls reads no handshake message of more than 64 KiB, and this one has 300.
    lab.expect(&[("tls", "fail"), ("chain", "not-proven"), ("anonymous", "not-proven")]);
}

#[test]
fn one_bad_address_of_a_name_is_reported_by_itself() {
    needs!("openssl", "python3", "xmllint");
    let mut lab = Foreign::new();
    let address = |text: &str| clusterctl::cluster::address::Address::parse(text).expect("an address");
    lab.target.nodes[0].addresses = vec![address("node-1")];
    lab.write(&lab.issue());
    let _server = lab.s_server(&["-www"]);
    let mut options = Options { readonly_port: None, ..Options::default() };
    for pin in ["node-1:127.0.0.1", "node-1:127.0.0.99"] {
        options.pin(pin).expect("a pin");
    }
    let target = Arc::new(lab.target.clone());
    let seen = run(&target, &options, lab.now, &|_, _| {}).expect("a network");
    let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
    let connects: Vec<(String, Status)> = findings
        .iter()
        .filter(|f| f.host == "node-1" && f.id.to_string() == "node.connect")
        .map(|f| (f.address.clone().unwrap_or_default(), f.status))
        .collect();
    let at = |ip: &str| format!("{ip}:{}", lab.port);
    assert_eq!(connects, [(at("127.0.0.1"), Status::Pass), (at("127.0.0.99"), Status::Fail)]);
}

#[test]
fn addresses_and_wildcards_match_in_every_spelling() {
    needs!("openssl", "python3", "xmllint");
    let lab = Foreign::new();
    let address = |text: &str| clusterctl::cluster::address::Address::parse(text).expect("an address");
    lab.sign("ca", "subjectAltName=IP:fd00:0:0:0:0:0:0:1,IP:10.0.0.1,DNS:*.example.net\n", "server");
    let pem = std::fs::read(lab.path("server.crt")).expect("written");
    let der = clusterctl::pki::pem::certificates(&pem).expect("PEM").remove(0);
    let leaf = clusterctl::pki::certificate::Certificate::from_der(der).expect("a certificate");
    for named in ["fd00::1", "FD00:0::0:1", "[fd00::1]", "::ffff:10.0.0.1", "10.0.0.1", "a.example.net"] {
        assert!(leaf.names_address(&address(named)), "{named}");
    }
    for other in ["fd00::2", "10.0.0.2", "example.net", "a.b.example.net", "server"] {
        assert!(!leaf.names_address(&address(other)), "{other}");
    }
}

#[test]
fn key_exchange_without_forward_secrecy_is_not_offered() {
    needs!("openssl", "python3", "xmllint");
    let lab = Foreign::new();
    rsa(&lab, "-sha256");
    let server = lab.s_server(&["-www", "-tls1_2"]);
    lab.expect(&[("tls", "pass"), ("chain", "pass")]);
    drop(server);
    let _server = lab.s_server(&["-www", "-tls1_2", "-cipher", "kRSA"]);
    lab.expect(&[("connect", "pass"), ("tls", "fail"), ("chain", "not-proven"), ("anonymous", "not-proven")]);
    assert_eq!(lab.handshake(), Handshake::Alert("HandshakeFailure".into()));
}

#[test]
fn a_trailing_dot_in_a_name_is_ignored() {
    needs!("openssl", "python3", "xmllint");
    let mut lab = Foreign::new();
    lab.target.nodes[0].addresses = vec![clusterctl::cluster::address::Address::parse("node-1.").expect("a name")];
    lab.write(&lab.issue());
    let _server = lab.s_server(&["-www"]);
    let mut options = Options { readonly_port: None, ..Options::default() };
    options.pin("Node-1.:127.0.0.1").expect("a pin");
    let target = Arc::new(lab.target.clone());
    let seen = run(&target, &options, lab.now, &|_, _| {}).expect("a network");
    let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
    let status = |id: &str| findings.iter().find(|f| f.host == "node-1" && f.id.to_string() == id).expect(id).status;
    for id in ["node.resolve", "node.connect", "node.tls", "node.chain", "node.name"] {
        assert_eq!(status(id), Status::Pass, "{id}");
    }
}
