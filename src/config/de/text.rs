//! Reads a scalar as it is written.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, VariantAccess, Visitor};

use super::reading::{COST_OF_A_VALUE, Reading};
use super::skip::Skip;
use crate::cluster::config_error::Reason;
use crate::config::span::{self, Locate, Place};

/// Reads the text that is the value of the key just read. If it is not a text, records an error and returns `None`.
pub(in crate::config) fn text<'de, A: MapAccess<'de>>(
    map: &mut A,
    reading: &mut Reading,
) -> Result<Option<String>, A::Error> {
    match map.next_value_seed(Text(reading))? {
        Scalar::Text(text) => return Ok(Some(text)),
        Scalar::Tagged => {}
        Scalar::Other(there) => {
            // As for the items of lists: `serde_yaml` looks for the next key at the position of the unconsumed value.
            if map.next_key_seed(Locate)?.flatten() != there {
                return Err(A::Error::custom("an alias (*name) of a list or a mapping is used where text is needed"));
            }
            map.next_value_seed(Skip(reading))?;
        }
    }
    reading.error(None, Reason::Shape { wanted: Text::WANTED })?;
    Ok(None)
}

/// Reads a scalar as it is written.
///
/// `deserialize_any` would return a boolean for `true` and a number for `1e3`. `deserialize_str` does not, but fails at
/// a list. `deserialize_enum` checks the type first, and does not consume a list.
pub(in crate::config) struct Text<'a>(pub(in crate::config) &'a mut Reading);

pub(in crate::config) enum Scalar {
    Text(String),
    /// A value with a tag, as in `!secret x`; consumed.
    Tagged,
    /// A list or a mapping, with its position; not consumed.
    Other(Option<Place>),
}

impl Text<'_> {
    pub(super) const WANTED: &'static str = "a string";
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = Scalar;

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<Scalar, D::Error> {
        let Self(reading) = self;
        let mut is_scalar = false;
        let result = de.deserialize_enum("", &[], TextVisitor { reading, is_scalar: &mut is_scalar });
        match result {
            Err(error) if !is_scalar => Ok(Scalar::Other(span::place_in(&error))),
            result => result,
        }
    }
}

struct TextVisitor<'a> {
    reading: &'a mut Reading,
    is_scalar: &'a mut bool,
}

impl<'de> Visitor<'de> for TextVisitor<'_> {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Text::WANTED)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Scalar, A::Error> {
        let Self { reading, is_scalar } = self;
        // From here on, errors are not about the type.
        *is_scalar = true;
        let (text, variant) = access.variant_seed(TextOrTag)?;
        match text {
            Some(text) => {
                reading.charge(text.len() + COST_OF_A_VALUE)?;
                Ok(Scalar::Text(text))
            }
            None => {
                variant.newtype_variant_seed(Skip(reading))?;
                Ok(Scalar::Tagged)
            }
        }
    }
}

/// Returns the scalar's text, or `None` for the tag of a tagged value.
///
/// `serde_yaml` passes the tag instead of the value; only untagged values are passed as a newtype.
struct TextOrTag;

impl<'de> DeserializeSeed<'de> for TextOrTag {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<Self::Value, D::Error> {
        de.deserialize_newtype_struct("", self)
    }
}

impl<'de> Visitor<'de> for TextOrTag {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Text::WANTED)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, de: D) -> Result<Self::Value, D::Error> {
        <String as serde::Deserialize>::deserialize(de).map(Some)
    }

    fn visit_str<E: Error>(self, _tag: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}
