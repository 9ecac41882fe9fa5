//! Values of a kubelet's configuration.

use std::fmt;

/// A value of a kubelet's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// Removes the field: the kubelet's default applies.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, in plain decimal.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Setting>),
    /// A mapping, each key once, in the order in which they were written.
    Mapping(Vec<(String, Setting)>),
}

impl Default for Setting {
    fn default() -> Self {
        Self::Mapping(Vec::new())
    }
}

impl Setting {
    /// Returns the value of a key; `None` if this is not a mapping or lacks the key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Mapping(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Returns true if this is a mapping without entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Mapping(entries) if entries.is_empty())
    }

    /// Returns this value changed by `patch` (JSON merge patch, RFC 7396).
    ///
    /// Mappings are merged key by key, `Null` removes a key, and any other value, including a list, replaces the old
    /// one. Keys keep their order; new keys come last.
    #[must_use]
    pub fn merged(self, patch: &Self) -> Self {
        let Self::Mapping(changes) = patch else { return patch.clone() };
        let mut entries = match self {
            Self::Mapping(entries) => entries,
            _ => Vec::new(),
        };
        for (key, change) in changes {
            let at = entries.iter().position(|(name, _)| name == key);
            match (change, at) {
                (Self::Null, Some(at)) => {
                    entries.remove(at);
                }
                (Self::Null, None) => {}
                (change, Some(at)) => {
                    let old = std::mem::take(&mut entries[at].1);
                    entries[at].1 = old.merged(change);
                }
                (change, None) => entries.push((key.clone(), Self::default().merged(change))),
            }
        }
        Self::Mapping(entries)
    }
}

/// Formats the value as JSON without quotes around texts.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(text) | Self::Text(text) => f.write_str(text),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Mapping(entries) => {
                let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                write!(f, "{{{}}}", entries.join(", "))
            }
        }
    }
}
