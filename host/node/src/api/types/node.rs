//! Member nodes. A node is changed with core's own `NodeChange`.
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use minicloud_core::id::{Index, NodeId};
use minicloud_core::spec::Labels;
use minicloud_core::state::{Availability, NodeDescription, NodeStatus, Role};
use minicloud_core::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeSummary {
    pub id: NodeId,
    pub hostname: String,
    /// The node that answered.
    #[serde(rename = "self")]
    pub is_self: bool,
    pub status: NodeStatus,
    pub availability: Availability,
    pub role: Role,
    /// Absent on workers.
    pub manager_status: Option<ManagerStatus>,
    #[schema(value_type = String)]
    pub address: SocketAddr,
}

/// A manager as the others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ManagerStatus {
    Leader,
    Reachable,
    Unreachable,
}

impl fmt::Display for ManagerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ManagerStatus::Leader => "Leader",
            ManagerStatus::Reachable => "Reachable",
            ManagerStatus::Unreachable => "Unreachable",
        })
    }
}

/// `GET /v1/nodes/{node}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeDetail {
    #[serde(flatten)]
    pub summary: NodeSummary,
    pub labels: Labels,
    pub description: NodeDescription,
    /// When the status last changed.
    pub status_at_ms: Timestamp,
    pub created_at_ms: Timestamp,
    /// Tasks that run there.
    pub tasks_running: usize,
    pub version: Index,
}
