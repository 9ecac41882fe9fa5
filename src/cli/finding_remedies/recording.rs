//! The texts of remedies for recordings that cannot be used.

use crate::verify::recording::RecordingError;

/// Returns the remedy for a recording that cannot be read or written, as text.
#[must_use]
pub fn of_recording(error: &RecordingError) -> &'static str {
    match error {
        RecordingError::NotARecording => "name a file that clusterctl verify --record wrote",
        RecordingError::Version { .. } => "replay it with the clusterctl that recorded it; its version is in the file",
        RecordingError::Truncated { .. } => "copy the whole file again, or record again",
        RecordingError::Damaged(_) | RecordingError::TooMany { .. } => {
            "record again with clusterctl verify --record; an edited recording is refused"
        }
        RecordingError::Unwritable(_) => "record fewer hosts at once, with --node or --masters-only",
    }
}
