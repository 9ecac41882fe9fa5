//! Writes rows in one of the formats, in the order in which they arrive, or sorted.

use super::csv::CsvWriter;
use super::head::Head;
use super::html::HtmlWriter;
use super::human::HumanWriter;
use super::json::JsonWriter;
use super::prometheus::PrometheusWriter;
use crate::app::status::{Skipped, SortBy, StatusReport, StatusRow, sort};
use crate::sanitize::sanitized;
use crate::ui::Screen;

/// The maximum number of skipped files that are named.
const WARNED: usize = 20;

/// The format of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum StatusFormat {
    /// A table for people
    #[default]
    Human,
    /// JSON: schemas/status.schema.json
    Json,
    /// CSV (RFC 4180), with the names of JSON's fields in the first line
    Csv,
    /// Prometheus's text format, for node_exporter's textfile collector
    Prometheus,
    /// One HTML file, which needs nothing else and runs no script
    Html,
}

/// Writes rows.
pub(crate) struct Writer {
    form: Form,
    /// The rows to be sorted; `None` if rows are written immediately.
    unsorted: Option<(SortBy, Vec<StatusRow>)>,
}

enum Form {
    Human(Box<HumanWriter>),
    Json(JsonWriter),
    Csv(CsvWriter),
    Prometheus(Box<PrometheusWriter>),
    Html(Box<HtmlWriter>),
}

impl Writer {
    /// Returns a writer.
    ///
    /// Without `sort_by`, a table is sorted by expiry; other formats are in the order of hosts and written while rows
    /// arrive.
    ///
    /// With `all` a table also shows valid rows.
    pub(crate) fn new(format: StatusFormat, head: Head, sort_by: Option<SortBy>, all: bool) -> Self {
        let form = match format {
            StatusFormat::Human => {
                Form::Human(Box::new(HumanWriter::new(head, sort_by.unwrap_or(SortBy::Expiry), all)))
            }
            StatusFormat::Json => Form::Json(JsonWriter::new(head)),
            StatusFormat::Csv => Form::Csv(CsvWriter::new(head.now)),
            StatusFormat::Prometheus => Form::Prometheus(Box::new(PrometheusWriter::new(head))),
            StatusFormat::Html => Form::Html(Box::new(HtmlWriter::new(head))),
        };
        let sorts_itself = matches!(form, Form::Human(_) | Form::Prometheus(_) | Form::Html(_));
        Self { form, unsorted: sort_by.filter(|_| !sorts_itself).map(|by| (by, Vec::new())) }
    }

    /// Takes a row.
    pub(crate) fn row(&mut self, row: StatusRow, screen: &mut Screen<'_>) {
        match &mut self.unsorted {
            Some((_, rows)) => rows.push(row),
            None => self.form.row(row, screen),
        }
    }

    /// Writes the remaining rows, the summary, and the files that were not read.
    pub(crate) fn end(mut self, report: &StatusReport, screen: &mut Screen<'_>) {
        let skipped = &report.skipped;
        for Skipped { label, reason } in skipped.iter().take(WARNED) {
            screen.warn(format_args!("skipped {}: {}", sanitized(label), sanitized(&reason.to_string())));
        }
        if skipped.len() > WARNED {
            screen.warn(format_args!("skipped {} more, which --output json names", skipped.len() - WARNED));
        }
        if let Some((by, mut rows)) = self.unsorted.take() {
            sort(&mut rows, by);
            for row in rows {
                self.form.row(row, screen);
            }
        }
        match self.form {
            Form::Human(writer) => writer.end(report, screen),
            Form::Json(writer) => writer.end(report, screen),
            Form::Csv(writer) => writer.end(screen),
            Form::Prometheus(writer) => writer.end(report, screen),
            Form::Html(writer) => writer.end(report, screen),
        }
    }
}

impl Form {
    fn row(&mut self, row: StatusRow, screen: &mut Screen<'_>) {
        match self {
            Self::Human(writer) => writer.row(row),
            Self::Json(writer) => writer.row(&row, screen),
            Self::Csv(writer) => writer.row(&row, screen),
            Self::Prometheus(writer) => writer.row(&row),
            Self::Html(writer) => writer.row(&row),
        }
    }
}
