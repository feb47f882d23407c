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
