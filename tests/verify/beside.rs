//! Servers that a single connection would not detect: several servers at one address, one whose answers change, one
//! that speaks only HTTP/2, a CA with the same name and key identifier.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clusterctl::cluster::profile::{CaRole, Profile};
use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::issuer::{Credential, Issuer};
use clusterctl::pki::pem;
use clusterctl::verify::finding::Status;
use clusterctl::verify::observation::Handshake;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{Acceptor, ClientHello, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::LazyConfigAcceptor;

use super::hostile::speaker;
use super::site::{Foreign, SERVER};

use crate::support::outside::needs;

const PODS: &str = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}"#;

fn pods(out: &mut dyn std::io::Write) -> std::io::Result<()> {
    write!(out, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{PODS}", PODS.len())
}

/// Forwards each connection to the server that `choose` returns for its number; `None` closes it.
fn balance(choose: impl Fn(usize) -> Option<u16> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let count = AtomicUsize::new(0);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Some(to) = choose(count.fetch_add(1, Ordering::SeqCst)) else { continue };
            let server = TcpStream::connect(("127.0.0.1", to)).expect("it listens");
            for (mut from, mut into) in [(&client, &server), (&server, &client)]
                .map(|(a, b)| (a.try_clone().expect("a descriptor"), b.try_clone().expect("a descriptor")))
            {
                std::thread::spawn(move || {
                    // Either side may close; the other side is closed, too.
                    let _ = std::io::copy(&mut from, &mut into);
                    let _ = into.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    port
}

#[test]
fn every_server_of_an_address_is_checked() {
    let mut lab = Foreign::new();
    let good = lab.issue();
    let issuer = Issuer::open(CaRole::Cluster, &lab.root, lab.now).expect("a valid root");
    let of_node_2 = lab.cluster.node_specs(&lab.cluster.nodes[1]);
    let issued = |profile: Profile| -> Credential {
        let leaf = of_node_2.iter().find(|leaf| leaf.profile == profile).expect("in the table");
        issuer.issue_credential(leaf, lab.cluster.keys, lab.now).expect("a credential").into_inner()
    };
    // Another node answers the requests, with its serving or its client certificate.
    let (server, client) = (issued(Profile::KubeletServer), issued(Profile::KubeletClient));
    let front = speaker(&good, &good, pods);
    let mut reasons = String::new();
    for (other, wrong) in [(&good, &[][..]), (&server, &["name"]), (&client, &["name", "usage"])] {
        let other = speaker(other, other, pods);
        lab.target.nodes[0].port = balance(move |turn| Some(if turn == 0 { front } else { other }));
        let findings = lab.findings();
        for check in ["chain", "name", "usage", "dates"] {
            // The first connection passes, and the other one is also checked.
            let expected = if wrong.contains(&check) { &[Status::Pass, Status::Fail][..] } else { &[Status::Pass] };
            let of_check: Vec<_> = findings.iter().filter(|f| f.id.to_string() == format!("node.{check}")).collect();
            let statuses: Vec<Status> = of_check.iter().map(|finding| finding.status).collect();
            assert_eq!(statuses, expected, "{check}: {of_check:#?}");
            for failed in of_check.iter().filter(|finding| finding.status == Status::Fail) {
                reasons.push_str(&format!("{check}: {}\n", failed.observed));
            }
        }
    }
    insta::with_settings!({ snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!("certificates_of_another_connection", reasons);
    });
}

#[test]
fn a_limit_on_connections_is_not_a_refusal() {
    let mut lab = Foreign::new();
    let good = lab.issue();
    let kubelet = speaker(&good, &good, pods);
    // Both handshakes (one for each kind of key) and the master's request get through; then it is full.
    lab.target.nodes[0].port = balance(move |turn| (turn < 3).then_some(kubelet));
    lab.expect(&[
        ("caller", "pass"),
        ("anonymous", "not-proven"),
        ("untrusted forged-ca", "not-proven"),
        ("untrusted unknown-ca", "not-proven"),
        ("other-node", "not-proven"),
    ]);
}

/// A server by hyper that accepts anonymous clients: with `alpn` in TLS, and always HTTP/2.
fn serving(lab: &Foreign, alpn: &[u8]) -> u16 {
    let config = Arc::new(tls(lab, alpn, None));
    serve(move |_| config.clone(), true)
}

/// A server that accepts every client that offers HTTP/2, and clients of our root that offer only HTTP/1.1.
fn gated(lab: &Foreign) -> u16 {
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from(lab.root.certificate.der().to_vec())).expect("a root");
    let (open, shut) = (Arc::new(tls(lab, b"h2", None)), Arc::new(tls(lab, b"http/1.1", Some(trusted))));
    let choose = move |hello: ClientHello<'_>| {
        let offers = hello.alpn().is_some_and(|mut offered| offered.any(|protocol| protocol == b"h2"));
        if offers { open.clone() } else { shut.clone() }
    };
    serve(choose, false)
}

fn tls(lab: &Foreign, alpn: &[u8], callers: Option<RootCertStore>) -> ServerConfig {
    let credential = lab.issue();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(credential.key.expose_pkcs8().to_vec()));
    let chain = vec![CertificateDer::from(credential.certificate.der().to_vec())];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let config = config.expect("versions");
    let config = match callers.map(|roots| WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)) {
        Some(verifier) => config.with_client_cert_verifier(verifier.build().expect("a verifier")),
        None => config.with_no_client_auth(),
    };
    let mut config = config.with_single_cert(chain, key).expect("they fit");
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

/// Always HTTP/2, or the agreed protocol.
fn serve(choose: impl Fn(ClientHello<'_>) -> Arc<ServerConfig> + Clone + Send + 'static, in_http_2_alone: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    listener.set_nonblocking(true).expect("it can");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let choose = choose.clone();
                tokio::spawn(async move {
                    let Ok(begun) = LazyConfigAcceptor::new(Acceptor::default(), stream).await else { return };
                    let config = choose(begun.client_hello());
                    let Ok(tls) = begun.into_stream(config).await else { return };
                    let answer = service_fn(|_: Request<Incoming>| async {
                        let body = Full::new(Bytes::from_static(PODS.as_bytes()));
                        Ok::<_, std::convert::Infallible>(Response::new(body))
                    });
                    let mut http = auto::Builder::new(TokioExecutor::new());
                    if in_http_2_alone {
                        http = http.http2_only();
                    }
                    // Errors of clients that disconnect do not matter.
                    let _ = http.serve_connection(TokioIo::new(tls), answer).await;
                });
            }
        });
    });
    port
}

#[test]
fn authentication_bypassed_by_http_2_fails() {
    let mut lab = Foreign::new();
    lab.target.nodes[0].port = gated(&lab);
    let open = ["anonymous", "untrusted forged-ca", "untrusted unknown-ca", "other-node"].map(|check| (check, "fail"));
    lab.expect(&[&[("caller", "pass")], &open[..]].concat());
}

#[test]
fn http_2_only_servers_pass_and_invalid_http_2_proves_nothing() {
    let mut lab = Foreign::new();
    lab.target.nodes[0].port = serving(&lab, b"h2");
    lab.expect(&[("tls", "pass"), ("caller", "pass"), ("anonymous", "fail"), ("other-node", "fail")]);
    // The server agrees to HTTP/1.1 and speaks HTTP/2.
    lab.target.nodes[0].port = serving(&lab, b"http/1.1");
    lab.expect(&[("tls", "pass"), ("caller", "not-proven"), ("anonymous", "not-proven")]);
    // The server speaks neither.
    lab.target.nodes[0].port = serving(&lab, b"spdy/3");
    lab.expect(&[("tls", "fail"), ("caller", "not-proven"), ("anonymous", "not-proven")]);
    assert_eq!(lab.handshake(), Handshake::Alert("NoApplicationProtocol".into()));
}

#[test]
fn a_ca_with_the_same_name_and_key_identifier_is_another() {
    needs!("openssl", "python3", "xmllint");
    let lab = Foreign::new();
    let ours = &lab.root.certificate;
    let key_id: Vec<String> = ours.subject_key_id.iter().flatten().map(|byte| format!("{byte:02X}")).collect();
    std::fs::write(
        lab.path("same-name.cnf"),
        format!(
            "[req]\nprompt=no\nstring_mask=utf8only\ndistinguished_name=dn\nx509_extensions=v3\n[dn]\nO=lab\nCN=lab root\n\
             [v3]\nbasicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n\
             subjectKeyIdentifier={}\n",
            key_id.join(":")
        ),
    )
    .expect("written");
    lab.openssl(&[
        "req",
        "-x509",
        "-config",
        "same-name.cnf",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "same-name.key",
        "-out",
        "same-name.crt",
        "-days",
        "90",
    ]);
    let pem = std::fs::read(lab.path("same-name.crt")).expect("written");
    let same_name_root = Certificate::from_der(pem::certificates(&pem).expect("PEM").remove(0)).expect("a root");
    assert_eq!(
        (&same_name_root.subject.der, &same_name_root.subject_key_id),
        (&ours.subject.der, &ours.subject_key_id)
    );
    lab.sign("same-name", SERVER, "server");
    let _server = lab.s_server(&["-www"]);
    lab.expect(&[("chain", "fail"), ("name", "pass"), ("possession", "pass"), ("anonymous", "not-proven")]);
}
