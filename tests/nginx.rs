//! `verify` on nginx: a TLS server with client authentication and a CRL, by third-party programs. It runs in place of a
//! node, with the certificate that was issued for the node.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::outside::needs;
use crate::support::{Lab, good_tool};

/// A cluster directory whose first node is nginx, once it is started.
struct Site {
    lab: Lab,
    port: u16,
}

impl Site {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let mut lab = Lab::with(&format!(
            "apiVersion: clusterctl/v1\nkind: Cluster\nname: site\n\
             endpoint: https://127.0.0.2:1\n\
             masters:\n- {{name: master-1, addresses: [127.0.0.2], apiServerPort: 1}}\n\
             nodes:\n- {{name: node-1, addresses: [127.0.0.1], kubeletPort: {port}}}\n\
             - {{name: node-2, addresses: [127.0.0.12], kubeletPort: 1}}\n"
        ));
        // nginx uses the real clock, so its certificates must be valid now.
        lab.now = time::OffsetDateTime::now_utc();
        for command in [&["init-ca", "--plaintext-ca-key"][..], &["issue-master", "--all"], &["issue-node", "--all"]] {
            lab.good(command);
        }
        Self { lab, port }
    }

    fn at(&self, relative: &str) -> String {
        self.lab.path(relative).display().to_string()
    }

    /// Starts nginx with the node's own certificate, the additional directives `tls`, and the responses of `location`.
    fn nginx(&self, tls: &str, location: &str) -> Nginx {
        self.nginx_as("pki/nodes/node-1/kubelet-server", tls, location)
    }

    fn nginx_as(&self, credential: &str, tls: &str, location: &str) -> Nginx {
        let prefix = self.lab.path("nginx");
        std::fs::create_dir_all(&prefix).expect("a folder");
        let (port, ca) = (self.port, self.at("pki/ca.crt"));
        let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {kind};\n"))
            .collect();
        let config = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr emerg;\n\
             events {{ worker_connections 128; }}\n\
             http {{ access_log off; default_type application/json;\n{temp}\
             server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {cert}; ssl_certificate_key {key};\n\
             ssl_client_certificate {ca};\n{tls}\nlocation = /pods {{ {location} }} }} }}\n",
            cert = self.at(&format!("{credential}.crt")),
            key = self.at(&format!("{credential}.key")),
        );
        std::fs::write(prefix.join("nginx.conf"), config).expect("written");
        Nginx::start(&prefix, self.port)
    }

    /// Returns the status of each check of the node, and the observation.
    fn verdicts(&self) -> BTreeMap<String, (String, String)> {
        let ran = self.lab.run(&[
            "verify",
            "--node",
            "node-1",
            "--timeout",
            "20",
            "--output",
            "json",
            "--record",
            "run.json",
        ]);
        assert_eq!(ran.status, 1, "the master is not there: {ran}");
        let again = self.lab.run(&["verify", "--replay", "run.json", "--output", "json"]);
        assert_eq!(again.out, ran.out);
        std::fs::remove_file(self.lab.path("run.json")).expect("removed");
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        let results = report["results"].as_array().expect("results").iter();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        results
            .filter(|result| result["host"] == "node-1")
            .map(|result| {
                let untrusted = if result["id"] == "node.untrusted" { text(&result["caller"]) } else { String::new() };
                let check = format!("{} {untrusted}", text(&result["id"])).trim_end().to_owned();
                (check, (text(&result["status"]), text(&result["observed"])))
            })
            .collect()
    }

    fn expect(&self, expected: &[(&str, &str)]) -> BTreeMap<String, (String, String)> {
        let verdicts = self.verdicts();
        for (check, status) in expected {
            // There are two untrusted clients, and both must have this result.
            let found: Vec<&str> = verdicts
                .iter()
                .filter(|(id, _)| id.as_str() == *check || id.starts_with(&format!("{check} ")))
                .map(|(_, (status, _))| status.as_str())
                .collect();
            assert!(!found.is_empty() && found.iter().all(|found| found == status), "{check}: {verdicts:#?}");
        }
        verdicts
    }

    /// A CRL of the cluster's root, made by OpenSSL, with `revoked` on it.
    fn crl(&self, revoked: &[&str]) {
        let config = "[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\ncrlnumber = number\ndefault_md = sha256\n\
                      default_crl_days = 30\n";
        for (file, text) in [("ca.cnf", config), ("index.txt", ""), ("number", "01\n")] {
            self.lab.write(file, text);
        }
        let ca = ["ca", "-config", "ca.cnf", "-cert", "pki/ca.crt", "-keyfile", "pki/ca.key"];
        let openssl = |more: &[&str]| {
            let args: Vec<&str> = ca.iter().chain(more).copied().collect();
            let output = Command::new("openssl").args(&args).current_dir(self.lab.dir()).output().expect("openssl");
            assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        for certificate in revoked {
            openssl(&["-revoke", certificate]);
        }
        openssl(&["-gencrl", "-out", "ca.crl"]);
        let text = good_tool("openssl", &["crl", "-noout", "-text", "-in", &self.at("ca.crl")]);
        assert_eq!(text.matches("Serial Number:").count(), revoked.len(), "{text}");
    }
}

/// nginx as one process; it ends with the test.
struct Nginx(Child);

impl Nginx {
    fn start(prefix: &Path, port: u16) -> Self {
        let program = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
        let mut command = Command::new(program);
        command.arg("-p").arg(prefix).arg("-c").arg(prefix.join("nginx.conf")).args(["-e", "stderr"]);
        let log = std::fs::File::create(prefix.join("log")).expect("a log");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("nginx-light");
        let mut server = Self(child);
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = || std::fs::read_to_string(prefix.join("log")).unwrap_or_default();
            assert!(server.0.try_wait().expect("its child").is_none(), "nginx ended: {}", said());
            assert!(began.elapsed() < Duration::from_secs(30), "nginx does not listen: {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The answer of nginx without a client certificate.
const NO_CERTIFICATE: &str = "No required SSL certificate was sent";
/// The answer of nginx to a client certificate of another CA.
const CERTIFICATE_ERROR: &str = "The SSL certificate error";

const PODS: &str = r#"return 200 '{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}';"#;
/// The decisions of a kubelet with a webhook: the master is allowed, other clients of the CA are not.
const MASTER_ALONE: &str = "if ($ssl_client_s_dn !~ \"CN=kube-apiserver-kubelet-client(,|$)\") { return 403; }";
/// nginx's own statuses for a certificate that is wrong or missing, in Kubernetes's form.
const AS_KUBERNETES: &str = "error_page 495 496 =401 @no; ";
const PEER: [(&str, &str); 9] = [
    ("node.connect", "pass"),
    ("node.tls", "pass"),
    ("node.protocol", "pass"),
    ("node.chain", "pass"),
    ("node.possession", "pass"),
    ("node.dates", "pass"),
    ("node.name", "pass"),
    ("node.usage", "pass"),
    ("node.identity", "pass"),
];

#[test]
fn nginx_with_client_verification_passes_every_node_check() {
    needs!("nginx");
    let site = Site::new();
    let tls =
        format!("ssl_protocols TLSv1.2 TLSv1.3; ssl_verify_client on; {AS_KUBERNETES} location @no {{ return 401; }}");
    let _nginx = site.nginx(&tls, &format!("{MASTER_ALONE} {PODS}"));
    site.expect(&PEER);
    let verdicts = site.expect(&[
        ("node.caller", "pass"),
        ("node.anonymous", "pass"),
        ("node.untrusted", "pass"),
        ("node.other-node", "pass"),
    ]);
    assert!(verdicts["node.protocol"].1.starts_with("TLSv1.3"), "{verdicts:#?}");
    // nginx serves no kubelet configuration.
    let others = verdicts.iter().filter(|(id, _)| *id != "node.config");
    assert!(others.into_iter().all(|(_, (status, _))| status == "pass"), "{verdicts:#?}");
    assert_eq!(verdicts["node.config"].0, "skipped");
}

/// nginx completes the handshake with any client and then answers 400. A proxy in front of a kubelet could refuse a
/// single path like this, so the response proves nothing.
#[test]
fn a_400_of_a_web_server_is_not_proven_with_its_text() {
    needs!("nginx");
    let site = Site::new();
    let _nginx = site.nginx("ssl_verify_client on;", PODS);
    site.expect(&PEER);
    let verdicts = site.expect(&[
        ("node.caller", "pass"),
        ("node.anonymous", "not-proven"),
        ("node.untrusted", "not-proven"),
        // In this case any certificate of the CA is accepted.
        ("node.other-node", "fail"),
    ]);
    assert!(verdicts["node.anonymous"].1.contains(NO_CERTIFICATE), "{verdicts:#?}");
    assert!(verdicts["node.untrusted unknown-ca"].1.contains(CERTIFICATE_ERROR), "{verdicts:#?}");
    let report: Value =
        serde_json::from_str(&site.lab.run(&["verify", "--node", "node-1", "--output", "json"]).out).expect("JSON");
    let mut anonymous = report["results"].as_array().expect("results").iter().filter(|r| r["id"] == "node.anonymous");
    assert!(anonymous.all(|result| result["remedy"] == "bypass-proxy"), "{report:#}");
}

#[test]
fn nginx_with_optional_client_verification_is_not_a_refusal() {
    needs!("nginx");
    let site = Site::new();
    let _nginx = site.nginx("ssl_verify_client optional; ssl_protocols TLSv1.2;", PODS);
    site.expect(&PEER);
    let verdicts =
        site.expect(&[("node.caller", "pass"), ("node.anonymous", "fail"), ("node.untrusted", "not-proven")]);
    assert!(verdicts["node.protocol"].1.starts_with("TLSv1.2"), "{verdicts:#?}");
}

#[test]
fn nginx_that_accepts_unknown_cas_fails_the_refusals() {
    needs!("nginx");
    let site = Site::new();
    let _nginx = site.nginx("ssl_verify_client optional_no_ca;", PODS);
    site.expect(&[
        ("node.caller", "pass"),
        ("node.anonymous", "fail"),
        // nginx ignores an unknown issuer, but not a bad signature by a known issuer. A single kind of untrusted client
        // would not have detected this.
        ("node.untrusted forged-ca", "not-proven"),
        ("node.untrusted unknown-ca", "fail"),
        ("node.other-node", "fail"),
    ]);
}

#[test]
fn nginx_with_a_crl_refuses_only_revoked_certificates() {
    needs!("openssl");
    let site = Site::new();
    site.crl(&["pki/nodes/node-2/kubelet-client.crt"]);
    let tls = format!("ssl_verify_client on; ssl_crl {}; {AS_KUBERNETES}", site.at("ca.crl"));
    {
        // Only the CRL keeps the other node out.
        let _nginx = site.nginx(&format!("{tls} location @no {{ return 401; }}"), PODS);
        site.expect(&[("node.caller", "pass"), ("node.other-node", "pass"), ("node.anonymous", "pass")]);
    }
    let revoked = "pki/masters/master-1/apiserver-kubelet-client.crt";
    site.crl(&[revoked]);
    let _nginx = site.nginx(&format!("{tls} location @no {{ return 401; }}"), PODS);
    let verdicts = site.expect(&[("node.chain", "pass"), ("node.caller", "fail"), ("node.other-node", "fail")]);
    // If the authorized client is refused, refusals of others prove nothing.
    assert_eq!(verdicts["node.anonymous"].0, "not-proven", "{verdicts:#?}");
}

#[test]
fn nginx_accepts_the_crl_of_revoke() {
    needs!("openssl");
    let site = Site::new();
    let serial = |file: &str| {
        let text = good_tool("openssl", &["x509", "-noout", "-serial", "-in", &site.at(file)]);
        text.trim().trim_start_matches("serial=").to_owned()
    };
    site.lab.good(&["revoke", &serial("pki/nodes/node-2/kubelet-client.crt"), "--yes", "--reason", "keyCompromise"]);
    let tls = format!("ssl_verify_client on; ssl_crl {}; {AS_KUBERNETES}", site.at("pki/crl.pem"));
    {
        // Only the CRL keeps the other node out.
        let _nginx = site.nginx(&format!("{tls} location @no {{ return 401; }}"), PODS);
        site.expect(&[("node.caller", "pass"), ("node.other-node", "pass"), ("node.revoked", "pass")]);
    }
    site.lab.good(&["revoke", &serial("pki/nodes/node-1/kubelet-server.crt"), "--yes"]);
    let _nginx = site.nginx(&format!("{tls} location @no {{ return 401; }}"), PODS);
    let verdicts = site.expect(&[("node.chain", "pass"), ("node.revoked", "fail")]);
    assert!(verdicts["node.revoked"].1.contains("revoked"), "{verdicts:#?}");
}

#[test]
fn a_certificate_of_another_host_or_use_is_found() {
    needs!("nginx");
    let site = Site::new();
    let serve = |credential: &str| {
        let _nginx = site.nginx_as(credential, "ssl_verify_client on;", PODS);
        site.verdicts()
    };
    let another = serve("pki/nodes/node-2/kubelet-server");
    let of = |check: &str| another[check].0.as_str();
    assert_eq!((of("node.chain"), of("node.name"), of("node.identity")), ("pass", "fail", "warn"), "{another:#?}");
    let client = serve("pki/nodes/node-1/kubelet-client");
    let of = |check: &str| client[check].0.as_str();
    assert_eq!((of("node.chain"), of("node.usage"), of("node.name")), ("pass", "fail", "fail"), "{client:#?}");
    // OpenSSL does not sign handshakes with a key whose usage is certificate signing only, so TLS fails.
    let root = serve("pki/ca");
    assert_eq!((root["node.tls"].0.as_str(), root["node.chain"].0.as_str()), ("fail", "not-proven"), "{root:#?}");
    // The same names, issued by another root of the same name.
    let same_name_site = Site::new();
    for ending in ["crt", "key"] {
        let file = |site: &Site| site.lab.path(&format!("pki/nodes/node-1/kubelet-server.{ending}"));
        std::fs::copy(file(&same_name_site), file(&site)).expect("copied");
    }
    let checks = serve("pki/nodes/node-1/kubelet-server");
    assert_eq!((checks["node.chain"].0.as_str(), checks["node.name"].0.as_str()), ("fail", "pass"), "{checks:#?}");
    for call in ["node.caller", "node.anonymous", "node.untrusted forged-ca", "node.other-node"] {
        assert_eq!(checks[call].0, "not-proven", "the server does not chain to the root: {checks:#?}");
    }
}
