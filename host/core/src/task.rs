//! A task's life: its states, what its agent reports, and the one next step from observed to desired.
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

mod step;

pub use step::{Step, next_step};

/// States of a task, in order. The observed state never moves back; of two reports the larger wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    #[default]
    New,
    Pending,
    Assigned,
    Accepted,
    Preparing,
    Ready,
    Starting,
    Running,
    Complete,
    Shutdown,
    Failed,
    Rejected,
    Remove,
    Orphaned,
}

impl TaskState {
    /// No agent will change this state again.
    pub fn is_final(self) -> bool {
        self >= TaskState::Complete
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TaskState::New => "new",
            TaskState::Pending => "pending",
            TaskState::Assigned => "assigned",
            TaskState::Accepted => "accepted",
            TaskState::Preparing => "preparing",
            TaskState::Ready => "ready",
            TaskState::Starting => "starting",
            TaskState::Running => "running",
            TaskState::Complete => "complete",
            TaskState::Shutdown => "shutdown",
            TaskState::Failed => "failed",
            TaskState::Rejected => "rejected",
            TaskState::Remove => "remove",
            TaskState::Orphaned => "orphaned",
        })
    }
}

/// The observed state of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    pub state: TaskState,
    /// When the state was reached, by the clock of the node that saw it.
    pub at: Timestamp,
    /// What is wrong, or what it waits for; empty when all is well.
    #[serde(default)]
    pub message: String,
    /// Exit code of a command that ended.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// `host`-mode ports that this task's node bound for it, or the reason why not, is part of `message`.
    #[serde(default)]
    pub backtrace: String,
    /// What its health check says; `None` for a task without one.
    #[serde(default)]
    pub health: Option<Health>,
}

/// What a task's health check says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It has not answered well yet.
    Starting,
    Healthy,
    /// It failed too often: it gets no connections any more, and is ended.
    Unhealthy,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Health::Starting => "starting",
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
        })
    }
}

impl TaskStatus {
    /// Takes in another report: the larger state wins, and of the same state the later word. True when it changed.
    pub fn merge(&mut self, other: &TaskStatus) -> bool {
        let wins = other.state > self.state || (other.state == self.state && other.at >= self.at && other != self);
        if wins {
            self.clone_from(other);
        }
        wins
    }
}

/// Which of a task's streams a log line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    Stdout,
    Stderr,
}

/// How a running task ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// Returned well, or exit code 0.
    Completed,
    /// Returned an error, or a non-zero exit code.
    Failed { code: i32 },
    /// The component trapped, or ran out of its memory limit.
    Trapped { message: String, backtrace: String },
    /// Ended because it was told to, gracefully or not.
    Stopped,
}

/// A task's use of its node, as counters since it started and gauges of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskUsage {
    pub memory_bytes: u64,
    pub cpu_us: u64,
    /// Requests (HTTP component) admitted so far.
    pub requests: u64,
    /// Requests in the guest now.
    pub active: u32,
    /// Requests that wait for admission now.
    pub queued: u32,
    /// How many requests are admitted at once; 0: no bound.
    pub concurrency: u32,
    /// Microseconds in which every admission was taken, so far.
    pub saturated_us: u64,
    /// Microseconds since the task started running.
    pub uptime_us: u64,
    pub connections: u32,
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: TaskState, at: u64, message: &str) -> TaskStatus {
        TaskStatus { state, at: Timestamp(at), message: message.to_owned(), ..TaskStatus::default() }
    }

    #[test]
    fn the_larger_state_wins_and_of_equals_the_later_word() {
        let mut seen = status(TaskState::Running, 10, "");
        assert!(!seen.merge(&status(TaskState::Starting, 99, "late")));
        assert!(!seen.merge(&status(TaskState::Running, 9, "older")));
        assert!(!seen.merge(&seen.clone()));
        assert!(seen.merge(&status(TaskState::Running, 11, "port 80 is taken")));
        assert!(seen.merge(&status(TaskState::Failed, 5, "trap")));
        assert!(!seen.merge(&status(TaskState::Complete, 99, "")));
        assert_eq!(seen, status(TaskState::Failed, 5, "trap"));
    }

    #[test]
    fn merging_in_any_order_ends_the_same() {
        let reports = [status(TaskState::Accepted, 1, ""), status(TaskState::Running, 2, ""), status(TaskState::Complete, 3, "")];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut seen = TaskStatus::default();
            for at in order {
                seen.merge(&reports[at]);
            }
            assert_eq!(seen, reports[2]);
        }
    }
}
