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

impl Disk for FileDisk {
    fn open(&self, path: &Path, builder: &mut Builder) -> Result<Database, DatabaseError> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = std::fs::OpenOptions::new();
        let created = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        drop(created.map_err(|error| DatabaseError::Storage(redb::StorageError::Io(error)))?);
        builder.create(path)
    }

    fn spawn_writer(&self, name: &str, writer: Writer) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(writer))?;
        Ok(())
    }
}
