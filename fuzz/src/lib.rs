//! One function for each kind of untrusted input. Each parses the input as the program does, and then asserts the
//! invariants of the result: a panic is a finding. The fuzz targets call these functions, and so does
//! `tests/corpora.rs`, with the files in `fuzz/corpus` and with random changes of each.

use std::io::Write;
use std::sync::OnceLock;

use clusterctl::bundle::archive;
use clusterctl::bundle::encryption::{self, Identity};
use clusterctl::bundle::packer;
use clusterctl::cli::finding_remedies::words;
use clusterctl::cluster::inventory::ExternalIps;
use clusterctl::cluster::recipient::Recipient;
use clusterctl::config;
use clusterctl::config::kubeconfig;
use clusterctl::enrol::evidence::Statement;
use clusterctl::enrol::policy::Answer;
use clusterctl::enrol::policy::review::read_answer;
use clusterctl::enrol::record::Record;
use clusterctl::enrol::{approval, blocks, evidence};
use clusterctl::pki::allowed_signers::AllowedSigners;
use clusterctl::pki::ca_key::CaKey;
use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::chain::verify_chain;
use clusterctl::pki::crl::{self, Crl};
use clusterctl::pki::fingerprint::Fingerprint;
use clusterctl::pki::key::PrivateKey;
use clusterctl::pki::known_hosts::KnownHosts;
use clusterctl::pki::lint::{general_violations, own_root_violations, root_violations};
use clusterctl::pki::mac::MacSecret;
use clusterctl::pki::passphrase::Passphrase;
use clusterctl::pki::pem;
use clusterctl::pki::ssh::{SshKey, SshSignature};
use clusterctl::sanitize::sanitized;
use clusterctl::verify::recording::Recording;
use clusterctl::verify::report::TextStyle;
use serde_json::{Value, json};
use time::macros::datetime;

/// A recording, as `verify --replay` reads it.
pub fn recordings(data: &[u8]) {
    let recording = match Recording::from_bytes(data) {
        Ok(recording) => recording,
        Err(error) => return assert_printable(&error.to_string()),
    };
    let report = recording.report();
    assert_eq!(report, recording.report(), "evaluating it twice gives the same report");
    let text = report.to_text(TextStyle { verbose: true, ..TextStyle::default() }, &words);
    text.lines().for_each(assert_printable);
    let json: Value = serde_json::from_str(&report.to_json(&words)).expect("the report is JSON");
    assert_eq!(json["summary"]["total"], report.findings.len());
    report.to_junit(&words).lines().for_each(assert_printable);
    let again = recording.to_bytes().expect("a recording that was read can be written");
    let again = Recording::from_bytes(&again).expect("a recording that was written can be read");
    assert_eq!(again.report(), report, "the report is the same after writing and reading");
}

/// The answer of a peer: the first byte selects the request, the next two are the status, the rest is the body.
pub fn answers(data: &[u8]) {
    static BASE: OnceLock<Value> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        serde_json::from_slice(include_bytes!("../corpus/recordings/good.json")).expect("the committed recording")
    });
    let [which, high, low, body @ ..] = data else { return };
    let mut recording = base.clone();
    let peers = recording["seen"]["peers"].as_array_mut().expect("peers");
    let dials = peers.iter_mut().map(|peer| &mut peer["locations"][0]["dials"][0]["exchanges"]);
    let mut exchanges: Vec<&mut Value> =
        dials.flat_map(|exchanges| exchanges.as_array_mut().expect("exchanges")).collect();
    let at = usize::from(*which) % exchanges.len();
    exchanges[at]["outcome"] = json!({"answer": {
        "status": u16::from_be_bytes([*high, *low]),
        "version": "HTTP/1.1",
        "content_type": null,
        "body": String::from_utf8_lossy(body),
        "truncated": which & 0x80 != 0,
    }});
    recordings(recording.to_string().as_bytes());
}

/// A certificate in DER, as a peer sends it.
pub fn certificates(data: &[u8]) {
    let certificate = match Certificate::from_der(data.to_vec()) {
        Ok(certificate) => certificate,
        Err(error) => return assert_printable(&sanitized(&error.to_string())),
    };
    assert_eq!(certificate.der(), data);
    let now = datetime!(2026-11-23 12:00 UTC);
    for violation in root_violations(&certificate, now).into_iter().chain(own_root_violations(&certificate, now)) {
        assert_printable(&sanitized(&violation.to_string()));
    }
    let _ = general_violations(&certificate, now);
    let _ = (certificate.account(), certificate.fingerprint(), certificate.spki_fingerprint());
    let itself = std::slice::from_ref(&certificate);
    let _ = verify_chain(&certificate, itself, itself);
    let read = pem::certificates(certificate.to_pem().as_bytes());
    assert_eq!(read, Ok(vec![data.to_vec()]), "PEM that was written can be read");
}

/// A file with CRLs in DER or PEM, as `verify --crl` reads it.
pub fn crls(data: &[u8]) {
    static SIGNER: OnceLock<Certificate> = OnceLock::new();
    let signer = SIGNER.get_or_init(|| {
        Certificate::from_der(include_bytes!("../corpus/certificates/root.der").to_vec()).expect("the committed root")
    });
    let crls = match crl::read_all(data) {
        Ok(crls) => crls,
        Err(error) => return assert_printable(&sanitized(&error.to_string())),
    };
    assert!(!crls.is_empty());
    for der in crls {
        match Crl::from_der(der.clone()) {
            Ok(list) => {
                assert_eq!(list.der(), der);
                assert!(list.serials.iter().all(|serial| !serial.0.is_empty()), "every entry has a serial number");
                assert!(!list.is_signed_by(signer), "the committed root did not sign it");
                assert_printable(&sanitized(&list.issuer.text));
            }
            Err(error) => assert_printable(&sanitized(&error.to_string())),
        }
    }
}

/// A PEM file with certificates, keys or other blocks.
pub fn pem(data: &[u8]) {
    match pem::read_all(data) {
        Ok(items) => assert!(!items.is_empty()),
        Err(error) => assert_printable(&sanitized(&error.to_string())),
    }
    for der in pem::certificates(data).unwrap_or_default() {
        assert_eq!(pem::certificates(pem::write_certificate(&der).as_bytes()), Ok(vec![der]));
    }
    // Keys with header lines are derived in one round; others may ask for millions.
    if !data.windows(21).any(|window| window == b"ENCRYPTED PRIVATE KEY")
        && let Ok(key) = CaKey::read(data, Some(&Passphrase::new("x".to_owned())))
    {
        CaKey::read(key.to_pem().as_bytes(), None).expect("a key that was written can be read");
    }
    if let Ok(key) = PrivateKey::from_pem(data) {
        let again = PrivateKey::from_pem(key.to_pem().as_bytes()).expect("a key that was written can be read");
        assert_eq!(again.spki(), key.spki());
    }
}

/// A kubeconfig of another tool.
pub fn kubeconfigs(data: &[u8]) {
    match kubeconfig::read(data) {
        Ok(read) => drop(format!("{read:?}")),
        Err(error) => assert_printable(&sanitized(&error.to_string())),
    }
}

/// A cluster file.
pub fn cluster_files(data: &[u8]) {
    match config::read(data) {
        Ok(cluster) => {
            let specs = cluster.masters.iter().flat_map(|host| cluster.master_specs(host));
            let specs = specs.chain(cluster.nodes.iter().flat_map(|host| cluster.node_specs(host)));
            assert!(specs.count() >= cluster.masters.len(), "every host has certificates");
        }
        Err(error) => {
            let _ = error.hint();
            error.to_string().lines().for_each(|line| assert_printable(&sanitized(line)));
        }
    }
}

/// The body of a new request at the enrolment CA: JSON, or protobuf if it begins as Kubernetes's does.
#[cfg(feature = "server")]
pub fn enrolment(data: &[u8]) {
    let media_type = if data.starts_with(b"k8s") { "application/vnd.kubernetes.protobuf" } else { "application/json" };
    match clusterctl::server::read_request(media_type, data) {
        Ok(content) => assert!(content.pem.len() <= 64 * 1024 && content.host.as_str().len() <= 253),
        Err(error) => assert_printable(&sanitized(&error)),
    }
}

/// The text of a request: a CSR, and the evidence of its host in further PEM blocks.
pub fn evidence(data: &[u8]) {
    let request = blocks::read(data).ok().and_then(|all| Some(all.first()?.content.clone())).unwrap_or_default();
    let read = match evidence::read(data, &request) {
        Ok(read) => read,
        Err(error) => return assert_printable(&sanitized(&error.to_string())),
    };
    if let Some(statement) = &read.statement {
        assert_eq!(statement.request, Fingerprint::of(&request), "it is about this request");
        assert_eq!(Statement::parse(&statement.to_text()).as_ref(), Some(statement), "there is one way to write it");
    }
    assert!(read.statement.is_some() || (read.ssh.is_none() && read.token.is_none()), "a proof is one of a statement");
    if let Some(ssh) = &read.ssh {
        assert_printable(&ssh.fingerprint);
        assert_printable(&ssh.key);
    }
    if let Some(token) = &read.token {
        assert!(!token.verifies(&MacSecret::new("another secret".to_owned())), "another token made it");
    }
}

/// The answer of a program or a service about a request.
pub fn reviews(data: &[u8]) {
    match read_answer(data) {
        Ok(answer) => {
            assert_printable(answer.evidence());
            let is_approval = matches!(answer, Answer::Ok { .. });
            let text = String::from_utf8_lossy(data);
            assert!(!is_approval || text.contains("approve") || text.contains("\\u"), "nothing else approves");
        }
        Err(error) => assert_printable(&error.to_string()),
    }
}

/// The annotation with persons' signed decisions about a request.
pub fn decisions(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let decisions = match approval::read(&text) {
        Ok(decisions) => decisions,
        Err(error) => return assert_printable(&error.to_string()),
    };
    assert!(decisions.len() <= approval::MAX_DECISIONS);
    for decision in &decisions {
        if let Err(error) = SshSignature::from_pem(decision.signature.as_bytes()) {
            assert_printable(&error.to_string());
        }
    }
    if let Some(last) = decisions.last() {
        match approval::added(&text, last.clone()) {
            Ok(added) => assert_eq!(approval::read(&added).map(|all| all.len()), Ok(decisions.len() + 1)),
            Err(error) => assert_printable(&error.to_string()),
        }
    }
}

/// The signed record of a cluster, as a bootstrap endpoint gives it.
pub fn records(data: &[u8]) {
    static GIVEN: OnceLock<(Fingerprint, Record)> = OnceLock::new();
    let (id, given) = GIVEN.get_or_init(|| {
        let id = include_str!("../corpus/records/id").trim().strip_prefix("sha256:").and_then(Fingerprint::parse);
        let id = id.expect("the committed id");
        (id, Record::known(include_bytes!("../corpus/records/record.json"), id).expect("the committed record"))
    });
    match Record::verify(data, *id, given.issued) {
        Ok(record) => assert_eq!(record, *given, "what is accepted was not changed"),
        Err(error) => assert_printable(&sanitized(&error.to_string())),
    }
    if let Some(record) = Record::known(data, *id) {
        assert_eq!(record, *given);
    }
}

/// The bodies of other calls at the enrolment CA: patches of requests and Leases. The first byte says of which kind.
#[cfg(feature = "server")]
pub fn http_bodies(data: &[u8]) {
    let [which, body @ ..] = data else { return };
    let media_type = match which % 3 {
        0 => "application/merge-patch+json",
        1 => "application/strategic-merge-patch+json",
        _ => "application/vnd.kubernetes.protobuf",
    };
    if let Err(error) = clusterctl::server::read_change(media_type, body) {
        assert_printable(&sanitized(&error));
    }
}

/// The output of `kubectl get nodes -o json`, as `init --from-kubectl` reads it.
pub fn kubectl(data: &[u8]) {
    match config::from_kubectl(data, ExternalIps::default()) {
        Ok(read) => drop(format!("{read:?}")),
        Err(error) => assert_printable(&sanitized(&error.to_string())),
    }
}

/// A bundle: a tar.gz. Input that is not gzip is compressed first, because most changes of compressed bytes only make
/// the checksum wrong.
pub fn bundles(data: &[u8]) {
    let mut packed = data.to_vec();
    if !data.starts_with(&[0x1f, 0x8b]) {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(data).expect("writing to memory succeeds");
        packed = gzip.finish().expect("writing to memory succeeds");
    }
    match archive::read(&packed) {
        Ok(bundle) => {
            let again = archive::read(&packer::pack(&bundle)).expect("a packed bundle can be read");
            assert_eq!(again, bundle);
        }
        Err(error) => assert_printable(&sanitized(&error.to_string())),
    }
}

/// A file that age encrypted, decrypted with the key of the corpus.
pub fn encrypted(data: &[u8]) {
    const KEY: &[u8] = b"AGE-SECRET-KEY-1AU8MPZCJJ9QE25HNW4GLDNWLF3U3L6NCLJ90UVCQHA6YNU5H4C8SPE7MYW\n";
    let identity = Identity::from_age_file(KEY).expect("a key");
    match encryption::recipients(data) {
        Ok(kinds) => kinds.iter().for_each(|kind| assert_printable(kind)),
        Err(error) => assert_printable(&error.to_string()),
    }
    match encryption::decrypt(data, &identity) {
        Ok(content) => assert_eq!(&content[..], b"what is inside\n", "a file that can be decrypted is unchanged"),
        Err(error) => assert_printable(&error.to_string()),
    }
}

/// Files of OpenSSH: known hosts, allowed signers, keys, signatures, and recipients of encrypted bundles.
pub fn ssh(data: &[u8]) {
    const NAMESPACE: &str = "clusterctl-bundle";
    let text = String::from_utf8_lossy(data);
    let names = ["on".to_owned(), "10.20.4.1".to_owned()];
    match KnownHosts::parse(&text).key_of(&names) {
        Ok(recipient) => assert_eq!(Recipient::parse(recipient.as_str()), Ok(recipient)),
        Err(error) => assert_printable(&error.to_string()),
    }
    for line in text.lines() {
        match Recipient::parse(line) {
            Ok(recipient) => assert_eq!(Recipient::parse(recipient.as_str()), Ok(recipient)),
            Err(error) => assert_printable(&error.to_string()),
        }
    }
    match SshKey::from_pem(data) {
        Ok(key) => {
            drop((format!("{key:?}"), key.kind(), key.to_pem().map_err(|error| assert_printable(&error.to_string()))))
        }
        Err(error) => assert_printable(&error.to_string()),
    }
    let committed = include_bytes!("../corpus/ssh/signature");
    let signature = SshSignature::from_pem(data).unwrap_or_else(|error| {
        assert_printable(&error.to_string());
        SshSignature::from_pem(committed).expect("the committed signature")
    });
    let _ = (signature.fingerprint(), signature.kind());
    let fits = signature.verify(NAMESPACE, b"what was signed\n");
    assert!(fits.is_err() || data.trim_ascii() == committed.trim_ascii() || SshSignature::from_pem(data).is_err());
    match AllowedSigners::parse(&text) {
        Ok(signers) => {
            signers.invalid_lines().iter().for_each(|error| assert_printable(&error.to_string()));
            match signers.verify(&signature, NAMESPACE, b"what was signed\n", datetime!(2026-11-23 12:00 UTC)) {
                Ok(name) => assert_printable(&name),
                Err(error) => assert_printable(&error.to_string()),
            }
        }
        Err(error) => assert_printable(&error.to_string()),
    }
}

/// Asserts that a line that is shown to the user has no control characters.
fn assert_printable(line: &str) {
    assert!(!line.chars().any(char::is_control), "{line:?}");
}
