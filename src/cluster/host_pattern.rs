//! Names of hosts as arguments: `a,b` is a list, and `worker-*` stands for every name that it matches.

use super::similar::nearest;

/// One name, or a pattern with `*` (any characters) and `?` (one character).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPattern(String);

/// A name or pattern that no host has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostPatternError {
    /// A list has an empty item.
    #[error("{0:?} has an empty name in it")]
    Empty(String),
    /// No host has this name.
    #[error("no host is called {name:?}")]
    Unknown {
        /// The name.
        name: String,
        /// The most similar name of a host.
        similar: Option<String>,
    },
    /// No host's name matches this pattern.
    #[error("no host's name matches {0:?}")]
    NoMatch(String),
}

impl HostPattern {
    /// Parses arguments. Each is a name, a pattern, or a comma-separated list of these.
    ///
    /// # Errors
    /// Returns [`HostPatternError::Empty`].
    pub fn parse_all(arguments: &[String]) -> Result<Vec<Self>, HostPatternError> {
        let items = arguments.iter().flat_map(|argument| argument.split(',').map(move |item| (argument, item)));
        items
            .map(|(argument, item)| match item.trim() {
                "" => Err(HostPatternError::Empty(argument.clone())),
                item => Ok(Self(item.to_owned())),
            })
            .collect()
    }

    /// Returns the text that was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true for a pattern, and false for a name.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.0.contains(['*', '?'])
    }

    /// Returns true if the name is this one, or matches the pattern.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if !self.is_pattern() {
            return self.0 == name;
        }
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut at, mut of_name) = (0, 0);
        // The position from which to match again if the last `*` has to match one more character.
        let mut resume = None;
        while of_name < name.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    at += 1;
                    resume = Some((at, of_name));
                }
                Some(&byte) if byte == b'?' || byte == name[of_name] => (at, of_name) = (at + 1, of_name + 1),
                _ => {
                    let Some((after_star, start)) = resume else { return false };
                    (at, of_name) = (after_star, start + 1);
                    resume = Some((after_star, of_name));
                }
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }

    /// Returns the error for a name or pattern that none of `known` has.
    #[must_use]
    pub fn unmatched<'k>(&self, known: impl IntoIterator<Item = &'k str>) -> HostPatternError {
        if self.is_pattern() {
            return HostPatternError::NoMatch(self.0.clone());
        }
        HostPatternError::Unknown { name: self.0.clone(), similar: nearest(&self.0, known).map(str::to_owned) }
    }
}

/// Returns the names that arguments stand for: patterns are replaced by the names of `known` that they match, in its order.
///
/// Names without `*` and `?` are returned as they are, whether they are known or not, because each command reports
/// unknown names itself.
///
/// # Errors
/// Returns [`HostPatternError::Empty`] and [`HostPatternError::NoMatch`].
pub fn expand<'k>(
    arguments: &[String],
    known: impl Iterator<Item = &'k str> + Clone,
) -> Result<Vec<String>, HostPatternError> {
    let mut names = Vec::new();
    for pattern in HostPattern::parse_all(arguments)? {
        if !pattern.is_pattern() {
            names.push(pattern.0);
            continue;
        }
        let before = names.len();
        names.extend(known.clone().filter(|name| pattern.matches(name)).map(str::to_owned));
        if names.len() == before {
            return Err(HostPatternError::NoMatch(pattern.0));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["master-1", "worker-1", "worker-2.example.net", "on"];

    fn expanded(arguments: &[&str]) -> Result<Vec<String>, HostPatternError> {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        expand(&arguments, KNOWN.into_iter())
    }

    #[test]
    fn lists_and_patterns_stand_for_names() {
        assert_eq!(expanded(&["on,master-1", "worker-1"]), Ok(["on", "master-1", "worker-1"].map(String::from).into()));
        assert_eq!(expanded(&["worker-*"]), Ok(["worker-1", "worker-2.example.net"].map(String::from).into()));
        assert_eq!(expanded(&["unknown"]), Ok(vec!["unknown".to_owned()]));
        assert_eq!(expanded(&["rack-*"]), Err(HostPatternError::NoMatch("rack-*".into())));
        assert_eq!(expanded(&["on,,off"]), Err(HostPatternError::Empty("on,,off".into())));
    }

    #[test]
    fn patterns_match_whole_names() {
        let matches = |pattern: &str, name: &str| HostPattern(pattern.into()).matches(name);
        for (pattern, name) in [("*", ""), ("*", "a"), ("a*c", "abbc"), ("a*b*c", "aXbYbZc"), ("?n", "on"), ("**", "x")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("?", ""), ("a*c", "abcd"), ("worker", "worker-1"), ("*-1", "worker-2"), ("a*b*c", "acb")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        // Patterns for which some matchers need exponential time.
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
    }

    #[test]
    fn a_name_that_is_not_known_is_reported_with_a_similar_one() {
        let pattern = HostPattern("worker-3".into());
        let error = pattern.unmatched(KNOWN);
        assert_eq!(error, HostPatternError::Unknown { name: "worker-3".into(), similar: Some("worker-1".into()) });
    }
}
