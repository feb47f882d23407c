//! The log's only writer: takes all operations that wait, commits them with one fsync, then answers in order.
use std::io;
use std::sync::Arc;

use openraft::storage::IOFlushed;
use redb::{Database, Durability, Table, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

use super::{COMMITTED, LOG, META, PURGED, VOTE};
use crate::env::Disk;
use crate::limits::LOG_BATCH_OPS_MAX;
use crate::raft::TypeConfig;

type Done = oneshot::Sender<io::Result<()>>;
type Records = Vec<(u64, Vec<u8>)>;

pub(super) enum Op {
    Append { entries: Records, flushed: IOFlushed<TypeConfig> },
    Vote { record: Vec<u8>, done: Done },
    Committed { record: Vec<u8> },
    Truncate { from: u64, done: Done },
    Purge { upto: u64, record: Vec<u8>, done: Done },
}

/// Runs until the log is dropped. `flushed` hears the last index of every durable append.
pub(super) async fn run(
    disk: Arc<dyn Disk>,
    database: Arc<Database>,
    mut operations: mpsc::Receiver<Op>,
    flushed: Box<dyn Fn(u64) + Send>,
) {
    let mut batch = Vec::new();
    while operations.recv_many(&mut batch, LOG_BATCH_OPS_MAX).await > 0 {
        let durable = batch.iter().any(|op| !matches!(op, Op::Committed { .. }));
        if durable {
            disk.before_commit().await;
        }
        let result = commit(&database, &batch, durable).map_err(|error| error.to_string());
        batch.drain(..).for_each(|op| answer(op, &result, &*flushed));
    }
}

fn commit(database: &Database, batch: &[Op], durable: bool) -> Result<(), redb::Error> {
    let mut write = database.begin_write()?;
    if !durable {
        write.set_durability(Durability::None)?;
    }
    write_batch(&write, batch)?;
    Ok(write.commit()?)
}

fn write_batch(write: &WriteTransaction, batch: &[Op]) -> Result<(), redb::Error> {
    let mut log = write.open_table(LOG)?;
    let mut meta = write.open_table(META)?;
    for op in batch {
        match op {
            Op::Append { entries, .. } => insert(&mut log, entries)?,
            Op::Vote { record, .. } => drop(meta.insert(VOTE, record.as_slice())?),
            Op::Committed { record } => drop(meta.insert(COMMITTED, record.as_slice())?),
            Op::Truncate { from, .. } => log.retain_in(*from.., |_, _| false)?,
            Op::Purge { upto, record, .. } => {
                log.retain_in(..=*upto, |_, _| false)?;
                meta.insert(PURGED, record.as_slice())?;
            }
        }
    }
    Ok(())
}

fn insert(log: &mut Table<'_, u64, &'static [u8]>, entries: &Records) -> Result<(), redb::Error> {
    for (index, record) in entries {
        log.insert(index, record.as_slice())?;
    }
    Ok(())
}

fn answer(op: Op, result: &Result<(), String>, flushed_upto: &dyn Fn(u64)) {
    let result = result.clone().map_err(io::Error::other);
    match op {
        Op::Append { entries, flushed } => {
            if let (Ok(()), Some((last, _))) = (&result, entries.last()) {
                flushed_upto(*last);
            }
            flushed.io_completed(result);
        }
        Op::Vote { done, .. } | Op::Truncate { done, .. } | Op::Purge { done, .. } => {
            // Nobody waits any more when the node shuts down.
            let _ = done.send(result);
        }
        Op::Committed { .. } => {}
    }
}
