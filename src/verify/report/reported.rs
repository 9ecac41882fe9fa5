//! Selects the findings that a report for people shows, and those that it lists as consequences of others.

use std::collections::HashMap;

use super::super::finding::{Finding, Status};
use super::causes::Causes;

/// The findings that a report for people shows, the worst first.
pub(super) struct Reported<'a> {
    /// The findings.
    pub(super) findings: Vec<&'a Finding>,
    /// The ids of the checks that are not proven because of a finding.
    consequences: HashMap<*const Finding, Vec<String>>,
}

impl<'a> Reported<'a> {
    /// Selects the findings, with `passes` also those that passed. A failed check is always shown, even with a cause.
    pub(super) fn of(findings: &'a [Finding], passes: bool) -> Self {
        let causes = Causes::of(findings);
        let mut consequences: HashMap<*const Finding, Vec<String>> = HashMap::new();
        let mut reported: Vec<&Finding> = Vec::new();
        for finding in findings {
            let root = Some(finding).filter(|f| f.status == Status::NotProven).and_then(|f| causes.root_of(f));
            match root {
                Some(root) => {
                    let id = match finding.id.0 == root.id.0 {
                        true => finding.id.1.as_str().to_owned(),
                        false => finding.id.to_string(),
                    };
                    let known = consequences.entry(std::ptr::from_ref(root)).or_default();
                    if !known.contains(&id) {
                        known.push(id);
                    }
                }
                None if finding.status != Status::Pass || passes => reported.push(finding),
                None => {}
            }
        }
        reported.sort_by_key(|finding| std::cmp::Reverse(finding.status));
        Self { findings: reported, consequences }
    }

    /// Returns the ids of the checks that are not proven because of these findings, each once.
    pub(super) fn consequences_of(&self, group: &[&Finding]) -> Vec<String> {
        let mut caused: Vec<String> = Vec::new();
        for id in group.iter().filter_map(|finding| self.consequences.get(&std::ptr::from_ref(*finding))).flatten() {
            if !caused.contains(id) {
                caused.push(id.clone());
            }
        }
        caused
    }
}
