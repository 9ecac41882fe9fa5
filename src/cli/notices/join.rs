//! Notices of a host that joins, as text.

use crate::app::enrol::join::JoinNotice;
use crate::ui::Screen;

/// Shows a notice.
pub(super) fn show(notice: &JoinNotice, screen: &mut Screen<'_>) {
    match notice {
        JoinNotice::TryingAgain { what, reason } => {
            screen.step(format_args!("  trying the {what} endpoint again: {reason}"));
        }
        JoinNotice::Found { endpoint, seq, enrolment } => {
            screen.step(format_args!("  found      record {seq} at {endpoint}, enrolment at {enrolment}"));
        }
        JoinNotice::Key { path, is_new, .. } => {
            screen.step(format_args!("  key        {path} ({})", if *is_new { "new" } else { "kept" }));
        }
        JoinNotice::Requested { name, was_there } => {
            screen.step(format_args!("  request    {name}{}", if *was_there { " (was there)" } else { "" }));
        }
        JoinNotice::Waiting { names } => screen.step(format_args!("  waiting    for {}", names.join(", "))),
        JoinNotice::Issued { name, certificate } => {
            screen.step(format_args!("  issued     {name}, SHA-256 {certificate}"));
        }
        JoinNotice::WaitingForBundle { reason } => screen.step(format_args!("  waiting    for the bundle: {reason}")),
    }
}
