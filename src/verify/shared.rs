//! Equal values share their memory: in a large cluster most responses are equal, and each server sends one chain on
//! many connections.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A pool of values in which equal ones share their memory.
pub(super) struct Shared<T: ?Sized>(Mutex<HashSet<Arc<T>>>);

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: ?Sized + Hash + Eq> Shared<T> {
    /// Returns the pooled value that equals `value`.
    pub(super) fn of(&self, value: &T) -> Arc<T>
    where
        Arc<T>: for<'a> From<&'a T>,
    {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(value) {
            return known.clone();
        }
        let first = Arc::from(value);
        known.insert(Arc::clone(&first));
        first
    }
}

/// Writes a shared value as the value itself, for `#[serde(with)]`.
pub(super) fn serialize<T: ?Sized + Serialize, S: Serializer>(value: &Arc<T>, to: S) -> Result<S::Ok, S::Error> {
    (**value).serialize(to)
}

/// Reads a value to share, for `#[serde(with)]`.
pub(super) fn deserialize<'de, T: ?Sized, D: Deserializer<'de>>(from: D) -> Result<Arc<T>, D::Error>
where
    Box<T>: Deserialize<'de>,
{
    Box::<T>::deserialize(from).map(Arc::from)
}

/// Optional shared values, for `#[serde(with)]`.
pub(super) mod optional {
    use super::{Arc, Deserialize, Deserializer, Serialize, Serializer};

    /// Writes an optional shared value.
    pub(in super::super) fn serialize<T: ?Sized + Serialize, S: Serializer>(
        value: &Option<Arc<T>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_deref().serialize(to)
    }

    /// Reads an optional value to share.
    pub(in super::super) fn deserialize<'de, T: ?Sized, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Arc<T>>, D::Error>
    where
        Box<T>: Deserialize<'de>,
    {
        Ok(Option::<Box<T>>::deserialize(from)?.map(Arc::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_memory() {
        let texts = Shared::<str>::default();
        let (one, two) = (texts.of("Unauthorized"), texts.of(&["Unauth", "orized"].concat()));
        assert!(Arc::ptr_eq(&one, &two) && !Arc::ptr_eq(&one, &texts.of("Forbidden")));
        let lists = Shared::<[u8]>::default();
        assert!(Arc::ptr_eq(&lists.of(&[1, 2]), &lists.of(&[1, 2])));
    }
}
