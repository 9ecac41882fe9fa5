//! API servers that are asked for many accounts and end the connection after every answer, as HTTP/1.1 lets them, or speak
//! HTTP/2 alone.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clusterctl::cluster::profile::Profile;
use clusterctl::pki::authority::{Authority, Credential};
use clusterctl::pki::certificate::Certificate;
use clusterctl::verify::checks::{Clock, judge};
use clusterctl::verify::options::Options;
use clusterctl::verify::probe::run;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use time::Duration;

use super::site::Foreign;

/// What an API server says to a node, as far as a node is asked for: who it is, and that its own things are its own.
async fn answer(caller: Option<Certificate>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = hyper::StatusCode::UNAUTHORIZED;
    let Some(caller) = caller else { return Ok(response) };
    let user = caller.account().user;
    let who = request.uri().path().ends_with("/selfsubjectreviews");
    let asked = request.into_body().collect().await.expect("a body").to_bytes();
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

/// Serves with these certificates in turn, one answer for each connection in HTTP/1.1 or HTTP/2 `alone`; returns its port on
/// the master's address, and how many connections there were.
fn serving(lab: &Foreign, credentials: &[Credential], alone: Version) -> (u16, Arc<AtomicUsize>) {
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
        config.alpn_protocols = vec![if alone == Version::HTTP_2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    };
    let acceptors: Vec<_> = credentials.iter().map(config).collect();
    let listener = TcpListener::bind("127.0.0.2:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    listener.set_nonblocking(true).expect("it can");
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let turn = counted.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptors[turn % acceptors.len()].clone();
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(stream).await else { return };
                    let leaf = tls.get_ref().1.peer_certificates().map(|chain| chain[0].to_vec());
                    let caller = leaf.map(|der| Certificate::from_der(der).expect("a certificate"));
                    let answer = service_fn(move |request| answer(caller.clone(), request));
                    // A client that goes is its own affair.
                    let _ = match alone {
                        Version::HTTP_2 => {
                            let http = http2::Builder::new(TokioExecutor::new());
                            http.serve_connection(TokioIo::new(tls), answer).await
                        }
                        _ => http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(tls), answer).await,
                    };
                });
            }
        });
    });
    (port, count)
}

/// Statuses and observations of `master.scope`.
fn scopes(lab: &Foreign) -> Vec<(&'static str, String)> {
    let options = Options { readonly_port: None, ..Options::default() };
    let target = Arc::new(lab.target.clone());
    let seen = run(&target, &options, lab.now, &|_, _| {}).expect("a network");
    let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
    let scopes = findings.into_iter().filter(|finding| finding.id.to_string() == "master.scope");
    scopes.map(|finding| (finding.status.as_str(), finding.observed)).collect()
}

#[test]
fn an_api_server_is_asked_on_new_connections_or_in_http_2_if_need_be_and_another_server_is_not() {
    let mut lab = Foreign::new();
    let authority = Authority::open(&lab.root, lab.now).expect("a fit root");
    let leaves = lab.cluster.master_leaves(&lab.cluster.masters[0]);
    let leaf = leaves.iter().find(|leaf| leaf.profile == Profile::Apiserver).expect("in the table");
    let issue = || authority.issue(leaf, lab.cluster.keys).expect("a credential").into_inner();
    let (first, second) = (issue(), issue());
    let (port, connections) = serving(&lab, std::slice::from_ref(&first), Version::HTTP_11);
    let (in_http_2, _) = serving(&lab, std::slice::from_ref(&first), Version::HTTP_2);
    let (of_two, _) = serving(&lab, &[first, second], Version::HTTP_11);
    lab.target.masters[0].port = port;
    let found = scopes(&lab);
    assert_eq!(found.iter().map(|(status, _)| *status).collect::<Vec<_>>(), ["pass", "pass"], "{found:#?}");
    assert!(connections.load(Ordering::SeqCst) > 2 * 12, "one for each question");
    lab.target.masters[0].port = in_http_2;
    let found = scopes(&lab);
    assert_eq!(found.iter().map(|(status, _)| *status).collect::<Vec<_>>(), ["pass", "pass"], "{found:#?}");
    // Behind this address two take turns: what the other says of the account is not this one's word.
    lab.target.masters[0].port = of_two;
    let found = scopes(&lab);
    assert!(!found.is_empty() && found.iter().all(|(status, _)| *status != "pass"), "{found:#?}");
}
