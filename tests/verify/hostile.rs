//! Misbehaving peers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use clusterctl::cli::finding_remedies::words;
use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::issuer::Credential;
use clusterctl::pki::key::PrivateKey;
use clusterctl::pki::pem;
use clusterctl::verify::checks::{Clock, judge};
use clusterctl::verify::finding::Status;
use clusterctl::verify::observation::Handshake;
use clusterctl::verify::options::Options;
use clusterctl::verify::probe::run;
use clusterctl::verify::recording::Recording;
use clusterctl::verify::report::{Report, TextStyle};
use clusterctl::verify::verdict::Strictness;
use time::Duration;

use super::site::{Foreign, free_port};
use crate::support::outside::needs;
use crate::support::{ends, pages};

/// Starts a server that misbehaves in one way on every connection.
pub(super) fn misbehave(how: fn(std::net::TcpStream)) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || how(stream));
        }
    });
    port
}

/// The status of TLS, and how the handshake went. The run always ends.
pub(super) fn handshake_at(port: u16) -> (&'static str, Handshake) {
    ends(move || judged_at(port))
}

fn judged_at(port: u16) -> (&'static str, Handshake) {
    let mut lab = Foreign::new();
    lab.target.nodes[0].port = port;
    let options = Options { timeout: StdDuration::from_millis(600), readonly_port: None, ..Options::default() };
    let target = Arc::new(lab.target.clone());
    let seen = run(&target, &options, lab.now, &|_, _| {}).expect("a network");
    let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
    assert!(
        findings.iter().all(|f| f.host != "node-1" || f.status != Status::Pass || f.id.to_string() == "node.connect")
    );
    let tls = findings.into_iter().find(|f| f.host == "node-1" && f.id.to_string() == "node.tls").expect("judged");
    let node = seen.peers.iter().find(|peer| peer.host == "node-1").expect("the node");
    let outcome = node.locations[0].dials[0].tls.as_ref().expect("TLS was tried").outcome.clone();
    (tls.status.as_str(), outcome)
}

/// A TLS server that presents `certificate`, signs with `key`, and answers a request with what `speak` writes.
pub(super) fn speaker(
    certificate: &Credential,
    key: &Credential,
    speak: fn(&mut dyn std::io::Write) -> std::io::Result<()>,
) -> u16 {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.key.expose_pkcs8()));
    let signing = rustls::crypto::ring::sign::any_supported_type(&der).expect("a key");
    let chain = vec![CertificateDer::from(certificate.certificate.der().to_vec())];
    let resolver = SingleCertAndKey::from(CertifiedKey::new(chain, signing));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = config.clone();
            std::thread::spawn(move || -> std::io::Result<()> {
                let connection = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
                let mut tls = rustls::StreamOwned::new(connection, stream);
                let mut asked = [0; 4096];
                if std::io::Read::read(&mut tls, &mut asked)? > 0 {
                    speak(&mut tls)?;
                    tls.conn.send_close_notify();
                    std::io::Write::flush(&mut tls)?;
                }
                Ok(())
            });
        }
    });
    port
}

#[test]
fn malicious_peers_use_only_their_own_deadline() {
    use std::io::{Read, Write};
    let silent = handshake_at(misbehave(|mut stream| drop(stream.read_to_end(&mut Vec::new()))));
    assert_eq!((silent.0, &silent.1), ("fail", &Handshake::TimedOut(600)));
    let closes = handshake_at(misbehave(drop));
    assert_eq!((closes.0, &closes.1), ("fail", &Handshake::Closed));
    let http = handshake_at(misbehave(|mut stream| drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"))));
    assert_eq!((http.0, &http.1), ("fail", &Handshake::PlainHttp));
    let ssh = handshake_at(misbehave(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\x1b[31m\r\n");
        let _ = stream.read(&mut [0; 1000]);
    }));
    let Handshake::Failed(reason) = &ssh.1 else { panic!("{:?}", ssh.1) };
    assert!(ssh.0 == "fail" && reason.contains("SSH-2.0"), "{reason}");
    let drip = handshake_at(misbehave(|mut stream| {
        for byte in [0x16, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc].into_iter().chain(std::iter::repeat_n(0, 50)) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(StdDuration::from_millis(100));
        }
    }));
    assert_eq!((drip.0, &drip.1), ("fail", &Handshake::TimedOut(600)));
}

#[test]
fn a_silent_peer_is_not_contacted_again() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let silent = handshake_at(misbehave(|mut stream| {
        CALLS.fetch_add(1, Ordering::SeqCst);
        drop(std::io::Read::read_to_end(&mut stream, &mut Vec::new()));
    }));
    assert_eq!(silent.0, "fail");
    // Once with TLS, and once to detect HTTP without TLS.
    assert_eq!(CALLS.load(Ordering::SeqCst), 2);
}

#[test]
fn a_peer_without_the_key_of_its_certificate_proves_nothing() {
    let mut lab = Foreign::new();
    let (certificate, other) = (lab.issue(), lab.issue());
    let pods = |out: &mut dyn std::io::Write| {
        let body = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}"#;
        write!(out, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    lab.target.nodes[0].port = speaker(&certificate, &other, pods);
    lab.expect(&[
        ("chain", "pass"),
        ("possession", "fail"),
        ("caller", "not-proven"),
        ("anonymous", "not-proven"),
        ("untrusted", "not-proven"),
    ]);
    // With the right key, the same peer is authenticated, and the check finds that it accepts anonymous clients.
    lab.target.nodes[0].port = speaker(&certificate, &certificate, pods);
    lab.expect(&[("possession", "pass"), ("caller", "pass"), ("anonymous", "fail"), ("untrusted", "fail")]);
}

#[test]
fn redirects_and_invalid_answers_prove_nothing() {
    let statuses = |found: &BTreeMap<String, (&'static str, String)>| [found["caller"].0, found["anonymous"].0];
    let moved = Foreign::spoken(|out| {
        write!(out, "HTTP/1.1 302 Found\r\nlocation: https://127.0.0.1:1/pods\r\ncontent-length: 0\r\n\r\n")
    });
    assert_eq!(statuses(&moved), ["not-proven"; 2]);
    assert_eq!(moved["caller"].1, "check-kubelet-answers");
    let garbage = Foreign::spoken(|out| out.write_all(b"\x00\x01 not http at all\r\n\r\n"));
    assert_eq!(statuses(&garbage), ["not-proven"; 2]);
    let nothing = Foreign::spoken(|_| Ok(()));
    assert_eq!(statuses(&nothing), ["not-proven"; 2]);
    let lying = Foreign::spoken(|out| write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{{\"kind\":\"Pod"));
    assert_eq!(statuses(&lying), ["not-proven", "fail"]);
    // A list of pods with the media type of a page is not from a kubelet.
    let page = Foreign::spoken(|out| {
        let body = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}"#;
        write!(out, "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    });
    assert_eq!(statuses(&page), ["not-proven", "fail"]);
}

#[test]
fn endless_headers_bodies_and_deep_json_are_bounded() {
    let headers = ends(|| {
        Foreign::spoken(|out| {
            write!(out, "HTTP/1.1 200 OK\r\n")?;
            (0..).try_for_each(|i| write!(out, "x-{i}: {}\r\n", "y".repeat(1000)))
        })
    });
    assert_eq!(headers["caller"].0, "not-proven", "{headers:#?}");
    let body = ends(|| {
        Foreign::spoken(|out| {
            write!(out, "HTTP/1.1 200 OK\r\n\r\n")?;
            (0..).try_for_each(|_: u64| out.write_all(&[b'['; 4096]))
        })
    });
    assert_eq!([body["caller"].0, body["anonymous"].0], ["not-proven", "fail"], "{body:#?}");
}

#[test]
fn text_of_a_peer_is_escaped_in_the_report() {
    let mut lab = Foreign::new();
    let credential = lab.issue();
    lab.target.nodes[0].port = speaker(&credential, &credential, |out| {
        write!(out, "HTTP/1.1 403 \x1b[31mForbidden\r\ncontent-length: 20\r\n\r\n\x1b]0;pwned\x07\u{202e}x\n.....")
    });
    let target = Arc::new(lab.target.clone());
    let seen = run(&target, &Options::default(), lab.now, &|_, _| {}).expect("a network");
    let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
    let report = Report::new(&target, findings, Strictness::default(), lab.now, lab.now);
    for text in [
        report.to_text(TextStyle { verbose: true, ..TextStyle::default() }, &words),
        report.to_json(&words),
        report.to_junit(&words),
    ] {
        assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text}");
    }
}

/// Markup in everything that a peer says: its certificates, the status line, headers and the body.
#[test]
fn markup_of_a_peer_is_text_on_the_page() {
    needs!("openssl", "python3");
    const RAN: &str = "<script>ran()<\\/script><img src=x onerror=ran()>";
    let mut lab = Foreign::new();
    let (subject, names) = (format!("/O={RAN}/CN={RAN}"), format!("subjectAltName=DNS:{}", "<svg onload=x>"));
    lab.openssl(&[
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-days",
        "30",
        "-subj",
        &subject,
        "-addext",
        &names,
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-out",
        "server.crt",
        "-keyout",
        "server.key",
    ]);
    let read = |name: &str| std::fs::read(lab.path(name)).expect("readable");
    let der = pem::certificates(&read("server.crt")).expect("PEM").remove(0);
    let key = PrivateKey::from_pem(&read("server.key")).expect("a key");
    let credential =
        Credential { certificate: Certificate::from_der(der).expect("a certificate"), chain: Vec::new(), key };
    lab.target.nodes[0].port = speaker(&credential, &credential, |out| {
        let body = r#"{"kind":"<script>x</script>","message":"User \"<img src=x onerror=y>\" cannot"}"#;
        write!(
            out,
            "HTTP/1.1 403 <b onclick=x>\r\ncontent-type: <script>\r\nx-a: <img src=x>\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    });
    let target = Arc::new(lab.target.clone());
    let now = lab.now + Duration::minutes(1);
    let seen = run(&target, &Options::default(), now, &|_, _| {}).expect("a network");
    let clock = Clock { now, expires_within: Duration::days(30) };
    let recording = Recording::new(&target, Vec::new(), seen, clock, Strictness::default(), now);
    let page = pages::page(&recording.report().to_html(&words, &recording.certificates()));
    assert_eq!(page["tags"]["svg"], 2);
    // The issuer is drawn as it calls itself, in the text of the page.
    assert!(pages::text(&page).contains("<img src=x onerror=ran()>"), "{page}");
}

#[test]
fn floods_and_slow_answers_are_bounded_and_open_access_is_found() {
    let flood = Foreign::spoken(|out| {
        loop {
            out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
    });
    assert_eq!([flood["caller"].0, flood["anonymous"].0], ["not-proven"; 2], "{flood:#?}");
    let html = Foreign::spoken(|out| {
        let body = "<html>{\"kind\":\"PodList\"}</html>";
        write!(out, "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    });
    assert_eq!([html["caller"].0, html["anonymous"].0], ["not-proven", "fail"], "{html:#?}");
    let drip = Foreign::spoken(|out| {
        write!(out, "HTTP/1.1 200 OK\r\n\r\n")?;
        for _ in 0..60 {
            out.write_all(b"{")?;
            out.flush()?;
            std::thread::sleep(StdDuration::from_secs(1));
        }
        Ok(())
    });
    // An endless response uses up its timeout but cancels no other request: the status shows that all clients are
    // accepted.
    assert_eq!([drip["anonymous"].0, drip["untrusted"].0], ["fail"; 2], "{drip:#?}");
}

#[test]
fn refused_reset_and_silent_connections_are_distinguished() {
    let mut lab = Foreign::new();
    lab.target.nodes[0].port = free_port();
    lab.expect(&[("connect", "fail"), ("tls", "not-proven"), ("caller", "not-proven")]);
    assert_eq!(lab.verdicts()["connect"].1, "start");
    // Unread data makes the kernel reset the connection.
    let resets = handshake_at(misbehave(|stream| {
        std::thread::sleep(StdDuration::from_millis(100));
        drop(stream);
    }));
    assert_eq!((resets.0, resets.1), ("fail", Handshake::Closed));
}
