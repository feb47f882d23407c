//! What tasks and nodes use: counters since their start, and gauges of now.
//!
//! A rate is the difference of two answers, over the difference of the `uptime_us` in them: both are by the clock of the
//! node that counted.
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use minicloud_core::id::{NodeId, TaskId};
use minicloud_core::state::NodeStatus;
use minicloud_core::task::TaskUsage;

/// `GET /v1/services/{service}/usage`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceUsage {
    pub service: String,
    pub tasks: Vec<TaskUsageLine>,
    /// Sums over the tasks that answered.
    pub total: TaskUsage,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskUsageLine {
    pub id: TaskId,
    pub name: String,
    /// Hostname of its node.
    pub node: String,
    #[serde(default)]
    pub node_id: NodeId,
    /// Most bytes that its memories may have together.
    #[serde(default)]
    pub memory_limit_bytes: u64,
    /// Absent when its node did not answer.
    pub usage: Option<TaskUsage>,
}

/// Of whom usage is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatsQuery {
    /// Services and tasks by name or id, with commas between them; absent: all tasks, and all nodes.
    #[serde(default)]
    pub of: String,
}

/// `GET /v1/stats`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stats {
    /// Where what was asked for runs.
    pub nodes: Vec<NodeStats>,
    /// Running tasks.
    pub tasks: Vec<TaskUsageLine>,
    /// The node that leads, as the node that answers knows.
    pub leader: Option<NodeId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeStats {
    pub id: NodeId,
    pub hostname: String,
    pub status: NodeStatus,
    /// Tasks that run there, as the cluster knows.
    pub tasks_running: usize,
    /// Memory of the machine.
    pub memory_total_bytes: u64,
    /// Cores of the machine, in thousandths.
    pub cpu_millis: u32,
    /// Absent when it did not answer in time.
    pub usage: Option<NodeUsage>,
}

/// What the process of a node uses. What a system does not tell is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeUsage {
    /// CPU time since the process started.
    pub cpu_us: u64,
    /// Microseconds since the node started.
    pub uptime_us: u64,
    /// Memory that is resident.
    pub memory_bytes: Option<u64>,
    pub open_files: Option<u64>,
}
