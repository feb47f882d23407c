//! Simulated disks: what was synced stays, and of what was not, a crash keeps any part.
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use minicloud_node::env::{Disk, Writer};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redb::{Builder, Database, DatabaseError, StorageBackend};
use tokio::task::AbortHandle;

/// One machine's disk. Cheap to clone; survives its node.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

struct State {
    random: StdRng,
    files: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    writers: Vec<AbortHandle>,
    /// Counts crashes: backends of an earlier life are dead.
    life: u64,
    slowest_commit: Duration,
}

#[derive(Default)]
struct Content {
    /// As reads see it.
    now: Vec<u8>,
    /// As a crash leaves it if nothing unsynced survives.
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

enum Change {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl SimDisk {
    pub fn new(seed: u64) -> SimDisk {
        let state = State {
            random: StdRng::seed_from_u64(seed),
            files: BTreeMap::new(),
            writers: Vec::new(),
            life: 0,
            slowest_commit: Duration::from_millis(8),
        };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// The machine loses power: unsynced writes survive or not, each on its own, in any combination.
    pub fn crash(&self) {
        let mut state = self.state();
        let state = &mut *state;
        state.life += 1;
        state.writers.drain(..).for_each(|writer| writer.abort());
        for content in state.files.values() {
            let mut content = content.lock().unwrap();
            let kept: Vec<Change> = std::mem::take(&mut content.unsynced);
            for change in kept {
                if state.random.random_bool(0.5) {
                    apply(&mut content.synced, &change);
                }
            }
            content.now = content.synced.clone();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, builder: &mut Builder) -> Result<Database, DatabaseError> {
        let (content, life) = {
            let mut state = self.state();
            let life = state.life;
            (state.files.entry(path.to_owned()).or_default().clone(), life)
        };
        builder.create_with_backend(SimFile { disk: self.clone(), content, life })
    }

    fn spawn_writer(&self, _name: &str, writer: Writer) -> io::Result<()> {
        let task = tokio::spawn(writer);
        self.state().writers.push(task.abort_handle());
        Ok(())
    }

    fn before_commit(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let delay = {
            let mut state = self.state();
            let slowest = state.slowest_commit;
            slowest.mul_f64(state.random.random_range(0.02..1.0))
        };
        Box::pin(tokio::time::sleep(delay))
    }
}

struct SimFile {
    disk: SimDisk,
    content: Arc<Mutex<Content>>,
    life: u64,
}

impl std::fmt::Debug for SimFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimFile")
    }
}

impl SimFile {
    fn content(&self) -> io::Result<MutexGuard<'_, Content>> {
        if self.disk.state().life != self.life {
            return Err(io::Error::other("the machine lost power"));
        }
        Ok(self.content.lock().unwrap())
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut content = self.content()?;
        apply(&mut content.now, &change);
        content.unsynced.push(change);
        Ok(())
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(length) => bytes.resize(*length, 0),
        Change::Bytes(offset, data) => {
            let end = offset + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*offset..end].copy_from_slice(data);
        }
    }
}

impl StorageBackend for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content()?.now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.content()?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = content.now.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(usize::try_from(len).map_err(io::Error::other)?))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut content = self.content()?;
        let content = &mut *content;
        for change in content.unsynced.drain(..) {
            apply(&mut content.synced, &change);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Bytes(usize::try_from(offset).map_err(io::Error::other)?, data.to_vec()))
    }
}
