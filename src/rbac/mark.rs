//! The state of the ledger that a file was rendered from, as one line of text in it. It shows that a ledger is from a backup.

use std::fmt;

use crate::pki::fingerprint::Fingerprint;

/// The beginning of the line.
const BEGINNING: &str = "Ledger sequence ";
/// The text between the number and the root.
const BETWEEN: &str = " under the root ";

/// A state of the ledger of one root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerMark {
    /// Grows with every revocation.
    pub sequence: u64,
    /// SHA-256 of the root's DER.
    pub root: Fingerprint,
}

impl LedgerMark {
    /// Finds the mark of this root in a rendered file. If there are several, returns the greatest.
    #[must_use]
    pub fn find(text: &str, root: Fingerprint) -> Option<Self> {
        let marks = text.lines().filter_map(|line| Self::parse(line.split_once(BEGINNING)?.1));
        marks.filter(|mark| mark.root == root).max_by_key(|mark| mark.sequence)
    }

    fn parse(rest: &str) -> Option<Self> {
        let (sequence, root) = rest.split_once(BETWEEN)?;
        let root = root.split(|c: char| !c.is_ascii_hexdigit()).next().and_then(Fingerprint::parse)?;
        Some(Self { sequence: sequence.parse().ok()?, root })
    }
}

impl fmt::Display for LedgerMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BEGINNING}{}{BETWEEN}{}", self.sequence, self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_its_file_and_belongs_to_one_root() {
        let (ours, other) = (Fingerprint::of(b"ours"), Fingerprint::of(b"other"));
        let mark = |sequence, root| LedgerMark { sequence, root };
        let text = format!("a: b\n# {}.\n# {}\n", mark(7, ours), mark(9, other));
        assert_eq!(LedgerMark::find(&text, ours), Some(mark(7, ours)));
        assert_eq!(LedgerMark::find(&text, other), Some(mark(9, other)));
        assert_eq!(LedgerMark::find("# Ledger sequence 7 under the root of all\n", ours), None);
    }
}
