//! The handovers of the cluster's roots, in `pki/handovers.json`. They are public.

use super::error::StoreError;
use super::files;
use super::layout::Layout;
use crate::enrol::handover::Handover;

/// The largest file, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// Returns the handovers of a cluster directory, the oldest first.
///
/// # Errors
/// Returns an error if the file cannot be read, or is damaged.
pub fn read(layout: &Layout) -> Result<Vec<Handover>, StoreError> {
    let path = layout.handovers();
    let bytes = match files::read(&path, LIMIT) {
        Ok(bytes) => bytes,
        Err(StoreError::Missing(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    serde_json::from_slice(&bytes).map_err(|_| StoreError::InTheWay(path))
}

/// Replaces the handovers of a cluster directory.
///
/// # Errors
/// Returns an error if the file cannot be written.
pub fn write(layout: &Layout, handovers: &[Handover]) -> Result<(), StoreError> {
    let path = layout.handovers();
    if handovers.is_empty() {
        return match files::exists(&path) {
            true => files::remove_all(&layout.pki(), &["handovers.json".into()]),
            false => Ok(()),
        };
    }
    // Texts always have a JSON form.
    let mut json = serde_json::to_vec_pretty(handovers).unwrap_or_default();
    json.push(b'\n');
    if files::holds(&path, &json) {
        return Ok(());
    }
    files::replace(&path, &json, files::PUBLIC)
}
