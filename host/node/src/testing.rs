//! Fakes for tests of this crate and of those that use it: an executor, a replicated state, a network of streams.
//!
//! They run on tokio's clock, so a test with paused time takes no time. Nothing here is used by a real node.
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use minicloud_core::id::TaskId;
use minicloud_core::spec::Digest;
use minicloud_core::time::Timestamp;
use minicloud_core::view::AssignedTask;
use tokio::time::Instant;

use crate::agent::{ImageSource, LogSink};
use crate::env::{Clock, Random};
use crate::executor::{LogFn, RunFile};
use crate::files::{Content, FileSource};

mod cluster;
mod executor;
mod streams;

pub use cluster::{FakeCluster, FakeManager};
pub use executor::{Behaviour, FakeExecutor};
pub use streams::FakeStreams;

/// Tells tokio's time, which may be paused, as time of day.
pub struct TestClock {
    began: Instant,
}

impl TestClock {
    #[expect(clippy::new_ret_no_self, reason = "a clock is only ever shared")]
    pub fn new() -> Arc<dyn Clock> {
        Arc::new(TestClock { began: Instant::now() })
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000_000_000) + self.began.elapsed()
    }
}

/// The same numbers for the same seed.
pub struct TestRandom(AtomicU64);

impl TestRandom {
    #[expect(clippy::new_ret_no_self, reason = "a random source is only ever shared")]
    pub fn new(seed: u64) -> Arc<dyn Random> {
        Arc::new(TestRandom(AtomicU64::new(seed)))
    }
}

impl Random for TestRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            // splitmix64
            let mut value = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(value ^ (value >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Has every image, as a file that is there, unless told otherwise.
#[derive(Default)]
pub struct FakeImages {
    missing: Mutex<Vec<Digest>>,
}

impl FakeImages {
    pub fn lose(&self, digest: Digest) {
        lock(&self.missing).push(digest);
    }
}

#[async_trait]
impl ImageSource for FakeImages {
    async fn ensure(&self, digest: Digest) -> Result<PathBuf, String> {
        match lock(&self.missing).contains(&digest) {
            true => Err(format!("no node has image {digest}")),
            false => Ok(PathBuf::from("/")),
        }
    }
}

/// Gives every secret and config its own name as content, unless told otherwise.
#[derive(Default)]
pub struct FakeFiles {
    asked: Mutex<Vec<TaskId>>,
    refusal: Mutex<Option<String>>,
}

impl FakeFiles {
    pub fn refuse(&self, reason: &str) {
        *lock(&self.refusal) = Some(reason.to_owned());
    }

    /// Tasks whose files were asked for.
    pub fn asked(&self) -> Vec<TaskId> {
        lock(&self.asked).clone()
    }
}

#[async_trait]
impl FileSource for FakeFiles {
    async fn files(&self, assigned: &AssignedTask) -> Result<Vec<RunFile>, String> {
        lock(&self.asked).push(assigned.id);
        let refusal = lock(&self.refusal).clone();
        let content = |name: &str| Arc::new(Content::new(name.as_bytes().to_vec().into()));
        let files = assigned.template.files();
        let run = files.map(|(kind, file)| RunFile { kind, target: file.target.clone(), mode: file.mode, content: content(&file.name) });
        refusal.map_or_else(|| Ok(run.collect()), Err)
    }
}

/// Throws tasks' output away.
pub struct NoLogs;

impl LogSink for NoLogs {
    fn open(&self, _task: TaskId) -> LogFn {
        Arc::new(|_, _| {})
    }

    fn ended(&self, _task: TaskId) {}
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
