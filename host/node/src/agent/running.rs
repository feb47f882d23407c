//! The tasks that run on this node right now, for whoever counts or shows them.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minicloud_core::id::TaskId;
use minicloud_core::task::TaskUsage;
use minicloud_core::view::AssignedTask;

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
}

impl RunningTasks {
    /// What one task uses; `None` when it does not run here.
    pub fn usage(&self, task: TaskId) -> Option<TaskUsage> {
        let running = Arc::clone(&self.lock().get(&task)?.running);
        Some(running.usage())
    }

    /// Every task that runs here, with what it uses.
    pub fn usages(&self) -> Vec<(Arc<AssignedTask>, TaskUsage)> {
        let entries: Vec<Entry> = self.lock().values().cloned().collect();
        entries.into_iter().map(|entry| (entry.assigned, entry.running.usage())).collect()
    }

    pub(super) fn insert(&self, assigned: Arc<AssignedTask>, running: Arc<dyn RunningTask>) {
        self.lock().insert(assigned.id, Entry { assigned, running });
    }

    pub(super) fn remove(&self, task: TaskId) {
        self.lock().remove(&task);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TaskId, Entry>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
