//! What the replicated log holds: requests of users, reports of nodes, and the leader's plans.
//!
//! `state::ClusterState::apply` is the only reader that matters. A command carries everything it decides:
//! ids, addresses and times are chosen before it is proposed.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::net::SocketAddr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::id::{ClusterId, FileId, Index, NetworkId, NodeId, RequestKey, ServiceId, Slot, TaskId, VolumeId};
use crate::spec::{
    Availability, FileSpec, Fingerprint, Labels, NetworkSpec, NodeDescription, NodeStatus, PublishedPort, Role, ServiceSpec, TaskTemplate,
    UpdateProgress, VolumeSpec,
};
use crate::task::{TaskState, TaskStatus};
use crate::time::Timestamp;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The proposer's clock; what the command creates is dated so.
    pub at: Timestamp,
    /// Set by forwarders and clients that may send the same request twice.
    #[serde(default)]
    pub key: Option<RequestKey>,
    pub command: Command,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// The first entry: founds the cluster.
    CreateCluster(NewCluster),
    /// Replaces the hash of one role's join secret.
    RotateJoinSecret {
        role: Role,
        secret_hash: [u8; 32],
    },
    /// Adds a member; its id is this entry's index.
    AddNode {
        hostname: String,
        role: Role,
        availability: Availability,
        address: SocketAddr,
    },
    UpdateNode {
        node: NodeId,
        change: NodeChange,
    },
    /// What a node says of itself when its session starts.
    DescribeNode {
        node: NodeId,
        hostname: String,
        address: SocketAddr,
        description: NodeDescription,
    },
    /// The leader saw nodes come and go.
    SetNodeStatus {
        nodes: BTreeMap<NodeId, NodeStatus>,
    },
    RemoveNode {
        node: NodeId,
        force: bool,
    },

    CreateNetwork {
        id: NetworkId,
        spec: NetworkSpec,
    },
    RemoveNetwork {
        id: NetworkId,
    },
    CreateVolume {
        id: VolumeId,
        spec: VolumeSpec,
    },
    RemoveVolume {
        id: VolumeId,
    },
    /// A node has removed the data of volumes that were to go.
    ForgetVolumes {
        node: NodeId,
        volumes: Vec<VolumeId>,
    },

    /// Secrets are sealed with this key. `replaces`: the one before, which must be that still and have sealed nothing.
    SetSealKey {
        fingerprint: Fingerprint,
        #[serde(default)]
        replaces: Option<Fingerprint>,
    },
    /// Adds a secret or config.
    CreateFile {
        id: FileId,
        spec: FileSpec,
    },
    /// Sets the labels of a secret or config, which is all that may change of one.
    LabelFile {
        id: FileId,
        labels: Labels,
    },
    RemoveFile {
        id: FileId,
    },

    CreateService {
        id: ServiceId,
        spec: Box<ServiceSpec>,
    },
    /// `version`: the row's version that the change was made from; another one is refused.
    UpdateService {
        id: ServiceId,
        version: Index,
        spec: Box<ServiceSpec>,
    },
    /// Back to the previous spec. `version` as for `UpdateService`.
    RollbackService {
        id: ServiceId,
        version: Index,
    },
    /// Sets the number of replicas of all of them, or of none.
    ScaleServices {
        replicas: BTreeMap<ServiceId, u32>,
    },
    RemoveService {
        id: ServiceId,
    },

    /// A node's tasks as they are; sent by its agent in batches.
    ReportStatus {
        node: NodeId,
        tasks: Vec<(TaskId, TaskStatus)>,
    },
    /// What `plan` decided. A change whose precondition no longer holds is skipped and counted.
    ApplyPlan {
        changes: Vec<Change>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewCluster {
    pub id: ClusterId,
    /// PEM of the cluster's certificate authority.
    pub ca_certificate: String,
    /// PEM of its key. Only managers hold the log.
    pub ca_key: String,
    pub worker_secret_hash: [u8; 32],
    pub manager_secret_hash: [u8; 32],
    /// Subnets of new networks are cut from this.
    pub address_pool: Ipv4Net,
    /// The ids of the two networks that every cluster has.
    pub ingress_network: NetworkId,
    pub egress_network: NetworkId,
}

/// A change of one node by its operator. `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeChange {
    #[serde(default)]
    pub availability: Option<Availability>,
    #[serde(default)]
    pub role: Option<Role>,
    #[serde(default)]
    pub labels_add: Labels,
    #[serde(default)]
    pub labels_remove: Vec<String>,
}

/// One decision of `plan`, with what must still hold when it is applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// The network gets its subnet. Holds while it has none and the subnet is free.
    SetSubnet {
        network: NetworkId,
        subnet: Ipv4Net,
    },
    /// Virtual addresses and chosen ports. Holds while the service is at `version` and they are free.
    SetEndpoint {
        service: ServiceId,
        version: Index,
        vips: BTreeMap<NetworkId, Ipv4Addr>,
        ports: Vec<PublishedPort>,
    },
    /// A new task in a slot. Holds while the service exists at `version` and is not being removed.
    CreateTask(Box<NewTask>),
    /// The task gets its addresses and becomes `pending`. Holds while it is `new`.
    SetAddresses {
        task: TaskId,
        addresses: BTreeMap<NetworkId, Ipv4Addr>,
    },
    /// The task gets its node. Holds while it is `pending`, the node is ready and active, and every volume it mounts is free or there.
    AssignTask {
        task: TaskId,
        node: NodeId,
    },
    /// Raises what is wanted of the task; never lowers it.
    SetDesired {
        task: TaskId,
        desired: TaskState,
    },
    /// The leader's own word on a task that no agent will report: `orphaned`, or `shutdown` before it was assigned.
    SetObserved {
        task: TaskId,
        status: TaskStatus,
    },
    /// Why the task waits, for `service ps`. Holds while it is unassigned.
    SetWaiting {
        task: TaskId,
        reason: String,
    },
    /// Forgets a finished task. Holds while it runs nowhere.
    RemoveTask {
        task: TaskId,
    },
    /// Forgets a service that is being removed and has no tasks left.
    RemoveService {
        service: ServiceId,
    },
    /// A volume is bound to the node of the first task that mounts it. Holds while it is unbound.
    BindVolume {
        volume: VolumeId,
        node: NodeId,
    },
    CreateVolume {
        volume: VolumeId,
        spec: VolumeSpec,
    },
    /// Progress of a rolling update.
    SetUpdate {
        service: ServiceId,
        version: Index,
        update: UpdateProgress,
    },
    /// A failed update goes back to the previous spec. Holds while the service is at `version` and that spec still fits.
    UndoUpdate {
        service: ServiceId,
        version: Index,
        message: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewTask {
    pub id: TaskId,
    pub service: ServiceId,
    /// The service's version that the template was taken from.
    pub version: Index,
    pub slot: Slot,
    pub template: std::sync::Arc<TaskTemplate>,
    pub desired: TaskState,
    /// Not to be started before this time (restart delay).
    #[serde(default)]
    pub start_at: Option<Timestamp>,
    /// How often this slot failed in a row before.
    #[serde(default)]
    pub failures: u32,
    /// Restarts of this slot in the window of its restart policy, this one included.
    #[serde(default)]
    pub restarts: u32,
    /// When that window began.
    #[serde(default)]
    pub restarts_since: Option<Timestamp>,
}

/// What a command did. A rejection changed nothing.
pub type Outcome = Result<Applied, Rejection>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// Where in the log the command stands; every view at or past it shows the change.
    pub index: Index,
    /// The node that `AddNode` added.
    #[serde(default)]
    pub node: Option<NodeId>,
    /// Changes of a plan that no longer held.
    #[serde(default)]
    pub skipped: u32,
}

/// Why a command was refused: one clear line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Invalid(String),
    /// Made from an older version; read again and retry.
    #[error("{0}")]
    Stale(String),
}
