//! The cluster's state: rows, and `apply`, the only writer.
use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use imbl::OrdMap;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::command::{NewCluster, Outcome};
use crate::id::{Index, NetworkId, NodeId, RequestKey, ServiceId, TaskId, VolumeId};
use crate::spec::{Labels, NetworkSpec, PublishedPort, ServiceSpec, TaskTemplate, VolumeSpec};
use crate::task::{TaskState, TaskStatus};
use crate::time::Timestamp;

/// Everything the cluster knows. Cloning is O(1); two clones share what they have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterState {
    /// The last entry applied.
    pub index: Index,
    pub cluster: Option<Arc<Cluster>>,
    pub nodes: OrdMap<NodeId, Arc<Node>>,
    pub services: OrdMap<ServiceId, Arc<Service>>,
    pub tasks: OrdMap<TaskId, Arc<Task>>,
    pub networks: OrdMap<NetworkId, Arc<Network>>,
    pub volumes: OrdMap<VolumeId, Arc<Volume>>,
    /// Answers to recent keyed requests, oldest index first to go.
    pub answers: OrdMap<RequestKey, Arc<Answer>>,
}

/// One row as it is stored and sent in a snapshot. `apply` says which rows it touched by their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RowKey {
    Cluster,
    Node(NodeId),
    Service(ServiceId),
    Task(TaskId),
    Network(NetworkId),
    Volume(VolumeId),
    Answer(RequestKey),
}

/// The value of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Row {
    Cluster(Arc<Cluster>),
    Node(Arc<Node>),
    Service(Arc<Service>),
    Task(Arc<Task>),
    Network(Arc<Network>),
    Volume(Arc<Volume>),
    Answer(Arc<Answer>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub index: Index,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    pub founding: NewCluster,
    pub created_at: Timestamp,
    /// Counted up by a forced recovery; nodes of another epoch are refused.
    #[serde(default)]
    pub epoch: u64,
    pub version: Index,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Manager,
    Worker,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Manager => "manager",
            Role::Worker => "worker",
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    /// Gets tasks.
    #[default]
    Active,
    /// Keeps its tasks, gets no new ones.
    Pause,
    /// Its tasks move elsewhere.
    Drain,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeStatus {
    /// Added, no session yet.
    #[default]
    Unknown,
    Ready,
    Down,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDescription {
    /// Version of the minicloud binary.
    pub version: String,
    pub os: String,
    pub arch: String,
    /// Memory of the machine, in bytes.
    pub memory_bytes: u64,
    /// Cores of the machine, in thousandths.
    pub cpu_millis: u32,
    /// Where the node listens for published ports.
    #[serde(default)]
    pub ingress: Option<std::net::IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub id: NodeId,
    pub hostname: String,
    pub role: Role,
    pub availability: Availability,
    pub status: NodeStatus,
    /// When the status last changed.
    pub status_at: Timestamp,
    /// Where other nodes reach it.
    pub address: SocketAddr,
    #[serde(default)]
    pub labels: Labels,
    #[serde(default)]
    pub description: NodeDescription,
    pub created_at: Timestamp,
    pub version: Index,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    pub id: NetworkId,
    pub spec: NetworkSpec,
    /// `None` until the allocator has chosen.
    pub subnet: Option<Ipv4Net>,
    /// The last address given out; the search for a free one goes on after it, so that an address is not used again soon.
    #[serde(default)]
    pub cursor: Option<Ipv4Addr>,
    pub created_at: Timestamp,
    pub version: Index,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    pub id: VolumeId,
    pub spec: VolumeSpec,
    /// The node that holds the data.
    pub node: Option<NodeId>,
    pub created_at: Timestamp,
    pub version: Index,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    pub id: ServiceId,
    pub spec: Arc<ServiceSpec>,
    #[serde(default)]
    pub previous_spec: Option<Arc<ServiceSpec>>,
    /// Index at which the task template last changed: tasks of an older one are replaced.
    pub template_version: Index,
    /// Virtual address on each of its networks.
    #[serde(default)]
    pub vips: BTreeMap<NetworkId, Ipv4Addr>,
    /// The ports of the spec, with those chosen that were left open.
    #[serde(default)]
    pub ports: Vec<PublishedPort>,
    /// The version for which `vips` and `ports` were allocated; behind `version` until the allocator has run.
    #[serde(default)]
    pub allocated: Index,
    #[serde(default)]
    pub update: Option<UpdateProgress>,
    /// `service rm` was said: its tasks stop, then the row goes.
    #[serde(default)]
    pub removing: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: Index,
}

/// A rolling update under way or ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpdateProgress {
    pub state: UpdateState,
    pub started_at: Timestamp,
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    #[serde(default)]
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateState {
    Updating,
    Paused,
    Completed,
}

/// Where a task stands in its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// Replica number, from 1.
    Replica(u32),
    /// A global service's task on this node.
    Node(NodeId),
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slot::Replica(number) => number.fmt(f),
            Slot::Node(node) => node.fmt(f),
        }
    }
}

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
    pub created_at: Timestamp,
    pub version: Index,
}
