//! A cluster directory, issued by the program's own commands, and a simulated cluster that serves it from this process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use clusterctl::cluster::profile::{CaRole, CertificateSpec};
use clusterctl::config;
use clusterctl::fake_cluster::cluster::{Addresses, Config, FakeCluster, reserve};
use clusterctl::pki::issuer::{Credential, IssueError};
use clusterctl::store::layout::Layout;
use clusterctl::store::{ca, credentials};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use time::OffsetDateTime;

/// A directory and the running cluster that it describes.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    _running: FakeCluster,
    _silent: Option<Silence>,
}

impl Site {
    /// Starts one master, `good` nodes, and `holes` more that never answer.
    pub(crate) fn start(good: usize, holes: usize) -> Self {
        let hard = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard }).expect("the hard limit is ours");
        let folder = tempfile::tempdir().expect("a folder");
        let reserved = reserve(1, good).expect("loopback has addresses");
        let served = reserved.addresses().clone();
        let silent = (holes > 0).then(Silence::new);
        let silent_at = silent.iter().flat_map(|silence| silence.at(holes));
        let all = Addresses { nodes: served.nodes.iter().copied().chain(silent_at).collect(), ..served.clone() };
        std::fs::write(folder.path().join("cluster.yaml"), config::write(&all.draft("bench"))).expect("written");
        for command in [&["init-ca", "--plaintext-ca-key"][..], &["issue-master", "--all"], &["issue-node", "--all"]] {
            let mut issuing = Command::new(env!("CARGO_BIN_EXE_clusterctl"));
            issuing.args(command).current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
            assert!(issuing.status().expect("the program starts").success(), "{command:?}");
        }
        let layout = Layout::new(folder.path().to_owned());
        let trust = ca::trust(&layout, CaRole::Cluster).expect("the root");
        let stored = |leaf: &CertificateSpec| -> Result<Credential, IssueError> {
            Ok(credentials::read(&layout, leaf).expect("issued").credential)
        };
        let cluster = served.draft("bench").check().expect("a good draft");
        let config =
            Config::assemble(cluster, &trust, None, None, OffsetDateTime::now_utc(), stored).expect("what it serves");
        let running = reserved.start(config).expect("a running cluster");
        Self { folder, _running: running, _silent: silent }
    }

    /// The directory.
    pub(crate) fn dir(&self) -> String {
        self.path().display().to_string()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

/// A port on every loopback address that never answers: its queue is full, and the kernel drops new connections.
struct Silence {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Silence {
    fn new() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a free port");
        let at: SocketAddr = (Ipv4Addr::LOCALHOST, listener.local_addr().expect("an address").port()).into();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&at, Duration::from_millis(300)) {
            waiting.push(stream);
            assert!(waiting.len() < 10_000, "the queue does not fill");
        }
        Self { listener, _waiting: waiting }
    }

    fn at(&self, count: usize) -> impl Iterator<Item = SocketAddr> + use<> {
        let port = self.listener.local_addr().expect("an address").port();
        let first = Ipv4Addr::new(127, 200, 0, 1).to_bits();
        (first..).take(count).map(move |bits| (IpAddr::V4(Ipv4Addr::from_bits(bits)), port).into())
    }
}
