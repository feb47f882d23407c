//! A bounded memory in the order of last use: the oldest makes room, and what rests too long is forgotten.
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// Values by key, at most `entries_max` of them, each until it was not used for `idle_max`.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Keys by when they were last used; `Entry::turn` points back.
    order: BTreeMap<u64, K>,
    next_turn: u64,
    entries_max: usize,
    idle_max: Duration,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    turn: u64,
    used: Instant,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    pub(crate) fn new(entries_max: usize, idle_max: Duration) -> Self {
        Recent { entries: HashMap::new(), order: BTreeMap::new(), next_turn: 0, entries_max, idle_max }
    }

    /// Looks without using.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        self.entries.get(key).filter(|entry| entry.used.elapsed() < self.idle_max).map(|entry| &entry.value)
    }

    /// Uses an entry: it is the youngest now.
    pub(crate) fn touch(&mut self, key: &K) -> Option<&mut V> {
        let entry = self.entries.get_mut(key).filter(|entry| entry.used.elapsed() < self.idle_max)?;
        self.order.remove(&entry.turn);
        (entry.turn, entry.used) = (self.next_turn, Instant::now());
        self.order.insert(entry.turn, *key);
        self.next_turn += 1;
        Some(&mut entry.value)
    }

    /// Keeps a value as the youngest, in place of what the key had.
    pub(crate) fn put(&mut self, key: K, value: V) {
        self.remove(&key);
        while self.entries.len() >= self.entries_max || self.oldest_is_stale() {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.entries.remove(&oldest);
        }
        self.order.insert(self.next_turn, key);
        self.entries.insert(key, Entry { value, turn: self.next_turn, used: Instant::now() });
        self.next_turn += 1;
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.turn);
        }
    }

    fn oldest_is_stale(&self) -> bool {
        let oldest = self.order.first_key_value().and_then(|(_, key)| self.entries.get(key));
        oldest.is_some_and(|entry| entry.used.elapsed() >= self.idle_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn the_least_used_makes_room() {
        let mut recent = Recent::new(2, IDLE);
        recent.put(1, "one");
        recent.put(2, "two");
        assert_eq!(recent.touch(&1), Some(&mut "one"));
        recent.put(3, "three");
        assert_eq!((recent.peek(&1), recent.peek(&2), recent.peek(&3)), (Some(&"one"), None, Some(&"three")));
        recent.remove(&1);
        assert_eq!(recent.touch(&1), None);
        assert_eq!((recent.entries.len(), recent.order.len()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_rests_is_forgotten() {
        let mut recent = Recent::new(9, IDLE);
        recent.put(1, "one");
        recent.put(2, "two");
        tokio::time::advance(IDLE / 2).await;
        recent.touch(&2);
        tokio::time::advance(IDLE / 2).await;
        assert_eq!(recent.touch(&1), None);
        assert_eq!((recent.peek(&1), recent.peek(&2)), (None, Some(&"two")));
        recent.put(3, "three");
        assert_eq!((recent.entries.len(), recent.order.len()), (2, 2));
    }
}
