//! What `lint` finds, as text, JSON and SARIF.

mod human;
mod json;
mod sarif;

use time::OffsetDateTime;

use crate::app::lint::{LintReport, Place};
use crate::sanitize::sanitized;
use crate::ui::Screen;

pub(crate) use human::{explain, list};

/// The format of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum LintFormat {
    /// Text for people
    #[default]
    Human,
    /// JSON: schemas/lint.schema.json
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// Shows what was found.
pub(crate) fn show(report: &LintReport, format: LintFormat, now: OffsetDateTime, screen: &mut Screen<'_>) {
    match format {
        LintFormat::Human => human::show(report, screen),
        LintFormat::Json => screen.answer(format_args!("{:#}", json::of(report, now))),
        LintFormat::Sarif => screen.answer(format_args!("{:#}", sarif::of(report))),
    }
}

/// Returns a place as text.
fn place(place: &Place) -> String {
    match &place.part {
        Some(part) => sanitized(&format!("{} ({part})", place.file)),
        None => sanitized(&place.file),
    }
}
