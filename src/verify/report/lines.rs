//! Lines of text: width and colours.

use anstyle::{AnsiColor, Style};

use super::super::finding::Status;
use crate::sanitize::sanitized;

/// The default width in columns.
pub(super) const WIDTH: usize = 80;
/// The minimum width in which the matrix is readable.
const NARROWEST: usize = 60;

/// Returns the width for a terminal with this number of columns.
pub(super) fn width_of(columns: Option<usize>) -> usize {
    columns.map_or(WIDTH, |columns| columns.max(NARROWEST))
}

/// Appends a labelled text with a hanging indent, broken at spaces only.
pub(super) fn wrapped(out: &mut String, width: usize, label: &str, text: &str) {
    const LABEL: usize = 9;
    const INDENT: usize = 4 + LABEL;
    let text = sanitized(text);
    let mut current = format!("    {label:<LABEL$}");
    let mut fresh = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !fresh && current.chars().count() + 1 + word.chars().count() > width {
            line(out, &current);
            current = " ".repeat(INDENT);
            fresh = true;
        }
        if !fresh {
            current.push(' ');
        }
        current.push_str(word);
        fresh = false;
    }
    line(out, &current);
}

pub(super) fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}

#[derive(Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    pub(super) fn of(self, status: Status) -> Style {
        let color = match status {
            Status::Pass => AnsiColor::Green,
            Status::Skipped | Status::Warn | Status::NotProven => AnsiColor::Yellow,
            Status::Fail => AnsiColor::Red,
        };
        let style = Style::new().fg_color(Some(color.into()));
        if status == Status::Fail { style.bold() } else { style }
    }

    pub(super) fn with(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}
