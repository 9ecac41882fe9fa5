//! Reads a list, a list of texts, and a text or a list of texts.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

use super::reading::{COST_OF_A_VALUE, Position, Reading};
use super::skip::{Skip, scalars};
use super::text::{Scalar, Text};
use crate::cluster::config_error::Reason;
use crate::cluster::spec::OneOrMore;
use crate::config::span::Locate;

/// A list that is read item by item.
pub(in crate::config) trait Items {
    /// The description in errors.
    const WANTED: &'static str;

    /// Reads the next item; returns false at the end.
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A, reading: &mut Reading) -> Result<bool, A::Error>;
}

/// Reads a list into `into`.
pub(in crate::config) struct List<'a, T> {
    into: &'a mut T,
    reading: &'a mut Reading,
}

/// Reads the list that is the value of the key just read.
pub(in crate::config) fn list<'de, A: MapAccess<'de>, T: Items>(
    map: &mut A,
    into: &mut T,
    reading: &mut Reading,
) -> Result<(), A::Error> {
    map.next_value_seed(List { into, reading })
}

/// A list of texts.
#[derive(Default)]
pub(in crate::config) struct Texts(pub(in crate::config) Vec<String>);

impl Items for Texts {
    const WANTED: &'static str = "a list, as in [a, b],";

    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A, reading: &mut Reading) -> Result<bool, A::Error> {
        let text = match seq.next_element_seed(Text(reading))? {
            None => return Ok(false),
            Some(Scalar::Text(text)) => Some(text),
            Some(Scalar::Tagged) => None,
            Some(Scalar::Other(there)) => {
                // No value was consumed, unless the value is an alias: in that case the list continues at another
                // position or has ended.
                if seq.next_element_seed(Locate)?.flatten() != there {
                    return Err(A::Error::custom(
                        "an alias (*name) of a list or a mapping is used where text is needed",
                    ));
                }
                seq.next_element_seed(Skip(reading))?;
                None
            }
        };
        if text.is_none() {
            reading.error(None, Reason::Shape { wanted: Text::WANTED })?;
        }
        // An item of another type keeps its position, so that the paths of later items are right.
        self.0.push(text.unwrap_or_default());
        Ok(true)
    }
}

/// Reads the text, or the list of texts, that is the value of the key just read.
pub(in crate::config) fn text_or_list<'de, A: MapAccess<'de>>(
    map: &mut A,
    reading: &mut Reading,
) -> Result<OneOrMore, A::Error> {
    match map.next_value_seed(Text(reading))? {
        Scalar::Text(text) => return Ok(OneOrMore::One(text)),
        Scalar::Tagged => reading.error(None, Reason::Shape { wanted: Text::WANTED })?,
        Scalar::Other(there) => {
            // As for the items of lists, but a list is allowed here.
            if map.next_key_seed(Locate)?.flatten() != there {
                return Err(A::Error::custom("an alias (*name) of a list or a mapping is used where text is needed"));
            }
            let mut texts = Texts::default();
            list(map, &mut texts, reading)?;
            return Ok(OneOrMore::More(texts.0));
        }
    }
    Ok(OneOrMore::default())
}

impl<T: Items> List<'_, T> {
    fn scalar<E: Error>(self, text: String) -> Result<(), E> {
        self.reading.wrong_shape("a string", Some(text), T::WANTED)
    }
}

impl<'de, T: Items> DeserializeSeed<'de> for List<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_any(self)
    }
}

impl<'de, T: Items> Visitor<'de> for List<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WANTED)
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_f64: f64, visit_str: &str);

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { into, reading } = self;
        reading.charge(COST_OF_A_VALUE)?;
        for i in 0.. {
            reading.path.push(Position::Item(i));
            let more = into.item(&mut seq, reading)?;
            reading.path.pop();
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Skip(self.reading).visit_map(map)?;
        self.reading.wrong_shape("a mapping", None, T::WANTED)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<(), A::Error> {
        Skip(self.reading).visit_enum(access)?;
        self.reading.wrong_shape("a value with a YAML tag", None, T::WANTED)
    }
}
