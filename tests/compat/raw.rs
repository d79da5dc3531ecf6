//! MessagePack as it is, without any type of ours: maps keep their order.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    Nil,
    Bool(bool),
    Number(u64),
    Negative(i64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Raw>),
    Map(Fields),
}

/// A map: its fields in the order in which they came.
pub type Fields = Vec<(String, Raw)>;

impl Raw {
    /// The value of a field, where this is a map that has it.
    pub fn get(&self, name: &str) -> Option<&Raw> {
        let Self::Map(fields) = self else { return None };
        fields.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The same with every map in it changed, the innermost first.
    #[must_use]
    pub fn with_maps(self, change: &dyn Fn(&mut Fields)) -> Self {
        match self {
            Self::List(all) => Self::List(all.into_iter().map(|one| one.with_maps(change)).collect()),
            Self::Map(fields) => {
                let changed = fields.into_iter().map(|(name, value)| (name, value.with_maps(change)));
                let mut fields = changed.collect();
                change(&mut fields);
                Self::Map(fields)
            }
            other => other,
        }
    }

    /// The names of all fields, at any depth.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::List(all) => all.iter().flat_map(Self::names).collect(),
            Self::Map(fields) => {
                fields.iter().flat_map(|(name, value)| [vec![name.clone()], value.names()].concat()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether everything in `older` is in here, unchanged; there may be more.
    pub fn holds(&self, older: &Raw) -> bool {
        match (self, older) {
            (Self::Map(_), Self::Map(fields)) => {
                fields.iter().all(|(name, value)| self.get(name).is_some_and(|now| now.holds(value)))
            }
            (Self::List(now), Self::List(then)) => {
                now.len() == then.len() && now.iter().zip(then).all(|(now, then)| now.holds(then))
            }
            (now, then) => now == then,
        }
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => serializer.serialize_u64(*value),
            Self::Negative(value) => serializer.serialize_i64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::List(all) => {
                let mut list = serializer.serialize_seq(Some(all.len()))?;
                for one in all {
                    list.serialize_element(one)?;
                }
                list.end()
            }
            Self::Map(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any MessagePack value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nil)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nil)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(u64::try_from(value).map_or(Raw::Negative(value), Raw::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Raw, E> {
        Ok(Raw::Bytes(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = seq.next_element()? {
            all.push(one);
        }
        Ok(Raw::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Raw::Map(fields))
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}
