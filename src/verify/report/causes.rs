//! Causes among a report's findings.

use std::collections::HashMap;

use super::super::finding::{Cause, CheckId, Finding, Status};
use super::super::target::Place;

/// The maximum length of a chain of causes; checks create chains of two or three.
const DEEPEST: usize = 8;

/// An index of a report's findings that did not pass.
pub(super) struct Causes<'a> {
    known: HashMap<(CheckId, Place, &'a str), Vec<&'a Finding>>,
}

impl<'a> Causes<'a> {
    pub(super) fn of(findings: &'a [Finding]) -> Self {
        let mut known: HashMap<_, Vec<&Finding>> = HashMap::new();
        for finding in findings.iter().filter(|finding| finding.status != Status::Pass) {
            known.entry((finding.id, finding.place, finding.host.as_str())).or_default().push(finding);
        }
        Self { known }
    }

    /// Returns the root cause of a finding; `None` if the report has none.
    pub(super) fn root_of(&self, finding: &'a Finding) -> Option<&'a Finding> {
        let mut root = finding;
        for _ in 0..DEEPEST {
            match root.because_of.as_deref() {
                Some(cause) => root = self.find(cause, root)?,
                None => return (!std::ptr::eq(root, finding)).then_some(root),
            }
        }
        None
    }

    /// Returns the finding that a cause names: if there are several, that of the same client, or the worst. A cause
    /// without an address applies to all addresses.
    fn find(&self, cause: &Cause, dependent: &Finding) -> Option<&'a Finding> {
        let named = self.known.get(&(cause.id, cause.place, cause.host.as_str()))?;
        let there = |found: &Finding| {
            !std::ptr::eq(found, dependent) && (found.address == cause.address || found.address.is_none())
        };
        let closeness = |found: &Finding| (found.client == dependent.client, found.status);
        named.iter().filter(|found| there(found)).max_by_key(|found| closeness(found)).copied()
    }
}
