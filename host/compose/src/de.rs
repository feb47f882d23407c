//! serde over the tree: types are read with the place of every mistake, and unknown keys with the near one.
//!
//! Scalars are text: a number may be quoted and a text may look like a number, as in the specification's schema.
mod at;
mod ignored;
mod word;

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use crate::meaningless;
use crate::place::{Error, Result};
use crate::suggest::hint;
use crate::tree::{Entry, Kind, Node, Scalar};
pub use at::At;
use at::{AT, AtAccess};
pub use ignored::Ignored;
use word::Word;

/// Reads a value of type `T`.
pub fn read<T: DeserializeOwned>(node: &Node, ignored: &Ignored) -> Result<T> {
    T::deserialize(Reader { node, ignored })
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Error::new(message.to_string())
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let hint = hint(variant, expected.iter().copied());
        let hint = if hint.is_empty() { format!("; write one of {}", expected.join(", ")) } else { hint };
        Error::new(format!("'{variant}' is not known here{hint}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Error::new(format!("'{field}' is missing"))
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    ignored: &'a Ignored,
}

impl<'a> Reader<'a> {
    fn wrong(&self, expected: &str) -> Error {
        Error::at(&self.node.at, format!("expected {expected}, and this is {}", self.node.describe()))
    }

    fn scalar(&self, expected: &str) -> Result<&'a Scalar> {
        match &self.node.kind {
            Kind::Scalar(scalar) if !scalar.is_null() => Ok(scalar),
            _ => Err(self.wrong(expected)),
        }
    }

    fn number<T: std::str::FromStr>(&self, expected: &str) -> Result<T> {
        self.scalar(expected)?.text.trim().parse().map_err(|_| self.wrong(expected))
    }

    fn located<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| error.or_at(&self.node.at))
    }
}

/// Integers of every width.
macro_rules! numbers {
    ($($method:ident $visit:ident $expected:literal),+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.located(visitor.$visit(self.number($expected)?))
        }
    )+};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match &self.node.kind {
            Kind::Scalar(scalar) if scalar.is_null() => self.located(visitor.visit_unit()),
            Kind::Scalar(scalar) => self.located(visitor.visit_str(&scalar.text)),
            Kind::List(_) => self.deserialize_seq(visitor),
            Kind::Map(_) => self.deserialize_map(visitor),
        }
    }

    numbers!(
        deserialize_i8 visit_i8 "a whole number", deserialize_i16 visit_i16 "a whole number", deserialize_i32 visit_i32 "a whole number",
        deserialize_i64 visit_i64 "a whole number", deserialize_u8 visit_u8 "a whole number", deserialize_u16 visit_u16 "a number up to 65535",
        deserialize_u32 visit_u32 "a whole number", deserialize_u64 visit_u64 "a whole number", deserialize_f32 visit_f32 "a number",
        deserialize_f64 visit_f64 "a number"
    );

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        const EXPECTED: &str = "true or false";
        match self.scalar(EXPECTED)?.text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "1" => self.located(visitor.visit_bool(true)),
            "false" | "no" | "off" | "n" | "0" => self.located(visitor.visit_bool(false)),
            _ => Err(self.wrong(EXPECTED)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.located(visitor.visit_str(&self.scalar("text")?.text))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.node.is_null() { self.located(visitor.visit_none()) } else { self.located(visitor.visit_some(self)) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        if name == AT { visitor.visit_map(AtAccess { reader: self, step: 0 }) } else { self.located(visitor.visit_newtype_struct(self)) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let items: &[Node] = match &self.node.kind {
            Kind::List(list) => list,
            // `ports:` with nothing behind it.
            Kind::Scalar(scalar) if scalar.is_null() => &[],
            _ => return Err(self.wrong("a list")),
        };
        self.located(visitor.visit_seq(Items { items: items.iter(), ignored: self.ignored }))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let entries: &[Entry] = match &self.node.kind {
            Kind::Map(map) => &map.entries,
            Kind::Scalar(scalar) if scalar.is_null() => &[],
            _ => return Err(self.wrong("a mapping")),
        };
        let access = Entries { entries: entries.iter(), value: None, ignored: self.ignored, known: None };
        self.located(visitor.visit_map(access))
    }

    fn deserialize_struct<V: Visitor<'de>>(self, name: &'static str, fields: &'static [&'static str], visitor: V) -> Result<V::Value> {
        let entries: &[Entry] = match &self.node.kind {
            Kind::Map(map) => &map.entries,
            Kind::Scalar(scalar) if scalar.is_null() => &[],
            _ => return Err(self.wrong("a mapping")),
        };
        let access = Entries { entries: entries.iter(), value: None, ignored: self.ignored, known: Some((name, fields)) };
        self.located(visitor.visit_map(access))
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value> {
        let word = Word(&self.scalar("a word")?.text);
        self.located(visitor.visit_enum(word))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { char bytes byte_buf unit unit_struct tuple tuple_struct identifier i128 u128 }
}

struct Items<'a> {
    items: std::slice::Iter<'a, Node>,
    ignored: &'a Ignored,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(node) = self.items.next() else { return Ok(None) };
        seed.deserialize(Reader { node, ignored: self.ignored }).map(Some).map_err(|error| error.or_at(&node.at))
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, Entry>,
    value: Option<&'a Node>,
    ignored: &'a Ignored,
    /// Name and keys of the struct that is read.
    known: Option<(&'static str, &'static [&'static str])>,
}

impl<'a> Entries<'a> {
    /// The next entry that the type knows. Extensions and what means nothing is passed over.
    fn next_known(&mut self) -> Result<Option<&'a Entry>> {
        for entry in self.entries.by_ref() {
            let Some((name, fields)) = self.known else { return Ok(Some(entry)) };
            let key = entry.key.as_str();
            if fields.contains(&key) {
                return Ok(Some(entry));
            }
            match meaningless::reason(name, key) {
                Some("") => {}
                Some(why) => self.ignored.note(name, key, &entry.key_at, why),
                None if key.starts_with("x-") => {}
                None => {
                    let hint = hint(key, fields.iter().copied().chain(meaningless::keys(name)));
                    return Err(Error::at(&entry.key_at, format!("'{key}' is no key of {}{hint}", described(name))));
                }
            }
        }
        Ok(None)
    }
}

/// A type of the model in the words of its users.
fn described(model: &str) -> &str {
    match model {
        "Compose" => "a compose file",
        "ServiceModel" => "a service",
        "BuildModel" => "a build",
        "DeployModel" => "deploy",
        "NetworkModel" => "a network",
        "AttachmentModel" => "a service's network",
        "VolumeModel" => "a volume",
        "VolumeMountModel" => "a mounted volume",
        "PortModel" => "a port",
        "HealthModel" => "a health check",
        "FileModel" => "a secret or config",
        "FileMountModel" => "a mounted secret or config",
        "DependencyModel" => "a dependency",
        "MinicloudModel" => "x-minicloud",
        _ => "this mapping",
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some(entry) = self.next_known()? else { return Ok(None) };
        self.value = Some(&entry.value);
        let key: StrDeserializer<'_, Error> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.or_at(&entry.key_at))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let node = self.value.take().ok_or_else(|| Error::new("a value was asked for before its key"))?;
        seed.deserialize(Reader { node, ignored: self.ignored }).map_err(|error| error.or_at(&node.at))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::parse::parse;
    use crate::place::Warning;

    #[derive(Debug, Deserialize, PartialEq)]
    struct ServiceModel {
        image: At<String>,
        #[serde(default)]
        scale: Option<u32>,
    }

    fn service(text: &str) -> (Result<ServiceModel>, Vec<Warning>) {
        let ignored = Ignored::default();
        let service = read(&parse("f.yml", text).unwrap(), &ignored);
        (service, ignored.warnings())
    }

    #[test]
    fn values_know_their_place() {
        let (read, _) = service("scale: \"3\"\nimage: 7\nx-own: 1\n");
        let read = read.unwrap();
        assert_eq!((read.image.value.as_str(), read.image.at.line, read.image.at.column, read.scale), ("7", 2, 8, Some(3)));
    }

    #[test]
    fn mistakes_are_named_with_what_was_meant() {
        let refused = |text: &str| service(text).0.unwrap_err().to_string();
        assert_eq!(refused("imgae: x\n"), "f.yml:1:1: 'imgae' is no key of a service; did you mean 'image'?");
        assert_eq!(refused("image: x\nscale: many\n"), "f.yml:2:8: expected a whole number, and this is 'many'");
        assert_eq!(refused("image: [x]\n"), "f.yml:1:8: expected text, and this is a list");
        assert_eq!(refused("scale: 1\n"), "f.yml:1:1: 'image' is missing");
        assert_eq!(refused("priviledged: true\n"), "f.yml:1:1: 'priviledged' is no key of a service; did you mean 'privileged'?");
    }

    #[test]
    fn what_means_nothing_is_told_once() {
        let (read, warnings) = service("image: x\nprivileged: true\nexpose: [80]\n");
        assert!(read.is_ok());
        let warnings: Vec<String> = warnings.iter().map(Warning::to_string).collect();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("f.yml:2: 'privileged' means nothing here: a component has no privileges"), "{warnings:?}");
    }
}
