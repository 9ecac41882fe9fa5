//! Credentials in a kubeconfig: a path, or base64 as Go and YAML decode it.

use std::path::PathBuf;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::error::KubeconfigError;
use super::model::Credential;

/// Finds the fields with YAML's tag for binary data, which serde_yaml discards.
pub(super) struct Binary<'a> {
    pub(super) text: &'a [u8],
}

impl Binary<'_> {
    /// Returns true if a field of this name has the tag, anywhere in the file.
    fn marks(&self, field: &str) -> bool {
        const TAGS: [&str; 2] = ["!!binary", "!<tag:yaml.org,2002:binary>"];
        let text = String::from_utf8_lossy(self.text);
        let values = text.split(field).skip(1).filter_map(|rest| {
            let rest = rest.trim_start_matches(['"', '\'']).trim_start();
            Some(rest.strip_prefix(':')?.trim_start())
        });
        values.into_iter().any(|value| TAGS.iter().any(|tag| value.starts_with(tag)))
    }
}

/// Returns the embedded data, or otherwise the path, as client-go does.
pub(super) fn credential(
    field: &str,
    path: Option<PathBuf>,
    data: Option<String>,
    binary: &Binary<'_>,
) -> Result<Option<Credential>, KubeconfigError> {
    if let Some(data) = data.filter(|data| !data.is_empty()).map(Zeroizing::new) {
        let wrong = || KubeconfigError::Base64(field.to_owned());
        let mut bytes = base64(&data).ok_or_else(wrong)?;
        // YAML decodes tagged data once; client-go decodes the result again, like any other data.
        if binary.marks(field) {
            let inner = std::str::from_utf8(&bytes).ok().and_then(base64);
            bytes = inner.ok_or_else(wrong)?;
        }
        return Ok(Some(Credential::Data(bytes)));
    }
    Ok(path.filter(|path| !path.as_os_str().is_empty()).map(Credential::File))
}

/// Decodes base64 as Go does, which skips line breaks and nothing else.
fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect());
    Base64::decode_vec(&text).ok().map(Zeroizing::new)
}
