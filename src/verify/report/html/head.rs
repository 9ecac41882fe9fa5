//! The head of the page: the verdict, the counts, the roots.

use maud::{Markup, html};
use time::Duration;

use super::status::tone;
use crate::cluster::duration::stamp;
use crate::html::Tone;
use crate::sanitize::sanitized;
use crate::verify::finding::Status;
use crate::verify::report::summary::Report;
use crate::verify::verdict::Verdict;

/// The maximum number of roots that are listed.
const ROOTS: usize = 8;

impl Report {
    pub(super) fn title(&self) -> String {
        format!("Cluster {}: {}", self.cluster, self.verdict_word())
    }

    pub(super) fn head(&self) -> Markup {
        let counts = self.counts();
        let counts = [
            (Status::Pass, counts.pass, "passed"),
            (Status::Fail, counts.fail, "failed"),
            (Status::NotProven, counts.not_proven, "not proven"),
            (Status::Skipped, counts.skipped, "skipped"),
            (Status::Warn, counts.warn, "with a warning"),
        ];
        let (verdict, text) = self.verdict_in_words();
        html! {
            div.verdict.(verdict.class()) role="status" {
                b aria-hidden="true" { (verdict.sign()) }
                div { strong { (capitalized(self.verdict_word())) } span { (text) } }
            }
            ul.counts {
                @for (status, count, word) in counts {
                    @if count > 0 || status == Status::Pass {
                        li.(tone(status).class()) { b { (count) } " " (word) }
                    }
                }
            }
            dl.facts {
                dt { "Verified" }
                dd { time datetime=(stamp(self.started)) { (stamp(self.started)) } " (" (seconds(self.finished - self.started)) ")" }
                dt { "Looked at" }
                dd { (looked_at(self.looked_at())) }
                @for root in self.roots.iter().take(ROOTS) {
                    dt { "Root" }
                    dd { (sanitized(&root.subject)) " " code { (root.pin) } }
                }
                @if self.roots.len() > ROOTS { dt { "Roots" } dd { (self.roots.len() - ROOTS) " more" } }
            }
        }
    }

    fn verdict_in_words(&self) -> (Tone, &'static str) {
        match self.verdict() {
            Verdict::Proven if self.is_of_enrolment() => {
                (Tone::Good, "The enrolment endpoint is the cluster's, and refuses others.")
            }
            Verdict::Unproven if self.is_of_enrolment() => {
                (Tone::Bad, "The enrolment endpoint is not as it should be.")
            }
            Verdict::Proven if !self.has_connections() => (Tone::Good, "No problems were found in the directory."),
            Verdict::Unproven if !self.has_connections() => (Tone::Bad, "There are problems in the directory."),
            Verdict::Proven => (Tone::Good, "Every required check passed."),
            Verdict::Unproven => (Tone::Bad, "Required checks failed, were not proven or were skipped."),
            Verdict::NothingJudged => (Tone::Unknown, "No check gave a result."),
        }
    }
}

fn looked_at(what: &str) -> &'static str {
    match what {
        "wire" => "the live cluster",
        "enrolment" => "the enrolment endpoint",
        _ => "the cluster directory",
    }
}

fn capitalized(word: &str) -> String {
    let word = word.replace('-', " ");
    let mut rest = word.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_seconds_f64().max(0.0))
}
