//! What a program that holds a key is asked, on its standard input.
//!
//! The request is one line of JSON, ended by a line feed, and then as many bytes as its `size` says. It has no spaces
//! outside of texts, so that a shell script can compare parts of it. Programs ignore fields that they do not know; a
//! change that they must know changes `version`.

use serde::Serialize;

use super::Access;
use crate::cluster::key_kind::KeyKind;
use crate::pki::signing_key::SignatureAlgorithm;

/// The version of the protocol.
const VERSION: u64 = 1;

/// The line of a request. The order of its fields is part of the protocol.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Header<'a> {
    version: u64,
    operation: &'a str,
    cluster: &'a str,
    role: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_kind: Option<&'a str>,
    size: usize,
}

/// Returns the request to sign `message`.
pub(super) fn sign(access: &Access, algorithm: SignatureAlgorithm, message: &[u8]) -> Vec<u8> {
    let mut request = line(access, "sign", Some(algorithm.as_str()), None, message.len());
    request.extend(message);
    request
}

/// Returns the request for the public key; a program without a key may make one of the kind `new`, if that is given.
pub(super) fn public_key(access: &Access, new: Option<KeyKind>) -> Vec<u8> {
    line(access, "public-key", None, new.map(KeyKind::as_str), 0)
}

fn line(access: &Access, operation: &str, algorithm: Option<&str>, key_kind: Option<&str>, size: usize) -> Vec<u8> {
    let (cluster, role) = (access.cluster.to_string(), access.role.name());
    let header = Header { version: VERSION, operation, cluster: &cluster, role, algorithm, key_kind, size };
    // Serializing texts and numbers cannot fail.
    let mut line = serde_json::to_vec(&header).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::name::ClusterName;
    use crate::cluster::profile::CaRole;
    use crate::signers::SignerEnv;

    #[test]
    fn a_request_is_a_line_and_what_is_signed() {
        let access = Access {
            folder: "/".into(),
            cluster: ClusterName::parse("prod").expect("a name"),
            role: CaRole::FrontProxy,
            signer_env: SignerEnv::default(),
        };
        let request = sign(&access, SignatureAlgorithm::EcdsaP256Sha256, b"\x30\n");
        let line = br#"{"version":1,"operation":"sign","cluster":"prod","role":"front-proxy","algorithm":"ecdsa-p256-sha256","size":2}"#;
        assert_eq!(request, [&line[..], b"\n\x30\n"].concat());
        let line = br#"{"version":1,"operation":"public-key","cluster":"prod","role":"front-proxy","keyKind":"ed25519","size":0}"#;
        assert_eq!(public_key(&access, Some(KeyKind::Ed25519)), [&line[..], b"\n"].concat());
    }
}
