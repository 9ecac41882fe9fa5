//! Rows as a table for people: the rows that need attention, the number of rows in each state, and the advice.

use super::advice::Advice;
use super::head::Head;
use crate::app::status::{Credential, EnrolmentReport, SortBy, State, StatusReport, StatusRow, sort};
use crate::cli::output::rotation;
use crate::cluster::duration::{in_words, stamp};
use crate::sanitize::sanitized;
use crate::ui::Screen;
use anstyle::{AnsiColor, Style};

/// The maximum number of rows in a table without `--all`.
const SHOWN: usize = 100;

/// Writes a table.
pub(super) struct HumanWriter {
    head: Head,
    sort_by: SortBy,
    all: bool,
    rows: Vec<StatusRow>,
    /// The valid row that expires first.
    next: Option<StatusRow>,
    advice: Advice,
}

impl HumanWriter {
    pub(super) fn new(head: Head, sort_by: SortBy, all: bool) -> Self {
        Self { head, sort_by, all, rows: Vec::new(), next: None, advice: Advice::default() }
    }

    pub(super) fn row(&mut self, row: StatusRow) {
        self.advice.add(&row);
        if row.state == State::Valid {
            let is_next = |next: &StatusRow| row.not_after < next.not_after;
            if row.not_after.is_some() && self.next.as_ref().is_none_or(is_next) {
                self.next = Some(row.clone());
            }
            if !self.all {
                return;
            }
        }
        self.rows.push(row);
        // Only rows that are shown are kept.
        if !self.all && self.rows.len() >= 8 * SHOWN {
            sort(&mut self.rows, self.sort_by);
            self.rows.truncate(SHOWN);
        }
    }

    pub(super) fn end(mut self, report: &StatusReport, screen: &mut Screen<'_>) {
        let StatusReport { summary, rotations, last_backup, enrolment, .. } = report;
        sort(&mut self.rows, self.sort_by);
        if !self.all {
            self.rows.truncate(SHOWN);
        }
        let mut text = String::new();
        if !self.rows.is_empty() {
            text.push_str(&self.table(screen.color()));
            let all = if self.all { summary.total() } else { summary.total() - summary.count(State::Valid) };
            match all.saturating_sub(self.rows.len() as u64) {
                0 => {}
                more => text.push_str(&format!("and {more} more, which --all shows\n")),
            }
            text.push('\n');
        }
        text.push_str(&self.sum(report));
        for state in rotations {
            text.push_str(&format!("\n{}\n", rotation::line(state)));
        }
        let steps = self.advice.steps();
        if !steps.is_empty() {
            text.push_str("\nWhat to do:\n");
            text.extend(steps.iter().map(|step| format!("  {step}\n")));
        }
        screen.answer(text);
        if let Some(requests) = enrolment {
            screen.step(format_args!("enrolment: {}", requests_in_words(requests)));
        }
        if let Some(at) = last_backup {
            screen.step(format_args!("last backup: {}, {} ago", stamp(*at), in_words(self.head.now - *at)));
        }
    }

    fn table(&self, color: bool) -> String {
        const HEADER: [&str; 6] = ["HOST", "CREDENTIAL", "SERIAL", "EXPIRES", "DAYS", "STATE"];
        let cells: Vec<[String; 6]> = self.rows.iter().map(|row| self.cells(row)).collect();
        let mut widths = HEADER.map(str::len);
        for row in &cells {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        let mut line = |cells: [&str; 6], style: Style| {
            let [host, credential, serial, expires, days, state] = cells;
            let [w_host, w_credential, w_serial, w_expires, w_days, _] = widths;
            text.push_str(&format!(
                "{host:w_host$}  {credential:w_credential$}  {serial:w_serial$}  {expires:w_expires$}  {days:>w_days$}  \
                 {style}{state}{style:#}\n"
            ));
        };
        line(HEADER, Style::new());
        for (row, cells) in self.rows.iter().zip(&cells) {
            let style = if color { style_of(row.state) } else { Style::new() };
            line(cells.each_ref().map(String::as_str), style);
        }
        text
    }

    fn cells(&self, row: &StatusRow) -> [String; 6] {
        let dash = || "-".to_owned();
        let name = Some(sanitized(row.subject.name())).filter(|name| !name.is_empty());
        let mut state = row.state.as_str().to_owned();
        if row.is_key_discarded {
            state.push_str(", key discarded");
        }
        if let Credential::Request { state: of_request, requester, is_proven, .. } = &row.credential {
            let proven = if *is_proven { "proven" } else { "not proven" };
            state = format!("{}: {of_request}, from {}, {proven}", row.state.as_str(), sanitized(requester));
        }
        if let Some(problem) = &row.problem {
            state.push_str(&format!(": {}", sanitized(&problem.to_string())));
        }
        [
            name.unwrap_or_else(dash),
            sanitized(&row.credential.name()),
            row.certificate.as_ref().map_or_else(dash, |one| one.serial.to_string()),
            row.not_after.map_or_else(dash, stamp),
            row.days(self.head.now).map_or_else(dash, |days| days.to_string()),
            state,
        ]
    }

    fn sum(&self, report: &StatusReport) -> String {
        let StatusReport { summary, skipped, .. } = report;
        let total = summary.total();
        if !report.is_all_valid() {
            let counts = State::ALL.into_iter().rev().filter(|state| summary.count(*state) > 0);
            let counts: Vec<String> =
                counts.map(|state| format!("{} {}", summary.count(state), state.as_str())).collect();
            let colon = if counts.is_empty() { "" } else { ": " };
            let unread = if skipped.is_empty() { String::new() } else { format!("; {} not read", skipped.len()) };
            return format!("{total} in all{colon}{}{unread}\n", counts.join(", "));
        }
        let next = self.next.as_ref().and_then(|next| {
            let (not_after, name) = (next.not_after?, next.subject.name());
            let whose = if name.is_empty() { String::new() } else { format!(" of {}", sanitized(name)) };
            let left = in_words(not_after - self.head.now);
            Some(format!(". The first to expire is {}{whose}, in {left}", sanitized(&next.credential.name())))
        });
        format!("nothing is due: {total} valid{}\n", next.unwrap_or_default())
    }
}

/// Returns how many requests are in each state, as text.
pub(in crate::cli::output::status) fn requests_in_words(report: &EnrolmentReport) -> String {
    let counts = report.counts.iter().filter(|(state, count)| state.is_open() || **count > 0);
    let counts: Vec<String> = counts.map(|(state, count)| format!("{count} {state}")).collect();
    let oldest = report.oldest.map(|age| format!("; the oldest is open for {}", in_words(age))).unwrap_or_default();
    format!("{}{oldest}", counts.join(", "))
}

fn style_of(state: State) -> Style {
    let color = match state {
        State::Valid => AnsiColor::Green,
        State::Due | State::Outdated | State::Expiring | State::Left => AnsiColor::Yellow,
        State::NotYetValid | State::Missing | State::Unreadable | State::Revoked | State::Expired => AnsiColor::Red,
    };
    Style::new().fg_color(Some(color.into()))
}
