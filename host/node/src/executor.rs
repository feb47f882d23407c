//! What runs tasks, as the agent sees it: prepare a component once, start tasks of it, stop them.
//!
//! Owns the boundary only. The binary implements it over the engine, so that this crate never knows
//! wasmtime; tests implement it with `testing::FakeExecutor`. Called by `agent` alone.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use minicloud_core::id::TaskId;
use minicloud_core::spec::{Digest, FileKind};
use minicloud_core::task::{Exit, LogStream, TaskUsage};
use minicloud_net::TaskNet;

use crate::files::Content;

/// Runs components as tasks.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// Makes the component ready to start quickly: validated, compiled, cached by digest.
    ///
    /// Called once per digest at a time, and again when an earlier call failed. An error means that no task of this
    /// component can run here (`rejected`). Dropping the future gives the preparation up.
    async fn prepare(&self, digest: Digest, component: &Path) -> Result<(), TaskError>;

    /// Starts one task; returns as soon as it runs.
    ///
    /// The agent awaits this to the end, so it must be short; what it returns is dropped only after `wait` returned
    /// or `kill` was called.
    async fn start(&self, run: RunTask, net: TaskNet, log: LogFn) -> Result<Arc<dyn RunningTask>, TaskError>;

    /// Most tasks that this process has room for; 0: not known.
    fn tasks_max(&self) -> u32 {
        0
    }
}

/// A task that runs. Dropping the last handle kills it.
#[async_trait]
pub trait RunningTask: Send + Sync {
    /// Resolves when the task has ended, however it ended; every caller gets the same answer, also later.
    async fn wait(&self) -> Exit;
    /// Tells the task to stop, lets it drain for at most `grace`, then ends it; returns once it has ended.
    async fn stop(&self, grace: Duration);
    /// Ends it now. `wait` resolves soon after.
    fn kill(&self);
    fn usage(&self) -> TaskUsage;
}

/// Takes the bytes that a task wrote to one of its streams, in order. Never blocks.
pub type LogFn = Arc<dyn Fn(LogStream, &[u8]) + Send + Sync>;

/// Everything that one start of a task needs, every default already filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct RunTask {
    pub id: TaskId,
    pub service: String,
    /// Replica number, or the node's id for a global service.
    pub slot: String,
    /// The node's id.
    pub node: String,
    pub hostname: String,
    pub digest: Digest,
    /// File that holds the component's bytes.
    pub component: PathBuf,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Most bytes that all memories of the task may have together.
    pub memory_bytes: u64,
    /// Most CPU time per second, in thousandths of a core; 0: no cap.
    pub cpu_millis: u32,
    /// Port on which an HTTP component is served at the task's address.
    pub http_port: u16,
    /// Requests that an HTTP component serves at once; `None`: the image's default.
    pub concurrency: Option<u32>,
    pub mounts: Vec<RunMount>,
    pub files: Vec<RunFile>,
}

/// A secret or config that the task sees as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFile {
    pub kind: FileKind,
    /// Absolute path inside the task.
    pub target: String,
    pub mode: u32,
    pub content: Arc<Content>,
}

/// A folder of the node that the task sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunMount {
    pub host: PathBuf,
    /// Absolute path inside the task.
    pub guest: String,
    pub read_only: bool,
}

/// Why a task could not be prepared or started: one line for `service ps`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TaskError {
    pub message: String,
}

impl TaskError {
    pub fn new(message: impl Into<String>) -> Self {
        TaskError { message: message.into() }
    }
}
