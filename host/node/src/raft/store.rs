//! The state on disk (`state.redb`): rows as of the last checkpoint, with the log position they belong to.
//!
//! The log is durable before anything is applied, so the state need not be: after a crash it starts from its
//! checkpoint, and the entries behind it are applied again. A checkpoint writes all rows touched since the last
//! one in a single durable commit; `machine` says when.
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use minicloud_core::id::Index;
use minicloud_core::state::{ClusterState, Row, RowKey};
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition};

use super::{LogId, StoreError, StoredMembership};
use crate::env::Env;
use crate::frame;

pub const FILE: &str = "state.redb";
const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");
const APPLIED: TableDefinition<&str, &[u8]> = TableDefinition::new("applied");
const POSITION: &str = "position";
const FORMAT: TableDefinition<&str, u64> = TableDefinition::new("format");
const FORMAT_VERSION: u64 = 1;
const DATABASE_CACHE_BYTES: usize = 8 << 20;

/// How far the state has come.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Position {
    pub(super) applied: Option<LogId>,
    pub(super) membership: StoredMembership,
}

/// What a checkpoint writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Dirty {
    Rows(BTreeSet<RowKey>),
    /// A snapshot replaced everything.
    #[default]
    Everything,
}

/// The open file.
pub(super) struct StateStore {
    database: Database,
}

impl StateStore {
    pub(super) fn open(env: &Env, directory: &Path) -> Result<(StateStore, ClusterState, Position), StoreError> {
        let path = directory.join(FILE);
        let database = open_database(env, &path, Builder::new().set_cache_size(DATABASE_CACHE_BYTES))?;
        read_format(&database, &path)?;
        let (state, position) = load(&database).map_err(|error| StoreError::damaged(&path, error))?;
        Ok((StateStore { database }, state, position))
    }

    /// Writes the dirty rows of `state`, durably.
    pub(super) fn checkpoint(&self, state: &ClusterState, position: &Position, dirty: &Dirty) -> Result<(), redb::Error> {
        let mut write = self.database.begin_write()?;
        write.set_quick_repair(true);
        {
            let mut rows = write.open_table(ROWS)?;
            match dirty {
                Dirty::Rows(keys) => keys.iter().try_for_each(|key| put(&mut rows, *key, state.row(*key)))?,
                Dirty::Everything => {
                    rows.retain(|_, _| false)?;
                    state.rows().try_for_each(|(key, row)| put(&mut rows, key, Some(row)))?;
                }
            }
            write.open_table(APPLIED)?.insert(POSITION, encode(position)?.as_slice())?;
        }
        Ok(write.commit()?)
    }
}

/// Opens a database, or says why not in words that help.
pub(super) fn open_database(env: &Env, path: &Path, builder: &mut Builder) -> Result<Database, StoreError> {
    // A page that was torn in the right place makes redb panic; that is still a damaged file, not our bug.
    let opened = catch_unwind(AssertUnwindSafe(|| env.disk.open(path, builder)));
    let error = match opened {
        Ok(Ok(database)) => return Ok(database),
        Ok(Err(error)) => error,
        Err(_) => return Err(StoreError::damaged(path, "it is no readable database")),
    };
    let path: PathBuf = path.to_owned();
    Err(match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(path),
        DatabaseError::Storage(StorageError::Io(source)) if !is_damage(&source) => StoreError::Io { path, source },
        error => StoreError::Damaged { path, reason: error.to_string() },
    })
}

/// Checks the file's format version, and writes it into a new file.
pub(super) fn read_format(database: &Database, path: &Path) -> Result<(), StoreError> {
    let read = || -> Result<u64, redb::Error> {
        let write = database.begin_write()?;
        let found = {
            let mut format = write.open_table(FORMAT)?;
            let found = format.get("version")?.map(|version| version.value());
            if found.is_none() {
                format.insert("version", FORMAT_VERSION)?;
            }
            found
        };
        write.commit()?;
        Ok(found.unwrap_or(FORMAT_VERSION))
    };
    match read().map_err(|error| StoreError::damaged(path, error))? {
        FORMAT_VERSION => Ok(()),
        found => Err(StoreError::Version { path: path.to_owned(), found, expected: FORMAT_VERSION }),
    }
}

fn is_damage(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
}

fn load(database: &Database) -> Result<(ClusterState, Position), redb::Error> {
    let write = database.begin_write()?;
    write.open_table(ROWS)?;
    write.open_table(APPLIED)?;
    write.commit()?;
    let read = database.begin_read()?;
    let position: Position = match read.open_table(APPLIED)?.get(POSITION)? {
        Some(record) => decode(record.value())?,
        None => Position::default(),
    };
    let mut state = ClusterState::default();
    for row in read.open_table(ROWS)?.iter()? {
        state.put_row(decode::<Row>(row?.1.value())?);
    }
    state.set_index(Index(position.applied.map_or(0, |applied| applied.index())));
    Ok((state, position))
}

fn put(rows: &mut redb::Table<'_, &'static [u8], &'static [u8]>, key: RowKey, row: Option<Row>) -> Result<(), redb::Error> {
    let key = encode(&key)?;
    match row {
        Some(row) => drop(rows.insert(key.as_slice(), encode(&row)?.as_slice())?),
        None => drop(rows.remove(key.as_slice())?),
    }
    Ok(())
}

fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, redb::Error> {
    frame::encode(value).map_err(redb::Error::Io)
}

fn decode<T: serde::de::DeserializeOwned>(record: &[u8]) -> Result<T, redb::Error> {
    frame::decode(record).map_err(|error| redb::Error::Corrupted(error.to_string()))
}
