//! API servers that are queried for many accounts and close the connection after every response, as HTTP/1.1 permits,
//! that only speak HTTP/2, or that leave the choice to the client.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use clusterctl::cluster::profile::{CaRole, Profile};
use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::issuer::{Credential, Issuer, create_root};
use clusterctl::verify::checks::{Clock, judge};
use clusterctl::verify::finding::{Finding, Status};
use clusterctl::verify::options::Options;
use clusterctl::verify::probe::run;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use time::Duration;

use super::site::Foreign;

/// The answers of an API server to a node: its identity, and that it may read its own objects.
async fn answer(
    caller: Option<Certificate>,
    request: Request<Incoming>,
    introductions: Arc<Mutex<BTreeSet<(String, String)>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = hyper::StatusCode::UNAUTHORIZED;
    response.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
    let refusal =
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "Unauthorized", "code": 401});
    *response.body_mut() = Full::from(refusal.to_string());
    let Some(caller) = caller else { return Ok(response) };
    let user = caller.account().user;
    let who = request.uri().path().ends_with("/selfsubjectreviews");
    if who {
        let seen = (user.clone(), format!("{:?}", request.version()));
        introductions.lock().expect("no panic").insert(seen);
    }
    // A client that ran out of time closes the connection.
    let Ok(asked) = request.into_body().collect().await else { return Ok(response) };
    let asked = asked.to_bytes();
    let asked = String::from_utf8_lossy(&asked).into_owned();
    let own = user.rsplit(':').next().expect("a name");
    let body = if who {
        let groups = [&caller.subject.organizations[..], &["system:authenticated".to_owned()]].concat();
        let status = json!({"userInfo": {"username": user, "groups": groups}});
        json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "status": status})
    } else {
        let allowed = asked.contains(own) || asked.contains("\"events\"");
        json!({"kind": "SelfSubjectAccessReview", "status": {"allowed": allowed}})
    };
    *response.status_mut() = hyper::StatusCode::CREATED;
    *response.body_mut() = Full::from(body.to_string());
    Ok(response)
}

/// The protocol of a server.
#[derive(Clone, Copy, PartialEq)]
enum Speaks {
    /// Only HTTP/1.1, and one answer for each connection.
    Http1Closing,
    /// Only HTTP/2.
    Http2,
    /// The same, and the peer goes away after each answer.
    Http2Closing,
    /// The same, and only the first request on each connection is answered.
    Http2Once,
    /// The protocol that the client prefers.
    Both,
}

/// A server on the master's address.
struct Served {
    port: u16,
    /// The number of connections,
    connections: Arc<AtomicUsize>,
    /// and the clients that requested a SelfSubjectReview, with the version of HTTP.
    introductions: Arc<Mutex<BTreeSet<(String, String)>>>,
}

/// Serves with these certificates in turn.
fn serving(lab: &Foreign, credentials: &[Credential], speaks: Speaks) -> Served {
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from(lab.root.certificate.der().to_vec())).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let callers = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider.clone());
    let callers = callers.allow_unauthenticated().build().expect("a verifier");
    let config = |credential: &Credential| {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(credential.key.expose_pkcs8().to_vec()));
        let config = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_client_cert_verifier(callers.clone());
        let chain = vec![CertificateDer::from(credential.certificate.der().to_vec())];
        let mut config = config.with_single_cert(chain, key).expect("they fit");
        config.alpn_protocols = match speaks {
            Speaks::Http1Closing => vec![b"http/1.1".to_vec()],
            Speaks::Http2 | Speaks::Http2Closing | Speaks::Http2Once => vec![b"h2".to_vec()],
            Speaks::Both => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    };
    let acceptors: Vec<_> = credentials.iter().map(config).collect();
    let listener = TcpListener::bind("127.0.0.2:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    listener.set_nonblocking(true).expect("it can");
    let served = Served { port, connections: Arc::default(), introductions: Arc::default() };
    let (counted, introductions) = (served.connections.clone(), served.introductions.clone());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let turn = counted.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptors[turn % acceptors.len()].clone();
                let introductions = introductions.clone();
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(stream).await else { return };
                    let leaf = tls.get_ref().1.peer_certificates().map(|chain| chain[0].to_vec());
                    let caller = leaf.map(|der| Certificate::from_der(der).expect("a certificate"));
                    let asked = Arc::new(tokio::sync::Notify::new());
                    let (notified, requests) = (asked.clone(), AtomicUsize::new(0));
                    let answer = service_fn(move |request| {
                        notified.notify_one();
                        let is_answered = requests.fetch_add(1, Ordering::SeqCst) == 0 || speaks != Speaks::Http2Once;
                        let answer = answer(caller.clone(), request, introductions.clone());
                        async move { if is_answered { answer.await } else { std::future::pending().await } }
                    });
                    let mut http = auto::Builder::new(TokioExecutor::new());
                    http.http1().keep_alive(speaks != Speaks::Http1Closing);
                    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(tls), answer));
                    // Errors of clients that disconnect do not matter.
                    tokio::select! {
                        _ = connection.as_mut() => return,
                        () = asked.notified() => if speaks == Speaks::Http2Closing { connection.as_mut().graceful_shutdown() },
                    }
                    let _ = connection.await;
                });
            }
        });
    });
    served
}

fn judged(lab: &Foreign) -> Vec<Finding> {
    judged_with(lab, Options::default().timeout)
}

fn judged_with(lab: &Foreign, timeout: std::time::Duration) -> Vec<Finding> {
    let options = Options { readonly_port: None, timeout, ..Options::default() };
    let target = Arc::new(lab.target.clone());
    let seen = run(&target, &options, lab.now, &|_, _| {}).expect("a network");
    judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) })
}

/// Returns the statuses and observations of `master.scope`.
fn scopes(lab: &Foreign) -> Vec<(&'static str, String)> {
    let scopes = judged(lab).into_iter().filter(|finding| finding.id.to_string() == "master.scope");
    scopes.map(|finding| (finding.status.as_str(), finding.observed)).collect()
}

/// Issues a new credential for the master.
fn of_the_master(lab: &Foreign) -> Credential {
    signed_by(lab, &lab.root)
}

fn signed_by(lab: &Foreign, root: &Credential) -> Credential {
    let issuer = Issuer::open(CaRole::Cluster, root, lab.now).expect("a valid root");
    let leaves = lab.cluster.master_specs(&lab.cluster.masters[0]);
    let leaf = leaves.iter().find(|leaf| leaf.profile == Profile::Apiserver).expect("in the table");
    issuer.issue_credential(leaf, lab.cluster.keys, lab.now).expect("a credential").into_inner()
}

#[test]
fn servers_that_close_connections_are_asked_again() {
    let mut lab = Foreign::new();
    let (first, second) = (of_the_master(&lab), of_the_master(&lab));
    let closing = serving(&lab, std::slice::from_ref(&first), Speaks::Http1Closing);
    let in_http_2 = serving(&lab, std::slice::from_ref(&first), Speaks::Http2);
    let going_away = serving(&lab, std::slice::from_ref(&first), Speaks::Http2Closing);
    let of_two = serving(&lab, &[first, second], Speaks::Http1Closing);
    lab.target.masters[0].port = closing.port;
    let found = scopes(&lab);
    assert_eq!(found.iter().map(|(status, _)| *status).collect::<Vec<_>>(), ["pass", "pass"], "{found:#?}");
    assert!(closing.connections.load(Ordering::SeqCst) > 2 * 12, "one for each question");
    for http_2 in [&in_http_2, &going_away] {
        lab.target.masters[0].port = http_2.port;
        let found = scopes(&lab);
        assert_eq!(found.iter().map(|(status, _)| *status).collect::<Vec<_>>(), ["pass", "pass"], "{found:#?}");
    }
    // Two servers alternate at this address: answers of the other do not count for this one.
    lab.target.masters[0].port = of_two.port;
    let found = scopes(&lab);
    assert!(!found.is_empty() && found.iter().all(|(status, _)| *status != "pass"), "{found:#?}");
}

#[test]
fn a_request_that_a_closing_server_discards_is_made_again() {
    let mut lab = Foreign::new();
    let credential = of_the_master(&lab);
    lab.target.masters[0].port = serving(&lab, &[credential], Speaks::Http2Once).port;
    let findings = judged_with(&lab, std::time::Duration::from_secs(2));
    let refusal = findings.iter().find(|finding| finding.id.to_string() == "master.anonymous").expect("judged");
    assert_eq!(refusal.status, Status::Pass, "{refusal:#?}");
}

#[test]
fn other_nodes_use_http_1_1_only_after_a_first_http_2_node() {
    let mut lab = Foreign::new();
    let credential = of_the_master(&lab);
    let versions = |lab: &mut Foreign| {
        let server = serving(lab, std::slice::from_ref(&credential), Speaks::Both);
        lab.target.masters[0].port = server.port;
        scopes(lab);
        let seen = server.introductions.lock().expect("no panic").clone();
        seen.into_iter().map(|(user, version)| format!("{user} {version}")).collect::<Vec<_>>()
    };
    let [first, second] = [0, 1].map(|i| lab.cluster.accounts.account(&lab.cluster.nodes[i].name).user);
    assert_eq!(versions(&mut lab), [format!("{first} HTTP/2.0"), format!("{second} HTTP/1.1")]);
    lab.target.nodes[0].client = None;
    assert_eq!(versions(&mut lab), [format!("{second} HTTP/2.0")]);
}

#[test]
fn a_refusal_by_any_server_of_an_address_counts() {
    let mut lab = Foreign::new();
    let other = create_root(CaRole::Cluster, &lab.cluster.name, lab.cluster.keys, lab.cluster.validity.ca, lab.now);
    let other = other.expect("a root").into_inner();
    for (second, status) in [(of_the_master(&lab), Status::Pass), (signed_by(&lab, &other), Status::NotProven)] {
        let served = serving(&lab, &[of_the_master(&lab), second], Speaks::Http1Closing);
        lab.target.masters[0].port = served.port;
        let findings = judged(&lab);
        let refusal = findings.iter().find(|finding| finding.id.to_string() == "master.anonymous").expect("judged");
        assert_eq!(refusal.status, status, "{findings:#?}");
    }
}
