//! A laboratory: a temporary cluster directory, a fixed clock, captured streams, and the program in-process or as a
//! child process. This module asserts nothing about the program.

pub(crate) mod admission;
pub(crate) mod authorization;
pub(crate) mod drafts;
pub(crate) mod encryption;
#[cfg(feature = "server")]
pub(crate) mod enrolment;
pub(crate) mod fleets;
pub(crate) mod forms;
#[cfg(feature = "server")]
pub(crate) mod joining;
pub(crate) mod kubernetes;
pub(crate) mod live;
pub(crate) mod offline;
pub(crate) mod openssl;
pub(crate) mod outside;
pub(crate) mod packages;
pub(crate) mod pages;
pub(crate) mod phases;
pub(crate) mod plans;
pub(crate) mod policies;
pub(crate) mod rotation;
pub(crate) mod site;

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use clusterctl::cli::process::{Process, Stop};
use clusterctl::pki::passphrase::Passphrase;
use clusterctl::ui::Stream;
use clusterctl::ui::prompts::Prompts;
use time::OffsetDateTime;
use time::macros::datetime;

/// The laboratory's time, unless a test sets another.
pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-23 12:00:00 UTC);

/// A small cluster: two masters with a common endpoint and three nodes, one of them called `on`.
pub(crate) const CLUSTER: &str = r#"apiVersion: clusterctl/v1
kind: Cluster
name: prod
endpoint: https://api.prod.example.net:6443
serviceCIDRs: [10.96.0.0/16, "fd00:10:96::/112"]
masters:
- {name: master-1, addresses: [10.20.0.11, master-1.example.net]}
- {name: master-2, addresses: [10.20.0.12]}
nodes:
- name: worker-a1.fra1.example.net
  addresses: [10.20.1.11, "fd20:1::11", worker-a1.fra1.example.net]
- {name: on, addresses: [10.20.4.1]}
- {name: worker-b1, addresses: [10.20.2.11]}
"#;

/// A cluster directory and how the program is run in it.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
    /// The time.
    pub(crate) now: OffsetDateTime,
    /// Environment variables.
    pub(crate) env: BTreeMap<String, OsString>,
    /// Typed answers to prompts; `None` without a terminal.
    pub(crate) typed: Option<VecDeque<String>>,
}

/// The exit status and the output of a run, with the folder's path replaced by `DIR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Exit status.
    pub(crate) status: u8,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit status {}\n--- stdout\n{}--- stderr\n{}", self.status, self.out, self.err)
    }
}

impl Lab {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("lab").tempdir().expect("a temporary folder");
        Self { folder, now: NOW, env: BTreeMap::new(), typed: None }
    }

    /// A folder with this cluster file.
    pub(crate) fn with(cluster: &str) -> Self {
        let lab = Self::empty();
        lab.write("cluster.yaml", cluster);
        lab
    }

    /// Returns a laboratory with [`CLUSTER`] and its roots, whose keys are unencrypted.
    pub(crate) fn with_roots() -> Self {
        let lab = Self::with(CLUSTER);
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab
    }

    /// [`Lab::with_roots`] with every credential issued.
    pub(crate) fn issued() -> Self {
        let lab = Self::with_roots();
        lab.good(&["issue-master", "--all"]);
        lab.good(&["issue-node", "--all"]);
        lab
    }

    /// The folder.
    pub(crate) fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Returns a path in the folder.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir().join(relative)
    }

    /// Returns a file's text.
    pub(crate) fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    /// Writes a file.
    pub(crate) fn write(&self, relative: &str, text: &str) {
        std::fs::write(self.path(relative), text).unwrap_or_else(|error| panic!("{relative}: {error}"));
    }

    /// Returns every file with its bytes, except the lock.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut open = vec![self.dir().to_owned()];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(&dir).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    open.push(path);
                } else if path.file_name().is_some_and(|name| name != ".clusterctl.lock") {
                    let bytes = std::fs::read(&path).unwrap_or_default();
                    files.insert(path, bytes);
                }
            }
        }
        files
    }

    /// Runs the program in-process.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let (out, err) = (Captured::default(), Captured::default());
        let stream = |captured: &Captured| Stream { sink: Box::new(captured.clone()), terminal: false, width: None };
        let mut world = Process {
            args: std::iter::once("clusterctl").chain(args.iter().copied()).map(OsString::from).collect(),
            dir: self.dir().to_owned(),
            env: self.env.clone(),
            clock: Box::new({
                let now = self.now;
                move || now
            }),
            user: "admin@laptop".to_owned(),
            out: stream(&out),
            err: stream(&err),
            prompts: self.typed.clone().map(|typed| Box::new(Typist(typed)) as Box<dyn Prompts>),
            stop: Stop::default(),
        };
        let status = clusterctl::run(&mut world).code();
        let ran = Ran { status, out: self.shown(&out), err: self.shown(&err) };
        if args.first() == Some(&"verify") && !ran.out.is_empty() {
            forms::check(args, ran.status, &ran.out);
        }
        ran
    }

    /// Runs the program in-process, which must succeed.
    pub(crate) fn good(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.status, 0, "{args:?}: {ran}");
        ran
    }

    /// Returns the program as a child process in this folder.
    pub(crate) fn process(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clusterctl"));
        command.args(args).current_dir(self.dir()).env_remove("CLUSTERCTL_DIR").envs(&self.env);
        command
    }

    fn shown(&self, captured: &Captured) -> String {
        let bytes = captured.0.lock().expect("a buffer").clone();
        String::from_utf8_lossy(&bytes).replace(&self.dir().display().to_string(), "DIR")
    }
}

/// How long a test waits for something that has to happen: more than a slow and busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Returns the result of `work`, and fails the test if it takes more than ten minutes, which means unbounded work on
/// any machine.
pub(crate) fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let worker = std::thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(Duration::from_secs(600)) {
        Ok(done) => done,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match worker.join() {
            Err(panicked) => std::panic::resume_unwind(panicked),
            Ok(_) => panic!("it returned nothing"),
        },
    }
}

/// Returns true if `CLUSTERCTL_BLESS` says to write these generated files into the repository.
pub(crate) fn blesses(what: &str) -> bool {
    std::env::var("CLUSTERCTL_BLESS").is_ok_and(|value| value == what)
}

/// Replaces every timestamp by `TIME`, for snapshots of runs that are made by the clock.
pub(crate) fn undated(text: &str) -> String {
    let is_time = |word: &str| word.len() == 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
    let words = text.split(' ').map(|word| {
        let bare = word.trim_end_matches([',', ';', '.', ')']);
        if is_time(bare) { format!("TIME{}", &word[bare.len()..]) } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Replaces every folder in the system's temporary folder by `TMP`, for snapshots.
pub(crate) fn without_temporary_folders(text: &str) -> String {
    let before = format!("{}/", std::env::temp_dir().display().to_string().trim_end_matches('/'));
    let mut parts = text.split(before.as_str());
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| {
        let end = part.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(part.len());
        shown + "TMP" + &part[end..]
    })
}

/// Replaces every SHA-256 and serial number by `DIGEST` or `SERIAL`, for snapshots.
pub(crate) fn without_digests(text: &str) -> String {
    let is_hex = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).map(|word| {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let name = match bare.len() {
            64 => "DIGEST",
            30..=32 => "SERIAL",
            _ => return word.to_owned(),
        };
        if is_hex(bare) { format!("{name}{}", &word[bare.len()..]) } else { word.to_owned() }
    });
    words.collect()
}

/// Runs a third-party program.
pub(crate) fn tool(name: &str, args: &[&str]) -> Output {
    Command::new(name).args(args).output().unwrap_or_else(|error| panic!("{name} is needed by this test: {error}"))
}

/// Runs a third-party program, which must succeed, and returns its standard output.
pub(crate) fn good_tool(name: &str, args: &[&str]) -> String {
    let output = tool(name, args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{name} {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Returns a document as PyYAML, a YAML 1.1 reader, reads it.
pub(crate) fn pyyaml(yaml: &str) -> serde_json::Value {
    python("import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)", yaml.as_bytes())
}

/// Runs a Python script on `input`, and returns the JSON that it prints.
#[track_caller]
pub(crate) fn python(script: &str, input: &[u8]) -> serde_json::Value {
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 with PyYAML is needed: apt-get install python3-yaml");
    let (mut pipe, input) = (python.stdin.take().expect("a pipe"), input.to_vec());
    // A script may print its answer before it has read everything.
    let writer = std::thread::spawn(move || pipe.write_all(&input));
    let output = python.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("written");
    assert!(output.status.success(), "not YAML, or PyYAML is missing: apt-get install python3-yaml");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a buffer").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A user who types the given answers in order, and then cancels.
struct Typist(VecDeque<String>);

impl Typist {
    fn next(&mut self) -> io::Result<String> {
        self.0.pop_front().ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the person left"))
    }
}

impl Prompts for Typist {
    fn line(&mut self, _: &str, default: Option<&str>) -> io::Result<String> {
        let typed = self.next()?;
        Ok(if typed.is_empty() { default.unwrap_or_default().to_owned() } else { typed })
    }

    fn passphrase(&mut self, _: &str) -> io::Result<Passphrase> {
        self.next().map(Passphrase::new)
    }

    fn confirm(&mut self, _: &str) -> io::Result<bool> {
        Ok(self.next()? == "y")
    }
}
