//! What each node needs to know, as a function of the state: its assignments, routes and names.
//!
//! A view is stamped with the index it was made from. It is sent whole first, then as deltas.
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use imbl::OrdMap;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::id::{Index, NetworkId, NodeId, ServiceId, TaskId, VolumeId};
use crate::spec::{EndpointMode, PublishedPort, TaskTemplate};
use crate::state::{Role, Slot};
use crate::task::TaskState;

mod build;
mod delta;

pub use build::{assignment, assignment_from, endpoints, endpoints_from, host_ports, node_view, node_view_from, routes, routes_from};
pub use delta::{ViewMismatch, delta};

/// What one node is told. The tasks are its own; all else is the same for every node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeView {
    pub index: Index,
    pub tasks: OrdMap<TaskId, Arc<AssignedTask>>,
    pub routes: Routes,
    pub nodes: OrdMap<NodeId, Arc<NodeEndpoint>>,
}

/// Who can be reached under which name and address. Names and routes are one table, so they never disagree.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routes {
    pub index: Index,
    pub networks: OrdMap<NetworkId, Arc<NetworkRoute>>,
    pub services: OrdMap<ServiceId, Arc<ServiceRoute>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkRoute {
    pub id: NetworkId,
    pub name: String,
    pub subnet: Ipv4Net,
    pub internal: bool,
    pub attachable: bool,
    /// The built-in network over which published ports reach tasks.
    pub ingress: bool,
    /// The built-in network that leads out of the cluster.
    pub egress: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceRoute {
    pub id: ServiceId,
    pub name: String,
    pub endpoint_mode: EndpointMode,
    pub vips: BTreeMap<NetworkId, Ipv4Addr>,
    /// Further names, by network; every network of the service has an entry.
    pub aliases: BTreeMap<NetworkId, Vec<String>>,
    pub ports: Vec<PublishedPort>,
    /// Running tasks that are to stay, ordered by task id.
    pub backends: Vec<Backend>,
    /// Tasks are wanted, so a connection may wait for one.
    pub expects_tasks: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backend {
    pub task: TaskId,
    pub slot: Slot,
    pub node: NodeId,
    pub addresses: BTreeMap<NetworkId, Ipv4Addr>,
}

/// A task as its agent is told to keep it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssignedTask {
    pub id: TaskId,
    pub service: ServiceId,
    pub service_name: String,
    pub slot: Slot,
    pub hostname: String,
    pub template: Arc<TaskTemplate>,
    pub desired: TaskState,
    /// Not to be started before this time, in ms since the epoch.
    pub start_at_ms: Option<u64>,
    pub addresses: BTreeMap<NetworkId, Ipv4Addr>,
    /// Ids of the volumes that the template mounts by name.
    pub volumes: BTreeMap<String, VolumeId>,
    /// Ports of mode host that this task binds on its node.
    pub host_ports: Vec<PublishedPort>,
    /// Index at which what is wanted of it last changed: a stop waits until all live nodes have seen that.
    pub version: Index,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEndpoint {
    pub id: NodeId,
    pub hostname: String,
    pub role: Role,
    pub address: SocketAddr,
    /// Ready: has a session and beats.
    pub live: bool,
}

/// From one view to a later one: rows put and rows dropped. A full view is a delta from the empty one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ViewDelta {
    /// The view this applies to; `Index(0)`: the empty one.
    pub from: Index,
    pub to: Index,
    pub tasks_put: Vec<Arc<AssignedTask>>,
    pub tasks_dropped: Vec<TaskId>,
    pub networks_put: Vec<Arc<NetworkRoute>>,
    pub networks_dropped: Vec<NetworkId>,
    pub services_put: Vec<Arc<ServiceRoute>>,
    pub services_dropped: Vec<ServiceId>,
    pub nodes_put: Vec<Arc<NodeEndpoint>>,
    pub nodes_dropped: Vec<NodeId>,
}
