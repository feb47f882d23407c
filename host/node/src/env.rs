//! What a node takes from the world, so that a simulation can stand in for it: clock, randomness, disk, and the
//! threads that wait for the disk. The transport is the fifth, in `transport`.
//!
//! Intervals and timeouts use tokio's clock, which a simulation pauses.
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use minicloud_core::time::Timestamp;
use redb::{Builder, Database, DatabaseError};

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub disk: Arc<dyn Disk>,
}

impl Env {
    /// The machine itself.
    pub fn real() -> Env {
        Env { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom), disk: Arc::new(FileDisk) }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Time of day.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;
}

/// Random bytes good enough for keys.
pub trait Random: Send + Sync + 'static {
    fn fill(&self, bytes: &mut [u8]);

    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// What a database's writer runs as.
pub type Writer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where databases live.
pub trait Disk: Send + Sync + 'static {
    /// Opens or creates a database's file.
    fn open(&self, path: &Path, builder: &mut Builder) -> Result<Database, DatabaseError>;
    /// Runs a writer that blocks on the disk: on a thread of its own, or as a task of a simulation.
    fn spawn_writer(&self, name: &str, writer: Writer) -> io::Result<()>;
    /// Called before each durable commit; a simulated disk takes its time here, the real one inside the commit.
    fn before_commit(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        use rand::Rng;
        rand::rng().fill_bytes(bytes);
    }
}

struct FileDisk;

/// Makes a database that is there whole or not at all: one whose making was cut off would be refused for ever.
fn create_whole(path: &Path, builder: &mut Builder) -> Result<(), DatabaseError> {
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |error| DatabaseError::Storage(redb::StorageError::Io(error));
    let new = path.with_extension("new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    drop(options.write(true).create_new(true).mode(0o600).open(&new).map_err(failed)?);
    drop(builder.create(&new)?);
    std::fs::rename(&new, path).map_err(failed)?;
    let folder = path.parent().map_or_else(|| Ok(()), |folder| std::fs::File::open(folder)?.sync_all());
    folder.map_err(failed)
}

impl Disk for FileDisk {
    fn open(&self, path: &Path, builder: &mut Builder) -> Result<Database, DatabaseError> {
        if !path.exists() {
            create_whole(path, builder)?;
        }
        builder.create(path)
    }

    fn spawn_writer(&self, name: &str, writer: Writer) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(writer))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_whose_making_was_cut_off_is_made_anew() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        std::fs::write(folder.path().join("state.new"), [0; 4096]).unwrap();
        drop(FileDisk.open(&path, &mut Builder::new()).unwrap());
        drop(FileDisk.open(&path, &mut Builder::new()).unwrap());
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(files, ["state.redb"]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
