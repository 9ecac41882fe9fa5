//! Rows as CSV (RFC 4180).

use time::OffsetDateTime;

use super::json::Fields;
use super::lines::Lines;
use crate::app::status::StatusRow;
use crate::ui::Screen;

/// The columns: the names of JSON's fields.
const COLUMNS: &str = "host,person,kind,credential,serial,sha256,issuerSha256,account,notBefore,expires,renewFrom,days,state,\
                       keyDiscarded,file,problem,remedy,hint\r";

/// Writes CSV.
pub(super) struct CsvWriter {
    now: OffsetDateTime,
    lines: Lines,
    has_begun: bool,
}

impl CsvWriter {
    pub(super) fn new(now: OffsetDateTime) -> Self {
        Self { now, lines: Lines::default(), has_begun: false }
    }

    pub(super) fn row(&mut self, row: &StatusRow, screen: &mut Screen<'_>) {
        self.begin(screen);
        // Destructured without `..`, so that a new field cannot be forgotten.
        let Fields {
            host,
            person,
            kind,
            credential,
            serial,
            sha256,
            issuer_sha256,
            account,
            not_before,
            expires,
            renew_from,
            days,
            state,
            key_discarded,
            file,
            problem,
            remedy,
            hint,
        } = Fields::of(row, self.now);
        let text = |text: Option<String>| text.map_or_else(String::new, |text| field(&text));
        let cells = [
            text(host),
            text(person),
            kind.to_owned(),
            field(&credential),
            text(serial),
            text(sha256),
            text(issuer_sha256),
            text(account),
            text(not_before),
            text(expires),
            text(renew_from),
            days.map(|days| days.to_string()).unwrap_or_default(),
            state.to_owned(),
            key_discarded.to_string(),
            text(file),
            text(problem),
            text(remedy),
            text(hint),
        ];
        self.lines.add(&(cells.join(",") + "\r"), screen);
    }

    fn begin(&mut self, screen: &mut Screen<'_>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.lines.add(COLUMNS, screen);
        }
    }

    pub(super) fn end(mut self, screen: &mut Screen<'_>) {
        self.begin(screen);
        self.lines.print(screen);
    }
}

/// Returns a text as a field, in quotes if necessary.
///
/// A spreadsheet would run a text that begins like a formula, so such a text is prefixed with an apostrophe.
fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_no_formulas() {
        assert_eq!(field("worker-1"), "worker-1");
        assert_eq!(field("a, \"b\"\n"), "\"a, \"\"b\"\"\n\"");
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"] {
            assert_eq!(field(formula), format!("'{formula}"));
        }
        assert_eq!(field("=HYPERLINK(\"x\",\"y\")"), "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"");
    }
}
