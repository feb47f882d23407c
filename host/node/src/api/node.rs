//! Member nodes.
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use minicloud_core::command::{Command, NodeChange};
use minicloud_core::id::NodeId;
use minicloud_core::state::{ClusterState, Node, NodeStatus, Role};
use tokio::time::timeout;

use super::cluster::{Force, status_of};
use super::error::ApiError;
use super::extract::{Body, Params};
use super::types::{Changed, ErrorBody, ManagerStatus, NodeDetail, NodeSummary};
use super::{Context, State};
use crate::cluster::Cluster;
use crate::limits::PROMOTION_WAIT;

#[utoipa::path(
    get,
    path = "/v1/nodes",
    tag = "nodes",
    summary = "Members of the cluster",
    responses((status = 200, body = Vec<NodeSummary>), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn list(api: State) -> Result<Json<Vec<NodeSummary>>, ApiError> {
    let state = api.read().await?;
    let managers = managers(&api).await?;
    Ok(Json(state.nodes.values().map(|node| summary(&api, node, &managers)).collect()))
}

#[utoipa::path(
    get,
    path = "/v1/nodes/{node}",
    tag = "nodes",
    summary = "One member in full",
    params(("node" = String, Path, description = "Id, hostname, or `self`")),
    responses((status = 200, body = NodeDetail), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn inspect(api: State, Path(name): Path<String>) -> Result<Json<NodeDetail>, ApiError> {
    let state = api.read().await?;
    let node = find(&api, &state, &name)?;
    Ok(Json(NodeDetail {
        summary: summary(&api, node, &managers(&api).await?),
        labels: node.labels.clone(),
        description: node.description.clone(),
        status_at_ms: node.status_at,
        created_at_ms: node.created_at,
        tasks_running: state.tasks_of_node(node.id).filter(|task| task.is_running()).count(),
        version: node.version,
    }))
}

#[utoipa::path(
    patch,
    path = "/v1/nodes/{node}",
    tag = "nodes",
    summary = "Change availability, role or labels",
    params(("node" = String, Path, description = "Id, hostname, or `self`")),
    request_body = NodeChange,
    responses((status = 200, body = Changed), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn update(api: State, Path(name): Path<String>, Body(change): Body<NodeChange>) -> Result<Json<Changed>, ApiError> {
    match change.role {
        Some(Role::Worker) => step_down(&api, &name, change).await,
        Some(Role::Manager) => promoted(&api, &name, change).await,
        None => apply(&api, &name, change).await,
    }
}

#[utoipa::path(
    post,
    path = "/v1/nodes/{node}/promote",
    tag = "nodes",
    summary = "Make a worker a manager",
    params(("node" = String, Path, description = "Id, hostname, or `self`")),
    responses((status = 200, body = Changed), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn promote(api: State, Path(name): Path<String>) -> Result<Json<Changed>, ApiError> {
    promoted(&api, &name, NodeChange { role: Some(Role::Manager), ..NodeChange::default() }).await
}

#[utoipa::path(
    post,
    path = "/v1/nodes/{node}/demote",
    tag = "nodes",
    summary = "Make a manager a worker",
    params(("node" = String, Path, description = "Id, hostname, or `self`")),
    responses((status = 200, body = Changed), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn demote(api: State, Path(name): Path<String>) -> Result<Json<Changed>, ApiError> {
    step_down(&api, &name, NodeChange { role: Some(Role::Worker), ..NodeChange::default() }).await
}

#[utoipa::path(
    delete,
    path = "/v1/nodes/{node}",
    tag = "nodes",
    summary = "Remove a worker that is down",
    params(("node" = String, Path, description = "Id, hostname, or `self`"), Force),
    responses((status = 200, body = Changed), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn remove(api: State, Path(name): Path<String>, Params(Force { force }): Params<Force>) -> Result<Json<Changed>, ApiError> {
    let state = api.read().await?;
    let node = find(&api, &state, &name)?.id;
    done(api.change(Command::RemoveNode { node, force }).await?.index)
}

/// A node by id, by hostname, or `self`.
pub fn find<'a>(api: &Context, state: &'a ClusterState, name: &str) -> Result<&'a Node, ApiError> {
    if name == "self" {
        let own = state.nodes.get(&api.own_id());
        return own.map(|node| &**node).ok_or_else(|| ApiError::not_found("this node was removed from the cluster"));
    }
    Ok(state.find_node(name)?)
}

async fn apply(api: &Context, name: &str, change: NodeChange) -> Result<Json<Changed>, ApiError> {
    let state = api.read().await?;
    let node = find(api, &state, name)?;
    if change.role == Some(node.role) && change == (NodeChange { role: change.role, ..NodeChange::default() }) {
        return Err(ApiError::conflict(format!("node {} is a {} already", node.hostname, node.role)));
    }
    done(api.change(Command::UpdateNode { node: node.id, change }).await?.index)
}

async fn promoted(api: &Context, name: &str, change: NodeChange) -> Result<Json<Changed>, ApiError> {
    let node = find(api, &api.read().await?, name)?.id;
    let mut changed = apply(api, name, change).await?;
    changed.0.warnings = wait_until_it_votes(api, node).await?;
    Ok(changed)
}

/// What would cost the quorum is refused before anything changed.
async fn step_down(api: &Context, name: &str, change: NodeChange) -> Result<Json<Changed>, ApiError> {
    let (state, cluster) = (api.read().await?, api.cluster()?);
    let node = find(api, &state, name)?;
    if node.role == Role::Worker {
        return apply(api, name, change).await;
    }
    if state.managers() == 1 {
        let name = &node.hostname;
        let message = format!("node {name} is the last manager; promote another with 'minicloud node promote NODE' first");
        return Err(ApiError::conflict(message));
    }
    let rest = NodeChange { role: None, ..change };
    if rest != NodeChange::default() {
        api.change(Command::UpdateNode { node: node.id, change: rest }).await?;
    }
    let index = tokio::select! {
        biased;
        demoted = cluster.demote(node.id) => demoted?,
        // This very node: it may lay its part down before it hears that it should.
        () = cluster.ended(), if node.id == api.own_id() => cluster.state().index,
    };
    done(index)
}

/// Waits until a promoted node votes. What keeps it from that is no failure: it is a manager from now on.
///
/// A node that has just joined is waited for, as its session is about to come; one that is down is not.
async fn wait_until_it_votes(api: &Context, node: NodeId) -> Result<Vec<String>, ApiError> {
    let cluster = api.cluster()?;
    let voting = async {
        tokio::select! {
            () = cluster.wait_voter(node) => true,
            () = wait_until_down(&cluster, node) => false,
        }
    };
    if timeout(PROMOTION_WAIT, voting).await.unwrap_or(false) {
        return Ok(Vec::new());
    }
    let Some(row) = cluster.state().nodes.get(&node).cloned() else { return Ok(Vec::new()) };
    Ok(vec![format!("node {} does not take part yet: it does as soon as it answers, see 'minicloud node ls'", row.hostname)])
}

/// Returns once a node is down or no member any more.
async fn wait_until_down(cluster: &Cluster, node: NodeId) {
    let mut changes = cluster.changes();
    loop {
        changes.borrow_and_update();
        let down = cluster.state().nodes.get(&node).is_none_or(|row| row.status == NodeStatus::Down);
        // An error says that the state is gone.
        if down || changes.changed().await.is_err() {
            return;
        }
    }
}

fn done(index: minicloud_core::id::Index) -> Result<Json<Changed>, ApiError> {
    Ok(Json(Changed { index, warnings: Vec::new() }))
}

async fn managers(api: &Context) -> Result<BTreeMap<NodeId, ManagerStatus>, ApiError> {
    let managers = api.cluster()?.managers().await;
    Ok(managers.iter().map(|manager| (manager.node, status_of(manager))).collect())
}

fn summary(api: &Context, node: &Node, managers: &BTreeMap<NodeId, ManagerStatus>) -> NodeSummary {
    NodeSummary {
        id: node.id,
        hostname: node.hostname.clone(),
        is_self: node.id == api.own_id(),
        status: node.status,
        availability: node.availability,
        role: node.role,
        manager_status: managers.get(&node.id).copied().filter(|_| node.role == Role::Manager),
        address: node.address,
    }
}
