//! Connections of the enrolment CA's server and of the bootstrap endpoint: their protocol, limits of one source, and watches.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::PATIENCE;
use crate::support::enrolment::{CSRS, Served, directory, program, request, runtime};
use crate::support::outside::{needs, stdout};

/// Another source than that of the other clients, which are at 127.0.0.1.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A bootstrap endpoint as a process.
struct Bootstrap {
    child: Child,
    url: String,
}

impl Bootstrap {
    fn start(dir: &Path, flags: &[&str]) -> Self {
        let mut command = program(dir);
        command.args(["serve", "bootstrap", "--listen", "127.0.0.1:0", "--state"]).arg(dir.join("boot")).args(flags);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        Self { child, url: line.trim().to_owned() }
    }
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Offers protocols in a TLS handshake (ALPN); returns whether it succeeds, and what openssl says.
fn offer(url: &str, protocols: &str) -> (bool, String) {
    let mut command = Command::new("openssl");
    let address = url.trim_start_matches("https://");
    command.args(["s_client", "-connect", address, "-alpn", protocols]).stdin(Stdio::null());
    let output = command.output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// Clients that offer HTTP/2 as well fall back, as those of Kubernetes do; what offers nothing else is refused in the handshake.
#[test]
fn both_servers_agree_on_http_1_1_alone() {
    needs!("openssl", "curl");
    let dir = directory();
    let (served, bootstrap) = (Served::start(dir.path()), Bootstrap::start(dir.path(), &[]));
    for url in [&served.url, &bootstrap.url] {
        let (done, text) = offer(url, "h2,http/1.1");
        assert!(done && text.contains("ALPN protocol: http/1.1"), "{text}");
        let (done, text) = offer(url, "h2");
        // 120 is no_application_protocol (RFC 7301 § 3.2).
        assert!(!done && text.contains("alert number 120"), "{text}");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--insecure", "--noproxy", "*", "--http2", "--output", "/dev/null", "--write-out"]);
        curl.args(["%{http_version} %{http_code}", &format!("{url}/healthz")]);
        assert_eq!(stdout(&mut curl), "1.1 200");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--insecure", "--noproxy", "*", "--http2-prior-knowledge", "--no-alpn"]);
        let status = curl.args(["--max-time", "60", &format!("{url}/healthz")]).output().expect("it runs").status;
        assert!(!status.success() && status.code() != Some(28), "HTTP/2 without asking is refused at once: {status}");
    }
}

fn connect(url: &str) -> TcpStream {
    let address: SocketAddr = url.trim_start_matches("https://").parse().expect("an address");
    runtime().block_on(async {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((ELSEWHERE, 0).into()).expect("an address of its own");
        socket.connect(address).await.expect("a connection")
    })
}

/// Returns true if the server closes a connection within a time.
fn is_closed(stream: &mut TcpStream, within: Duration) -> bool {
    let ended = async { matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)) };
    runtime().block_on(async { tokio::time::timeout(within, ended).await }).unwrap_or(false)
}

#[test]
fn one_address_has_a_limit_of_its_own() {
    let dir = directory();
    let served = Served::with_flags(dir.path(), program(dir.path()), &["--max-connections-per-address", "2"]);
    let mut open: Vec<TcpStream> = (0..2).map(|_| connect(&served.url)).collect();
    assert!(is_closed(&mut connect(&served.url), PATIENCE), "the third one");
    assert!(!is_closed(&mut open[0], Duration::from_millis(100)), "the first one stays");
    let (status, metrics) = served.api(Some("alice")).get("/metrics");
    assert_eq!(status, 200, "other addresses have their own places");
    let metrics = metrics.as_str().expect("text").to_owned();
    assert!(metrics.contains("clusterctl_enrolment_connections_refused_by_address_total 1"), "{metrics}");
    open.clear();
    let start = Instant::now();
    while is_closed(&mut connect(&served.url), Duration::from_millis(100)) {
        assert!(start.elapsed() < PATIENCE, "the places are free again");
    }
}

#[test]
fn one_address_has_a_limit_at_the_bootstrap_endpoint() {
    needs!("curl");
    let dir = directory();
    let endpoint = Bootstrap::start(dir.path(), &["--max-connections-per-address", "2"]);
    let mut open: Vec<TcpStream> = (0..2).map(|_| connect(&endpoint.url)).collect();
    assert!(is_closed(&mut connect(&endpoint.url), PATIENCE), "the third one");
    assert!(!is_closed(&mut open[0], Duration::from_millis(100)), "the first one stays");
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--insecure", "--noproxy", "*", &format!("{}/healthz", endpoint.url)]);
    assert_eq!(stdout(&mut curl), "ok", "other addresses have their own places");
    open.clear();
    let start = Instant::now();
    while is_closed(&mut connect(&endpoint.url), Duration::from_millis(100)) {
        assert!(start.elapsed() < PATIENCE, "the places are free again");
    }
}

/// More than there are handshakes at the same time.
#[test]
fn slow_handshakes_of_one_address_hold_up_no_other() {
    let dir = directory();
    let served = Served::start(dir.path());
    let mut slow: Vec<TcpStream> = (0..300).map(|_| connect(&served.url)).collect();
    for stream in &mut slow {
        runtime().block_on(stream.write_all(&[0x16])).expect("the first byte of a handshake");
    }
    assert_eq!(served.api(None).get("/healthz").0, 200);
    assert!(!is_closed(&mut slow[0], Duration::from_millis(1)), "they were still waiting");
}

/// Starts curl with a watch of the request `one`.
fn curl(served: &Served, parameters: &str) -> Child {
    let mut command = Command::new("curl");
    command.args(["--silent", "--no-buffer", "--max-time", "60", "--noproxy", "*", "--http1.1", "--cacert"]);
    command.arg(served.dir.join("pki/ca.crt")).args(["--dump-header", "-"]);
    command.arg(format!("{}{CSRS}?watch=1&fieldSelector=metadata.name%3Done{parameters}", served.url));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it runs")
}

fn head(lines: &mut BufReader<ChildStdout>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(lines.read_line(&mut head).expect("a line"), 0, "{head}");
    }
    head
}

fn event(lines: &mut BufReader<ChildStdout>) -> (String, Value) {
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    (event["type"].as_str().expect("a type").to_owned(), event["object"].clone())
}

#[test]
fn a_watch_is_chunked_and_ends_in_order() {
    needs!("curl");
    let dir = directory();
    let served = Served::start(dir.path());
    let anonymous = served.api(None);
    assert_eq!(anonymous.post(CSRS, &request("one", "node-1")).0, 201);
    let mut watch = curl(&served, "&timeoutSeconds=50");
    let mut lines = BufReader::new(watch.stdout.take().expect("a pipe"));
    let head = head(&mut lines).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("transfer-encoding: chunked") && head.contains("\r\ndate: "), "{head}");
    assert_eq!(event(&mut lines).0, "ADDED");
    served.api(Some("alice")).approve("one");
    let (kind, object) = event(&mut lines);
    assert_eq!((kind.as_str(), &object["status"]["conditions"][0]["type"]), ("MODIFIED", &json!("Approved")));
    let mut ends = curl(&served, "&timeoutSeconds=1");
    let mut rest = String::new();
    ends.stdout.take().expect("a pipe").read_to_string(&mut rest).expect("text");
    assert!(ends.wait().expect("it ends").success(), "a watch ends in order at its time limit: {rest}");
    assert_eq!(served.stop(), Some(0));
    assert!(watch.wait().expect("it ends").success(), "a stop ends watches in order");
}

/// A client that goes away during a watch leaves nothing behind.
#[test]
fn a_watch_ends_with_its_client() {
    needs!("curl");
    let dir = directory();
    let served = Served::start(dir.path());
    let mut watch = curl(&served, "&timeoutSeconds=50");
    let mut lines = BufReader::new(watch.stdout.take().expect("a pipe"));
    head(&mut lines);
    let alice = served.api(Some("alice"));
    let open = || alice.get("/metrics").1.as_str().is_some_and(|text| text.contains("clusterctl_enrolment_watches 1"));
    assert!(open(), "it is open");
    watch.kill().expect("killed");
    watch.wait().expect("it ends");
    let start = Instant::now();
    while open() {
        assert!(start.elapsed() < PATIENCE, "it is still open");
        std::thread::sleep(Duration::from_millis(20));
    }
}
