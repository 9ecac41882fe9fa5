//! The path of a value in a file, such as `nodes[3].addresses[1]`.

use std::fmt::Write;

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// A key of a mapping, with the number of earlier occurrences.
    Key(String, u32),
    /// An item of a list, from 0.
    Item(usize),
}

/// The length to which keys are truncated in paths, in characters.
const LONGEST_KEY: usize = 60;

/// Returns the path as text; a key with other characters than letters, digits, `-` and `_` is quoted for terminals.
pub(super) fn path_of(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(key, _) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                let dot = if path.is_empty() { "" } else { "." };
                let cut: String = key.chars().take(LONGEST_KEY).collect();
                let written = if !cut.is_empty() && cut.chars().all(plain) { cut } else { format!("{cut:?}") };
                path.push_str(dot);
                path.push_str(&written);
            }
            Step::Item(i) => {
                // Writing to a String does not fail.
                let _ = write!(path, "[{i}]");
            }
        }
    }
    path
}

/// Returns the steps of a path such as `nodes[3].addresses[1]`, or `kubelet.evictionHard."memory.available"`.
pub(super) fn steps_of(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (step, after) = match rest.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
            // A key that needs escapes is not found; its error gets the position of the parent.
            Some((key, after)) => (Step::Key(key.to_owned(), 0), after),
            None => {
                let (word, after) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
                match word.strip_suffix(']').and_then(|i| i.parse().ok()) {
                    Some(i) => (Step::Item(i), after),
                    None => (Step::Key(word.to_owned(), 0), after),
                }
            }
        };
        steps.push(step);
        rest = after.strip_prefix(['.', '[']).unwrap_or(after);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_its_steps() {
        let quoted = "nodes[0].kubelet.evictionHard.\"memory.available\"";
        for path in ["nodes[3].addresses[12]", "validity.ca", "name", "serviceCIDRs[0]", "a[1][2].b", quoted] {
            assert_eq!(path_of(&steps_of(path)), path);
        }
        assert_eq!(path_of(&[Step::Item(1), Step::Key("a\u{1b}b".into(), 0)]), "[1].\"a\\u{1b}b\"");
    }
}
