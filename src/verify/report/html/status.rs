//! A check's result as a cell.

use maud::{Markup, html};

use crate::html::Tone;
use crate::verify::finding::Status;

/// Returns the tone in which a status is shown.
pub(super) fn tone(status: Status) -> Tone {
    match status {
        Status::Pass => Tone::Good,
        Status::Warn => Tone::Soon,
        Status::Skipped | Status::NotProven => Tone::Unknown,
        Status::Fail => Tone::Bad,
    }
}

/// Returns a sign that is distinguishable without colour.
fn sign(status: Status) -> &'static str {
    match status {
        Status::Skipped => "–",
        other => tone(other).sign(),
    }
}

/// Returns the cell of a table; empty where there was no check.
pub(super) fn cell(status: Option<Status>) -> Markup {
    html! {
        @if let Some(status) = status {
            b.(tone(status).class()) title=(status.as_str()) {
                span aria-hidden="true" { (sign(status)) }
                span.unseen { (status.as_str()) }
            }
        } @else {
            span.unseen { "no check" }
        }
    }
}

/// Returns the legend of the signs.
pub(super) fn legend() -> Markup {
    html! {
        p.quiet {
            @for (i, status) in [Status::Pass, Status::Warn, Status::Skipped, Status::NotProven, Status::Fail].into_iter().enumerate() {
                @if i > 0 { " · " }
                b.(tone(status).class()) aria-hidden="true" { (sign(status)) }
                " " (status.as_str())
            }
        }
    }
}
