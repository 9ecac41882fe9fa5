//! Reads YAML values of a known shape: a text as it is written, a list, a mapping with known keys.
//!
//! A value of another shape is recorded as an error and skipped, so that the rest is still read. Nothing here knows what a
//! cluster is.

use std::collections::HashMap;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::span::{self, Locate, Place};
use crate::cluster::config_error::{ConfigError, Reason};
use crate::cluster::spec::OneOrMore;

/// The number of errors after which reading stops: more would not help.
const MAX_FAULTS: usize = 10_000;
/// The cost of a value besides its characters. See [`Reading::charge`].
pub(super) const COST_OF_A_VALUE: usize = 1;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// A key of a mapping, and how often it has been there before.
    Key(String, u32),
    /// An item of a list, from 0.
    Item(usize),
}

/// The state of reading: the present path, and the errors so far.
pub(super) struct Reading {
    /// The errors so far, with their paths.
    pub(super) faults: Vec<(ConfigError, Vec<Step>)>,
    /// The shape of the top, if it is no mapping.
    pub(super) instead_of_a_file: Option<&'static str>,
    /// Whether reading stopped because of too many errors.
    pub(super) is_full: bool,
    pub(super) path: Vec<Position>,
    budget: usize,
}

/// A step of the present path, without an allocation where the keys are known.
pub(super) enum Position {
    Key(&'static str, u32),
    Free(String),
    Item(usize),
}

impl Reading {
    /// Returns the state at the beginning of a file of `size` bytes.
    pub(super) fn new(size: usize) -> Self {
        Self { faults: Vec::new(), instead_of_a_file: None, is_full: false, path: Vec::new(), budget: size * 2 + 4096 }
    }

    /// Charges the cost of a value.
    ///
    /// Each byte of a file can state one byte of values. Aliases can multiply that, but a file whose values are more than double
    /// its size is an attack, not a cluster.
    pub(super) fn charge<E: Error>(&mut self, cost: usize) -> Result<(), E> {
        self.budget = self.budget.checked_sub(cost).ok_or_else(|| {
            E::custom("aliases (*name) make this file more than twice as large as it is; write the values out")
        })?;
        Ok(())
    }

    /// Records an error at the present path.
    pub(super) fn fault<E: Error>(&mut self, seen: Option<String>, reason: Reason) -> Result<(), E> {
        let steps: Vec<Step> = self.path.iter().map(Position::step).collect();
        self.push(seen, reason, steps)
    }

    /// Records that `key` is missing at the present path.
    pub(super) fn missing<E: Error>(&mut self, key: &'static str, wanted: &'static str) -> Result<(), E> {
        self.fault_at_key(key, 0, Reason::Missing { wanted })
    }

    pub(super) fn fault_at_key<E: Error>(&mut self, key: &str, nth: u32, reason: Reason) -> Result<(), E> {
        let mut steps: Vec<Step> = self.path.iter().map(Position::step).collect();
        steps.push(Step::Key(key.to_owned(), nth));
        self.push(None, reason, steps)
    }

    fn push<E: Error>(&mut self, seen: Option<String>, reason: Reason, steps: Vec<Step>) -> Result<(), E> {
        if self.faults.len() >= MAX_FAULTS {
            self.is_full = true;
            return Err(E::custom(format_args!("over {MAX_FAULTS} values have the wrong shape")));
        }
        self.faults.push((ConfigError { path: span::path_of(&steps), line: None, seen, reason }, steps));
        Ok(())
    }

    fn wrong_shape<E: Error>(
        &mut self,
        found: &'static str,
        seen: Option<String>,
        wanted: &'static str,
    ) -> Result<(), E> {
        if self.path.is_empty() {
            self.instead_of_a_file = Some(found);
            return Ok(());
        }
        self.fault(seen, Reason::Shape { wanted })
    }
}

impl Position {
    fn step(&self) -> Step {
        match self {
            Self::Key(key, nth) => Step::Key((*key).to_owned(), *nth),
            Self::Free(key) => Step::Key(key.clone(), 0),
            Self::Item(i) => Step::Item(*i),
        }
    }
}

// ── mappings ──

/// A mapping with known keys.
pub(super) trait Entries {
    /// How an error names it.
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
pub(super) struct Mapping<'a, T> {
    pub(super) into: &'a mut T,
    pub(super) reading: &'a mut Reading,
}

/// Reads the mapping that is the value of the key just read.
pub(super) fn mapping<'de, A: MapAccess<'de>, T: Entries>(
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
                Scalar::Other(_) => return Err(A::Error::custom("a key must be a text")),
            };
            let Some(known) = keys.iter().position(|&known| known == key) else {
                let nth = unknown.get(&key).copied().unwrap_or(0);
                reading.fault_at_key(&key, nth, Reason::UnknownKey { allowed: keys })?;
                unknown.insert(key, nth + 1);
                map.next_value_seed(Skip(reading))?;
                continue;
            };
            let nth = seen[known];
            seen[known] += 1;
            if nth > 0 {
                reading.fault_at_key(&key, nth, Reason::RepeatedKey)?;
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

// ── lists ──

/// A list.
pub(super) trait Items {
    /// How an error names it.
    const WANTED: &'static str;

    /// Reads the next item, and returns whether there was one.
    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A, reading: &mut Reading) -> Result<bool, A::Error>;
}

/// Reads a list into `into`.
pub(super) struct List<'a, T> {
    into: &'a mut T,
    reading: &'a mut Reading,
}

/// Reads the list that is the value of the key just read.
pub(super) fn list<'de, A: MapAccess<'de>, T: Items>(
    map: &mut A,
    into: &mut T,
    reading: &mut Reading,
) -> Result<(), A::Error> {
    map.next_value_seed(List { into, reading })
}

/// A list of texts.
#[derive(Default)]
pub(super) struct Texts(pub(super) Vec<String>);

impl Items for Texts {
    const WANTED: &'static str = "a list, as in [a, b],";

    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A, reading: &mut Reading) -> Result<bool, A::Error> {
        let text = match seq.next_element_seed(Text(reading))? {
            None => return Ok(false),
            Some(Scalar::Text(text)) => Some(text),
            Some(Scalar::Tagged) => None,
            Some(Scalar::Other(there)) => {
                // Nothing was consumed, unless an alias led there: then the list continues elsewhere, or has ended.
                if seq.next_element_seed(Locate)?.flatten() != there {
                    return Err(A::Error::custom(
                        "an alias (*name) of a list or a mapping stands where a text is needed",
                    ));
                }
                seq.next_element_seed(Skip(reading))?;
                None
            }
        };
        if text.is_none() {
            reading.fault(None, Reason::Shape { wanted: Text::WANTED })?;
        }
        // An item that is no text keeps its place, so that the paths of later items stay right.
        self.0.push(text.unwrap_or_default());
        Ok(true)
    }
}

// ── texts ──

/// Reads the text that is the value of the key just read; returns `None` after recording an error when it is no text.
pub(super) fn text<'de, A: MapAccess<'de>>(map: &mut A, reading: &mut Reading) -> Result<Option<String>, A::Error> {
    match map.next_value_seed(Text(reading))? {
        Scalar::Text(text) => return Ok(Some(text)),
        Scalar::Tagged => {}
        Scalar::Other(there) => {
            // As for lists above. `serde_yaml` looks for the next key right where the value still is.
            if map.next_key_seed(Locate)?.flatten() != there {
                return Err(A::Error::custom("an alias (*name) of a list or a mapping stands where a text is needed"));
            }
            map.next_value_seed(Skip(reading))?;
        }
    }
    reading.fault(None, Reason::Shape { wanted: Text::WANTED })?;
    Ok(None)
}

/// Reads the text, or the list of texts, that is the value of the key just read.
pub(super) fn text_or_list<'de, A: MapAccess<'de>>(map: &mut A, reading: &mut Reading) -> Result<OneOrMore, A::Error> {
    match map.next_value_seed(Text(reading))? {
        Scalar::Text(text) => return Ok(OneOrMore::One(text)),
        Scalar::Tagged => reading.fault(None, Reason::Shape { wanted: Text::WANTED })?,
        Scalar::Other(there) => {
            // As above, but a list is allowed here.
            if map.next_key_seed(Locate)?.flatten() != there {
                return Err(A::Error::custom("an alias (*name) of a list or a mapping stands where a text is needed"));
            }
            let mut texts = Texts::default();
            list(map, &mut texts, reading)?;
            return Ok(OneOrMore::More(texts.0));
        }
    }
    Ok(OneOrMore::default())
}

/// Reads a scalar as it is written.
///
/// `deserialize_any` would return a boolean for `true` and a number for `1e3`. `deserialize_str` does not, but fails at a list.
/// `deserialize_enum` looks first, and does not consume a list.
pub(super) struct Text<'a>(pub(super) &'a mut Reading);

pub(super) enum Scalar {
    Text(String),
    /// With a tag as in `!secret x`; consumed.
    Tagged,
    /// A list or a mapping, where it begins; not consumed.
    Other(Option<Place>),
}

impl Text<'_> {
    const WANTED: &'static str = "a text";
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
        // From here on an error does not concern the shape.
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

/// Returns the scalar's text, or `None` for the tag that `serde_yaml` passes instead of a tagged value: only a real value is
/// passed as a newtype.
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

// ── the wrong shapes ──

/// Skips a value of any shape. All of it is charged: an alias may refer to much.
pub(super) struct Skip<'a>(pub(super) &'a mut Reading);

impl<'de> DeserializeSeed<'de> for Skip<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_any(self)
    }
}

/// Methods of a visitor for kinds of scalars that are all refused.
macro_rules! scalars {
    ($($method:ident: $type:ty),*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<(), E> {
            self.scalar(value.to_string())
        }
    )*};
}

impl Skip<'_> {
    fn scalar<E: Error>(self, text: String) -> Result<(), E> {
        self.0.charge(text.len() + COST_OF_A_VALUE)
    }
}

impl<'de> Visitor<'de> for Skip<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_f64: f64, visit_str: &str);

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.charge(COST_OF_A_VALUE)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.0.charge(COST_OF_A_VALUE)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.0.charge(COST_OF_A_VALUE)?;
        while seq.next_element_seed(Skip(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.charge(COST_OF_A_VALUE)?;
        while map.next_key_seed(Skip(self.0))?.is_some() {
            map.next_value_seed(Skip(self.0))?;
        }
        Ok(())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<(), A::Error> {
        let (_tag, value) = access.variant::<IgnoredAny>()?;
        value.newtype_variant_seed(self)
    }
}

impl<T: Entries> Mapping<'_, T> {
    fn scalar<E: Error>(self, text: String) -> Result<(), E> {
        self.reading.wrong_shape("a text", Some(text), T::WANTED)
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
            self.reading.instead_of_a_file = Some("nothing");
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

impl<T: Items> List<'_, T> {
    fn scalar<E: Error>(self, text: String) -> Result<(), E> {
        self.reading.wrong_shape("a text", Some(text), T::WANTED)
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
