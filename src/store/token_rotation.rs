//! The folder of the rotation of the token key, `pki/sa-rotation`: `state.json`, which names the phase and both keys, and
//! `new.key`. `pki/sa.key` is the old key until the rotation is over.
//!
//! ```json
//! {"schemaVersion": 1, "phase": "add", "began": "2026-11-23T12:00:00Z", "old": "SHA-256", "new": "SHA-256"}
//! ```

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::StoreError;
use super::files::{self, PRIVATE, PUBLIC};
use super::layout::Layout;
use super::staged::StagedFolder;
use crate::cluster::duration::stamp;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::service_account_key::ServiceAccountKey;
use crate::pki::token_rotation::{TokenPhase, TokenRotation};

/// The largest size of a file, in bytes.
const LIMIT: u64 = 64 * 1024;
const SCHEMA_VERSION: u64 = 1;
/// The file of the phase.
const STATE: &str = "state.json";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StateFile {
    schema_version: u64,
    phase: String,
    began: String,
    old: String,
    new: String,
}

fn format(rotation: &TokenRotation) -> String {
    let file = StateFile {
        schema_version: SCHEMA_VERSION,
        phase: rotation.phase.as_str().to_owned(),
        began: stamp(rotation.began),
        old: rotation.old.to_string(),
        new: rotation.new.to_string(),
    };
    // Serializing strings and a number cannot fail.
    serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
}

fn parse(text: &[u8]) -> Option<TokenRotation> {
    let file: StateFile = serde_json::from_slice(text).ok()?;
    let rotation = TokenRotation {
        phase: TokenPhase::parse(&file.phase)?,
        began: OffsetDateTime::parse(&file.began, &Rfc3339).ok()?,
        old: Fingerprint::parse(&file.old)?,
        new: Fingerprint::parse(&file.new)?,
    };
    (file.schema_version == SCHEMA_VERSION && rotation.old != rotation.new).then_some(rotation)
}

/// Returns the rotation that is under way; `None` if there is none.
///
/// # Errors
/// Returns [`StoreError::TokenRotation`] if its file is not one of this version, or the system's error.
pub fn state(layout: &Layout) -> Result<Option<TokenRotation>, StoreError> {
    let path = layout.token_rotation().join(STATE);
    match files::read(&path, LIMIT) {
        Err(StoreError::Missing(_)) => Ok(None),
        Ok(text) => parse(&text).map(Some).ok_or(StoreError::TokenRotation(path)),
        Err(error) => Err(error),
    }
}

/// Writes the folder with the new key. It appears complete, or not at all.
///
/// # Errors
/// Returns [`StoreError::Exists`] if the folder exists, or the system's error.
pub fn create(layout: &Layout, key: &ServiceAccountKey, rotation: &TokenRotation) -> Result<(), StoreError> {
    files::sweep(&layout.pki())?;
    let staged = StagedFolder::begin(&layout.token_rotation())?;
    staged.add(STATE, format(rotation).as_bytes(), PUBLIC)?;
    staged.add("new.key", key.to_pem().as_bytes(), PRIVATE)?;
    files::sync_all(&layout.pki())?;
    staged.publish_new()
}

/// Writes the phase, in one step.
///
/// # Errors
/// Returns the system's error.
pub fn write(layout: &Layout, rotation: &TokenRotation) -> Result<(), StoreError> {
    files::replace(&layout.token_rotation().join(STATE), format(rotation).as_bytes(), PUBLIC)
}

/// Keeps the old key under this name in `pki`, if it is still in its place.
///
/// # Errors
/// Returns the system's error.
pub fn keep(layout: &Layout, name: &str, new: &ServiceAccountKey) -> Result<(), StoreError> {
    let (place, kept) = (layout.service_account_key(), layout.pki().join(name));
    if files::exists(&kept) || files::holds(&place, new.to_pem().as_bytes()) {
        return Ok(());
    }
    files::write_new(&kept, &zeroize::Zeroizing::new(files::read(&place, LIMIT)?), PRIVATE)
}

/// Makes the new key the token key of the cluster, in place of the old one. A killed process is continued by the same call.
///
/// # Errors
/// Returns the system's error.
pub fn adopt(layout: &Layout, new: &ServiceAccountKey) -> Result<(), StoreError> {
    files::replace(&layout.service_account_key(), new.to_pem().as_bytes(), PRIVATE)?;
    files::replace(&layout.service_account_public(), new.public_pem().as_bytes(), PUBLIC)
}

/// Removes the folder in one step, if there is one: a state without its key, or a key without its state, would stand in
/// the way of the next rotation.
///
/// # Errors
/// Returns the system's error.
pub fn remove(layout: &Layout) -> Result<(), StoreError> {
    files::remove_folder(&layout.token_rotation())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_state_of_this_version_is_read() {
        let rotation = TokenRotation {
            phase: TokenPhase::Sign,
            began: time::macros::datetime!(2026-11-23 12:00 UTC),
            old: Fingerprint::of(b"old"),
            new: Fingerprint::of(b"new"),
        };
        let good = format(&rotation);
        assert_eq!(parse(good.as_bytes()), Some(rotation));
        for (from, to) in [("\"sign\"", "\"signs\""), (": 1", ": 2"), ("\"old\"", "\"other\""), ("2026", "soon")] {
            assert!(good.contains(from), "{from}");
            assert_eq!(parse(good.replacen(from, to, 1).as_bytes()), None, "{from}");
        }
    }
}
