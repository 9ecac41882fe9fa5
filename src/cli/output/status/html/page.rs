//! The page: the summary, what to do, what expires when, and tables.

use maud::{Markup, html};

use super::certificates::DirectoryCertificates;
use super::groups::{Group, GroupKey, Member};
use super::tone::tone;
use crate::app::status::{RotationSummary, Skipped, State, StatusReport, StatusRow, Summary};
use crate::cli::output::rotation;
use crate::cli::output::status::advice::Advice;
use crate::cli::output::status::head::Head;
use crate::cli::output::status::human::requests_in_words;
use crate::cluster::duration::stamp;
use crate::html::{Page, Section, Tone, scrolling};
use crate::sanitize::sanitized;
use crate::ui::Screen;
use crate::verify::report::CertificateDrawings;

/// The maximum number of skipped files that are listed.
const SKIPPED: usize = 500;

/// Writes a page.
pub(in crate::cli::output::status) struct HtmlWriter {
    head: Head,
    certificates: DirectoryCertificates,
    advice: Advice,
}

impl HtmlWriter {
    pub(in crate::cli::output::status) fn new(head: Head) -> Self {
        let certificates = DirectoryCertificates::new(head.now);
        Self { head, certificates, advice: Advice::default() }
    }

    pub(in crate::cli::output::status) fn row(&mut self, row: &StatusRow) {
        self.advice.add(row);
        self.certificates.add(row);
    }

    pub(in crate::cli::output::status) fn end(self, report: &StatusReport, screen: &mut Screen<'_>) {
        screen.answer(self.page(report));
    }

    fn page(&self, report: &StatusReport) -> String {
        let section = |id, heading, content| Section { id, heading, content };
        let is_valid = |key: &GroupKey| key.state.0 == State::Valid;
        let CertificateDrawings { graph, timeline } = self.certificates.drawings();
        let page = Page {
            title: match self.head.cluster.as_str() {
                "" => "What expires".to_owned(),
                cluster => format!("What expires in {cluster}"),
            },
            head: self.head(report),
            sections: vec![
                section("steps", "What to do", self.steps()),
                section("rotations", "What is being rotated", rotating(&report.rotations)),
                section("skipped", "What was not read", not_read(&report.skipped)),
                section("attention", "What needs attention", self.table(|key| !is_valid(key))),
                section("expiry", "What expires when", timeline),
                section("trust", "Who is signed by what", graph),
                section("valid", "What is valid", self.table(is_valid)),
            ],
            foot: html! { "Written by clusterctl " (env!("CARGO_PKG_VERSION")) "." },
        };
        page.into_text()
    }

    fn head(&self, report: &StatusReport) -> Markup {
        let worst =
            State::ALL.into_iter().rev().find(|state| report.summary.count(*state) > 0).map_or(Tone::Unknown, tone);
        let (tone, verdict) = match (report.skipped.is_empty(), worst) {
            (true, Tone::Good) => (Tone::Good, "Nothing is due"),
            (false, Tone::Good | Tone::Unknown) => (Tone::Unknown, "Some files or parts of them were not read"),
            (true, Tone::Unknown) => (Tone::Unknown, "There is nothing that expires"),
            (_, Tone::Soon) => (Tone::Soon, "Something is due"),
            (_, Tone::Bad) => (Tone::Bad, "Something is expired, missing or revoked"),
        };
        html! {
            div.verdict.(tone.class()) role="status" {
                b aria-hidden="true" { (tone.sign()) }
                div {
                    strong { (verdict) }
                    span { "as of " time datetime=(stamp(self.head.now)) { (stamp(self.head.now)) } }
                }
            }
            (counts(&report.summary))
            @if let Some(at) = report.last_backup {
                p { "Last backup: " time datetime=(stamp(at)) { (stamp(at)) } }
            }
            @if let Some(text) = report.enrolment.as_ref().map(requests_in_words) { p { "Enrolment: " (text) } }
        }
    }

    fn steps(&self) -> Markup {
        let steps = self.advice.steps();
        html! { @if !steps.is_empty() { ol { @for step in &steps { li { code { (sanitized(step)) } } } } } }
    }

    fn table(&self, is_shown: impl Fn(&GroupKey) -> bool) -> Markup {
        let mut shown = self.certificates.groups.0.iter().filter(|(key, _)| is_shown(key)).peekable();
        if shown.peek().is_none() {
            return html! {};
        }
        let table = html! {
            table {
                thead {
                    tr {
                        th scope="col" { "Credential" }
                        th scope="col" { "Whose" }
                        th scope="col" { "Expires" }
                        th.number scope="col" { "Days" }
                        th scope="col" { "State" }
                        th scope="col" { "What to do" }
                    }
                }
                tbody { @for (key, group) in shown { (table_row(key, group)) } }
            }
        };
        scrolling("Credentials", &table)
    }
}

/// Returns the phases of each rotation, the present one marked, with the hosts that are behind.
fn rotating(states: &[RotationSummary]) -> Markup {
    html! {
        @for state in states {
            @let (present, _) = state.phase;
            @let tone = if state.proven_since.is_some() { Tone::Good } else { Tone::Soon };
            h3 { "The " (state.title) ": " (sanitized(&state.old)) " → " (sanitized(&state.new)) }
            ol.phases start="0" {
                @for (number, phase) in &state.phases {
                    @if *number == present {
                        li value=(number) aria-current="step" {
                            b.(tone.class()) { (tone.sign()) " " (phase) }
                            " since " time datetime=(stamp(state.began)) { (stamp(state.began)) }
                            @if state.is_aborting { ", being aborted" }
                            @match (&state.proven_since, &state.failed) {
                                (Some(at), _) => { ", proven since " time datetime=(stamp(*at)) { (stamp(*at)) } },
                                (None, Some(failed)) => {
                                    ", behind at " time datetime=(stamp(failed.at)) { (stamp(failed.at)) } ": "
                                    (rotation::hosts_behind(failed))
                                },
                                (None, None) => { ", not proven yet" },
                            }
                        }
                    } @else {
                        li.quiet value=(number) { (phase) @if *number < present { " (over)" } }
                    }
                }
                li.quiet value=(state.last) { "retire" }
            }
        }
    }
}

fn counts(summary: &Summary) -> Markup {
    html! {
        ul.counts {
            @for state in State::ALL.into_iter().rev() {
                @if summary.count(state) > 0 {
                    li.(tone(state).class()) { b { (summary.count(state)) } " " (state.as_str()) }
                }
            }
        }
    }
}

fn not_read(skipped: &[Skipped]) -> Markup {
    html! {
        @if !skipped.is_empty() {
            ul {
                @for one in skipped.iter().take(SKIPPED) {
                    li { code { (sanitized(&one.label)) } ": " (sanitized(&one.reason.to_string())) }
                }
                @if skipped.len() > SKIPPED { li { "and " (skipped.len() - SKIPPED) " more" } }
            }
        }
    }
}

fn table_row(key: &GroupKey, group: &Group) -> Markup {
    let Some(first) = group.members.first() else { return html! {} };
    let common = |field: fn(&Member) -> Option<String>| {
        let value = field(first);
        group.members.iter().all(|member| field(member) == value).then_some(value).flatten()
    };
    let expires = common(|member| member.expires.clone());
    let expires = expires.or_else(|| key.day.map(|day| day.to_string())).unwrap_or_default();
    let state = key.state.0;
    html! {
        tr {
            td { (sanitized(&key.credential)) }
            td { @if group.count == 1 { (one(first)) } @else { (several(group.count, &group.members)) } }
            td.date { (expires) }
            td.number { @if let Some(days) = first.days { (days) } }
            td {
                b.(tone(state).class()) { (tone(state).sign()) " " (state.as_str()) }
                @if let Some(problem) = common(|member| member.problem.clone()) { ": " (sanitized(&problem)) }
            }
            td { @if let Some(hint) = common(|member| member.hint.clone()) { code { (sanitized(&hint)) } } }
        }
    }
}

fn one(member: &Member) -> Markup {
    html! {
        span.name { (sanitized(&member.name)) }
        @if let Some(serial) = &member.serial { " " span.serial.quiet { (sanitized(serial)) } }
        @if member.is_key_discarded { " (key discarded)" }
    }
}

fn several(count: usize, members: &[Member]) -> Markup {
    html! {
        details {
            summary { (count) }
            ul { @for member in members { li { (one(member)) } } }
            @if count > members.len() { p { "and " (count - members.len()) " more" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use crate::app::status::{Credential, Subject};
    use crate::cluster::profile::Profile;

    /// Returns the page about this number of nodes. The certificates of every second node expire a day later.
    fn page_of(nodes: usize) -> String {
        let now = datetime!(2026-11-23 12:00 UTC);
        let mut writer = HtmlWriter::new(Head { cluster: "prod".to_owned(), now });
        let mut summary = Summary::default();
        for i in 0..nodes {
            for profile in [Profile::KubeletClient, Profile::KubeletServer] {
                let row = StatusRow {
                    subject: Subject::Host(format!("worker-{i}")),
                    credential: Credential::Leaf(profile),
                    certificate: None,
                    crl_issuer: None,
                    not_before: None,
                    not_after: Some(now + Duration::days(40 + (i % 2) as i64)),
                    renew_from: None,
                    state: State::Due,
                    is_key_discarded: false,
                    file: None,
                    problem: None,
                    remedy: None,
                };
                summary.add(&row);
                writer.row(&row);
            }
        }
        writer.page(&StatusReport {
            summary,
            skipped: Vec::new(),
            rotations: Vec::new(),
            last_backup: None,
            enrolment: None,
        })
    }

    #[test]
    fn equal_rows_share_one_line() {
        for nodes in [2, 1_000] {
            let page = page_of(nodes);
            assert_eq!(page.matches("<tr><td>").count(), 4, "{nodes}");
            assert_eq!(page.matches("<circle").count(), 4, "{nodes}");
            let last = format!("<li><span class=\"name\">worker-{}</span></li>", nodes - 1);
            assert_eq!(page.contains(&last), nodes > 2);
        }
    }
}
