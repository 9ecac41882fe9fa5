//! The client side: the connections of `verify` with a whole cluster directory, and their duration.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clusterctl::cluster::profile::{CaRole, CertificateSpec};
use clusterctl::cluster::spec::Cluster;
use clusterctl::config;
use clusterctl::store::layout::Layout;
use clusterctl::store::{ca, credentials};
use clusterctl::verify::checks::{Clock, judge};
use clusterctl::verify::finding::{Finding, Status};
use clusterctl::verify::observation::Observations;
use clusterctl::verify::options::Options;
use clusterctl::verify::probe;
use clusterctl::verify::target::{Identity, KnownCredential, Target};
use time::OffsetDateTime;

/// Connects to all hosts of the directory, and prints the number of handshakes, the seconds, and the result.
pub(crate) fn dial(dir: &Path, timeout: Duration) {
    let target = Arc::new(target(dir));
    let options = Options { timeout, readonly_port: None, ..Options::default() };
    let now = OffsetDateTime::now_utc();
    let began = Instant::now();
    let seen = probe::run(&target, &options, now, &|_, _| {}).expect("a network");
    let took = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let findings = judge(&target, &seen, Clock { now, expires_within: time::Duration::days(30) });
    let judging = began.elapsed().as_secs_f64();
    let failed = findings.iter().filter(|finding| finding.status == Status::Fail).count();
    let connects = |status| {
        let of = |finding: &&Finding| finding.id.to_string() == "node.connect" && finding.status == status;
        findings.iter().filter(of).count()
    };
    let (open, silent) = (connects(Status::Pass), connects(Status::Fail));
    println!(
        "handshakes {}\nseconds {took}\njudging {judging}\nfailed {failed}\nopen {open}\nsilent {silent}",
        handshakes(&seen)
    );
}

/// The directory's cluster file.
pub(crate) fn cluster(dir: &Path) -> Cluster {
    config::read(&std::fs::read(dir.join("cluster.yaml")).expect("written")).expect("good")
}

fn target(dir: &Path) -> Target {
    let layout = Layout::new(dir.to_owned());
    let root = ca::trust(&layout, CaRole::Cluster).expect("the root").active().root().clone();
    Target::of(&cluster(dir), vec![root], |leaf: &CertificateSpec| {
        let stored = credentials::read(&layout, leaf).expect("issued").credential;
        let identity = Identity::of(&stored).expect("an identity");
        KnownCredential { issued: Some(stored.certificate.fingerprint()), identity: Some(identity), missing: None }
    })
}

/// Returns the number of completed handshakes: one to inspect, one for each request.
fn handshakes(seen: &Observations) -> usize {
    let dials = seen.peers.iter().flat_map(|peer| &peer.locations).flat_map(|location| &location.dials);
    let of = |dial: &clusterctl::verify::observation::Dial| {
        let look = dial.tls.as_ref().is_some_and(|tls| !tls.server_chain.is_empty());
        usize::from(look) + dial.exchanges.iter().filter(|exchange| !exchange.server_chain.is_empty()).count()
    };
    dials.map(of).sum()
}
