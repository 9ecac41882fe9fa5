//! The catalogue of the rules of `lint`, from the program.

use clusterctl::app::lint::RULES;

use crate::support::Lab;

const HEAD: &str = "# Lint rules\n\n\
<!-- Generated from src/app/lint/rules; CONTRIBUTING.md says how. -->\n\n\
`clusterctl lint` checks the files of any PKI by these rules. An *error* does not work, or lets others take over the cluster. A *warning* works, and is\n\
dangerous, or fails in some programs or later. A *note* works, and clusterctl would make it differently. Errors and warnings that are reported\n\
give exit status 1. `--ignore ID` and `--ignore 'FAMILY.*'` leave rules out, `--severity` what is less severe.\n";

/// Returns the page.
pub(super) fn page() -> String {
    let lab = Lab::empty();
    let mut text = HEAD.to_owned();
    let mut family = "";
    for rule in RULES {
        if rule.family() != family {
            family = rule.family();
            text.push_str(&format!("\n## {family}\n"));
        }
        let explained = lab.good(&["lint", "--explain", rule.id]).out;
        let help = explained.lines().last().unwrap_or_default().trim();
        let (id, severity) = (rule.id, rule.severity.as_str());
        text.push_str(&format!("\n### {id}\n\n*{severity}*: {}.\n\n{}\n\n{help}\n", rule.title, rule.reason));
    }
    text
}
