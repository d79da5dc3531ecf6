//! Values with every field set, whatever fields their type has by now.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess};
use serde::de::{SeqAccess, VariantAccess, Visitor};

/// A value of which every field is set, every list has one element, and no two fields of a kind are the same.
/// Always the same value, and a field that is added changes no other.
pub fn filled<T: DeserializeOwned>() -> T {
    T::deserialize(Filler { name: "value" }).unwrap()
}

#[derive(Debug)]
pub struct Cannot(String);

impl fmt::Display for Cannot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cannot {}

impl serde::de::Error for Cannot {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self(what.to_string())
    }
}

/// Makes up what its visitor asks for, from the name of the field.
#[derive(Clone, Copy)]
struct Filler {
    name: &'static str,
}

impl Filler {
    /// Between 1 and 60,000, so that it fits every kind of number but the bytes.
    fn number(self) -> u16 {
        let hash =
            self.name.bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        u16::try_from(hash % 60_000 + 1).unwrap()
    }
}

macro_rules! give {
    ($($method:ident => $visit:ident($self:ident) $value:expr;)*) => {$(
        fn $method<V: Visitor<'de>>($self, visitor: V) -> Result<V::Value, Cannot> {
            visitor.$visit($value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Filler {
    type Error = Cannot;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Cannot> {
        Err(Cannot(format!(
            "the type of '{}' cannot be told: give this message its values by hand",
            self.name
        )))
    }

    give! {
        deserialize_bool => visit_bool(self) true;
        deserialize_u16 => visit_u16(self) self.number();
        deserialize_u32 => visit_u32(self) u32::from(self.number()) << 8;
        deserialize_u64 => visit_u64(self) u64::from(self.number()) << 24;
        deserialize_i32 => visit_i32(self) -i32::from(self.number());
        deserialize_i64 => visit_i64(self) -i64::from(self.number());
        deserialize_str => visit_string(self) format!("{} \u{e9}\u{6f22}\u{1f642}", self.name);
        deserialize_string => visit_string(self) format!("{} \u{e9}\u{6f22}\u{1f642}", self.name);
        deserialize_bytes => visit_byte_buf(self) [b"\x00\x1b\xff", self.name.as_bytes()].concat();
        deserialize_byte_buf => visit_byte_buf(self) [b"\x00\x1b\xff", self.name.as_bytes()].concat();
        deserialize_option => visit_some(self) self;
        deserialize_seq => visit_seq(self) Elements { of: self, left: 1 };
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Cannot> {
        visitor.visit_seq(Elements { of: self, left: len })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Cannot> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Cannot> {
        visitor.visit_map(Fields { left: fields, value: "" })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Cannot> {
        visitor.visit_enum(First { variant: variants[0] })
    }

    serde::forward_to_deserialize_any! {
        i8 i16 u8 f32 f64 char unit unit_struct tuple_struct map identifier ignored_any
    }
}

struct Elements {
    of: Filler,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements {
    type Error = Cannot;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Cannot> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.of).map(Some)
    }
}

struct Fields {
    left: &'static [&'static str],
    value: &'static str,
}

impl<'de> MapAccess<'de> for Fields {
    type Error = Cannot;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Cannot> {
        let Some((first, rest)) = self.left.split_first() else { return Ok(None) };
        (self.value, self.left) = (first, rest);
        let name: StrDeserializer<'_, Cannot> = (*first).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Cannot> {
        seed.deserialize(Filler { name: self.value })
    }
}

struct First {
    variant: &'static str,
}

impl<'de> EnumAccess<'de> for First {
    type Error = Cannot;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Cannot> {
        let name: StrDeserializer<'_, Cannot> = self.variant.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for First {
    type Error = Cannot;

    fn unit_variant(self) -> Result<(), Cannot> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Cannot> {
        seed.deserialize(Filler { name: self.variant })
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Cannot> {
        visitor.visit_seq(Elements { of: Filler { name: self.variant }, left: len })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Cannot> {
        visitor.visit_map(Fields { left: fields, value: "" })
    }
}

#[test]
fn every_field_is_set() {
    let create: dsx_protocol::Create = filled();
    assert!(create.key.is_some() && !create.env.is_empty() && create.cols != create.rows);
    let created: dsx_protocol::Created = filled();
    let prompt = created.prompt.unwrap();
    assert!(prompt.turn.is_some() && !prompt.options[0].label.is_empty());
}
