//! The tasks that run on this node right now, for whoever counts or shows them.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minicloud_core::id::TaskId;
use minicloud_core::task::TaskUsage;
use minicloud_core::view::AssignedTask;
use minicloud_net::TaskNet;

use crate::executor::RunningTask;

/// Cheap to clone; every clone sees the same tasks.
#[derive(Clone, Default)]
pub struct RunningTasks {
    by_id: Arc<Mutex<BTreeMap<TaskId, Entry>>>,
}

#[derive(Clone)]
struct Entry {
    assigned: Arc<AssignedTask>,
    running: Arc<dyn RunningTask>,
    net: TaskNet,
}

impl Entry {
    /// What the executor measures, with the traffic that the network counts.
    fn usage(&self) -> TaskUsage {
        let traffic = self.net.usage();
        TaskUsage {
            connections: u32::try_from(traffic.connections).unwrap_or(u32::MAX),
            received_bytes: traffic.received_bytes,
            sent_bytes: traffic.sent_bytes,
            ..self.running.usage()
        }
    }
}

impl RunningTasks {
    /// What one task uses; `None` when it does not run here.
    pub fn usage(&self, task: TaskId) -> Option<TaskUsage> {
        let entry = self.lock().get(&task)?.clone();
        Some(entry.usage())
    }

    /// Every task that runs here, with what it uses.
    pub fn usages(&self) -> Vec<(Arc<AssignedTask>, TaskUsage)> {
        let entries: Vec<Entry> = self.lock().values().cloned().collect();
        entries.into_iter().map(|entry| (Arc::clone(&entry.assigned), entry.usage())).collect()
    }

    pub(super) fn insert(&self, assigned: Arc<AssignedTask>, running: Arc<dyn RunningTask>, net: TaskNet) {
        self.lock().insert(assigned.id, Entry { assigned, running, net });
    }

    pub(super) fn remove(&self, task: TaskId) {
        self.lock().remove(&task);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TaskId, Entry>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
