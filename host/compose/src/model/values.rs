//! Values that files may write in several forms: `A=1` or `A: 1`, one or a list, `1m30s`, `64m`, `0.5`.
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// `[A=1, B]` or `{A: 1, B: null}`; what has no value is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValues(pub BTreeMap<String, Option<String>>);

/// `x`, `[x, y]`, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<T>(pub Vec<T>);

pub type Texts = Named<String>;

/// A command: one text cut as a shell does, or a list of words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

/// `1m30s`, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Milliseconds(pub u64);

/// `64m`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

/// `0.5`, in thousandths of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores(pub u32);

/// `0.25`, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio(pub u32);

/// `true`, or `{name: x}` as old files write it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct External {
    pub external: bool,
    pub name: Option<String>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named(Vec::new())
    }
}

impl<'de> Deserialize<'de> for KeyValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = KeyValues;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping, or a list of NAME=VALUE")
            }
            fn visit_unit<E: de::Error>(self) -> Result<KeyValues, E> {
                Ok(KeyValues::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<KeyValues, A::Error> {
                let mut pairs = BTreeMap::new();
                while let Some(text) = seq.next_element::<String>()? {
                    let (name, value) = text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value.to_owned())));
                    pairs.insert(name.to_owned(), value);
                }
                Ok(KeyValues(pairs))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<KeyValues, A::Error> {
                let mut pairs = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Option<String>>()? {
                    pairs.insert(name, value);
                }
                Ok(KeyValues(pairs))
            }
        }
        deserializer.deserialize_any(Pairs)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMore<T> {
            type Value = Named<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one text, or a list")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Named<T>, E> {
                Ok(Named(Vec::new()))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Named<T>, E> {
                T::deserialize(de::value::StrDeserializer::new(text)).map(|one| Named(vec![one]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Named<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(Named(list))
            }
        }
        deserializer.deserialize_any(OneOrMore(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Line;
        impl<'de> Visitor<'de> for Line {
            type Value = Words;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command, or a list of its words")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Words, E> {
                Ok(Words::default())
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Words, E> {
                shlex::split(text).map(Words).ok_or_else(|| E::custom(format!("'{text}' has a quote that is not closed")))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = seq.next_element::<Option<String>>()? {
                    words.push(word.unwrap_or_default());
                }
                Ok(Words(words))
            }
        }
        deserializer.deserialize_any(Line)
    }
}

impl<'de> Deserialize<'de> for External {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = External;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }
            fn visit_unit<E: de::Error>(self) -> Result<External, E> {
                Ok(External::default())
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<External, E> {
                match text.to_ascii_lowercase().as_str() {
                    "true" | "yes" | "on" => Ok(External { external: true, name: None }),
                    "false" | "no" | "off" => Ok(External::default()),
                    _ => Err(E::custom(format!("expected true or false, and this is '{text}'"))),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<External, A::Error> {
                let mut name = None;
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    if key != "name" {
                        return Err(de::Error::custom(format!("'{key}' is no key of external; write external: true")));
                    }
                    name = Some(value);
                }
                Ok(External { external: true, name })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Types that are read from one text.
macro_rules! from_text {
    ($($type:ident $read:ident),+) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $read(&text).map($type).map_err(de::Error::custom)
            }
        }
    )+};
}

from_text!(Milliseconds milliseconds, Bytes bytes, Cores cores, Ratio ratio);

/// Units of a duration in nanoseconds, the longer names first.
const TIMES: [(&str, f64); 9] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9), ("d", 86_400e9), ("w", 604_800e9)];

/// `1m30s` in milliseconds.
pub fn milliseconds(text: &str) -> Result<u64, String> {
    let fail = || format!("'{text}' is no duration; write for example 500ms, 10s or 1m30s");
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(fail());
    }
    let mut nanoseconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|c| c.is_ascii_digit() || *c == b'.').count();
        let number: f64 = rest[..digits].parse().map_err(|_| fail())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let (_, unit) = TIMES.iter().find(|(name, _)| *name == &rest[..letters]).ok_or_else(fail)?;
        nanoseconds += number * unit;
        rest = &rest[letters..];
    }
    Ok((nanoseconds / 1e6).round() as u64)
}

/// `64m` in bytes: units are powers of 1024, as Docker's are.
pub fn bytes(text: &str) -> Result<u64, String> {
    let fail = || format!("'{text}' is no size; write for example 512k, 64m or 2g");
    let lower = text.trim().to_ascii_lowercase();
    let split = lower.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(split);
    let number: f64 = number.parse().map_err(|_| fail())?;
    let shift = match unit.trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(fail()),
    };
    Ok((number * (1_u64 << shift) as f64) as u64)
}

fn thousandths(text: &str, most: f64, example: &str) -> Result<u32, String> {
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && (0.0..=most).contains(number));
    number.map(|number| (number * 1_000.0).round() as u32).ok_or_else(|| format!("'{text}' is {example}"))
}

fn cores(text: &str) -> Result<u32, String> {
    thousandths(text, 1e6, "no number of CPUs; write for example 0.5")
}

fn ratio(text: &str) -> Result<u32, String> {
    thousandths(text, 1.0, "no ratio; write a number from 0 to 1, for example 0.25")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_sizes_and_shares() {
        for (text, expected) in
            [("10s", 10_000), ("1m30s", 90_000), ("1.5s", 1_500), ("500ms", 500), ("2h", 7_200_000), ("0", 0), ("1h5m30s20ms", 3_930_020)]
        {
            assert_eq!(milliseconds(text), Ok(expected), "{text}");
        }
        for text in ["", "10", "s", "ten seconds", "10 s", "1.2.3s", "-1s", "10x"] {
            assert!(milliseconds(text).unwrap_err().contains("for example 500ms"), "{text}");
        }
        for (text, expected) in [("64m", 64 << 20), ("1g", 1 << 30), ("1.5k", 1_536), ("512", 512), ("2GB", 2 << 30), ("300b", 300)] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        assert!(bytes("lots").is_err() && bytes("1x").is_err() && bytes("").is_err());
        assert_eq!((cores("0.5"), cores("2"), ratio("0.25")), (Ok(500), Ok(2_000), Ok(250)));
        assert!(cores("-1").is_err() && cores("half").is_err() && ratio("1.5").is_err() && cores("nan").is_err());
    }
}
