//! Finds the position of a path in a file.
//!
//! `serde_yaml` reports positions only in errors, so positions are found by provoking errors. This is only done if
//! there is an error to report, so a valid file costs nothing.

use std::collections::HashMap;
use std::fmt::{self, Display};

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::path::Step;

/// Line and column, both from 1.
pub(super) type Place = (usize, usize);

/// Returns the position of each path, or of its nearest existing parent: a missing key has the position of its host.
///
/// The position is that of the key, not of its value.
pub(super) fn find<'de, D: Deserializer<'de>>(paths: &[&[Step]], document: D) -> Vec<Option<Place>> {
    let mut wanted = Wanted::default();
    for (i, path) in paths.iter().enumerate() {
        let mut node = &mut wanted;
        for step in *path {
            node = node.below.entry(step).or_default();
        }
        node.paths.push(i);
    }
    let mut places = vec![None; paths.len()];
    // If the file ends early there are no further positions.
    let _ = Walk { wanted: &wanted, places: &mut places }.deserialize(document);
    places
}

/// The requested paths, as a tree.
#[derive(Default)]
struct Wanted<'p> {
    below: HashMap<&'p Step, Wanted<'p>>,
    paths: Vec<usize>,
}

impl Wanted<'_> {
    /// Sets the position of these paths, and of all below them until they are found themselves.
    fn set(&self, place: Option<Place>, places: &mut [Option<Place>]) {
        for &path in &self.paths {
            places[path] = place;
        }
        for below in self.below.values() {
            below.set(place, places);
        }
    }
}

struct Walk<'a, 'p> {
    wanted: &'a Wanted<'p>,
    places: &'a mut [Option<Place>],
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        if self.wanted.below.is_empty() {
            return IgnoredAny::deserialize(de).map(|_| ());
        }
        de.deserialize_any(self)
    }
}

/// Visitor methods for scalars, which have no values below them.
macro_rules! leaf {
    ($($method:ident: $type:ty),*) => {$(
        fn $method<E: Error>(self, _: $type) -> Result<(), E> {
            Ok(())
        }
    )*};
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen: HashMap<String, u32> = HashMap::new();
        while let Some(place) = map.next_key_seed(Locate)? {
            let Some(key) = map.next_key::<String>()? else { break };
            let nth = *seen.entry(key.clone()).and_modify(|nth| *nth += 1).or_default();
            match self.wanted.below.get(&Step::Key(key, nth)) {
                Some(wanted) => {
                    wanted.set(place, self.places);
                    map.next_value_seed(Walk { wanted, places: self.places })?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for i in 0.. {
            let more = match self.wanted.below.get(&Step::Item(i)) {
                Some(wanted) => {
                    let Some(place) = seq.next_element_seed(Locate)? else { break };
                    wanted.set(place, self.places);
                    seq.next_element_seed(Walk { wanted, places: self.places })?.is_some()
                }
                None => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<(), A::Error> {
        access.variant::<IgnoredAny>()?.1.newtype_variant::<IgnoredAny>().map(|_| ())
    }

    leaf!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_f64: f64, visit_str: &str);

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Returns the position of the next value, alias or key, without consuming it.
///
/// It reads endlessly nested newtypes, which `serde_yaml` refuses at its depth limit, with the position, before it
/// consumes the value.
pub(super) struct Locate;

impl<'de> DeserializeSeed<'de> for Locate {
    type Value = Option<Place>;

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<Self::Value, D::Error> {
        Ok(de.deserialize_newtype_struct("", self).unwrap_or_else(|error| place_in(&error)))
    }
}

impl<'de> Visitor<'de> for Locate {
    type Value = Option<Place>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, de: D) -> Result<Self::Value, D::Error> {
        de.deserialize_newtype_struct("", self)
    }
}

/// Returns the position at the end of an error's text.
///
/// Within a visitor only the text of an error is available. `serde_yaml` writes the position at its end, except for the
/// first position of a file.
pub(super) fn place_in(error: &impl Display) -> Option<Place> {
    let text = error.to_string();
    let Some((_, place)) = text.rsplit_once(" at line ") else { return Some((1, 1)) };
    let (line, column) = place.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errors_place_is_the_last_that_its_text_names() {
        assert_eq!(place_in(&"nodes: \"at line 1 column 2\": wrong at line 30 column 4"), Some((30, 4)));
        assert_eq!(place_in(&"recursion limit exceeded"), Some((1, 1)));
    }
}
