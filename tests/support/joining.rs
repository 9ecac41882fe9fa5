//! A cluster that hosts join: a bootstrap endpoint, a mailbox by Python's TLS, and an announcer.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64ct::{Base64, Encoding};
use clusterctl::app::Env;
use clusterctl::app::enrol::bootstrap::{self, BootstrapOptions};
use clusterctl::server::bootstrap::Bootstrap;
use clusterctl::store::layout::Layout;
use serde_json::Value;
use time::OffsetDateTime;

use super::{CLUSTER, Lab, Ran};

/// The node that joins.
pub(crate) const HOST: &str = "on";

/// A cluster that hosts join.
pub(crate) struct Joinable {
    /// The cluster directory; the host's `/` is `hosts/on` in it.
    pub(crate) lab: Lab,
    /// The endpoint's time, as seconds since 1970.
    pub(crate) time: Arc<AtomicI64>,
    /// The bootstrap endpoint; `None` once it was stopped.
    pub(crate) bootstrap: Option<Bootstrap>,
    /// The mailbox.
    mailbox: Child,
    /// The URL of the mailbox.
    pub(crate) enrolment: String,
    /// What hosts join with.
    pub(crate) cluster: String,
}

impl Drop for Joinable {
    fn drop(&mut self) {
        let _ = self.mailbox.kill();
        let _ = self.mailbox.wait();
    }
}

/// Writes the kubeconfig of an announcer of this cluster.
pub(crate) fn write_announcer(lab: &Lab) {
    lab.good(&["issue-admin", "announcer", "--announcer", "--validity", "1y"]);
    fs::copy(lab.path("pki/admins/announcer.conf"), lab.path("announcer.conf")).expect("copied");
}

/// Starts a bootstrap endpoint whose state is the folder `boot`.
pub(crate) fn start_bootstrap(lab: &Lab, time: &Arc<AtomicI64>) -> Bootstrap {
    let env = Env { layout: Layout::new(lab.dir().to_owned()), now: lab.now, actor: "test".to_owned() };
    let listen = ([127, 0, 0, 1], 0).into();
    let options = BootstrapOptions {
        listen,
        state: lab.path("boot"),
        credential: None,
        max_connections_per_address: bootstrap::MAX_CONNECTIONS_PER_ADDRESS,
    };
    let time = time.clone();
    let now = move || OffsetDateTime::from_unix_timestamp(time.load(Ordering::Relaxed)).expect("a time");
    bootstrap::serve(&options, &env, Arc::new(now)).expect("a bootstrap endpoint")
}

/// Registers a cluster at an endpoint, and returns what hosts join with.
pub(crate) fn register(lab: &Lab, url: &str) -> String {
    let token = lab.good(&["serve", "bootstrap", "--state", "boot", "--create-token"]).out;
    lab.write("registration", &token);
    lab.good(&["register", url, "--token-file", "registration"]).out.trim().to_owned()
}

impl Joinable {
    /// Starts everything: registered, announced, and nothing joined yet.
    pub(crate) fn start() -> Self {
        let lab = Lab::with(CLUSTER);
        Self::of(lab)
    }

    /// Like [`Self::start`], with the real clock, for programs that cannot be told the time.
    pub(crate) fn now() -> Self {
        let mut lab = Lab::with(CLUSTER);
        lab.now = OffsetDateTime::now_utc();
        Self::of(lab)
    }

    /// Like [`Self::start`], for this directory, which has only its cluster file.
    pub(crate) fn of(lab: Lab) -> Self {
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["issue-master", "--all"]);
        let (mailbox, port) = mailbox(&lab, "pki/masters/master-1/apiserver");
        let time = Arc::new(AtomicI64::new(lab.now.unix_timestamp()));
        let bootstrap = start_bootstrap(&lab, &time);
        let url = format!("https://{}", bootstrap.address);
        let cluster = register(&lab, &url);
        write_announcer(&lab);
        fs::create_dir_all(lab.path("hosts/on/etc")).expect("made");
        let enrolment = format!("https://127.0.0.1:{port}");
        let made = Self { lab, time, bootstrap: Some(bootstrap), mailbox, enrolment, cluster };
        made.announce();
        made
    }

    /// Renews what the masters and the announcer have, and starts the mailbox anew with it.
    pub(crate) fn renew_masters(&mut self) {
        self.lab.good(&["issue-master", "--all"]);
        self.lab.good(&["issue-admin", "announcer", "--announcer", "--validity", "1y", "--reissue"]);
        fs::copy(self.lab.path("pki/admins/announcer.conf"), self.lab.path("announcer.conf")).expect("copied");
        let _ = self.mailbox.kill();
        let _ = self.mailbox.wait();
        let (mailbox, port) = mailbox(&self.lab, "pki/masters/master-1/apiserver");
        (self.mailbox, self.enrolment) = (mailbox, format!("https://127.0.0.1:{port}"));
        self.announce();
    }

    /// Announces the cluster, after the endpoint's clock was set.
    pub(crate) fn announce(&self) {
        self.time.store(self.lab.now.unix_timestamp(), Ordering::Relaxed);
        let url = self.cluster.split_once('@').expect("a URL").1;
        self.lab.good(&["announce", url, "--enrolment", &self.enrolment, "--kubeconfig", "announcer.conf"]);
    }

    /// Runs `join` on the host, for two seconds at most.
    pub(crate) fn join(&self, args: &[&str]) -> Ran {
        let always = ["join", "--cluster", &self.cluster, "--host", HOST, "--root", "hosts/on", "--wait", "2s"];
        self.lab.run(&[&always, args].concat())
    }

    /// Signs every open request by the cluster file, and packs the host's bundle.
    pub(crate) fn approve(&self) {
        for (name, request) in self.requests() {
            let text = Base64::decode_vec(request["spec"]["request"].as_str().expect("text")).expect("base64");
            let text = String::from_utf8(text).expect("PEM");
            let end = "-----END CERTIFICATE REQUEST-----\n";
            let csr = &text[..text.find(end).expect("a request") + end.len()];
            let issued = self.lab.path(&format!("box/issued/{name}"));
            if issued.exists() {
                continue;
            }
            self.lab.write("one.csr", csr);
            self.lab.good(&["sign", "one.csr"]);
            let profile = if name.contains("-client-") { "kubelet-client" } else { "kubelet-server" };
            fs::copy(self.lab.path(&format!("pki/nodes/{HOST}/{profile}.crt")), issued).expect("copied");
        }
        self.lab.good(&["bundle", HOST]);
        let bundle = format!("box/bundles/{HOST}.tar.gz");
        fs::copy(self.lab.path(&format!("bundles/{HOST}.tar.gz")), self.lab.path(&bundle)).expect("copied");
    }

    /// Returns the requests that arrived, by name.
    pub(crate) fn requests(&self) -> Vec<(String, Value)> {
        let mut found: Vec<_> = fs::read_dir(self.lab.path("box/requests")).expect("a folder").collect();
        found.sort_by_key(|entry| entry.as_ref().map(fs::DirEntry::path).ok());
        let read = |entry: std::io::Result<fs::DirEntry>| -> (String, Value) {
            let path: PathBuf = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, serde_json::from_slice(&fs::read(path).expect("read")).expect("JSON"))
        };
        found.into_iter().map(read).collect()
    }

    /// Makes the mailbox misbehave.
    pub(crate) fn misbehave(&self, mode: &str) {
        self.lab.write("box/mode", mode);
    }
}

/// Starts a mailbox with a credential of the directory, and returns it with its port.
pub(crate) fn mailbox(lab: &Lab, credential: &str) -> (Child, String) {
    fs::create_dir_all(lab.path("box")).expect("made");
    lab.write("mailbox.py", include_str!("../joining/mailbox.py"));
    let path = |name: &str| lab.path(name).display().to_string();
    let mut mailbox = Command::new("/usr/bin/python3")
        .args([path("mailbox.py"), path("box"), path(&format!("{credential}.crt")), path(&format!("{credential}.key"))])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("python3");
    let mut port = String::new();
    BufReader::new(mailbox.stdout.take().expect("a pipe")).read_line(&mut port).expect("a port");
    (mailbox, port.trim().to_owned())
}
