//! The description of one item: facts for people, the same facts as data, and its problems.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::cluster::duration::{in_words, stamp};

/// The description of one item.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// The kind of item.
    pub kind: &'static str,
    /// Facts for people, in order.
    pub lines: Vec<(&'static str, String)>,
    /// Facts for programs.
    pub data: Map<String, Value>,
    /// Its problems.
    pub problems: Vec<String>,
    /// Whether the item could not be read at all.
    pub damaged: bool,
}

impl Card {
    /// Returns a card without facts.
    #[must_use]
    pub fn new(kind: &'static str) -> Self {
        Self { kind, lines: Vec::new(), data: Map::new(), problems: Vec::new(), damaged: false }
    }

    /// Returns the card of an item that could not be read.
    #[must_use]
    pub fn damaged(kind: &'static str, reason: impl Into<String>) -> Self {
        Self { damaged: true, ..Self::new(kind).problem(reason) }
    }

    /// Adds a fact for people.
    #[must_use]
    pub fn line(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.lines.push((name, value.into()));
        self
    }

    /// Adds a fact for programs.
    #[must_use]
    pub fn data(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.data.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a fact with the same value for people and programs.
    #[must_use]
    pub fn fact(self, name: &'static str, key: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        self.data(key, value.clone()).line(name, value)
    }

    /// Adds a problem.
    #[must_use]
    pub fn problem(mut self, problem: impl Into<String>) -> Self {
        self.problems.push(problem.into());
        self
    }

    /// Adds the problem, if there is one.
    #[must_use]
    pub fn problem_if_any(self, problem: Option<impl Into<String>>) -> Self {
        match problem {
            Some(problem) => self.problem(problem),
            None => self,
        }
    }

    /// Returns the card as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({ "kind": self.kind, "facts": self.data, "problems": self.problems })
    }
}

/// Returns a period of validity as text, relative to `now`.
pub(super) fn validity(from: OffsetDateTime, to: OffsetDateTime, now: OffsetDateTime) -> String {
    let words = if now < from {
        format!("begins in {}", in_words(from - now))
    } else if now > to {
        format!("expired {} ago", in_words(now - to))
    } else {
        format!("{} left", in_words(to - now))
    };
    format!("{} to {} ({words})", stamp(from), stamp(to))
}
