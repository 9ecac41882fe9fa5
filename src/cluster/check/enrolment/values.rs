//! Reads values whose types are not known yet, and reports those of another type.

use super::super::errors::Errors;
use crate::cluster::config_error::Reason;
use crate::cluster::kubelet::RawValue;

/// Returns the values of a mapping in the order of `keys`; `None` if it is not a mapping. Unknown keys are errors.
pub(super) fn entries<'w, const N: usize>(
    value: &'w RawValue,
    path: &str,
    wanted: &'static str,
    keys: &'static [&'static str],
    errors: &mut Errors,
) -> Option<[Option<&'w RawValue>; N]> {
    let mut found = [None; N];
    let RawValue::Mapping(entries) = value else {
        if *value != RawValue::Null {
            wrong_type(value, path, wanted, errors);
            return None;
        }
        return Some(found);
    };
    for (key, value) in entries {
        match keys.iter().position(|known| known == key) {
            Some(at) if at < N => found[at] = Some(value),
            _ => {
                let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
                let key = if plain { key.clone() } else { format!("{:?}", key.chars().take(60).collect::<String>()) };
                errors.add(&format!("{path}.{key}"), None, Reason::UnknownKey { allowed: keys });
            }
        }
    }
    Some(found)
}

/// Returns a text; `None` if it is absent or of another type.
pub(super) fn text<'w>(value: Option<&'w RawValue>, path: &str, errors: &mut Errors) -> Option<&'w str> {
    match value? {
        RawValue::Text(text) => Some(text),
        other => {
            wrong_type(other, path, "a string", errors);
            None
        }
    }
}

/// Returns the texts of a list, each with its path; none if it is absent.
pub(super) fn list<'w>(value: Option<&'w RawValue>, path: &str, errors: &mut Errors) -> Vec<(String, &'w str)> {
    let items = match value {
        None | Some(RawValue::Null) => return Vec::new(),
        Some(RawValue::List(items)) => items,
        Some(other) => {
            wrong_type(other, path, "a list, as in [a, b],", errors);
            return Vec::new();
        }
    };
    let item = |(i, item)| {
        let path = format!("{path}[{i}]");
        text(Some(item), &path, errors).map(|text| (path, text))
    };
    items.iter().enumerate().filter_map(item).collect()
}

/// Returns one text, or the texts of a list, each with its path.
pub(super) fn texts<'w>(value: Option<&'w RawValue>, path: &str, errors: &mut Errors) -> Vec<(String, &'w str)> {
    match value {
        Some(RawValue::Text(text)) => vec![(path.to_owned(), text)],
        other => list(other, path, errors),
    }
}

/// Reports a value of the wrong type. `wanted` is the start of a sentence that goes on with "is needed here".
pub(super) fn wrong_type(value: &RawValue, path: &str, wanted: &'static str, errors: &mut Errors) {
    let seen = match value {
        RawValue::Text(text) => Some(text.clone()),
        _ => None,
    };
    errors.add(path, seen, Reason::Shape { wanted });
}
