//! The cluster and this node as a whole.
use axum::Json;
use axum::extract::Path;
use minicloud_core::state::{ClusterState, NodeStatus, Role};
use serde::Deserialize;
use tokio::time::timeout;
use tracing::warn;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::Params;
use super::types::{ErrorBody, Info, JoinToken, LeaderSummary, ManagerStatus, ManagerSummary, Version};
use super::{Context, State};
use crate::cluster::{Cluster, ManagerStatus as Standing};
use crate::limits::PROPOSE_TIMEOUT;
use crate::token::Token;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const API_VERSION: &str = "1";

#[utoipa::path(
    get,
    path = "/v1/version",
    tag = "cluster",
    summary = "The versions of this node and its API",
    responses((status = 200, body = Version))
)]
pub async fn version() -> Json<Version> {
    Json(Version {
        version: VERSION.to_owned(),
        api_version: API_VERSION.to_owned(),
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
    })
}

/// Answers without a leader too: it is what one looks at when something is wrong.
#[utoipa::path(
    get,
    path = "/v1/info",
    tag = "cluster",
    summary = "This node, and the cluster as it knows it",
    responses((status = 200, body = Info))
)]
pub async fn info(api: State) -> Json<Info> {
    let local = api.peers.local();
    let mut info = Info {
        node_id: local.node(),
        hostname: api.hostname.clone(),
        role: local.role(),
        cluster_id: local.cluster(),
        leader: None,
        managers: Vec::new(),
        nodes: 0,
        nodes_ready: 0,
        services: None,
        tasks_running: None,
        address: local.address(),
        listen_address: api.addresses.listen,
        ingress_address: api.addresses.ingress,
        dns_address: api.dns.clone().unwrap_or_default(),
        dns_problem: api.dns.clone().err(),
        data_dir: api.data_dir.clone(),
        pid: std::process::id(),
        version: VERSION.to_owned(),
    };
    match api.cluster.get() {
        Some(cluster) => tell_cluster(&mut info, &cluster).await,
        None => tell_view(&mut info, &api),
    }
    Json(info)
}

async fn tell_cluster(info: &mut Info, cluster: &Cluster) {
    let (state, managers) = (cluster.state(), cluster.managers().await);
    let leadership = *cluster.leadership().borrow();
    info.leader = leadership.leader.and_then(|leader| {
        let node = state.nodes.get(&leader)?;
        Some(LeaderSummary { id: leader, hostname: node.hostname.clone(), address: node.address, term: leadership.term })
    });
    info.managers = managers.iter().map(|manager| manager_summary(&state, manager)).collect();
    info.nodes = state.nodes.len();
    info.nodes_ready = state.nodes.values().filter(|node| node.status == NodeStatus::Ready).count();
    info.services = Some(state.services.values().filter(|service| !service.removing).count());
    info.tasks_running = Some(state.tasks.values().filter(|task| task.is_running()).count());
}

fn manager_summary(state: &ClusterState, manager: &Standing) -> ManagerSummary {
    let hostname = state.nodes.get(&manager.node).map(|node| node.hostname.clone());
    ManagerSummary {
        id: manager.node,
        hostname: hostname.unwrap_or_else(|| manager.node.to_string()),
        address: manager.address,
        status: Some(status_of(manager)),
    }
}

pub fn status_of(manager: &Standing) -> ManagerStatus {
    match (manager.leader, manager.reachable) {
        (true, _) => ManagerStatus::Leader,
        (false, true) => ManagerStatus::Reachable,
        (false, false) => ManagerStatus::Unreachable,
    }
}

fn tell_view(info: &mut Info, api: &Context) {
    let view = api.session.view();
    let view = view.borrow();
    let managers = view.nodes.values().filter(|node| node.role == Role::Manager);
    let summary = |node: &std::sync::Arc<minicloud_core::view::NodeEndpoint>| ManagerSummary {
        id: node.id,
        hostname: node.hostname.clone(),
        address: node.address,
        status: None,
    };
    info.managers = managers.map(summary).collect();
    info.nodes = view.nodes.len();
    info.nodes_ready = view.nodes.values().filter(|node| node.live).count();
}

#[utoipa::path(
    get,
    path = "/v1/join-token/{role}",
    tag = "cluster",
    summary = "The token that lets a node join in a role",
    params(("role" = String, Path, description = "`worker` or `manager`")),
    responses((status = 200, body = JoinToken), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn join_token(api: State, Path(role): Path<String>) -> Result<Json<JoinToken>, ApiError> {
    let role = parse_role(&role)?;
    let token = api.cluster()?.join_token(role).await?;
    Ok(Json(told(&api, role, &token)))
}

#[utoipa::path(
    post,
    path = "/v1/join-token/{role}/rotate",
    tag = "cluster",
    summary = "Replace the token of a role; members stay",
    params(("role" = String, Path, description = "`worker` or `manager`")),
    responses((status = 200, body = JoinToken), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn rotate_join_token(api: State, Path(role): Path<String>) -> Result<Json<JoinToken>, ApiError> {
    let role = parse_role(&role)?;
    let token = api.cluster()?.rotate_join_token(role).await?;
    Ok(Json(told(&api, role, &token)))
}

fn told(api: &Context, role: Role, token: &Token) -> JoinToken {
    JoinToken { role, token: token.to_string(), address: api.peers.local().address() }
}

fn parse_role(text: &str) -> Result<Role, ApiError> {
    match text {
        "manager" => Ok(Role::Manager),
        "worker" => Ok(Role::Worker),
        other => Err(ApiError::invalid(format!("'{other}' is not a role: ask for worker or manager"))),
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Force {
    /// Though it is refused otherwise.
    #[serde(default)]
    pub force: bool,
}

/// Gives the membership up and ends the node. What stays on disk is the caller's to remove.
#[utoipa::path(
    post,
    path = "/v1/leave",
    tag = "cluster",
    summary = "Give the membership up and end this node",
    params(Force),
    responses((status = 200, body = ()), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn leave(api: State, Params(Force { force }): Params<Force>) -> Result<Json<()>, ApiError> {
    if let Some(cluster) = api.cluster.get() {
        let own = api.own_id();
        if !force {
            let hint = match cluster.state().managers() {
                0 | 1 => "it is the last manager, and the cluster ends with it: use --force if that is meant".to_owned(),
                _ => format!("demote it first with 'minicloud node demote {own}', or use --force"),
            };
            return Err(ApiError::conflict(format!("this node is a manager; {hint}")));
        }
        if cluster.state().managers() > 1 {
            resign(&api, &cluster).await;
        }
    }
    api.stop.cancel();
    Ok(Json(()))
}

/// Tells the other managers, as far as they listen.
async fn resign(api: &Context, cluster: &Cluster) {
    let own = api.own_id();
    match timeout(PROPOSE_TIMEOUT, cluster.demote(own)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => warn!(%error, "leaving without the consent of the other managers"),
        Err(_) => warn!("leaving without the consent of the other managers: they do not answer"),
    }
}

/// Ends the node in order. The answer still goes out.
#[utoipa::path(
    post,
    path = "/v1/stop",
    tag = "cluster",
    summary = "End this node in order",
    responses((status = 200, body = ()))
)]
pub async fn stop(api: State) -> Json<()> {
    api.stop.cancel();
    Json(())
}
