//! Which of the names that are known somebody may have meant.

/// The most similar of `known`, if one is similar at all. Upper and lower case are alike.
#[must_use]
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let name: Vec<char> = name.chars().take(253).flat_map(char::to_lowercase).collect();
    let scored = known.into_iter().map(|candidate| (distance(&name, &candidate.to_lowercase()), candidate));
    scored.min().filter(|(distance, candidate)| *distance * 3 <= candidate.len().max(3)).map(|(_, near)| near)
}

/// Levenshtein's distance.
fn distance(a: &[char], b: &str) -> usize {
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, cb) in b.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, ca) in a.iter().enumerate() {
            let substituted = diagonal + usize::from(*ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_and_strangers_are_not() {
        let known = ["worker-a1.fra1.example.net", "worker-b1", "on", "readOnlyPort"];
        let near = |name| nearest(name, known);
        assert_eq!(near("worker-b2"), Some("worker-b1"));
        assert_eq!(near("wroker-a1.fra1.example.net"), Some("worker-a1.fra1.example.net"));
        assert_eq!(near("readonlyport"), Some("readOnlyPort"));
        assert_eq!(near("database"), None);
    }
}
