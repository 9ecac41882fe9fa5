//! The baseline: handshakes by tokio-rustls and nothing else.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clusterctl::cluster::profile::{CaRole, Profile};
use clusterctl::store::layout::Layout;
use clusterctl::store::{ca, credentials};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::dialling::cluster;

/// The concurrency of ours.
const AT_ONCE: usize = 128;

/// Makes `count` handshakes with the nodes of a directory, in turn, with webpki's verification, the master's client
/// certificate and no resumption; and prints the seconds.
pub(crate) fn shake(dir: &Path, count: usize) {
    let (connector, at) = (connector(dir), nodes(dir));
    let (next, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let began = Instant::now();
    runtime.block_on(async {
        let mut set = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let (connector, at, next, done) = (connector.clone(), at.clone(), next.clone(), done.clone());
            set.spawn(async move {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    if turn >= count {
                        return;
                    }
                    let to = at[turn % at.len()];
                    let Ok(stream) = tokio::net::TcpStream::connect(to).await else { continue };
                    // Only slower without.
                    let _ = stream.set_nodelay(true);
                    let name = ServerName::from(to.ip());
                    done.fetch_add(usize::from(connector.connect(name, stream).await.is_ok()), Ordering::Relaxed);
                }
            });
        }
        while set.join_next().await.is_some() {}
    });
    println!("handshakes {}\nseconds {}", done.load(Ordering::Relaxed), began.elapsed().as_secs_f64());
}

fn connector(dir: &Path) -> TlsConnector {
    let layout = Layout::new(dir.to_owned());
    let cluster = cluster(dir);
    let leaves = cluster.master_specs(&cluster.masters[0]);
    let leaf = leaves.iter().find(|leaf| leaf.profile == Profile::ApiserverKubeletClient).expect("in the table");
    let caller = credentials::read(&layout, leaf).expect("issued").credential;
    let root = ca::trust(&layout, CaRole::Cluster).expect("the root").active().root().clone();
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from(root.der().to_vec())).expect("a root");
    let chain = vec![CertificateDer::from(caller.certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(caller.key.expose_pkcs8().to_vec()).expect("a key");
    // The cipher suite that `verify` asks for first, so that both work with the same.
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites = vec![rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks it")
        .with_root_certificates(trusted)
        .with_client_auth_cert(chain, key)
        .expect("they fit");
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

fn nodes(dir: &Path) -> Arc<[SocketAddr]> {
    let at = |host: &clusterctl::cluster::spec::Host| Some(SocketAddr::new(host.addresses[0].ip()?, host.port));
    cluster(dir).nodes.iter().filter_map(at).collect()
}
