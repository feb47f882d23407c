//! Tasks, newest first within their slot, with what their nodes know of them beyond the state.
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use minicloud_core::id::NodeId;
use minicloud_core::state::{ClusterState, NodeStatus, Service, Slot, Task};
use minicloud_core::view::host_ports;

use super::error::ApiError;
use super::types::{ErrorBody, TaskSummary};
use super::{Context, State, node, service};
use crate::usage::{Query, QueryAnswer, UnboundPort};

#[utoipa::path(
    get,
    path = "/v1/tasks",
    tag = "tasks",
    summary = "Tasks",
    responses((status = 200, body = Vec<TaskSummary>), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn list(api: State) -> Result<Json<Vec<TaskSummary>>, ApiError> {
    let state = api.read().await?;
    summaries(&api, &state, state.tasks.values().cloned().collect()).await
}

#[utoipa::path(
    get,
    path = "/v1/tasks/{task}",
    tag = "tasks",
    summary = "One task",
    params(("task" = String, Path, description = "Id, or `service.slot`")),
    responses((status = 200, body = TaskSummary), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn inspect(api: State, Path(name): Path<String>) -> Result<Json<TaskSummary>, ApiError> {
    let state = api.read().await?;
    let task = Arc::clone(state.find_task(&name)?);
    let Json(mut summaries) = summaries(&api, &state, vec![task]).await?;
    summaries.pop().map(Json).ok_or_else(|| ApiError::not_found(format!("no task '{name}'")))
}

#[utoipa::path(
    get,
    path = "/v1/services/{service}/tasks",
    tag = "tasks",
    summary = "Tasks of a service, past ones too",
    params(("service" = String, Path, description = "Name or id")),
    responses((status = 200, body = Vec<TaskSummary>), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn of_service(api: State, Path(name): Path<String>) -> Result<Json<Vec<TaskSummary>>, ApiError> {
    let state = api.read().await?;
    let service = service::find_any(&state, &name)?;
    summaries(&api, &state, state.tasks_of_service(service.id).cloned().collect()).await
}

#[utoipa::path(
    get,
    path = "/v1/nodes/{node}/tasks",
    tag = "tasks",
    summary = "Tasks of a node",
    params(("node" = String, Path, description = "Id, hostname, or `self`")),
    responses((status = 200, body = Vec<TaskSummary>), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn of_node(api: State, Path(name): Path<String>) -> Result<Json<Vec<TaskSummary>>, ApiError> {
    let state = api.read().await?;
    let node = node::find(&api, &state, &name)?;
    summaries(&api, &state, state.tasks_of_node(node.id).cloned().collect()).await
}

async fn summaries(api: &Context, state: &ClusterState, mut tasks: Vec<Arc<Task>>) -> Result<Json<Vec<TaskSummary>>, ApiError> {
    let service_name = |task: &Task| state.services.get(&task.service).map(|service| service.spec.name.clone());
    tasks.sort_by_cached_key(|task| (service_name(task), task.slot, std::cmp::Reverse((task.created, task.id))));
    let unbound = unbound_ports(api, state, &tasks).await;
    Ok(Json(tasks.iter().map(|task| summary(state, task, &unbound)).collect()))
}

/// Ports that nodes could not bind. Nobody is asked when none of the services publishes any.
async fn unbound_ports(api: &Context, state: &ClusterState, tasks: &[Arc<Task>]) -> BTreeMap<NodeId, Vec<UnboundPort>> {
    let publishes = |service: &Service| !service.ports.is_empty();
    let nodes =
        tasks.iter().filter(|task| task.is_running() && state.services.get(&task.service).is_some_and(|service| publishes(service)));
    let nodes = nodes.filter_map(|task| task.node);
    ports_of(api, state, nodes).await
}

/// Ports that these nodes could not bind.
pub async fn ports_of(api: &Context, state: &ClusterState, nodes: impl Iterator<Item = NodeId>) -> BTreeMap<NodeId, Vec<UnboundPort>> {
    let live = |node: &NodeId| state.nodes.get(node).is_some_and(|node| node.status == NodeStatus::Ready);
    let answers = api.ask(nodes.filter(live).map(|node| (node, Query::Ports)).collect()).await;
    let ports = answers.into_iter().filter_map(|(node, answer)| match answer {
        QueryAnswer::Ports(ports) => Some((node, ports)),
        _ => None,
    });
    ports.collect()
}

fn summary(state: &ClusterState, task: &Task, unbound: &BTreeMap<NodeId, Vec<UnboundPort>>) -> TaskSummary {
    let service = state.services.get(&task.service);
    let ingress = state.ingress_network();
    let own_networks = task.addresses.iter().filter(|(network, _)| Some(**network) != ingress);
    let network_name = |id| state.networks.get(id).map(|network| network.spec.name.clone());
    let networks: BTreeMap<_, _> = own_networks.filter_map(|(id, address)| Some((network_name(id)?, *address))).collect();
    TaskSummary {
        id: task.id,
        name: state.task_name(task),
        slot: slot_number(task.slot),
        image: task.template.image.name.clone(),
        node: node_name(state, task.node),
        desired_state: task.desired,
        current_state: task.status.state,
        error: error_of(task, unbound),
        addresses: networks.values().copied().collect(),
        networks,
        node_id: task.node,
        ports: service.filter(|_| task.is_running()).map(|service| host_ports(service, task)).unwrap_or_default(),
        service: service.map_or_else(|| task.service.to_string(), |service| service.spec.name.clone()),
        since_ms: task.status.at,
        exit_code: task.status.exit_code,
        health: task.status.health,
        backtrace: task.status.backtrace.clone(),
    }
}

fn error_of(task: &Task, unbound: &BTreeMap<NodeId, Vec<UnboundPort>>) -> String {
    let here = task.node.and_then(|node| unbound.get(&node)).filter(|_| task.is_running());
    let own = |port: &&UnboundPort| port.service == task.service && port.task.is_none_or(|id| id == task.id);
    let ports = here.into_iter().flatten().filter(own).map(|port| format!("port {} is not open on this node: {}", port.listen, port.error));
    let mut problems: Vec<String> = Some(task.status.message.clone()).into_iter().filter(|message| !message.is_empty()).collect();
    problems.extend(ports.filter(|port| !task.status.message.contains(port.as_str())));
    problems.join("; ")
}

/// Replica number; a global service's task has none.
pub fn slot_number(slot: Slot) -> Option<u32> {
    match slot {
        Slot::Replica(number) => Some(number),
        Slot::Node(_) => None,
    }
}

/// Hostname of a node, with its id where several nodes have that hostname; only the id when the node was removed.
pub fn node_name(state: &ClusterState, node: Option<NodeId>) -> Option<String> {
    let id = node?;
    let Some(node) = state.nodes.get(&id) else { return Some(id.to_string()) };
    let shared = state.nodes.values().any(|other| other.id != id && other.hostname.eq_ignore_ascii_case(&node.hostname));
    Some(if shared { format!("{} ({id})", node.hostname) } else { node.hostname.clone() })
}
