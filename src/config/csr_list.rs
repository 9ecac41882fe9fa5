//! Reads the certificates that `kubectl get csr -o json`, or `-o yaml`, lists.

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The kind of the objects that are listed.
const KIND: &str = "CertificateSigningRequest";

/// A CertificateSigningRequest of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRequest {
    /// Its name in the cluster.
    pub name: String,
    /// The PEM of the certificate that was issued for it, if there is one.
    pub certificate: Option<Vec<u8>>,
}

/// Errors of reading a list of requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrListError {
    /// It is neither JSON nor YAML, or its fields have other types than Kubernetes's.
    #[error("it is not the output of kubectl get csr: {0}")]
    Shape(String),
    /// A certificate is not base64.
    #[error("the certificate of request {0:?} is not base64")]
    Base64(String),
}

/// Returns true if a text may be a list of requests, because it contains their kind.
#[must_use]
pub fn may_be_csr_list(bytes: &[u8]) -> bool {
    bytes.windows(KIND.len()).any(|window| window == KIND.as_bytes())
}

/// Reads the output of `kubectl get csr -o json`, or of one request, also as YAML. Objects of other kinds are left out.
///
/// # Errors
/// Returns an error if it is not such output.
pub fn requests_from_kubectl(bytes: &[u8]) -> Result<Vec<ListedRequest>, CsrListError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let is_json = bytes.trim_ascii_start().starts_with(b"{");
    let object: Object = parse(bytes, is_json)?;
    let objects = match object {
        Object { items: Some(items), .. } => items,
        Object { kind: None, metadata: Metadata { name }, .. } if name.is_empty() => {
            return Err(CsrListError::Shape("it has neither a kind nor a name".to_owned()));
        }
        object => vec![object],
    };
    let is_request = |object: &Object| object.kind.as_deref().is_none_or(|kind| kind == KIND);
    objects.into_iter().filter(is_request).map(Object::listed).collect()
}

fn parse<T: DeserializeOwned>(bytes: &[u8], is_json: bool) -> Result<T, CsrListError> {
    match is_json {
        true => serde_json::from_slice(bytes).map_err(|error| CsrListError::Shape(error.to_string())),
        false => serde_yaml::from_slice(bytes).map_err(|error| CsrListError::Shape(error.to_string())),
    }
}

/// A request, or a list of requests.
#[derive(Deserialize)]
struct Object {
    kind: Option<String>,
    #[serde(default)]
    metadata: Metadata,
    status: Option<Status>,
    items: Option<Vec<Object>>,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Status {
    certificate: Option<String>,
}

impl Object {
    fn listed(self) -> Result<ListedRequest, CsrListError> {
        let name = self.metadata.name;
        let data = self.status.and_then(|status| status.certificate).filter(|data| !data.is_empty());
        let decode = |data: String| Base64::decode_vec(&data).map_err(|_| CsrListError::Base64(name.clone()));
        let certificate = data.map(decode).transpose()?;
        Ok(ListedRequest { name, certificate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_single_requests_and_yaml_are_read() {
        let one = r#"{"kind":"CertificateSigningRequest","metadata":{"name":"a"},"status":{"certificate":"b25l"}}"#;
        let pending = r#"{"metadata":{"name":"b"},"status":{}}"#;
        let other = r#"{"kind":"Node","metadata":{"name":"c"}}"#;
        let list = format!(r#"{{"kind":"List","items":[{one},{pending},{other}]}}"#);
        let a = ListedRequest { name: "a".to_owned(), certificate: Some(b"one".to_vec()) };
        let b = ListedRequest { name: "b".to_owned(), certificate: None };
        assert_eq!(requests_from_kubectl(list.as_bytes()), Ok(vec![a.clone(), b]));
        assert_eq!(requests_from_kubectl(one.as_bytes()), Ok(vec![a.clone()]));
        let yaml = "kind: CertificateSigningRequest\nmetadata: {name: a}\nstatus: {certificate: b25l}\n";
        assert_eq!(requests_from_kubectl(yaml.as_bytes()), Ok(vec![a]));
    }

    #[test]
    fn other_text_is_refused() {
        let broken = r#"{"metadata":{"name":"a"},"status":{"certificate":"b!"}}"#;
        assert_eq!(requests_from_kubectl(broken.as_bytes()), Err(CsrListError::Base64("a".to_owned())));
        for text in ["", "{", "[]", r#"{"items":{}}"#, r#"{"items":[1]}"#] {
            assert!(matches!(requests_from_kubectl(text.as_bytes()), Err(CsrListError::Shape(_))), "{text}");
        }
    }
}
