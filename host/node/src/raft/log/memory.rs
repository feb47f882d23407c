//! What the log keeps in memory: its marks, and recent entries up to a number of bytes.
use std::collections::VecDeque;

use openraft::entry::RaftEntry;

use crate::raft::{Entry, LogId, Vote};

/// Entries `cached_from()..` up to the last one, and the marks. Older entries are on disk only.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) vote: Option<Vote>,
    pub(super) purged: Option<LogId>,
    pub(super) committed: Option<LogId>,
    /// With the size of its record each.
    recent: VecDeque<(Entry, usize)>,
    bytes: usize,
    /// The entry before `recent`, if there is one and it is not purged.
    before: Option<LogId>,
    /// Entries below this are on disk.
    flushed_end: u64,
}

impl Memory {
    pub(super) fn last(&self) -> Option<LogId> {
        self.recent.back().map(|(entry, _)| entry.log_id()).or(self.before).or(self.purged)
    }

    /// The first index that is cached; past the end when none is.
    pub(super) fn cached_from(&self) -> u64 {
        match self.recent.front() {
            Some((entry, _)) => entry.index(),
            None => self.last().map_or(0, |last| last.index() + 1),
        }
    }

    pub(super) fn append(&mut self, entries: Vec<(Entry, usize)>) {
        for (entry, bytes) in entries {
            self.bytes += bytes;
            self.recent.push_back((entry, bytes));
        }
    }

    /// Entries up to `index` are on disk: those beyond the bound leave memory, oldest first.
    pub(super) fn flushed(&mut self, index: u64, bytes_max: usize) {
        self.flushed_end = self.flushed_end.max(index + 1);
        while self.bytes > bytes_max && self.recent.front().is_some_and(|(entry, _)| entry.index() < self.flushed_end) {
            self.drop_front();
        }
    }

    /// Drops what comes after `last`.
    pub(super) fn truncate_after(&mut self, last: Option<LogId>) {
        let from = last.map_or(0, |id| id.index() + 1);
        while self.recent.back().is_some_and(|(entry, _)| entry.index() >= from) {
            let (_, bytes) = self.recent.pop_back().expect("the back was just seen");
            self.bytes -= bytes;
        }
        if self.recent.is_empty() {
            self.before = last;
        }
        self.flushed_end = self.flushed_end.min(from);
    }

    pub(super) fn purge(&mut self, upto: LogId) {
        while self.recent.front().is_some_and(|(entry, _)| entry.index() <= upto.index()) {
            self.drop_front();
        }
        self.purged = Some(upto);
        if self.before.is_some_and(|before| before.index() <= upto.index()) {
            self.before = None;
        }
    }

    pub(super) fn range(&self, start: u64, end: u64, entries_max: usize, bytes_max: usize) -> Vec<Entry> {
        let skip = usize::try_from(start.saturating_sub(self.cached_from())).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let mut entries = Vec::new();
        for (entry, size) in self.recent.iter().skip(skip) {
            bytes += size;
            if entry.index() >= end || (!entries.is_empty() && (entries.len() >= entries_max || bytes > bytes_max)) {
                break;
            }
            entries.push(entry.clone());
        }
        entries
    }

    fn drop_front(&mut self) {
        if let Some((entry, bytes)) = self.recent.pop_front() {
            self.bytes -= bytes;
            self.before = Some(entry.log_id());
        }
    }
}

#[cfg(test)]
mod tests {
    use minicloud_core::id::NodeId;
    use openraft::impls::leader_id_std::LeaderId;
    use openraft::vote::RaftLeaderId;

    use super::*;

    fn id(index: u64) -> LogId {
        LogId::new(LeaderId::new(1, NodeId(1)).to_committed(), index)
    }

    /// Entries of ten bytes each.
    fn memory(indexes: std::ops::Range<u64>) -> Memory {
        let mut memory = Memory::default();
        memory.append(indexes.map(|index| (Entry::new_blank(id(index)), 10)).collect());
        memory
    }

    fn indexes(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(RaftEntry::index).collect()
    }

    #[test]
    fn only_what_is_on_disk_leaves_memory() {
        let mut memory = memory(0..10);
        memory.flushed(3, 50);
        assert_eq!((memory.cached_from(), memory.last()), (4, Some(id(9))));
        memory.flushed(9, 50);
        assert_eq!(memory.cached_from(), 5);
        memory.flushed(9, 0);
        assert_eq!((memory.cached_from(), memory.last()), (10, Some(id(9))));
    }

    #[test]
    fn a_truncation_below_the_cache_still_knows_the_last_entry() {
        let mut memory = memory(0..10);
        memory.flushed(9, 20);
        memory.truncate_after(Some(id(2)));
        assert_eq!((memory.cached_from(), memory.last()), (3, Some(id(2))));
        memory.append(vec![(Entry::new_blank(id(3)), 10)]);
        memory.flushed(2, 0);
        assert_eq!(memory.cached_from(), 3, "the new entry is not on disk yet");
    }

    #[test]
    fn a_purge_moves_the_start() {
        let mut memory = memory(0..10);
        memory.purge(id(4));
        assert_eq!((memory.cached_from(), memory.purged, memory.last()), (5, Some(id(4)), Some(id(9))));
        memory.purge(id(9));
        assert_eq!((memory.cached_from(), memory.last()), (10, Some(id(9))));
    }

    #[test]
    fn ranges_are_bounded_but_never_empty_by_it() {
        let memory = memory(5..15);
        assert_eq!(indexes(&memory.range(5, 8, 99, 999)), [5, 6, 7]);
        assert_eq!(indexes(&memory.range(7, 99, 2, 999)), [7, 8]);
        assert_eq!(indexes(&memory.range(7, 99, 99, 35)), [7, 8, 9]);
        assert_eq!(indexes(&memory.range(7, 99, 99, 1)), [7]);
        assert!(memory.range(15, 99, 99, 999).is_empty());
    }
}
