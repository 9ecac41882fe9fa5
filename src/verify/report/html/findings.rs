//! Findings that are not a pass, with remedies: a card for each check, status and kind of remedy.

use std::collections::HashMap;

use maud::{Markup, html};

use super::status::tone;
use crate::html::named;
use crate::sanitize::sanitized;
use crate::verify::checks::expectation;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::Remedy;
use crate::verify::report::reported::Reported;
use crate::verify::report::summary::{RemedyText, Report};
use crate::verify::target::Place;

/// The maximum number of cards.
const CARDS: usize = 100;
/// The maximum numbers of remedies that a card shows, and that are in a list that can be expanded.
const HINTS: usize = 3;
const MORE_HINTS: usize = 50;
/// The maximum number of different observations of a card.
const OBSERVATIONS: usize = 20;

/// Findings of one check with one status and one kind of remedy.
struct Card<'a> {
    id: CheckId,
    status: Status,
    findings: Vec<&'a Finding>,
}

impl Report {
    pub(super) fn problems(&self, words: RemedyText<'_>) -> Markup {
        let reported = Reported::of(&self.findings, false);
        let cards = cards(&reported.findings);
        if cards.is_empty() {
            return html! { p { "There is nothing to do." } };
        }
        let words = |remedy: &Remedy| words(remedy, self.kind);
        html! {
            @for (i, one) in cards.iter().take(CARDS).enumerate() {
                (card(one, i, &reported.consequences_of(&one.findings), &words))
            }
            @if cards.len() > CARDS { p { (cards.len() - CARDS) " more kinds of findings are in the JSON report." } }
        }
    }
}

/// Groups findings, in the order of the first of each.
fn cards<'a>(findings: &[&'a Finding]) -> Vec<Card<'a>> {
    let mut cards: Vec<Card<'a>> = Vec::new();
    let mut known: HashMap<(CheckId, Status, Option<String>), usize> = HashMap::new();
    for finding in findings {
        let (id, status) = (finding.id, finding.status);
        let at = *known.entry((id, status, finding.remedy.as_ref().map(Remedy::id))).or_insert_with(|| {
            cards.push(Card { id, status, findings: Vec::new() });
            cards.len() - 1
        });
        cards[at].findings.push(finding);
    }
    cards
}

fn card(card: &Card<'_>, i: usize, consequences: &[String], words: &dyn Fn(&Remedy) -> String) -> Markup {
    let tone = tone(card.status);
    let place = card.findings.first().map_or(Place::Cluster, |finding| finding.place);
    let asks = expectation(place, card.id.1);
    html! {
        article.finding.(tone.class()) aria-labelledby={ "finding-" (i) } {
            h3 id={ "finding-" (i) } {
                span.pill.(tone.class()) { (tone.sign()) " " (card.status.as_str()) }
                code { (card.id) }
                @if !asks.is_empty() { span.quiet { " expects: " (asks) } }
            }
            (hints(&card.findings, words))
            (observations(&card.findings, asks))
            @if !consequences.is_empty() {
                p { span.label { "Not proven because of it" } @for id in consequences { code { (id) } " " } }
            }
        }
    }
}

fn hints(findings: &[&Finding], words: &dyn Fn(&Remedy) -> String) -> Markup {
    let mut remedies: Vec<&Remedy> = Vec::new();
    for remedy in findings.iter().filter_map(|finding| finding.remedy.as_ref()) {
        if remedies.len() <= HINTS + MORE_HINTS && !remedies.contains(&remedy) {
            remedies.push(remedy);
        }
    }
    let hint = |remedy: &Remedy| html! { li { (sanitized(&words(remedy))) } };
    html! {
        @if !remedies.is_empty() {
            div.hint {
                b { "What to do" }
                ul { @for remedy in remedies.iter().take(HINTS) { (hint(remedy)) } }
                @if remedies.len() > HINTS {
                    details {
                        summary { "the same for other hosts" }
                        ul {
                            @for remedy in remedies.iter().skip(HINTS).take(MORE_HINTS) { (hint(remedy)) }
                            @if remedies.len() > HINTS + MORE_HINTS { li { "and more, which are in the JSON report" } }
                        }
                    }
                }
            }
        }
    }
}

/// An observation, and where it was made.
struct Observation<'a> {
    observed: &'a str,
    expected: &'a str,
    places: Vec<String>,
    clients: Vec<&'a str>,
}

fn observations(findings: &[&Finding], asks: &str) -> Markup {
    let mut rows: Vec<Observation<'_>> = Vec::new();
    let mut known: HashMap<(&str, &str), usize> = HashMap::new();
    for finding in findings {
        let (observed, expected) = (finding.observed.as_str(), finding.expected.as_str());
        let at = *known.entry((observed, expected)).or_insert_with(|| {
            rows.push(Observation { observed, expected, places: Vec::new(), clients: Vec::new() });
            rows.len() - 1
        });
        let row = &mut rows[at];
        let place = place_of(finding);
        // Findings about one place follow each other.
        if row.places.last() != Some(&place) {
            row.places.push(place);
        }
        if let Some(client) = finding.client.as_deref().filter(|client| !row.clients.contains(client)) {
            row.clients.push(client);
        }
    }
    // The heading has it already.
    let is_expectation_shown = rows.iter().any(|row| row.expected != asks);
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Where" }
                    th scope="col" { "Observed" }
                    @if is_expectation_shown { th scope="col" { "Expected" } }
                }
            }
            tbody {
                @for row in rows.iter().take(OBSERVATIONS) {
                    @let places: Vec<&str> = row.places.iter().map(String::as_str).collect();
                    tr {
                        td {
                            (named(&places, "places"))
                            @if !row.clients.is_empty() { div.quiet { "client " (named(&row.clients, "clients")) } }
                        }
                        td.observed { (sanitized(row.observed)) }
                        @if is_expectation_shown { td.expected { (sanitized(row.expected)) } }
                    }
                }
            }
        }
        @if rows.len() > OBSERVATIONS {
            p.quiet { "and " (rows.len() - OBSERVATIONS) " more observations, which are in the JSON report" }
        }
    }
}

fn place_of(finding: &Finding) -> String {
    let role = finding.place.as_str();
    match finding.address.as_deref().filter(|address| *address != finding.host) {
        Some(address) => format!("{role} {} {address}", finding.host),
        None => format!("{role} {}", finding.host),
    }
}
