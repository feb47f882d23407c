//! A value that knows where it stands: the reader hands it its place under a name of its own.
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};

use super::Reader;
use crate::place::{Error, Place, Result};

/// Name under which [`At`] asks for its place.
pub(super) const AT: &str = "$minicloud::At";

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    pub value: T,
    pub at: Place,
}

/// Hands an [`At`] its place and its value: file, line, column, value.
pub(super) struct AtAccess<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) step: u8,
}

impl<'de> MapAccess<'de> for AtAccess<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.step += 1;
        if self.step > 4 { Ok(None) } else { seed.deserialize(().into_deserializer()).map(Some) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let at = &self.reader.node.at;
        match self.step {
            1 => seed.deserialize(at.file.as_ref().into_deserializer()),
            2 => seed.deserialize(at.line.into_deserializer()),
            3 => seed.deserialize(at.column.into_deserializer()),
            _ => seed.deserialize(self.reader),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Parts<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
            type Value = At<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its place")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<At<T>, A::Error> {
                let missing = || de::Error::custom("a value has no place");
                let (_, file): ((), String) = map.next_entry()?.ok_or_else(missing)?;
                let (_, line): ((), usize) = map.next_entry()?.ok_or_else(missing)?;
                let (_, column): ((), usize) = map.next_entry()?.ok_or_else(missing)?;
                let (_, value): ((), T) = map.next_entry()?.ok_or_else(missing)?;
                Ok(At { value, at: Place { file: file.into(), line, column } })
            }
        }
        deserializer.deserialize_newtype_struct(AT, Parts(PhantomData))
    }
}
