//! Reads a value of any type, each scalar as it is written: for `kubelet` and `enrolment` in the cluster file.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::de::{COST_OF_A_VALUE, Position, Reading, Scalar, Skip, Text};
use super::span::Locate;
use crate::cluster::config_error::Reason;
use crate::cluster::kubelet::RawValue;

/// Reads the value of the key just read, of any type, each scalar as it is written.
///
/// Tags and repeated keys are errors.
pub(super) fn anything<'de, A: MapAccess<'de>>(map: &mut A, reading: &mut Reading) -> Result<RawValue, A::Error> {
    match map.next_value_seed(Optional(reading))? {
        None => Ok(RawValue::Null),
        Some(Scalar::Text(text)) => Ok(RawValue::Text(text)),
        Some(Scalar::Tagged) => tagged(reading),
        Some(Scalar::Other(there)) => {
            // As for texts.
            if map.next_key_seed(Locate)?.flatten() != there {
                return Err(A::Error::custom(ALIAS));
            }
            map.next_value_seed(Compound(reading))
        }
    }
}

fn any_item<'de, A: SeqAccess<'de>>(seq: &mut A, reading: &mut Reading) -> Result<Option<RawValue>, A::Error> {
    Ok(Some(match seq.next_element_seed(Optional(reading))? {
        None => return Ok(None),
        Some(None) => RawValue::Null,
        Some(Some(Scalar::Text(text))) => RawValue::Text(text),
        Some(Some(Scalar::Tagged)) => tagged(reading)?,
        Some(Some(Scalar::Other(there))) => {
            if seq.next_element_seed(Locate)?.flatten() != there {
                return Err(A::Error::custom(ALIAS));
            }
            return seq.next_element_seed(Compound(reading));
        }
    }))
}

const ALIAS: &str = "an alias (*name) of a list or a mapping is used here; write the values out";

fn tagged<E: Error>(reading: &mut Reading) -> Result<RawValue, E> {
    reading.error(None, Reason::Shape { wanted: "a value without a YAML tag" })?;
    Ok(RawValue::Null)
}

/// [`Text`], or `None` for a `null` without quotes.
struct Optional<'a>(&'a mut Reading);

impl<'de> DeserializeSeed<'de> for Optional<'_> {
    type Value = Option<Scalar>;

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<Self::Value, D::Error> {
        de.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Optional<'_> {
    type Value = Option<Scalar>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        self.0.charge(COST_OF_A_VALUE)?;
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, de: D) -> Result<Self::Value, D::Error> {
        Text(self.0).deserialize(de).map(Some)
    }
}

/// A list or a mapping of any values.
struct Compound<'a>(&'a mut Reading);

impl<'de> DeserializeSeed<'de> for Compound<'_> {
    type Value = RawValue;

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<RawValue, D::Error> {
        de.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Compound<'_> {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or a mapping")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawValue, A::Error> {
        let Self(reading) = self;
        reading.charge(COST_OF_A_VALUE)?;
        let mut items = Vec::new();
        loop {
            reading.path.push(Position::Item(items.len()));
            let item = any_item(&mut seq, reading)?;
            reading.path.pop();
            match item {
                Some(item) => items.push(item),
                None => return Ok(RawValue::List(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
        let Self(reading) = self;
        reading.charge(COST_OF_A_VALUE)?;
        let mut entries: Vec<(String, RawValue)> = Vec::new();
        let mut seen: HashMap<String, u32> = HashMap::new();
        while let Some(key) = map.next_key_seed(Text(reading))? {
            let Scalar::Text(key) = key else { return Err(A::Error::custom("a key must be a string without a tag")) };
            let nth = *seen.entry(key.clone()).and_modify(|nth| *nth += 1).or_default();
            if nth > 0 {
                reading.error_at_key(&key, nth, Reason::RepeatedKey)?;
                map.next_value_seed(Skip(reading))?;
                continue;
            }
            reading.path.push(Position::Free(key.clone()));
            let value = anything(&mut map, reading)?;
            reading.path.pop();
            entries.push((key, value));
        }
        Ok(RawValue::Mapping(entries))
    }
}
