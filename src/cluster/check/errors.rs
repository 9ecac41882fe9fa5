//! Collects the errors of a cluster file.

use crate::cluster::config_error::{ConfigError, Reason};

/// The errors found so far, in the order in which they were found.
#[derive(Default)]
pub(super) struct Errors(pub(super) Vec<ConfigError>);

impl Errors {
    pub(super) fn add(&mut self, path: &str, seen: Option<String>, reason: Reason) {
        self.0.push(ConfigError { path: path.to_owned(), line: None, seen, reason });
    }

    pub(super) fn missing<T>(&mut self, path: &str, wanted: &'static str) -> Option<T> {
        self.add(path, None, Reason::Missing { wanted });
        None
    }

    /// Returns the parsed value, or records the error.
    pub(super) fn parsed<T>(&mut self, path: &str, seen: &str, result: Result<T, Reason>) -> Option<T> {
        result.map_err(|reason| self.add(path, Some(seen.to_owned()), reason)).ok()
    }

    /// Parses `true` or `false`; the default is false.
    pub(super) fn boolean(&mut self, path: &str, text: Option<&str>) -> bool {
        match text {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                self.add(path, Some(other.to_owned()), Reason::Choice { allowed: vec!["true", "false"] });
                false
            }
        }
    }

    /// Parses one of `all` by its spelling, or returns the default if the key is absent.
    pub(super) fn chosen<T: Copy + Default>(
        &mut self,
        path: &str,
        text: Option<&str>,
        all: &[T],
        spelling: fn(T) -> &'static str,
    ) -> Option<T> {
        let Some(text) = text else { return Some(T::default()) };
        let found = all.iter().copied().find(|&choice| spelling(choice) == text);
        let allowed = || all.iter().copied().map(spelling).collect();
        self.parsed(path, text, found.ok_or_else(|| Reason::Choice { allowed: allowed() }))
    }
}
