//! What the node hands over to run one task.
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use minicloud_core::id::TaskId;
use minicloud_core::limits::TASK_MEMORY_DEFAULT_BYTES;
use minicloud_core::task::LogStream;

/// Takes whole log lines, without their line end. Called on the guests' threads: it must not block.
pub type LogSink = Arc<dyn Fn(LogStream, &[u8]) + Send + Sync>;

/// One task: what it is called, what it gets, what it may use.
#[derive(Clone)]
pub struct RunSpec {
    pub task: TaskId,
    /// Name of the service; also the guest's argument 0.
    pub service: String,
    pub slot: String,
    pub node: String,
    /// Value of `HOSTNAME`, unless `env` has its own.
    pub hostname: String,
    /// Arguments after argument 0.
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Most bytes of all memories together; 0: the default.
    pub memory_bytes: u64,
    /// Most CPU time in thousandths of a core; 0: no cap.
    pub cpu_millis: u32,
    /// Port on which an HTTP component is served.
    pub http_port: u16,
    /// Requests an HTTP component gets at once; `None`: the host's bound.
    pub concurrency: Option<u32>,
    pub mounts: Vec<HostMount>,
    pub files: Vec<GuestFile>,
    pub log: LogSink,
}

impl RunSpec {
    /// A task with every default, whose log goes nowhere.
    pub fn new(task: TaskId, service: impl Into<String>) -> RunSpec {
        let service = service.into();
        RunSpec {
            task,
            hostname: service.clone(),
            service,
            slot: String::new(),
            node: String::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            memory_bytes: 0,
            cpu_millis: 0,
            http_port: 80,
            concurrency: None,
            mounts: Vec::new(),
            files: Vec::new(),
            log: Arc::new(|_, _| {}),
        }
    }

    /// The memory limit, with the default filled in.
    pub fn memory_limit_bytes(&self) -> u64 {
        if self.memory_bytes == 0 { TASK_MEMORY_DEFAULT_BYTES } else { self.memory_bytes }
    }
}

impl fmt::Debug for RunSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunSpec").field("task", &self.task).field("service", &self.service).finish_non_exhaustive()
    }
}

/// A folder of the host, or a single file, that the task sees at `guest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostMount {
    pub host: PathBuf,
    pub guest: String,
    pub read_only: bool,
}

/// A secret or config, which the task reads at `path`. It is in memory alone.
#[derive(Clone)]
pub struct GuestFile {
    pub kind: GuestFileKind,
    /// Absolute path inside the task.
    pub path: String,
    pub content: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestFileKind {
    Secret,
    /// Also told by `wasi:config/store`.
    Config,
}

/// Where a component's bytes are, should they have to be compiled.
#[derive(Clone, Debug)]
pub enum ComponentSource {
    Bytes(Bytes),
    File(PathBuf),
}
