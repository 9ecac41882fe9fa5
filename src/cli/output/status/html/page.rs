//! The page: the sum, what to do, what expires when, and a table.

use std::fmt::Write;

use base64ct::{Base64, Encoding};

use super::escape::escaped;
use super::groups::{Group, GroupKey, Groups, Member};
use super::timeline::{class_of, drawing};
use crate::app::status::{Skipped, State, StatusReport, StatusRow, Summary};
use crate::cli::output::status::advice::Advice;
use crate::cli::output::status::head::Head;
use crate::cluster::duration::stamp;
use crate::pki::fingerprint::Fingerprint;
use crate::ui::Screen;

/// The page's style. Its digest is in the page's Content-Security-Policy, so that no other style applies.
const STYLE: &str = include_str!("style.css");

/// Writes a page.
pub(in crate::cli::output::status) struct HtmlWriter {
    head: Head,
    groups: Groups,
    advice: Advice,
}

impl HtmlWriter {
    pub(in crate::cli::output::status) fn new(head: Head) -> Self {
        Self { head, groups: Groups::default(), advice: Advice::default() }
    }

    pub(in crate::cli::output::status) fn row(&mut self, row: &StatusRow) {
        self.advice.add(row);
        self.groups.add(row, self.head.now);
    }

    pub(in crate::cli::output::status) fn end(self, report: &StatusReport, screen: &mut Screen<'_>) {
        screen.answer(self.page(report));
    }

    fn page(&self, StatusReport { summary, skipped }: &StatusReport) -> String {
        let title = match self.head.cluster.as_str() {
            "" => "What expires".to_owned(),
            cluster => format!("What expires in {}", escaped(cluster)),
        };
        let mut page = opening(&title);
        let _ = writeln!(page, "<p class=\"quiet\">as of {}</p>", stamp(self.head.now));
        counts(&mut page, summary);
        section(&mut page, "What to do", &self.steps());
        section(&mut page, "What expires when", &drawing(&self.groups, self.head.now));
        section(&mut page, "What was not read", &not_read(skipped));
        let is_valid = |key: &GroupKey| key.state.0 == State::Valid;
        section(&mut page, "What needs attention", &self.table(|key| !is_valid(key)));
        section(&mut page, "What is valid", &self.table(is_valid));
        page.push_str("</main>\n</body>\n</html>\n");
        page
    }

    fn steps(&self) -> String {
        let steps = self.advice.steps();
        if steps.is_empty() {
            return String::new();
        }
        let steps: String = steps.iter().map(|step| format!("<li><code>{}</code></li>\n", escaped(step))).collect();
        format!("<ol>\n{steps}</ol>\n")
    }

    fn table(&self, is_shown: impl Fn(&GroupKey) -> bool) -> String {
        let mut rows = String::new();
        for (key, group) in self.groups.0.iter().filter(|(key, _)| is_shown(key)) {
            table_row(&mut rows, key, group);
        }
        if rows.is_empty() {
            return rows;
        }
        format!(
            "<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">Credential</th><th scope=\"col\">Whose</th><th \
             scope=\"col\">Expires</th><th scope=\"col\" class=\"number\">Days</th><th scope=\"col\">State</th><th \
             scope=\"col\">What to do</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
        )
    }
}

/// Returns the page up to its heading.
fn opening(title: &str) -> String {
    let digest = Base64::encode_string(Fingerprint::of(STYLE.as_bytes()).bytes());
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'\">\n<meta \
         name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" \
         content=\"no-referrer\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    )
}

fn section(page: &mut String, heading: &str, content: &str) {
    if !content.is_empty() {
        let _ = write!(page, "<section>\n<h2>{heading}</h2>\n{content}</section>\n");
    }
}

fn counts(page: &mut String, summary: &Summary) {
    page.push_str("<ul class=\"counts\">\n");
    for state in State::ALL.into_iter().rev().filter(|state| summary.count(*state) > 0) {
        let (class, count) = (class_of(state), summary.count(state));
        let _ = writeln!(page, "<li class=\"{class}\"><b>{count}</b> {}</li>", state.as_str());
    }
    page.push_str("</ul>\n");
}

fn not_read(skipped: &[Skipped]) -> String {
    let items: String = skipped
        .iter()
        .map(|one| format!("<li><code>{}</code>: {}</li>\n", escaped(&one.label), escaped(&one.reason.to_string())))
        .collect();
    if items.is_empty() { items } else { format!("<ul>\n{items}</ul>\n") }
}

fn table_row(out: &mut String, key: &GroupKey, group: &Group) {
    let Some(first) = group.members.first() else { return };
    let whose = match group.count {
        1 => one(first),
        count => several(count, &group.members),
    };
    let common = |field: fn(&Member) -> Option<String>| {
        let value = field(first);
        group.members.iter().all(|member| field(member) == value).then_some(value).flatten()
    };
    let expires = common(|member| member.expires.clone());
    let expires = expires.or_else(|| key.day.map(|day| day.to_string())).unwrap_or_default();
    let hint = match group.count {
        1 => first.hint.clone(),
        _ => common(|member| member.hint.clone()),
    };
    let problem = common(|member| member.problem.clone()).map(|problem| format!(": {}", escaped(&problem)));
    let _ = writeln!(
        out,
        "<tr><td>{}</td><td>{whose}</td><td class=\"date\">{expires}</td><td class=\"number\">{}</td><td class=\"{}\">{}{}</td><td>{}</td></tr>",
        escaped(&key.credential),
        first.days.map(|days| days.to_string()).unwrap_or_default(),
        class_of(key.state.0),
        key.state.0.as_str(),
        problem.unwrap_or_default(),
        hint.map(|hint| format!("<code>{}</code>", escaped(&hint))).unwrap_or_default(),
    );
}

fn one(member: &Member) -> String {
    let serial = member.serial.as_ref().map(|serial| format!(" <span class=\"serial quiet\">{serial}</span>"));
    let discarded = if member.is_key_discarded { " (key discarded)" } else { "" };
    format!("{}{}{discarded}", escaped(&member.name), serial.unwrap_or_default())
}

fn several(count: usize, members: &[Member]) -> String {
    let items: String = members.iter().map(|member| format!("<li>{}</li>", one(member))).collect();
    let more = match count - members.len() {
        0 => String::new(),
        more => format!("<p>and {more} more</p>"),
    };
    format!("<details><summary>{count}</summary><ul>{items}</ul>{more}</details>")
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use crate::app::status::{Credential, Subject};
    use crate::cluster::profile::Profile;

    /// The page about so many nodes, half of which were issued a day later.
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
        writer.page(&StatusReport { summary, skipped: Vec::new() })
    }

    #[test]
    fn equal_rows_share_one_line() {
        for nodes in [2, 1_000] {
            let page = page_of(nodes);
            assert_eq!(page.matches("<tr><td>").count(), 4, "{nodes}");
            assert_eq!(page.matches("<circle").count(), 4, "{nodes}");
            let last = format!("<li>worker-{}</li>", nodes - 1);
            assert_eq!(page.contains(&last), nodes > 2);
        }
    }
}
