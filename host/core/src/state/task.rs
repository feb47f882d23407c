//! Tasks: one run of a template in a slot, and what agents report of it.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::Rejection;
use crate::id::{Index, NetworkId, NodeId, ServiceId, Slot, TaskId};
use crate::spec::TaskTemplate;
use crate::task::{Health, TaskState, TaskStatus};
use crate::time::Timestamp;

use super::{ClusterState, NodeStatus, Writer};

/// One run of a service's template in a slot. One-shot, and never moved once assigned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub id: TaskId,
    pub service: ServiceId,
    pub slot: Slot,
    pub template: Arc<TaskTemplate>,
    /// The service's template version that it runs.
    pub template_version: Index,
    pub node: Option<NodeId>,
    pub desired: TaskState,
    pub status: TaskStatus,
    #[serde(default)]
    pub addresses: BTreeMap<NetworkId, Ipv4Addr>,
    /// Not to be started before this time.
    #[serde(default)]
    pub start_at: Option<Timestamp>,
    /// How often its slot failed in a row before it.
    #[serde(default)]
    pub failures: u32,
    /// Restarts of its slot in the window of its restart policy, itself included.
    #[serde(default)]
    pub restarts: u32,
    /// When that window began.
    #[serde(default)]
    pub restarts_since: Option<Timestamp>,
    /// When it was seen running first, by the clock of the manager that recorded it.
    #[serde(default)]
    pub running_at: Option<Timestamp>,
    /// When it was seen to have ended, by the clock of the manager that recorded it.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// It ended though nobody had told it to.
    #[serde(default)]
    pub ended_unasked: bool,
    pub created_at: Timestamp,
    /// Index at which it was created: orders the tasks of a slot.
    #[serde(default)]
    pub created: Index,
    /// Index at which what is wanted of it last changed.
    #[serde(default)]
    pub desired_at: Index,
    pub version: Index,
}

impl Task {
    /// Nobody has told it to stop.
    pub fn is_wanted(&self) -> bool {
        self.desired < TaskState::Shutdown
    }

    /// Wanted, and not ended.
    pub fn is_live(&self) -> bool {
        self.is_wanted() && !self.status.state.is_final()
    }

    /// Wanted to run, and running, and as far as is known doing its work.
    pub fn is_running(&self) -> bool {
        self.is_live() && self.status.state == TaskState::Running && self.status.health != Some(Health::Unhealthy)
    }

    /// Holds its node's resources, ports and volumes: assigned, and not known to have ended.
    pub fn occupies_node(&self) -> bool {
        self.node.is_some() && !self.status.state.is_final()
    }

    pub fn has_failed(&self) -> bool {
        matches!(self.status.state, TaskState::Failed | TaskState::Rejected)
    }

    /// How long it ran, once it has ended; zero when it never ran.
    pub fn ran_for(&self) -> Duration {
        match (self.running_at, self.ended_at) {
            (Some(running_at), Some(ended_at)) => ended_at.since(running_at),
            _ => Duration::ZERO,
        }
    }
}

impl ClusterState {
    /// The task runs, is to stay, and its node is not down: connections may go to it.
    pub fn serves(&self, task: &Task) -> bool {
        let node = task.node.and_then(|node| self.nodes.get(&node));
        task.is_running() && node.is_some_and(|node| node.status != NodeStatus::Down)
    }
}

impl Writer<'_> {
    /// Takes in what a node says of its own tasks; what it says of others is passed over.
    pub(super) fn report_status(&mut self, node: NodeId, tasks: &[(TaskId, TaskStatus)]) -> Result<(), Rejection> {
        if !self.state.nodes.contains_key(&node) {
            return Err(Rejection::NotFound(format!("node {node} is not a member of this cluster; join again")));
        }
        for (id, status) in tasks {
            let theirs = self.state.tasks.get(id).is_some_and(|task| task.node == Some(node));
            if theirs && (TaskState::Assigned..=TaskState::Rejected).contains(&status.state) {
                self.observe(*id, status);
            }
        }
        Ok(())
    }

    /// Merges a status into the task's row. True when it changed.
    pub(super) fn observe(&mut self, id: TaskId, status: &TaskStatus) -> bool {
        let Some(task) = self.state.tasks.get(&id) else { return false };
        let mut merged = task.status.clone();
        if !merged.merge(status) {
            return false;
        }
        let at = self.at;
        self.edit_task(id, |task| {
            if merged.state == TaskState::Running && task.running_at.is_none() {
                task.running_at = Some(at);
            }
            if merged.state.is_final() && task.ended_at.is_none() {
                task.ended_at = Some(at);
                task.ended_unasked = task.is_wanted();
            }
            task.status = merged;
        });
        true
    }
}
