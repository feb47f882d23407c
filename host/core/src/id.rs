//! Newtype ids. No bare `u64` crosses a function.
//!
//! In JSON an id is its text; in the log and between nodes it is a number.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Position in the replicated log. Also the version of every row that the entry at this index wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Index(pub u64);

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an id")]
pub struct ParseIdError(pub String);

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $write:ident $read:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&$write(self.0))
            }
        }
        impl From<u64> for $name {
            fn from(value: u64) -> Self {
                $name(value)
            }
        }
        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                $read(text).map($name).ok_or_else(|| ParseIdError(text.to_owned()))
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_u64(self.0) }
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if !deserializer.is_human_readable() {
                    return u64::deserialize(deserializer).map($name);
                }
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )* };
}

ids! {
    /// A member node. It is the log index of the entry that added the node, so it is never used twice. Text: `n7`.
    NodeId ordinal_text ordinal_value;
    /// A service. Random; text: 12 characters of base 36.
    ServiceId random_text random_value;
    /// A task. Random; text: 12 characters of base 36.
    TaskId random_text random_value;
    /// An overlay network. Random; text: 12 characters of base 36.
    NetworkId random_text random_value;
    /// A volume. Random; text: 12 characters of base 36.
    VolumeId random_text random_value;
    /// A secret or config. Random; text: 12 characters of base 36.
    FileId random_text random_value;
    /// A cluster. Random; text: 12 characters of base 36.
    ClusterId random_text random_value;
    /// Names one client request, so that a retry is applied once. Random.
    RequestKey random_text random_value;
}

/// Where ids come from: a random source in production, a counter in golden tests.
pub trait IdSource {
    /// A value below [`RANDOM_ID_END`] that this source never returned before.
    fn next_id(&mut self) -> u64;
}

impl<F: FnMut() -> u64> IdSource for F {
    fn next_id(&mut self) -> u64 {
        self() % RANDOM_ID_END
    }
}

const RANDOM_ID_CHARS: usize = 12;
/// Ids are below this: 36^12, what twelve characters of base 36 hold.
pub const RANDOM_ID_END: u64 = 36u64.pow(RANDOM_ID_CHARS as u32);
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

fn ordinal_text(value: u64) -> String {
    format!("n{value}")
}

fn ordinal_value(text: &str) -> Option<u64> {
    text.strip_prefix('n')?.parse().ok()
}

fn random_text(mut value: u64) -> String {
    let mut text = [b'0'; RANDOM_ID_CHARS + 1];
    let mut at = text.len();
    while value > 0 && at > 0 {
        at -= 1;
        text[at] = DIGITS[(value % 36) as usize];
        value /= 36;
    }
    let start = at.min(text.len() - RANDOM_ID_CHARS);
    text[start..].iter().map(|digit| char::from(*digit)).collect()
}

fn random_value(text: &str) -> Option<u64> {
    if text.len() < RANDOM_ID_CHARS || text.bytes().any(|c| c.is_ascii_uppercase()) {
        return None;
    }
    u64::from_str_radix(text, 36).ok()
}

/// Where a task stands in its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// Replica number, from 1.
    Replica(u32),
    /// A global service's task on this node.
    Node(NodeId),
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slot::Replica(number) => number.fmt(f),
            Slot::Node(node) => node.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_an_id_reads_back() {
        for value in [0, 1, 35, 36, RANDOM_ID_END - 1, u64::MAX] {
            assert_eq!(TaskId(value).to_string().parse(), Ok(TaskId(value)));
        }
        assert_eq!(NodeId(7).to_string(), "n7");
        assert_eq!("n7".parse(), Ok(NodeId(7)));
        assert!("7".parse::<NodeId>().is_err());
    }
}
