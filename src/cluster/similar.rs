//! Finds the known name that a mistyped one may mean.

/// Returns the most similar of `known`, or `None` if none is similar enough.
///
/// Upper and lower case are equal. The distance is Levenshtein's; at most a third of the candidate's characters may
/// differ.
#[must_use]
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let name: String = name.chars().take(LONGEST_NAME).flat_map(char::to_lowercase).collect();
    let scored = known.into_iter().map(|known| (strsim::levenshtein(&name, &known.to_lowercase()), known));
    scored.min().filter(|(distance, candidate)| *distance * 3 <= candidate.len().max(3)).map(|(_, near)| near)
}

/// The longest DNS name, in characters; the rest of longer input is not compared.
const LONGEST_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similar_name_is_found_and_a_different_one_is_not() {
        let known = ["worker-a1.fra1.example.net", "worker-b1", "on", "readOnlyPort"];
        let near = |name| nearest(name, known);
        assert_eq!(near("worker-b2"), Some("worker-b1"));
        assert_eq!(near("wroker-a1.fra1.example.net"), Some("worker-a1.fra1.example.net"));
        assert_eq!(near("readonlyport"), Some("readOnlyPort"));
        assert_eq!(near("database"), None);
    }
}
