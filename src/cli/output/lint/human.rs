//! Findings and rules as text.

use std::collections::BTreeSet;

use anstyle::{AnsiColor, Style};

use super::place;
use crate::app::lint::{LintFinding, LintReport, Rule, Severity};
use crate::cli::remedies;
use crate::sanitize::sanitized;
use crate::ui::Screen;

pub(super) fn show(report: &LintReport, screen: &mut Screen<'_>) {
    let color = screen.color();
    for LintFinding { rule, place: at, observed } in &report.findings {
        let style = if color { style_of(rule.severity) } else { Style::new() };
        let severity = rule.severity.as_str();
        screen.answer(format_args!(
            "{style}{severity:<7}{style:#}  {:<32}  {}: {}",
            rule.id,
            place(at),
            sanitized(observed)
        ));
    }
    let hints: BTreeSet<_> = report.findings.iter().map(|finding| finding.rule.remedy).collect();
    for remedy in hints {
        screen.step(format_args!("hint: {}", remedies::of_lint(remedy)));
    }
    if let Some(finding) = report.findings.first() {
        screen.step(format_args!("clusterctl lint --explain {} says more", finding.rule.id));
    }
    let counts = [(Severity::Error, "errors"), (Severity::Warning, "warnings"), (Severity::Note, "notes")];
    let counts = counts.map(|(severity, name)| format!("{name} {}", report.count(severity)));
    let hidden = if report.hidden > 0 { format!(", not reported {}", report.hidden) } else { String::new() };
    screen.answer(format_args!(
        "{}: files {}, certificates {}, {}{hidden}",
        if report.is_good() { "good" } else { "not good" },
        report.files,
        report.certificates,
        counts.join(", "),
    ));
}

fn style_of(severity: Severity) -> Style {
    let color = match severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Note => AnsiColor::Cyan,
    };
    Style::new().fg_color(Some(color.into()))
}

/// Lists rules.
pub(crate) fn list(rules: &[&Rule], screen: &mut Screen<'_>) {
    let width = rules.iter().map(|rule| rule.id.len()).max().unwrap_or_default();
    for rule in rules {
        screen.answer(format_args!("{:<width$}  {:<7}  {}", rule.id, rule.severity.as_str(), rule.title));
    }
}

/// Prints what a rule means.
pub(crate) fn explain(rule: &Rule, screen: &mut Screen<'_>) {
    screen.answer(format_args!("{} ({})", rule.id, rule.severity.as_str()));
    screen.answer(format_args!("  {}.", rule.title));
    screen.answer(format_args!("  {}", rule.reason));
    screen.answer(format_args!("  What helps: {}.", remedies::of_lint(rule.remedy)));
}
