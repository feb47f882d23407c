//! How far a service is from what is wanted of it.
use minicloud_core::id::TaskId;
use minicloud_core::state::UpdateState;
use minicloud_core::task::TaskState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::JobCount;

/// One line of `GET /v1/services/{service}/watch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Tasks of the current version that run.
    pub running: u32,
    /// Of a job: how many may run at once.
    pub desired: u32,
    /// Absent for what is no job. A job has converged when all of it has completed.
    #[serde(default)]
    pub job: Option<JobCount>,
    /// Everything is as it was asked for, and has proven stable; the last line of a stream.
    pub converged: bool,
    /// Milliseconds for which all that runs must go on running until it counts as stable; 0 while something is missing.
    #[serde(default)]
    pub verify_ms: u64,
    /// The newest task of each slot, in order.
    pub tasks: Vec<ProgressTask>,
    #[serde(default)]
    pub update_state: Option<UpdateState>,
    /// What the update says of itself, for example why it is paused.
    #[serde(default)]
    pub update_message: String,
    /// The service was removed; the last line of a stream.
    #[serde(default)]
    pub removed: bool,
    /// Tasks that still have to stop.
    #[serde(default)]
    pub stopping: u32,
    /// Those of them whose node is down, so that nobody can say when they have.
    #[serde(default)]
    pub unreachable: u32,
    /// Tasks that failed and are not followed by others, as their service wants it: it never converges with them.
    #[serde(default)]
    pub given_up: Vec<ProgressTask>,
}

impl Progress {
    /// All that is still missing is missing for good.
    pub fn is_hopeless(&self) -> bool {
        if let Some(job) = self.job {
            let missing = job.total.saturating_sub(job.completed) as usize;
            return missing > 0 && self.given_up.len() >= missing;
        }
        let missing = self.desired.saturating_sub(self.running) as usize;
        let done = self.tasks.iter().filter(|task| task.state == TaskState::Complete).count();
        !self.given_up.is_empty() && self.given_up.len() + done >= missing
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProgressTask {
    pub id: TaskId,
    pub slot: Option<u32>,
    pub name: String,
    pub state: TaskState,
    /// Hostname of its node.
    pub node: Option<String>,
    pub error: String,
}
