//! Views from the state. Each builder has a twin that takes the previous view and keeps the rows that are equal,
//! so that what did not change is shared and a delta finds it by comparing pointers.
use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;

use crate::id::{NetworkId, NodeId, TaskId, VolumeId};
use crate::spec::{PublishMode, PublishedPort};
use crate::state::{ClusterState, Network, Node, NodeStatus, Service, Task};

use super::{AssignedTask, Backend, NetworkRoute, NodeEndpoint, NodeView, Routes, ServiceRoute};

/// All that `node` is told.
pub fn node_view(state: &ClusterState, node: NodeId) -> NodeView {
    node_view_from(&NodeView::default(), state, node)
}

/// As [`node_view`], sharing with `previous` what is equal. Build the routes and endpoints once for all nodes with
/// [`routes_from`] and [`endpoints_from`] where there are several.
pub fn node_view_from(previous: &NodeView, state: &ClusterState, node: NodeId) -> NodeView {
    NodeView {
        index: state.index,
        tasks: assignment_from(&previous.tasks, state, node),
        routes: routes_from(&previous.routes, state),
        nodes: endpoints_from(&previous.nodes, state),
    }
}

/// Who can be reached, and how: the same for every node.
pub fn routes(state: &ClusterState) -> Routes {
    routes_from(&Routes::default(), state)
}

pub fn routes_from(previous: &Routes, state: &ClusterState) -> Routes {
    let networks = state.networks.values().filter_map(|network| network_route(state, network));
    let services = state.services.values().filter(|service| !service.removing).map(|service| service_route(state, service));
    Routes {
        index: state.index,
        networks: share(&previous.networks, networks.map(|row| (row.id, row))),
        services: share(&previous.services, services.map(|row| (row.id, row))),
    }
}

/// What `node` is told to run or to stop.
pub fn assignment(state: &ClusterState, node: NodeId) -> OrdMap<TaskId, Arc<AssignedTask>> {
    assignment_from(&OrdMap::new(), state, node)
}

pub fn assignment_from(
    previous: &OrdMap<TaskId, Arc<AssignedTask>>,
    state: &ClusterState,
    node: NodeId,
) -> OrdMap<TaskId, Arc<AssignedTask>> {
    let volumes = state.volumes.values().filter(|volume| !volume.removing);
    let volumes = volumes.map(|volume| (volume.spec.name.as_str(), volume.id)).collect();
    let tasks = state.tasks_of_node(node).filter(|task| !task.status.state.is_final());
    let rows = tasks.map(|task| (task.id, assigned_task(state, task, &volumes)));
    share(previous, rows)
}

/// Every node, and where it is reached.
pub fn endpoints(state: &ClusterState) -> OrdMap<NodeId, Arc<NodeEndpoint>> {
    endpoints_from(&OrdMap::new(), state)
}

pub fn endpoints_from(previous: &OrdMap<NodeId, Arc<NodeEndpoint>>, state: &ClusterState) -> OrdMap<NodeId, Arc<NodeEndpoint>> {
    share(previous, state.nodes.values().map(|node| (node.id, node_endpoint(node))))
}

/// The rows as a map: `previous` with what differs put and what is gone dropped.
fn share<K: Copy + Ord, V: PartialEq>(previous: &OrdMap<K, Arc<V>>, rows: impl Iterator<Item = (K, V)>) -> OrdMap<K, Arc<V>> {
    let mut map = previous.clone();
    let mut kept = Vec::with_capacity(previous.len());
    for (key, row) in rows {
        if previous.get(&key).is_none_or(|old| **old != row) {
            map.insert(key, Arc::new(row));
        }
        kept.push(key);
    }
    if map.len() != kept.len() {
        kept.sort_unstable();
        let gone: Vec<K> = map.keys().filter(|key| kept.binary_search(key).is_err()).copied().collect();
        for key in gone {
            map.remove(&key);
        }
    }
    map
}

fn network_route(state: &ClusterState, network: &Network) -> Option<NetworkRoute> {
    let built_in = state.cluster.as_ref().map(|cluster| (cluster.founding.ingress_network, cluster.founding.egress_network));
    Some(NetworkRoute {
        id: network.id,
        name: network.spec.name.clone(),
        subnet: network.subnet?,
        internal: network.spec.internal,
        attachable: network.spec.attachable,
        ingress: built_in.is_some_and(|(ingress, _)| ingress == network.id),
        egress: built_in.is_some_and(|(_, egress)| egress == network.id),
    })
}

fn service_route(state: &ClusterState, service: &Service) -> ServiceRoute {
    let aliases = service.spec.networks.iter().map(|at| (at.network, at.aliases.clone()));
    let mut backends: Vec<Backend> = state.tasks_of_service(service.id).filter_map(|task| backend(state, task)).collect();
    backends.sort_unstable_by_key(|backend| backend.task);
    ServiceRoute {
        id: service.id,
        name: service.spec.name.clone(),
        endpoint_mode: service.spec.endpoint_mode,
        vips: service.vips.clone(),
        aliases: aliases.collect::<BTreeMap<NetworkId, Vec<String>>>(),
        ports: service.ports.clone(),
        backends,
        expects_tasks: state.expects_tasks(service),
    }
}

fn backend(state: &ClusterState, task: &Task) -> Option<Backend> {
    let node = task.node.filter(|_| state.serves(task))?;
    Some(Backend { task: task.id, slot: task.slot, node, addresses: task.addresses.clone() })
}

fn assigned_task(state: &ClusterState, task: &Task, volumes: &BTreeMap<&str, VolumeId>) -> AssignedTask {
    let service = state.services.get(&task.service);
    let service_name = service.map_or_else(|| task.service.to_string(), |service| service.spec.name.clone());
    let bound = task.template.volumes().filter_map(|name| Some((name.clone(), *volumes.get(name.as_str())?)));
    AssignedTask {
        id: task.id,
        service: task.service,
        slot: task.slot,
        hostname: task.template.hostname.clone().unwrap_or_else(|| format!("{service_name}-{}", task.slot)),
        service_name,
        template: Arc::clone(&task.template),
        desired: task.desired,
        start_at_ms: task.start_at.map(|at| at.0),
        addresses: task.addresses.clone(),
        volumes: bound.collect(),
        host_ports: service.map_or_else(Vec::new, |service| host_ports(service, task)),
        version: task.desired_at,
    }
}

/// Ports that this task binds on its node. None while it is of an older template than its service.
pub fn host_ports(service: &Service, task: &Task) -> Vec<PublishedPort> {
    let current = task.template_version == service.template_version;
    let ports = service.ports.iter().filter(|port| port.mode == PublishMode::Host && current);
    ports.copied().collect()
}

fn node_endpoint(node: &Node) -> NodeEndpoint {
    NodeEndpoint {
        id: node.id,
        hostname: node.hostname.clone(),
        role: node.role,
        address: node.address,
        live: node.status == NodeStatus::Ready,
    }
}
