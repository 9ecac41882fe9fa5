//! clusterctl's verdicts on the oracle's cases, by the checks of `verify`.

use clusterctl::cluster::address::Address;
use clusterctl::config::kubeconfig::{self, Credential};
use clusterctl::pki::crl;
use clusterctl::pki::fingerprint::Fingerprint;
use clusterctl::verify::checks::{Clock, judge, trust_anchor};
use clusterctl::verify::finding::{Severity, Status};
use clusterctl::verify::observation::{MAX_CHAIN, Observations};
use clusterctl::verify::target::{Identity, Peer, Target};
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::cases::{Case, FileCase, FileKind, PathCase, der_of};

/// The time at which trust files are judged.
const NOW: OffsetDateTime = datetime!(2030-01-01 00:00 UTC);

/// The result of the checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ours {
    /// Nothing failed; warnings are kept.
    Pass { warnings: Vec<String>, certificates: Vec<String> },
    /// Something failed.
    Fail(String),
    /// A check could not be made.
    NotProven(String),
}

impl Ours {
    fn pass() -> Self {
        Self::Pass { warnings: Vec::new(), certificates: Vec::new() }
    }

    pub(super) fn reason(&self) -> String {
        match self {
            Self::Pass { warnings, .. } if warnings.is_empty() => "pass".to_owned(),
            Self::Pass { warnings, .. } => format!("pass, warned: {}", warnings.join(" | ")),
            Self::Fail(reason) => format!("fail: {reason}"),
            Self::NotProven(reason) => format!("not proven: {reason}"),
        }
    }
}

pub(super) fn verdict(case: &Case) -> Ours {
    match case {
        Case::Path(case) => path(case),
        Case::File(case) => file(case),
    }
}

/// The checks of handshakes; checks of answers do not apply here.
const ASPECTS: [&str; 7] = ["anchor", "chain", "possession", "dates", "name", "usage", "revoked"];

fn path(case: &PathCase) -> Ours {
    let name = case.name.as_deref().unwrap_or("any.example.net");
    let address = match Address::parse(name) {
        Ok(address) => address,
        Err(error) => return Ours::NotProven(format!("{name} cannot be dialled: {error}")),
    };
    let mut target = Target::empty("oracle".to_owned());
    target.add_trust_file(case.roots.concat().as_bytes());
    target.crls = case.crls.iter().flat_map(|pem| crl::read_all(pem.as_bytes()).expect("a CRL")).collect();
    target.masters.push(Peer::at("m1".to_owned(), address.clone(), 6443));
    let ders: Vec<Vec<u8>> = case.sent.iter().map(|pem| der_of(pem)).collect();
    let shown: Vec<String> = ders.iter().map(|der| Fingerprint::of(der).to_string()).collect();
    let certificates: serde_json::Map<String, serde_json::Value> =
        shown.iter().zip(&case.sent).map(|(id, pem)| (id.clone(), json!(pem))).collect();
    let seen = json!({
        "certificates": certificates,
        "peers": [{"place": "master", "host": "m1", "locations": [{
            "address": address.to_string(), "port": 6443, "resolution": {"resolved": ["10.0.0.1"]},
            "dials": [{
                "to": "10.0.0.1:6443", "connect": "open", "exchanges": [], "readonly": null, "elapsed_ms": 1,
                "tls": {"outcome": "done", "version": "TLSv1.3", "cipher": "TLS13_AES_128_GCM_SHA256",
                        "shown": shown.iter().take(MAX_CHAIN).collect::<Vec<_>>(), "sent": shown.len(), "signature": "valid"},
            }],
        }]}],
    });
    let seen: Observations = serde_json::from_value(seen).expect("observations");
    let now = OffsetDateTime::parse(&case.time, &Rfc3339).expect("a time");
    let findings = judge(&target, &seen, Clock { now, expires_within: Duration::ZERO });
    let mut warnings = Vec::new();
    let mut unproven = None;
    for finding in findings {
        let id = finding.id.to_string();
        let aspect = id.split_once('.').map_or("", |(_, aspect)| aspect);
        let said = || format!("{id}: {}", finding.observed);
        match finding.status {
            _ if !ASPECTS.contains(&aspect) || finding.host == "cluster" => {}
            Status::Fail if finding.severity == Severity::Error => return Ours::Fail(said()),
            Status::NotProven | Status::Skipped => unproven = unproven.or(Some(said())),
            Status::Fail | Status::Warn => warnings.push(said()),
            Status::Pass => {}
        }
    }
    match unproven {
        Some(reason) => Ours::NotProven(reason),
        None => Ours::Pass { warnings, certificates: Vec::new() },
    }
}

fn file(case: &FileCase) -> Ours {
    match case.kind {
        FileKind::Trust => trust_file(&case.file),
        FileKind::Pair => pair(&case.file, &case.key_file),
        FileKind::Kubeconfig => kubeconfig_file(&case.file),
    }
}

fn trust_file(bytes: &[u8]) -> Ours {
    let mut target = Target::empty("oracle".to_owned());
    target.add_trust_file(bytes);
    let findings = trust_anchor(&target, NOW);
    if let Some(failed) = findings.iter().find(|finding| finding.status == Status::Fail) {
        return Ours::Fail(failed.observed.clone());
    }
    // Files that Go cannot read give a warning, and add no trust.
    let read = target.roots.iter().filter(|root| root.go_refuses.is_none());
    let certificates = read.map(|root| root.fingerprint().to_string()).collect();
    let warned = findings.iter().filter(|finding| finding.status == Status::Warn);
    Ours::Pass { warnings: warned.map(|finding| finding.observed.clone()).collect(), certificates }
}

fn pair(certificate: &[u8], key: &[u8]) -> Ours {
    match Identity::from_pem(certificate, key) {
        Ok(_) => Ours::pass(),
        Err(error) => Ours::Fail(error.to_string()),
    }
}

fn kubeconfig_file(bytes: &[u8]) -> Ours {
    let config = match kubeconfig::read(bytes) {
        Ok(config) => config,
        Err(error) => return Ours::Fail(error.to_string()),
    };
    let data = |credential: &Option<Credential>| match credential {
        Some(Credential::Data(bytes)) => bytes.to_vec(),
        _ => Vec::new(),
    };
    let trust = trust_file(&data(&config.clusters[0].ca));
    if !matches!(trust, Ours::Pass { .. }) {
        return trust;
    }
    let user = &config.users[0];
    match pair(&data(&user.certificate), &data(&user.key)) {
        Ours::Pass { .. } => trust,
        other => other,
    }
}
