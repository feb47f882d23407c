//! Logs of tasks: what they write to stdout and stderr, kept in bounded files on the node that ran them.
//!
//! A task's output goes into a bounded buffer and never waits; one thread writes it to `<task id>.log`, rotated
//! once to `<task id>.log.1`. Readers follow the files, so a slow reader slows nobody. Lines of other nodes' tasks
//! come over streams of kind `Logs`; `merge` puts them in order of time.
mod buffer;
mod file;
mod merge;
mod read;
mod remote;
mod rotations;
mod told;
mod writer;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minicloud_core::id::TaskId;
use minicloud_core::task::LogStream;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::agent::LogSink;
use crate::env::Clock;
use crate::executor::LogFn;
use buffer::Buffer;
use rotations::Rotations;
use writer::Writer;

pub use merge::merge;
pub use read::read;
pub use remote::{LogsService, read_remote};
pub use told::Told;

/// One line of a task's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Milliseconds since the epoch, by the clock of the node.
    pub at_ms: u64,
    pub stream: LogStream,
    /// Without its line end.
    pub text: String,
}

/// What a reader of logs is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogEvent {
    Line(TaskId, LogRecord),
    /// Everything that was there when the reading began has been told; from here on lines come as they are written.
    CaughtUp,
    /// Some lines are missing, and why.
    Problem(String),
}

/// Lines of one or several tasks, in order of time up to [`LogEvent::CaughtUp`]. Dropping it ends the reading.
pub type LogSource = mpsc::Receiver<LogEvent>;

/// The logs of the tasks that run, or ran, on this node. Clones share everything.
#[derive(Clone)]
pub struct Logs {
    shared: Arc<Shared>,
}

struct Shared {
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    writer: Writer,
    tasks: Mutex<HashMap<TaskId, Arc<TaskLog>>>,
}

/// The log of one task that was written or is followed in this run of the daemon.
struct TaskLog {
    task: TaskId,
    buffer: Mutex<Buffer>,
    /// Counted up after lines were written, so that followers look.
    written: watch::Sender<u64>,
    rotations: Rotations,
    /// The task has ended, so that nothing more comes.
    ended: watch::Sender<bool>,
}

impl Logs {
    pub fn open(directory: &Path, clock: Arc<dyn Clock>) -> io::Result<Logs> {
        std::fs::create_dir_all(directory)?;
        let writer = Writer::start(directory.to_owned())?;
        Ok(Logs { shared: Arc::new(Shared { directory: directory.to_owned(), clock, writer, tasks: Mutex::default() }) })
    }

    /// Takes the output of a task. Never blocks; a last line without an end is written when it is dropped.
    pub fn sink(&self, task: TaskId) -> LogFn {
        let sink = Sink { logs: self.clone(), log: self.task_log(task) };
        sink.log.ended.send_replace(false);
        Arc::new(move |stream, bytes| sink.take(stream, bytes))
    }

    /// A line of the node's own about a task, on its stderr.
    pub fn note(&self, task: TaskId, text: &str) {
        let log = self.task_log(task);
        let first = lock(&log.buffer).line(LogStream::Stderr, self.now_ms(), format!("[minicloud] {text}"));
        if first {
            self.shared.writer.wake(&log);
        }
    }

    /// Returns once everything taken so far is in the files.
    pub async fn flush(&self) {
        self.shared.writer.flush().await;
    }

    fn now_ms(&self) -> u64 {
        self.shared.clock.now().0
    }

    fn task_log(&self, task: TaskId) -> Arc<TaskLog> {
        let mut tasks = lock(&self.shared.tasks);
        if tasks.len() >= TASK_LOGS_SWEEP && tasks.len().is_power_of_two() {
            tasks.retain(|_, log| Arc::strong_count(log) > 1);
        }
        let fresh = || {
            let (buffer, written, rotations, ended) = Default::default();
            Arc::new(TaskLog { task, buffer, written, rotations, ended })
        };
        tasks.entry(task).or_insert_with(fresh).clone()
    }
}

/// Tasks in memory from which on those without writer and reader are forgotten.
const TASK_LOGS_SWEEP: usize = 64;

struct Sink {
    logs: Logs,
    log: Arc<TaskLog>,
}

impl Sink {
    fn take(&self, stream: LogStream, bytes: &[u8]) {
        let first = lock(&self.log.buffer).push(stream, self.logs.now_ms(), bytes);
        if first {
            self.logs.shared.writer.wake(&self.log);
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let first = lock(&self.log.buffer).end_lines(self.logs.now_ms());
        if first {
            self.logs.shared.writer.wake(&self.log);
        }
    }
}

impl LogSink for Logs {
    fn open(&self, task: TaskId) -> LogFn {
        self.sink(task)
    }

    fn ended(&self, task: TaskId) {
        self.task_log(task).ended.send_replace(true);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
