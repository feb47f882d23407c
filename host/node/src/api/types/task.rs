//! Tasks, as `service ps` and `node ps` show them.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use minicloud_core::id::{NodeId, TaskId};
use minicloud_core::spec::PublishedPort;
use minicloud_core::task::{Health, TaskState};
use minicloud_core::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskSummary {
    pub id: TaskId,
    /// `worker.3`, and `rng.n1` for a global service's task on that node.
    pub name: String,
    /// Replica number from 1; absent for a global service's task.
    pub slot: Option<u32>,
    pub image: String,
    /// Hostname of its node; absent until it is assigned.
    pub node: Option<String>,
    pub desired_state: TaskState,
    pub current_state: TaskState,
    /// Why it waits, failed or was rejected, or what is wrong though it runs; empty when all is well.
    pub error: String,
    /// Its addresses on the networks of its service.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<Ipv4Addr>,
    /// The same addresses by name of the network.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    pub networks: BTreeMap<String, Ipv4Addr>,
    #[serde(default)]
    pub node_id: Option<NodeId>,
    /// Ports of mode `host`, which lead to this task alone; those of mode `ingress` are the service's.
    #[serde(default)]
    pub ports: Vec<PublishedPort>,
    /// Name of its service.
    pub service: String,
    /// When the current state was reached.
    pub since_ms: Timestamp,
    /// Exit code of a command that ended.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// What its health check says; absent for a task without one.
    #[serde(default)]
    pub health: Option<Health>,
    /// Where a trap happened; empty otherwise.
    #[serde(default)]
    pub backtrace: String,
}
