//! Reads a kubeconfig as client-go does.

use std::collections::HashSet;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::data::Binary;
use super::error::KubeconfigError;
use super::model::{KubeCluster, KubeContext, KubeUser, Kubeconfig};
use super::raw::{Raw, RawNamedContext, all, string};

/// Reads a kubeconfig as client-go does.
///
/// A byte order mark is skipped, only the first document is read, null is empty, and `kind` and `apiVersion` may be
/// absent.
///
/// # Errors
/// Returns an error if it is not a kubeconfig.
pub fn read(bytes: &[u8]) -> Result<Kubeconfig, KubeconfigError> {
    let wide = from_utf16(bytes);
    let bytes = wide.as_ref().map_or(bytes, |text| text.as_bytes());
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let shape = |error: serde_yaml::Error| KubeconfigError::Shape(error.to_string());
    let document = serde_yaml::Deserializer::from_slice(bytes).next();
    let document = document.ok_or_else(|| KubeconfigError::Shape("it is empty".to_owned()))?;
    let raw = match bytes.windows(MERGE.len()).any(|octets| octets == MERGE) {
        false => Raw::deserialize(document).map_err(shape)?,
        true => {
            let mut value = serde_yaml::Value::deserialize(document).map_err(shape)?;
            value.apply_merge().map_err(shape)?;
            Raw::deserialize(value).map_err(shape)?
        }
    };
    match raw.kind.as_deref() {
        Some("Config") => {}
        // A file without a kind is recognized by its clusters.
        None | Some("") if raw.clusters.is_some() => {}
        None | Some("") => return Err(KubeconfigError::Shape("it has no clusters".to_owned())),
        Some(kind) => return Err(KubeconfigError::Kind(format!("of kind {kind:?}"))),
    }
    if let Some(version) = raw.api_version.filter(|version| !version.is_empty() && version != "v1") {
        return Err(KubeconfigError::Version(version));
    }
    let binary = Binary { text: bytes };
    let clusters: Vec<KubeCluster> =
        all(raw.clusters).map(|cluster| cluster.parse(&binary)).collect::<Result<_, _>>()?;
    let users: Vec<KubeUser> = all(raw.users).map(|user| user.parse(&binary)).collect::<Result<_, _>>()?;
    let contexts: Vec<KubeContext> = all(raw.contexts).map(RawNamedContext::parse).collect();
    once("cluster", clusters.iter().map(|cluster| cluster.name.as_str()))?;
    once("user", users.iter().map(|user| user.name.as_str()))?;
    once("context", contexts.iter().map(|context| context.name.as_str()))?;
    let current_context = Some(string(raw.current_context)).filter(|name| !name.is_empty());
    Ok(Kubeconfig { current_context, clusters, users, contexts })
}

/// YAML's merge key.
const MERGE: &[u8] = b"<<";

/// Returns the text of a file in UTF-16 with a byte order mark, as PowerShell writes it; `None` for other files.
fn from_utf16(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let (read, octets): (fn([u8; 2]) -> u16, _) = match bytes {
        [0xff, 0xfe, rest @ ..] => (u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => (u16::from_be_bytes, rest),
        _ => return None,
    };
    let units = octets.chunks(2).map(|pair| <[u8; 2]>::try_from(pair).map(read));
    let units = Zeroizing::new(units.collect::<Result<Vec<u16>, _>>().ok()?);
    String::from_utf16(&units).ok().map(Zeroizing::new)
}

/// Refuses two entries with the same name, as client-go does.
fn once<'a>(what: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), KubeconfigError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(KubeconfigError::Twice { what, name: name.to_owned() });
        }
    }
    Ok(())
}
