//! The kinds of values a key may hold.

use crate::limits::ARGUMENT_BYTES;
use crate::zset::SortedSet;
use std::collections::{HashMap, HashSet, VecDeque};

pub type Text = Vec<u8>;
pub type List = VecDeque<Vec<u8>>;
pub type Hash = HashMap<Vec<u8>, Vec<u8>>;
pub type Set = HashSet<Vec<u8>>;

/// A value of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(Text),
    List(List),
    Hash(Hash),
    Set(Set),
    SortedSet(SortedSet),
}

impl Value {
    /// The answer to `TYPE`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
            Self::SortedSet(_) => "zset",
        }
    }

    /// About how many bytes it is, without looking at every element.
    pub fn weight(&self) -> usize {
        let elements = |elements: usize, example: Option<usize>| elements * (example.unwrap_or(0) + ARGUMENT_BYTES);
        match self {
            Self::Text(text) => text.len(),
            Self::List(list) => elements(list.len(), list.front().map(Vec::len)),
            Self::Hash(hash) => elements(hash.len(), hash.iter().next().map(|(field, value)| field.len() + value.len())),
            Self::Set(set) => elements(set.len(), set.iter().next().map(Vec::len)),
            Self::SortedSet(set) => elements(set.len(), set.iter().next().map(|(member, _)| member.len())),
        }
    }

    /// What its table may need at once to take in so many elements more, or so many bytes of text.
    pub fn growth(&self, elements: usize, bytes: usize) -> usize {
        let table = |len: usize, capacity: usize, element: usize| if len + elements > capacity { 3 * capacity * element } else { 0 };
        match self {
            Self::Text(text) => 2 * (text.len() + bytes),
            Self::List(list) => table(list.len(), list.capacity(), size_of::<Vec<u8>>()),
            Self::Hash(hash) => table(hash.len(), hash.capacity(), 2 * size_of::<Vec<u8>>()),
            Self::Set(set) => table(set.len(), set.capacity(), size_of::<Vec<u8>>()),
            Self::SortedSet(set) => set.growth(elements),
        }
    }

    /// Whether nothing is left, so that the key has to go. An empty string is a value.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::SortedSet(set) => set.is_empty(),
        }
    }
}

/// One kind of value, as commands ask for it.
pub trait Kind: Default + Sized {
    fn of(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn into_value(self) -> Value;
}

macro_rules! kind {
    ($type:ty, $variant:ident) => {
        impl Kind for $type {
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$variant(inner) = value { Some(inner) } else { None }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$variant(inner) = value { Some(inner) } else { None }
            }

            fn into_value(self) -> Value {
                Value::$variant(self)
            }
        }
    };
}

kind!(Text, Text);
kind!(List, List);
kind!(Hash, Hash);
kind!(Set, Set);
kind!(SortedSet, SortedSet);
