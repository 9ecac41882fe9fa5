//! A cluster whose first node is a third-party server.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration as StdDuration, Instant};

use clusterctl::cluster::profile::{CaRole, CertificateSpec, Profile};
use clusterctl::cluster::spec::{Cluster, RawCluster, RawHost};
use clusterctl::pki::issuer::{Credential, Issuer, create_root};
use clusterctl::verify::checks::{Clock, judge};
use clusterctl::verify::finding::{Finding, Status};
use clusterctl::verify::observation::{Dial, Handshake};
use clusterctl::verify::options::Options;
use clusterctl::verify::probe::run;
use clusterctl::verify::remedy::Remedy;
use clusterctl::verify::target::{Identity, KnownCredential, Target};
use time::{Duration, OffsetDateTime};

use super::hostile::speaker;
use super::lab::now;

pub(super) const SERVER: &str = "subjectAltName=IP:127.0.0.1,DNS:node-1\nextendedKeyUsage=serverAuth\n";

/// A cluster of one master and two nodes; the first node is a third-party server.
pub(super) struct Foreign {
    pub(super) folder: tempfile::TempDir,
    pub(super) cluster: Cluster,
    pub(super) root: Credential,
    pub(super) target: Target,
    pub(super) port: u16,
    pub(super) now: OffsetDateTime,
}

impl Foreign {
    pub(super) fn new() -> Self {
        let now = now();
        let port = free_port();
        let host = |name: &str, address: &str, port: u16| RawHost {
            name: Some(name.into()),
            addresses: vec![address.into()],
            port: Some(port.to_string()),
            ..RawHost::default()
        };
        let draft = RawCluster {
            name: Some("lab".into()),
            masters: vec![host("master-1", "127.0.0.2", 1)],
            nodes: vec![host("node-1", "127.0.0.1", port), host("node-2", "127.0.0.12", 1)],
            ..RawCluster::default()
        };
        let cluster = draft.check().expect("a good draft");
        let root = create_root(CaRole::Cluster, &cluster.name, cluster.keys, cluster.validity.ca, now);
        let root = root.expect("a root").into_inner();
        let held = |leaf: &CertificateSpec| {
            let issuer = Issuer::open(leaf.policy().signed_by, &root, now).expect("a valid root");
            let credential = issuer.issue_credential(leaf, cluster.keys, now).expect("a credential").into_inner();
            KnownCredential {
                issued: None,
                identity: Some(Identity::of(&credential).expect("an identity")),
                missing: None,
            }
        };
        let target = Target::of(&cluster, vec![root.certificate.clone()], held);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.crt"), root.certificate.to_pem()).expect("written");
        std::fs::write(folder.path().join("ca.key"), root.key.to_pem().as_bytes()).expect("written");
        Self { folder, cluster, root, target, port, now }
    }

    /// Returns the leaf that the first node should serve.
    pub(super) fn leaf(&self) -> CertificateSpec {
        let leaves = self.cluster.node_specs(&self.cluster.nodes[0]);
        leaves.into_iter().find(|leaf| leaf.profile == Profile::KubeletServer).expect("in the table")
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    pub(super) fn write(&self, credential: &Credential) {
        std::fs::write(self.path("server.crt"), credential.certificate.to_pem()).expect("written");
        std::fs::write(self.path("server.key"), credential.key.to_pem().as_bytes()).expect("written");
    }

    pub(super) fn openssl(&self, arguments: &[&str]) {
        let done = Command::new("openssl").args(arguments).current_dir(self.folder.path()).output().expect("openssl");
        assert!(done.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    pub(super) fn s_server(&self, arguments: &[&str]) -> Server {
        let at = format!("127.0.0.1:{}", self.port);
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", &at, "-cert", "server.crt", "-key", "server.key"]).args(arguments);
        Server::start(command.current_dir(self.folder.path()), self.port)
    }

    /// Returns the observation at the first node's socket.
    pub(super) fn dial(&self) -> Dial {
        let options = Options { timeout: StdDuration::from_secs(5), readonly_port: None, ..Options::default() };
        let seen = run(&Arc::new(self.target.clone()), &options, now(), &|_, _| {}).expect("a network");
        let mut node = seen.peers.into_iter().find(|peer| peer.host == "node-1").expect("the node");
        node.locations.remove(0).dials.remove(0)
    }

    /// Returns the result of the handshake at the first node.
    pub(super) fn handshake(&self) -> Handshake {
        self.dial().tls.expect("TLS was tried").outcome
    }

    /// Returns the findings about the first node.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let options = Options { timeout: StdDuration::from_secs(5), readonly_port: None, ..Options::default() };
        let target = Arc::new(self.target.clone());
        // OpenSSL dates its certificates by the clock, and the test may have waited for it.
        let now = now();
        let seen = run(&target, &options, now, &|_, _| {}).expect("a network");
        let findings = judge(&target, &seen, Clock { now, expires_within: Duration::days(30) });
        findings.into_iter().filter(|finding| finding.host == "node-1").collect()
    }

    /// Returns the observation of the first node by the one finding of `check` with `status`.
    pub(super) fn observed(&self, check: &str, status: Status) -> String {
        let id = format!("node.{check}");
        let wanted = self.findings().into_iter().filter(|finding| finding.id.to_string() == id);
        let mut found: Vec<Finding> = wanted.filter(|finding| finding.status == status).collect();
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0).observed
    }

    /// Returns the status and the remedy's id of each check of the first node.
    pub(super) fn verdicts(&self) -> BTreeMap<String, (&'static str, String)> {
        let mut verdicts = BTreeMap::new();
        for f in self.findings() {
            let check = f.id.to_string().replace("node.", "");
            let remedy = f.remedy.as_ref().map(Remedy::id).unwrap_or_default();
            if check == "untrusted" {
                verdicts
                    .insert(format!("untrusted {}", f.client.unwrap_or_default()), (f.status.as_str(), remedy.clone()));
            }
            // If a check has several findings, the first that is not a pass counts.
            let known = verdicts.entry(check).or_insert((f.status.as_str(), remedy.clone()));
            if (known.0, f.status) == ("pass", f.status) {
                *known = (f.status.as_str(), remedy);
            }
        }
        verdicts
    }

    pub(super) fn expect(&self, expected: &[(&str, &'static str)]) {
        let verdicts = self.verdicts();
        for (check, status) in expected {
            assert_eq!(verdicts[*check].0, *status, "{check}: {verdicts:#?}");
        }
    }
}

impl Foreign {
    pub(super) fn issue(&self) -> Credential {
        let issuer = Issuer::open(CaRole::Cluster, &self.root, self.now).expect("a valid root");
        issuer.issue_credential(&self.leaf(), self.cluster.keys, self.now).expect("a credential").into_inner()
    }

    /// Returns the result for a server that has the node's certificate and answers like this.
    pub(super) fn spoken(
        speak: fn(&mut dyn std::io::Write) -> std::io::Result<()>,
    ) -> BTreeMap<String, (&'static str, String)> {
        let mut lab = Self::new();
        let credential = lab.issue();
        lab.target.nodes[0].port = speaker(&credential, &credential, speak);
        lab.verdicts()
    }
}

impl Foreign {
    /// Signs `server.crt` for the first node with the CA in the files `ca`, as many scripts do.
    pub(super) fn sign(&self, ca: &str, extensions: &str, out: &str) {
        let key = format!("{out}.key");
        let curve = "ec_paramgen_curve:P-256";
        let subject = format!("/CN={out}");
        self.openssl(&[
            "req", "-newkey", "ec", "-pkeyopt", curve, "-nodes", "-keyout", &key, "-subj", &subject, "-out", "csr",
        ]);
        std::fs::write(self.path("ext"), extensions).expect("written");
        let (crt, ca_crt, ca_key) = (format!("{out}.crt"), format!("{ca}.crt"), format!("{ca}.key"));
        self.openssl(&[
            "x509", "-req", "-in", "csr", "-CA", &ca_crt, "-CAkey", &ca_key, "-out", &crt, "-extfile", "ext", "-days",
            "90", "-sha256",
        ]);
    }
}

pub(super) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// A third-party server, which is stopped on drop.
pub(super) struct Server(Child);

impl Server {
    pub(super) fn start(command: &mut Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self(child.expect("the program is installed"));
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < StdDuration::from_secs(30), "the server does not listen");
            std::thread::sleep(StdDuration::from_millis(50));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
