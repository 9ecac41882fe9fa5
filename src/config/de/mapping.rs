//! Reads a mapping with known keys.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

use super::reading::{COST_OF_A_VALUE, Position, Reading};
use super::skip::{Skip, scalars};
use super::text::{Scalar, Text};
use crate::cluster::config_error::Reason;

/// A mapping with known keys that is read entry by entry.
pub(in crate::config) trait Entries {
    /// The description in errors.
    const WANTED: &'static str;

    /// The keys that it may have.
    fn keys(&self) -> &'static [&'static str];

    /// Reads the value of `key`, one of [`Self::keys`].
    fn entry<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
        reading: &mut Reading,
    ) -> Result<(), A::Error>;

    /// Called at the end of the mapping.
    fn end<E: Error>(&mut self, _reading: &mut Reading) -> Result<(), E> {
        Ok(())
    }
}

/// Reads a mapping into `into`.
pub(in crate::config) struct Mapping<'a, T> {
    pub(in crate::config) into: &'a mut T,
    pub(in crate::config) reading: &'a mut Reading,
}

/// Reads the mapping that is the value of the key just read.
pub(in crate::config) fn mapping<'de, A: MapAccess<'de>, T: Entries>(
    map: &mut A,
    into: &mut T,
    reading: &mut Reading,
) -> Result<(), A::Error> {
    map.next_value_seed(Mapping { into, reading })
}

impl<T: Entries> Mapping<'_, T> {
    fn read<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { into, reading } = self;
        let keys = into.keys();
        let mut seen = vec![0_u32; keys.len()];
        let mut unknown: HashMap<String, u32> = HashMap::new();
        while let Some(key) = map.next_key_seed(Text(reading))? {
            let key = match key {
                Scalar::Text(key) => key,
                Scalar::Tagged => return Err(A::Error::custom("a key has a YAML tag")),
                Scalar::Other(_) => return Err(A::Error::custom("a key must be a string")),
            };
            let Some(known) = keys.iter().position(|&known| known == key) else {
                let nth = unknown.get(&key).copied().unwrap_or(0);
                reading.error_at_key(&key, nth, Reason::UnknownKey { allowed: keys })?;
                unknown.insert(key, nth + 1);
                map.next_value_seed(Skip(reading))?;
                continue;
            };
            let nth = seen[known];
            seen[known] += 1;
            if nth > 0 {
                reading.error_at_key(&key, nth, Reason::RepeatedKey)?;
                map.next_value_seed(Skip(reading))?;
                continue;
            }
            reading.path.push(Position::Key(keys[known], nth));
            into.entry(keys[known], &mut map, reading)?;
            reading.path.pop();
        }
        into.end(reading)
    }
}

impl<T: Entries> Mapping<'_, T> {
    fn scalar<E: Error>(self, text: String) -> Result<(), E> {
        self.reading.wrong_shape("a string", Some(text), T::WANTED)
    }
}

impl<'de, T: Entries> DeserializeSeed<'de> for Mapping<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_any(self)
    }
}

impl<'de, T: Entries> Visitor<'de> for Mapping<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WANTED)
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_f64: f64, visit_str: &str);

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.reading.charge(COST_OF_A_VALUE)?;
        self.read(map)
    }

    /// `nodes:` without a value, for example because the items are commented out.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        if self.reading.path.is_empty() {
            self.reading.top_shape = Some("nothing");
        }
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Skip(self.reading).visit_seq(seq)?;
        self.reading.wrong_shape("a list", None, T::WANTED)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<(), A::Error> {
        Skip(self.reading).visit_enum(access)?;
        self.reading.wrong_shape("a value with a YAML tag", None, T::WANTED)
    }
}
