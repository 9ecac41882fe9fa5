//! The oracle's cases: certificates made here, those of x509-limbo, and files that contain certificates.

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};

use super::shapes;

/// A server's certificates, the roots that a client has, and the name that it connects to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PathCase {
    /// `rule/example`
    pub(super) id: String,
    /// The trust file's certificates, PEM.
    pub(super) roots: Vec<String>,
    /// The server's certificates, PEM, leaf first.
    pub(super) sent: Vec<String>,
    /// The leaf's key, PEM, so that Go can serve with it.
    pub(super) key: Option<String>,
    /// The name or address that the client connects to.
    pub(super) name: Option<String>,
    /// The time of the verification, RFC 3339.
    pub(super) time: String,
    /// CRLs for our checks only; Go reads none. PEM.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) crls: Vec<String>,
    /// A client's certificate rather than a server's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) client: bool,
}

/// A file or two that hold certificates.
#[derive(Debug, Clone)]
pub(super) struct FileCase {
    pub(super) id: String,
    pub(super) kind: FileKind,
    pub(super) file: Vec<u8>,
    /// The key file of a pair.
    pub(super) key_file: Vec<u8>,
}

/// The way in which Kubernetes reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// A `certificate-authority` of client-go.
    Trust,
    /// A `client-certificate` and `client-key` of client-go.
    Pair,
    /// A kubeconfig in JSON.
    Kubeconfig,
}

/// A question of any kind.
#[derive(Debug, Clone)]
pub(super) enum Case {
    Path(PathCase),
    File(FileCase),
}

impl Case {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Path(case) => &case.id,
            Self::File(case) => &case.id,
        }
    }

    /// Returns the question in the form that the oracle reads.
    pub(super) fn question(&self) -> serde_json::Value {
        match self {
            Self::Path(case) => serde_json::json!({
                "id": case.id,
                "kind": "path",
                "roots": case.roots.concat(),
                "sent": case.sent.iter().map(|pem| Base64::encode_string(&der_of(pem))).collect::<Vec<_>>(),
                "key": case.key.clone().unwrap_or_default(),
                "name": case.name.clone().unwrap_or_default(),
                "time": case.time,
                "usage": if case.client { "clientAuth" } else { "serverAuth" },
            }),
            Self::File(case) => serde_json::json!({
                "id": case.id,
                "kind": match case.kind {
                    FileKind::Trust => "pem",
                    FileKind::Pair => "pair",
                    FileKind::Kubeconfig => "kubeconfig",
                },
                "file": Base64::encode_string(&case.file),
                "keyFile": Base64::encode_string(&case.key_file),
            }),
        }
    }
}

/// Returns the DER of one PEM certificate.
pub(super) fn der_of(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    Base64::decode_vec(body.trim()).expect("base64")
}

fn data(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The certificates made by `corpus`.
pub(super) fn made() -> Vec<PathCase> {
    serde_json::from_str(&data("oracle/paths.json")).expect("paths.json")
}

/// Certificates in which one octet or one element of the DER was changed, signed again.
fn encodings() -> Vec<PathCase> {
    serde_json::from_str(&data("oracle/encodings.json")).expect("encodings.json")
}

/// Returns all questions, in a fixed order.
pub(super) fn all() -> Vec<Case> {
    let made = made();
    let shapes = shapes::all(&made);
    made.into_iter()
        .chain(encodings())
        .chain(limbo())
        .map(Case::Path)
        .chain(shapes.into_iter().map(Case::File))
        .collect()
}

#[derive(Deserialize)]
struct Limbo {
    testcases: Vec<LimboCase>,
}

#[derive(Deserialize)]
struct LimboCase {
    id: String,
    validation_kind: String,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    peer_certificate_key: Option<String>,
    validation_time: Option<String>,
    expected_peer_name: Option<LimboName>,
    crls: Vec<String>,
}

#[derive(Deserialize)]
struct LimboName {
    value: String,
}

/// Returns x509-limbo's cases. A case without a time is evaluated at a fixed time.
fn limbo() -> Vec<PathCase> {
    let limbo: Limbo = serde_json::from_str(&data("limbo/limbo.json")).expect("limbo.json");
    let convert = |case: LimboCase| PathCase {
        id: format!("limbo/{}", case.id),
        roots: case.trusted_certs,
        sent: std::iter::once(case.peer_certificate).chain(case.untrusted_intermediates).collect(),
        key: case.peer_certificate_key,
        name: case.expected_peer_name.map(|name| name.value),
        time: case.validation_time.unwrap_or_else(|| "2026-11-23T12:00:00Z".to_owned()),
        crls: case.crls,
        client: case.validation_kind == "CLIENT",
    };
    limbo.testcases.into_iter().map(convert).collect()
}
