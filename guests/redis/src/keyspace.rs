//! One database: keys, values and their expiries. Pure; time is an argument.
//!
//! A key keeps its slot for life, so that a cursor of `SCAN`, which is a slot number, visits every
//! key that is there from its beginning to its end.

use crate::error::{CommandError, WRONG_TYPE};
use crate::value::{Kind, Value};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

pub type Key = Rc<[u8]>;

#[derive(Debug, Default)]
pub struct Keyspace {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    index: HashMap<Key, usize>,
    /// When (Unix milliseconds) which slot expires.
    expiries: BTreeSet<(u64, usize)>,
    /// Counts changes; the stamp of a slot is the count at its last one.
    changes: u64,
    /// Keys changed while a rewrite of the append-only file runs.
    changed_keys: Option<HashSet<Key>>,
}

#[derive(Debug)]
struct Slot {
    key: Key,
    value: Value,
    expires_at_ms: Option<u64>,
    stamp: u64,
}

impl Keyspace {
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// What its tables may need at once to take in so many keys more.
    pub fn growth(&self, keys: usize) -> usize {
        let slots = if self.slots.len() + keys > self.slots.capacity() { 2 * self.slots.capacity() * size_of::<Option<Slot>>() } else { 0 };
        let index = if self.len() + keys > self.index.capacity() { 3 * self.index.capacity() * size_of::<(Key, usize)>() } else { 0 };
        slots + index
    }

    /// Keys that will expire.
    pub fn expiring(&self) -> usize {
        self.expiries.len()
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        self.index.contains_key(key)
    }

    pub fn get(&self, key: &[u8]) -> Option<&Value> {
        self.slot(key).map(|slot| &slot.value)
    }

    pub fn expires_at_ms(&self, key: &[u8]) -> Option<u64> {
        self.slot(key).and_then(|slot| slot.expires_at_ms)
    }

    /// Differs whenever the key has changed since; 0 while there is none.
    pub fn stamp(&self, key: &[u8]) -> u64 {
        self.slot(key).map_or(0, |slot| slot.stamp)
    }

    /// The value of a key, if it is of the kind asked for.
    pub fn read<K: Kind>(&self, key: &[u8]) -> Result<Option<&K>, CommandError> {
        self.get(key).map(|value| K::of(value).ok_or(WRONG_TYPE)).transpose()
    }

    /// The value of a key for changing it. Call [`Self::remove_if_empty`] after taking things out.
    pub fn write<K: Kind>(&mut self, key: &[u8]) -> Result<Option<&mut K>, CommandError> {
        let Some(&at) = self.index.get(key) else { return Ok(None) };
        self.touch(at);
        let slot = self.slots[at].as_mut();
        slot.map(|slot| K::of_mut(&mut slot.value).ok_or(WRONG_TYPE)).transpose()
    }

    /// Like [`Self::write`], for a key that is made when it is not there.
    pub fn write_or_create<K: Kind>(&mut self, key: &[u8]) -> Result<&mut K, CommandError> {
        if !self.contains(key) {
            self.insert(key, K::default().into_value());
        }
        self.write(key)?.ok_or(WRONG_TYPE)
    }

    /// Sets a key, whatever it was; its expiry is gone.
    pub fn insert(&mut self, key: &[u8], value: Value) {
        match self.index.get(key) {
            Some(&at) => {
                self.clear_expiry(at);
                self.replace_at(at, value);
            }
            None => self.insert_new(Rc::from(key), value),
        }
    }

    /// Sets a key, whatever it was; its expiry stays.
    pub fn replace(&mut self, key: &[u8], value: Value) {
        match self.index.get(key) {
            Some(&at) => self.replace_at(at, value),
            None => self.insert_new(Rc::from(key), value),
        }
    }

    pub fn remove(&mut self, key: &[u8]) -> Option<Value> {
        let at = *self.index.get(key)?;
        self.remove_at(at).map(|slot| slot.value)
    }

    pub fn remove_if_empty(&mut self, key: &[u8]) {
        if self.get(key).is_some_and(Value::is_empty) {
            self.remove(key);
        }
    }

    /// Sets or clears the expiry; false when there is no such key.
    pub fn set_expiry(&mut self, key: &[u8], expires_at_ms: Option<u64>) -> bool {
        let Some(&at) = self.index.get(key) else { return false };
        self.clear_expiry(at);
        self.touch(at);
        if let (Some(slot), Some(when)) = (&mut self.slots[at], expires_at_ms) {
            slot.expires_at_ms = Some(when);
            self.expiries.insert((when, at));
        }
        true
    }

    /// Removes one key whose time has come.
    pub fn pop_expired(&mut self, now_ms: u64) -> Option<Key> {
        let &(when, at) = self.expiries.first()?;
        if when > now_ms {
            return None;
        }
        self.remove_at(at).map(|slot| slot.key)
    }

    /// Keys with their values and expiries, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Value, Option<u64>)> {
        self.slots.iter().flatten().map(|slot| (&slot.key, &slot.value, slot.expires_at_ms))
    }

    /// Looks at `count` slots from `cursor` on; returns the keys there and the next cursor, which is
    /// 0 at the end.
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<&Key>) {
        let from = usize::try_from(cursor).unwrap_or(usize::MAX).min(self.slots.len());
        let to = from.saturating_add(count.max(1)).min(self.slots.len());
        let keys = self.slots[from..to].iter().flatten().map(|slot| &slot.key).collect();
        (if to == self.slots.len() { 0 } else { to as u64 }, keys)
    }

    pub fn clear(&mut self) {
        let changed_keys = self.changed_keys.take().map(|mut changed| {
            changed.extend(self.index.keys().cloned());
            changed
        });
        // Stamps go on counting: a key made anew must not look like the one before.
        *self = Self { changes: self.changes + 1, changed_keys, ..Self::default() };
    }

    /// Starts to remember which keys change, forgetting those remembered before.
    pub fn track_changes(&mut self) {
        self.changed_keys = Some(HashSet::new());
    }

    /// The keys that changed since tracking started or was last asked; tracking goes on.
    pub fn take_changes(&mut self) -> HashSet<Key> {
        self.changed_keys.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub fn stop_tracking(&mut self) {
        self.changed_keys = None;
    }

    fn slot(&self, key: &[u8]) -> Option<&Slot> {
        self.slots[*self.index.get(key)?].as_ref()
    }

    fn insert_new(&mut self, key: Key, value: Value) {
        let slot = Slot { key: Rc::clone(&key), value, expires_at_ms: None, stamp: 0 };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at] = Some(slot);
                at
            }
            None => {
                self.slots.push(Some(slot));
                self.slots.len() - 1
            }
        };
        self.index.insert(key, at);
        self.touch(at);
    }

    fn replace_at(&mut self, at: usize, value: Value) {
        if let Some(slot) = &mut self.slots[at] {
            slot.value = value;
        }
        self.touch(at);
    }

    fn remove_at(&mut self, at: usize) -> Option<Slot> {
        self.touch(at);
        self.clear_expiry(at);
        let slot = self.slots[at].take()?;
        self.index.remove(&slot.key);
        self.free.push(at);
        Some(slot)
    }

    fn clear_expiry(&mut self, at: usize) {
        if let Some(when) = self.slots[at].as_mut().and_then(|slot| slot.expires_at_ms.take()) {
            self.expiries.remove(&(when, at));
        }
    }

    fn touch(&mut self, at: usize) {
        self.changes += 1;
        if let Some(slot) = &mut self.slots[at] {
            slot.stamp = self.changes;
            if let Some(changed) = &mut self.changed_keys {
                changed.insert(Rc::clone(&slot.key));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{List, Text};

    fn text(text: &str) -> Value {
        Value::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn a_kind_is_checked_before_it_is_touched() {
        let mut keys = Keyspace::default();
        keys.insert(b"k", text("v"));
        assert_eq!(keys.read::<List>(b"k"), Err(WRONG_TYPE));
        assert_eq!(keys.write_or_create::<List>(b"k").err(), Some(WRONG_TYPE));
        assert_eq!(keys.read::<Text>(b"k"), Ok(Some(&b"v".to_vec())));
        assert_eq!(keys.read::<Text>(b"other"), Ok(None));
    }

    #[test]
    fn expiries_come_in_order_and_setting_clears_them() {
        let mut keys = Keyspace::default();
        for (key, when) in [("a", 30), ("b", 10), ("c", 20), ("d", 10)] {
            keys.insert(key.as_bytes(), text("v"));
            keys.set_expiry(key.as_bytes(), Some(when));
        }
        keys.insert(b"d", text("new"));
        assert_eq!(keys.pop_expired(9), None);
        assert_eq!(keys.pop_expired(25).as_deref(), Some(b"b".as_slice()));
        assert_eq!(keys.pop_expired(25).as_deref(), Some(b"c".as_slice()));
        assert_eq!(keys.pop_expired(25), None);
        keys.replace(b"a", text("kept"));
        assert_eq!((keys.len(), keys.expires_at_ms(b"a"), keys.expires_at_ms(b"d")), (2, Some(30), None));
    }

    #[test]
    fn a_scan_sees_every_key_that_stays_while_others_come_and_go() {
        let mut keys = Keyspace::default();
        for number in 0..100 {
            keys.insert(format!("stay{number}").as_bytes(), text("v"));
            keys.insert(format!("go{number}").as_bytes(), text("v"));
        }
        let mut seen = HashSet::new();
        let (mut cursor, mut round) = (0, 0);
        loop {
            let (next, found) = keys.scan(cursor, 7);
            seen.extend(found.into_iter().cloned());
            keys.remove(format!("go{round}").as_bytes());
            keys.insert(format!("new{round}").as_bytes(), text("v"));
            (cursor, round) = (next, round + 1);
            if cursor == 0 {
                break;
            }
        }
        assert!((0..100).all(|number| seen.contains(format!("stay{number}").as_bytes())));
    }

    #[test]
    fn stamps_tell_a_key_from_its_successor() {
        let mut keys = Keyspace::default();
        keys.insert(b"k", text("v"));
        let before = keys.stamp(b"k");
        keys.remove(b"k");
        assert_eq!(keys.stamp(b"k"), 0);
        keys.insert(b"k", text("v"));
        assert_ne!(keys.stamp(b"k"), before);
        let before = keys.stamp(b"k");
        keys.clear();
        keys.insert(b"k", text("v"));
        assert_ne!(keys.stamp(b"k"), before);
    }
}
