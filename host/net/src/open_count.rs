//! How many connections this node has open to each backend: what the choice among backends is made by.
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use minicloud_core::id::TaskId;

use crate::wakers::lock;

/// The count of one backend, shared by every view of the routes that names it.
pub(crate) type Counter = Arc<AtomicUsize>;

/// One open connection in a backend's count; it falls when this is dropped.
#[derive(Debug)]
pub(crate) struct OpenCount(Counter);

impl OpenCount {
    pub(crate) fn new(counter: &Counter) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        OpenCount(counter.clone())
    }
}

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counters by task. They outlive the view that named the task, because its connections do.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<HashMap<TaskId, Counter>>);

impl Counters {
    pub(crate) fn of(&self, task: TaskId) -> Counter {
        lock(&self.0).entry(task).or_default().clone()
    }

    /// Forgets tasks that are no backends any more and have no connection left.
    pub(crate) fn retain(&self, backends: &HashSet<TaskId>) {
        lock(&self.0).retain(|task, counter| backends.contains(task) || counter.load(Ordering::Relaxed) > 0);
    }
}
