//! The log on disk (`raft-log.redb`) and its recent entries in memory.
//!
//! openraft's tasks queue operations; one writer commits them in groups (see `writer`), and an append is
//! acknowledged only after the fsync that covers it.
mod memory;
mod writer;

use std::collections::Bound;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use redb::{Builder, Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use tokio::sync::{mpsc, oneshot};

use super::store::{open_database, read_format};
use super::{Entry, LogId, StoreError, TypeConfig, Vote};
use crate::env::Env;
use crate::frame;
use crate::limits::{APPEND_BYTES_MAX, APPEND_ENTRIES_MAX, LOG_CACHE_BYTES_MAX, LOG_QUEUE_OPS_MAX};
use memory::Memory;
use writer::Op;

pub const FILE: &str = "raft-log.redb";
const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const VOTE: &str = "vote";
const PURGED: &str = "purged";
const COMMITTED: &str = "committed";
/// Pages that redb keeps in memory; entries have a cache of their own.
const DATABASE_CACHE_BYTES: usize = 8 << 20;

/// Handle on the log. Cheap to clone.
#[derive(Clone)]
pub struct LogStore {
    shared: Arc<Shared>,
}

struct Shared {
    memory: Mutex<Memory>,
    queue: mpsc::Sender<Op>,
    database: Arc<Database>,
}

impl LogStore {
    /// Opens or creates the log in `directory`.
    pub fn open(env: &Env, directory: &Path) -> Result<LogStore, StoreError> {
        let path = directory.join(FILE);
        let database = open_database(env, &path, Builder::new().set_cache_size(DATABASE_CACHE_BYTES))?;
        read_format(&database, &path)?;
        let memory = load(&database, &path)?;
        let database = Arc::new(database);
        let (queue, operations) = mpsc::channel(LOG_QUEUE_OPS_MAX);
        let shared = Arc::new(Shared { memory: Mutex::new(memory), queue, database: database.clone() });
        let weak = Arc::downgrade(&shared);
        let flushed = move |index| {
            if let Some(shared) = weak.upgrade() {
                shared.memory().flushed(index, LOG_CACHE_BYTES_MAX);
            }
        };
        let writer = writer::run(env.disk.clone(), database, operations, Box::new(flushed));
        env.disk.spawn_writer("raft-log", Box::pin(writer)).map_err(|source| StoreError::Io { path, source })?;
        Ok(LogStore { shared })
    }

    /// Nothing was ever written into it.
    pub fn is_new(&self) -> bool {
        let memory = self.shared.memory();
        memory.last().is_none() && memory.purged.is_none() && memory.vote.is_none()
    }

    /// Its first entries are gone, as the state on disk holds what they did.
    pub fn was_purged(&self) -> bool {
        self.shared.memory().purged.is_some()
    }

    async fn append_with(
        &mut self,
        entries: impl IntoIterator<Item = Entry>,
        op: impl FnOnce(Vec<(u64, Vec<u8>)>) -> Op,
    ) -> io::Result<()> {
        let mut encoded = Vec::new();
        let mut cached = Vec::new();
        for entry in entries {
            let record = frame::encode(&entry)?;
            cached.push((entry.clone(), record.len()));
            encoded.push((entry.index(), record));
        }
        let permit = self.shared.queue.reserve().await.map_err(writer_gone)?;
        self.shared.memory().append(cached);
        permit.send(op(encoded));
        Ok(())
    }

    async fn wait(&self, op: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Op) -> io::Result<()> {
        let (done, result) = oneshot::channel();
        self.shared.queue.send(op(done)).await.map_err(writer_gone)?;
        result.await.map_err(writer_gone)?
    }

    /// Entries of `start..end`, as many as fit the bounds, at least one if there is one.
    fn read(&self, start: u64, end: u64, entries_max: usize, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let (cached, cached_from) = {
            let memory = self.shared.memory();
            (memory.range(start.max(memory.cached_from()), end, entries_max, bytes_max), memory.cached_from())
        };
        if start >= cached_from.min(end) {
            return Ok(cached);
        }
        let (mut entries, complete) = self.read_disk(start, end.min(cached_from), entries_max, bytes_max)?;
        if complete {
            let room = entries_max.saturating_sub(entries.len());
            entries.extend(cached.into_iter().take(room));
        }
        Ok(entries)
    }

    fn read_disk(&self, start: u64, end: u64, entries_max: usize, bytes_max: usize) -> io::Result<(Vec<Entry>, bool)> {
        let read = self.shared.database.begin_read().map_err(io::Error::other)?;
        let table = read.open_table(LOG).map_err(io::Error::other)?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        for row in table.range(start..end).map_err(io::Error::other)? {
            let (_, record) = row.map_err(io::Error::other)?;
            bytes += record.value().len();
            if !entries.is_empty() && (entries.len() >= entries_max || bytes > bytes_max) {
                return Ok((entries, false));
            }
            entries.push(frame::decode(record.value())?);
        }
        Ok((entries, true))
    }
}

/// Writes the first entries of a log that is to be opened later. Durable on return; there must be no log yet.
pub fn found(env: &Env, directory: &Path, entries: &[Entry]) -> Result<(), StoreError> {
    let path = directory.join(FILE);
    let database = open_database(env, &path, &mut Builder::new())?;
    read_format(&database, &path)?;
    let memory = load(&database, &path)?;
    if memory.last().is_some() || memory.vote.is_some() {
        return Err(StoreError::damaged(&path, "a log is in the way of the new cluster's"));
    }
    let write = || -> Result<(), redb::Error> {
        let write = database.begin_write()?;
        {
            let mut log = write.open_table(LOG)?;
            for entry in entries {
                log.insert(entry.index(), frame::encode(entry)?.as_slice())?;
            }
        }
        Ok(write.commit()?)
    };
    write().map_err(|error| StoreError::Io { path, source: io::Error::other(error) })
}

impl Shared {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(&mut self, range: RB) -> io::Result<Vec<Entry>> {
        let (start, end) = half_open(&range);
        self.read(start, end, usize::MAX, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let entries_max = usize::try_from(APPEND_ENTRIES_MAX).unwrap_or(usize::MAX);
        self.read(start, end, entries_max, APPEND_BYTES_MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.shared.memory().vote)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let memory = self.shared.memory();
        Ok(LogState { last_purged_log_id: memory.purged, last_log_id: memory.last() })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let record = frame::encode(vote)?;
        self.wait(|done| Op::Vote { record, done }).await?;
        self.shared.memory().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let Some(committed) = committed else { return Ok(()) };
        self.shared.memory().committed = Some(committed);
        // A hint for the next start; it rides on a later commit and may be missing after a crash.
        self.shared.queue.send(Op::Committed { record: frame::encode(&committed)? }).await.map_err(writer_gone)
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.shared.memory().committed)
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.append_with(entries, |entries| Op::Append { entries, flushed }).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |id| id.index() + 1);
        self.shared.memory().truncate_after(last);
        let truncated = self.wait(|done| Op::Truncate { from, done }).await;
        // Appends that were still queued have reported their flush meanwhile; they are gone from the disk now.
        self.shared.memory().truncate_after(last);
        truncated
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.shared.memory().purge(upto);
        let record = frame::encode(&upto)?;
        self.wait(|done| Op::Purge { upto: upto.index(), record, done }).await
    }
}

/// Reads what memory holds: votes and marks, and recent entries up to the cache's bound. Checks that no entry is missing.
fn load(database: &Database, path: &Path) -> Result<Memory, StoreError> {
    let damaged = |reason: String| StoreError::damaged(path, reason);
    let read = || -> Result<Memory, redb::Error> {
        let write = database.begin_write()?;
        write.open_table(LOG)?;
        write.open_table(META)?;
        write.commit()?;
        let read = database.begin_read()?;
        let (log, meta) = (read.open_table(LOG)?, read.open_table(META)?);
        let mut memory = Memory::default();
        let record = |name| -> Result<Option<Vec<u8>>, redb::Error> { Ok(meta.get(name)?.map(|value| value.value().to_vec())) };
        let corrupted = |error: io::Error| redb::Error::Corrupted(error.to_string());
        memory.vote = record(VOTE)?.map(|record| frame::decode(&record)).transpose().map_err(corrupted)?;
        memory.purged = record(PURGED)?.map(|record| frame::decode(&record)).transpose().map_err(corrupted)?;
        memory.committed = record(COMMITTED)?.map(|record| frame::decode(&record)).transpose().map_err(corrupted)?;
        let mut recent = Vec::new();
        let mut bytes = 0;
        for row in log.iter()?.rev() {
            let (index, record) = row?;
            bytes += record.value().len();
            if !recent.is_empty() && bytes > LOG_CACHE_BYTES_MAX {
                break;
            }
            let entry: Entry = frame::decode(record.value()).map_err(corrupted)?;
            if entry.index() != index.value() {
                return Err(redb::Error::Corrupted(format!("entry {} stands at {}", entry.index(), index.value())));
            }
            recent.push((entry, record.value().len()));
        }
        recent.reverse();
        let (first, last) = (log.first()?.map(|row| row.0.value()), log.last()?.map(|row| row.0.value()));
        if let (Some(first), Some(last)) = (first, last) {
            let expected = memory.purged.map_or(0, |purged| purged.index() + 1);
            if first != expected || last - first + 1 != log.len()? {
                return Err(redb::Error::Corrupted(format!("entries are missing between {expected} and {last}")));
            }
            memory.append(recent);
            memory.flushed(last, LOG_CACHE_BYTES_MAX);
        }
        Ok(memory)
    };
    read().map_err(|error| damaged(error.to_string()))
}

fn half_open(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

fn writer_gone<E>(_: E) -> io::Error {
    io::Error::other("the log's writer has stopped")
}
