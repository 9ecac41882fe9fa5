//! Finds the documentation of a key in the table of keys by its path.

use super::keys::{Absent, FILE, Key, Value};
use crate::cluster::similar::nearest;

/// A key with its path.
#[derive(Debug, Clone)]
pub struct KeyDoc {
    /// The path, as in `masters[].addresses`.
    pub path: String,
    /// The key.
    pub key: &'static Key,
}

/// A path that names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the cluster file has no key {path:?}")]
pub struct UnknownKey {
    /// The path as it was given.
    pub path: String,
    /// The path of a similar key.
    pub similar: Option<String>,
}

impl KeyDoc {
    /// Returns the keys below this one.
    #[must_use]
    pub fn below(&self) -> Vec<Self> {
        below(&self.key.value, &self.path)
    }
}

/// Returns the keys at the top of the file.
#[must_use]
pub fn top() -> Vec<KeyDoc> {
    of(&FILE, "")
}

/// Returns all keys, each before the keys below it.
#[must_use]
pub fn all() -> Vec<KeyDoc> {
    fn add(docs: Vec<KeyDoc>, all: &mut Vec<KeyDoc>) {
        for doc in docs {
            let below = doc.below();
            all.push(doc);
            add(below, all);
        }
    }
    let mut all = Vec::new();
    add(top(), &mut all);
    all
}

/// Finds a key by its path. Positions in lists may be given, left empty or left out: `nodes[3].name`, `nodes[].name`,
/// `nodes.name`.
///
/// # Errors
/// Returns [`UnknownKey`] with a similar key.
pub fn find(path: &str) -> Result<KeyDoc, UnknownKey> {
    let wanted = without_positions(path);
    let all = all();
    match all.iter().find(|doc| without_positions(&doc.path) == wanted) {
        Some(doc) => Ok(doc.clone()),
        None => {
            let similar = nearest(&wanted, all.iter().map(|doc| doc.path.as_str())).map(ToOwned::to_owned);
            Err(UnknownKey { path: path.to_owned(), similar })
        }
    }
}

fn below(value: &'static Value, path: &str) -> Vec<KeyDoc> {
    match value {
        Value::Mapping(keys) => of(keys, &format!("{path}.")),
        Value::List { item, .. } => below(item, &format!("{path}[]")),
        Value::WordOr { other, .. } => below(other, path),
        _ => Vec::new(),
    }
}

fn without_positions(path: &str) -> String {
    path.split('.').map(|part| part.split('[').next().unwrap_or(part)).collect::<Vec<_>>().join(".")
}

fn of(keys: &'static [Key], prefix: &str) -> Vec<KeyDoc> {
    keys.iter().map(|key| KeyDoc { path: format!("{prefix}{}", key.name), key }).collect()
}

impl Value {
    /// Returns the type as text.
    #[must_use]
    pub fn type_name(&self) -> String {
        match self {
            Self::Constant(_) | Self::Text(_) | Self::Choice(_) => "text".to_owned(),
            Self::Switch => "boolean".to_owned(),
            Self::Port | Self::Digit => "number".to_owned(),
            Self::WordOr { other, .. } => format!("text, or {}", other.type_name()),
            Self::List { item: Self::WordOr { .. }, .. } => "list of texts and mappings".to_owned(),
            Self::List { item: Self::Mapping(_), .. } => "list of mappings".to_owned(),
            Self::List { item, .. } => format!("list of {}s", item.type_name()),
            Self::OneOrList(item) => format!("{0}, or list of {0}s", item.type_name()),
            Self::Mapping(_) | Self::Kubelet => "mapping".to_owned(),
        }
    }

    /// Returns the allowed values as text; `None` if the type is sufficient.
    #[must_use]
    pub fn allowed(&self) -> Option<String> {
        match self {
            Self::Constant(text) => Some(format!("`{text}`")),
            Self::Text(format) => Some(format.name.to_owned()),
            Self::Choice(all) => Some(all().iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ")),
            Self::Switch => Some("`true`, `false`".to_owned()),
            Self::Port => Some("1 to 65535".to_owned()),
            Self::Digit => Some("1 to 9".to_owned()),
            Self::WordOr { words, other } => {
                let words = words.iter().map(|word| format!("`{word}`"));
                let kind = other.type_name();
                Some(words.chain([format!("a {kind}")]).collect::<Vec<_>>().join(", "))
            }
            Self::List { item, min } => {
                let items = item.allowed().map(|item| format!("each {item}"));
                let least = (*min > 0).then(|| format!("at least {min}"));
                let parts: Vec<String> = least.into_iter().chain(items).collect();
                (!parts.is_empty()).then(|| parts.join("; "))
            }
            Self::OneOrList(item) => item.allowed(),
            Self::Mapping(_) | Self::Kubelet => None,
        }
    }
}

impl Absent {
    /// Returns a text about what happens without the key.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Refused => "none, the key is required".to_owned(),
            Self::Default(text) => format!("`{text}`"),
            Self::Rule(rule) => (*rule).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_with_and_without_positions_in_lists() {
        for path in ["masters[].addresses", "masters.addresses", "masters[2].addresses", "masters[2].addresses[0]"] {
            assert_eq!(find(path).expect(path).path, "masters[].addresses");
        }
        assert_eq!(find("validity.node").expect("a key").path, "validity.node");
        let unknown = find("adresses").expect_err("no such key");
        assert_eq!((unknown.path.as_str(), unknown.similar), ("adresses", None));
        assert_eq!(find("endpont").expect_err("no such key").similar.as_deref(), Some("endpoint"));
    }

    #[test]
    fn every_key_is_found_by_its_own_path() {
        for doc in all() {
            assert_eq!(find(&doc.path).expect(&doc.path).path, doc.path);
        }
    }
}
