//! Which finding is the cause of another, where the report has it.

use std::collections::HashMap;

use super::super::finding::{Cause, CheckId, Finding, Status};
use super::super::target::Place;

/// Causes of causes are followed no further than this. The judge makes chains of two or three.
const DEEPEST: usize = 8;

/// The findings of a report that are no pass, to be found by what names them.
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

    /// Returns the finding on which this one hangs in the end; `None` where it hangs on none that this report has.
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

    /// Of several that a cause names, the one of the same caller, else the worst. One that tells of no address holds for all of
    /// them.
    fn find(&self, cause: &Cause, dependent: &Finding) -> Option<&'a Finding> {
        let named = self.known.get(&(cause.id, cause.place, cause.host.as_str()))?;
        let there = |found: &Finding| {
            !std::ptr::eq(found, dependent) && (found.address == cause.address || found.address.is_none())
        };
        let closeness = |found: &Finding| (found.caller == dependent.caller, found.status);
        named.iter().filter(|found| there(found)).max_by_key(|found| closeness(found)).copied()
    }
}
