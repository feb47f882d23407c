//! A running task, as the node holds it: wait for it, stop it, kill it, read its use.
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use minicloud_core::task::{Exit, TaskUsage};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::admission::Admission;
use crate::capability::task::Lifecycle;
use crate::memory::MemoryBudget;
use crate::meter::CpuMeter;

/// A task that was started. Dropping it kills the task.
pub struct Task {
    pub(crate) abort: AbortHandle,
    pub(crate) exit: watch::Receiver<Option<Exit>>,
    pub(crate) draining: watch::Sender<bool>,
    pub(crate) cpu: Arc<CpuMeter>,
    pub(crate) memory: Arc<MemoryBudget>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) instantiation: Arc<OnceLock<Duration>>,
    /// Of an HTTP task.
    pub(crate) gate: Option<Gate>,
}

/// Admission, and the bound that the service asked for (0: none).
pub(crate) struct Gate {
    pub admission: Arc<Admission>,
    pub concurrency: u32,
}

impl Task {
    /// How the task ended, once it has.
    pub async fn wait(&self) -> Exit {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone().unwrap_or(Exit::Stopped),
            // The engine went away with the task in it.
            Err(_) => Exit::Stopped,
        }
    }

    /// How the task ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        self.exit.borrow().clone()
    }

    /// End the task. An HTTP task takes no new connections and has `grace` to answer the requests that it has; a
    /// command that asked to hear of its stop has `grace` to return, and any other, as WASI knows no signal, ends at once.
    pub async fn stop(&self, grace: Duration) -> Exit {
        if self.gate.is_some() || self.lifecycle.listens() {
            self.draining.send_replace(true);
            if let Ok(exit) = tokio::time::timeout(grace, self.wait()).await {
                return exit;
            }
        }
        self.kill().await
    }

    /// End the task now, even a guest that never yields: within a tick its store, sockets and listeners are dropped.
    pub async fn kill(&self) -> Exit {
        self.abort.abort();
        self.wait().await
    }

    /// Like [`Task::kill`], without waiting for the end.
    pub fn abort(&self) {
        self.abort.abort();
    }

    /// How long its first instance took: store, linked imports, memories and tables, until its exports could be called.
    /// `None` until there was one.
    pub fn instantiation(&self) -> Option<Duration> {
        self.instantiation.get().copied()
    }

    pub fn usage(&self) -> TaskUsage {
        let mut usage = TaskUsage {
            memory_bytes: self.memory.used_bytes(),
            cpu_us: micros(self.cpu.used()),
            uptime_us: micros(self.cpu.uptime()),
            ..TaskUsage::default()
        };
        if let Some(gate) = &self.gate {
            let counts = gate.admission.counts();
            usage.requests = counts.admitted;
            usage.active = counts.active;
            usage.queued = counts.queued;
            usage.saturated_us = micros(counts.saturated);
            usage.concurrency = gate.concurrency;
        }
        usage
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("exit", &self.exit()).finish_non_exhaustive()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
