//! Statuses on their way to the leader: the latest per task, sent in batches, kept until they are in the log.
//!
//! Pure: time is an argument, the time to look again is an output. Called by `session`.
use std::collections::BTreeMap;
use std::time::Duration;

use minicloud_core::id::TaskId;
use minicloud_core::task::{TaskState, TaskStatus};
use tokio::time::Instant;

use crate::limits::{STATUS_BATCH_BYTES_MAX, STATUS_BATCH_TASKS_MAX, STATUS_SETTLE};

/// Bytes of a status beside its texts, roughly.
const STATUS_BYTES: usize = 96;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The last word on every task of this node.
    latest: BTreeMap<TaskId, TaskStatus>,
    /// Tasks whose last word is not in the log yet, and when it is to be sent.
    due: BTreeMap<TaskId, Instant>,
    /// The batch that was sent and is not in the log yet.
    under_way: Option<u64>,
    sequence: u64,
}

/// What goes into one report.
#[derive(Debug, PartialEq)]
pub(super) struct Batch {
    pub(super) sequence: u64,
    pub(super) tasks: Vec<(TaskId, TaskStatus)>,
}

impl Outbox {
    /// The task's state as of now. States on the way to running are sent only if they last.
    pub(super) fn report(&mut self, task: TaskId, status: TaskStatus, now: Instant) {
        let settle = if status.state < TaskState::Running { STATUS_SETTLE } else { Duration::ZERO };
        let due = now + settle;
        let earlier = self.due.get(&task).copied().unwrap_or(due);
        self.due.insert(task, earlier.min(due));
        self.latest.insert(task, status);
    }

    /// The task is nobody's business any more.
    pub(super) fn forget(&mut self, task: TaskId) {
        self.latest.remove(&task);
        self.due.remove(&task);
    }

    pub(super) fn last_word(&self, task: TaskId) -> Option<&TaskStatus> {
        self.latest.get(&task)
    }

    /// What to send now, if anything: only when the batch before it is in the log.
    pub(super) fn next_batch(&mut self, now: Instant) -> Option<Batch> {
        if self.under_way.is_some() {
            return None;
        }
        let ids = self.due.iter().filter(|(_, due)| **due <= now).map(|(task, _)| *task);
        let mut bytes = 0;
        let tasks: Vec<(TaskId, TaskStatus)> = ids
            .filter_map(|task| Some((task, self.latest.get(&task)?.clone())))
            .take_while(|(_, status)| {
                let fits = bytes < STATUS_BATCH_BYTES_MAX;
                bytes += STATUS_BYTES + status.message.len() + status.backtrace.len();
                fits
            })
            .take(STATUS_BATCH_TASKS_MAX)
            .collect();
        if tasks.is_empty() {
            return None;
        }
        self.sequence += 1;
        tasks.iter().for_each(|(task, _)| _ = self.due.remove(task));
        self.under_way = Some(self.sequence);
        Some(Batch { sequence: self.sequence, tasks })
    }

    /// When there may be a batch; `None` while one is under way or nothing waits.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        if self.under_way.is_some() {
            return None;
        }
        self.due.values().min().copied()
    }

    /// The batch is in the log.
    pub(super) fn reported(&mut self, sequence: u64) {
        if self.under_way == Some(sequence) {
            self.under_way = None;
        }
    }

    /// A new session: whatever was under way may be lost, and the leader may know less than the last one, so
    /// everything is said again. The leader leaves out what it knows.
    pub(super) fn restart(&mut self, now: Instant) {
        self.under_way = None;
        self.latest.keys().for_each(|task| _ = self.due.insert(*task, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: TaskId = TaskId(1);
    const B: TaskId = TaskId(2);

    fn status(state: TaskState) -> TaskStatus {
        TaskStatus { state, ..TaskStatus::default() }
    }

    fn states(batch: Option<Batch>) -> Vec<(TaskId, TaskState)> {
        batch.into_iter().flat_map(|batch| batch.tasks).map(|(task, status)| (task, status.state)).collect()
    }

    #[test]
    fn a_quick_start_is_one_report() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        for state in [TaskState::Accepted, TaskState::Preparing, TaskState::Ready, TaskState::Starting] {
            outbox.report(A, status(state), now);
        }
        assert_eq!(outbox.next_batch(now), None);
        assert_eq!(outbox.wake_at(), Some(now + STATUS_SETTLE));
        outbox.report(A, status(TaskState::Running), now);
        assert_eq!(states(outbox.next_batch(now)), [(A, TaskState::Running)]);
    }

    #[test]
    fn a_slow_start_is_told_while_it_lasts() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        outbox.report(A, status(TaskState::Preparing), now);
        outbox.report(A, status(TaskState::Preparing), now + STATUS_SETTLE / 2);
        assert_eq!(states(outbox.next_batch(now + STATUS_SETTLE)), [(A, TaskState::Preparing)]);
    }

    #[test]
    fn one_batch_is_under_way_and_the_rest_gathers_behind_it() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        outbox.report(A, status(TaskState::Running), now);
        let first = outbox.next_batch(now).unwrap();
        outbox.report(B, status(TaskState::Running), now);
        outbox.report(A, status(TaskState::Failed), now);
        assert_eq!((outbox.next_batch(now), outbox.wake_at()), (None, None));
        outbox.reported(first.sequence + 1);
        assert_eq!(outbox.next_batch(now), None);
        outbox.reported(first.sequence);
        assert_eq!(states(outbox.next_batch(now)), [(A, TaskState::Failed), (B, TaskState::Running)]);
    }

    #[test]
    fn a_batch_that_was_lost_is_sent_again_whole() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        outbox.report(A, status(TaskState::Running), now);
        outbox.report(B, status(TaskState::Running), now);
        outbox.next_batch(now).unwrap();
        outbox.forget(B);
        outbox.restart(now);
        assert_eq!(states(outbox.next_batch(now)), [(A, TaskState::Running)]);
    }

    #[test]
    fn batches_are_bounded_in_tasks_and_bytes() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        for task in 0..STATUS_BATCH_TASKS_MAX as u64 + 1 {
            outbox.report(TaskId(task), status(TaskState::Running), now);
        }
        let first = outbox.next_batch(now).unwrap();
        assert_eq!(first.tasks.len(), STATUS_BATCH_TASKS_MAX);
        outbox.reported(first.sequence);
        assert_eq!(outbox.next_batch(now).unwrap().tasks.len(), 1);

        let mut outbox = Outbox::default();
        for task in 0..100 {
            let message = "x".repeat(STATUS_BATCH_BYTES_MAX / 10);
            outbox.report(TaskId(task), TaskStatus { message, ..status(TaskState::Failed) }, now);
        }
        assert_eq!(outbox.next_batch(now).unwrap().tasks.len(), 10);
    }
}
