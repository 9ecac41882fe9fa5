//! Skips values of the wrong shape.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::reading::{COST_OF_A_VALUE, Reading};

/// Skips a value of any type. The whole value is charged, because an alias may refer to many values.
pub(in crate::config) struct Skip<'a>(pub(in crate::config) &'a mut Reading);

impl<'de> DeserializeSeed<'de> for Skip<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_any(self)
    }
}

/// Visitor methods for the types of scalars, all of which are passed on as text.
macro_rules! scalars {
    ($($method:ident: $type:ty),*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<(), E> {
            self.scalar(value.to_string())
        }
    )*};
}
pub(super) use scalars;

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
