//! Networks.
use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use minicloud_core::command::Command;
use minicloud_core::id::NetworkId;
use minicloud_core::spec::NetworkSpec;
use minicloud_core::state::Network;

use super::State;
use super::error::ApiError;
use super::extract::Body;
use super::types::{Changed, CreateNetwork, Created, ErrorBody, NetworkDetail, NetworkSummary};

const DRIVER: &str = "overlay";
const SCOPE: &str = "cluster";

#[utoipa::path(
    get,
    path = "/v1/networks",
    tag = "networks",
    summary = "Networks",
    responses((status = 200, body = Vec<NetworkSummary>), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn list(api: State) -> Result<Json<Vec<NetworkSummary>>, ApiError> {
    let state = api.read().await?;
    let mut networks: Vec<&Arc<Network>> = state.networks.values().collect();
    networks.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    Ok(Json(networks.into_iter().map(|network| summary(network)).collect()))
}

#[utoipa::path(
    post,
    path = "/v1/networks",
    tag = "networks",
    summary = "Create a network",
    request_body = CreateNetwork,
    responses((status = 200, body = Created), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn create(api: State, Body(request): Body<CreateNetwork>) -> Result<Json<Created>, ApiError> {
    if let Some(driver) = request.driver.filter(|driver| driver != DRIVER) {
        return Err(ApiError::invalid(format!("networks have no driver '{driver}': use {DRIVER}")));
    }
    let id = NetworkId(api.random_id());
    let spec = NetworkSpec {
        name: request.name.clone(),
        labels: request.labels,
        subnet: request.subnet,
        internal: request.internal,
        attachable: request.attachable,
    };
    let applied = api.change(Command::CreateNetwork { id, spec }).await?;
    Ok(Json(Created { id: id.to_string(), name: request.name, index: applied.index, warnings: Vec::new() }))
}

#[utoipa::path(
    get,
    path = "/v1/networks/{network}",
    tag = "networks",
    summary = "One network in full",
    params(("network" = String, Path, description = "Name or id")),
    responses((status = 200, body = NetworkDetail), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn inspect(api: State, Path(name): Path<String>) -> Result<Json<NetworkDetail>, ApiError> {
    let state = api.read().await?;
    let network = state.find_network(&name)?;
    let attached = state.services.values().filter(|service| service.spec.networks.iter().any(|at| at.network == network.id));
    let mut services: Vec<String> = attached.map(|service| service.spec.name.clone()).collect();
    services.sort();
    Ok(Json(NetworkDetail {
        summary: summary(network),
        services,
        tasks: state.tasks.values().filter(|task| task.is_live() && task.addresses.contains_key(&network.id)).count(),
        created_at_ms: network.created_at,
    }))
}

#[utoipa::path(
    delete,
    path = "/v1/networks/{network}",
    tag = "networks",
    summary = "Remove a network that no service uses",
    params(("network" = String, Path, description = "Name or id")),
    responses((status = 200, body = Changed), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn remove(api: State, Path(name): Path<String>) -> Result<Json<Changed>, ApiError> {
    let id = api.read().await?.find_network(&name)?.id;
    let applied = api.change(Command::RemoveNetwork { id }).await?;
    Ok(Json(Changed { index: applied.index, warnings: Vec::new() }))
}

fn summary(network: &Network) -> NetworkSummary {
    NetworkSummary {
        id: network.id,
        name: network.spec.name.clone(),
        driver: DRIVER.to_owned(),
        scope: SCOPE.to_owned(),
        subnet: network.subnet,
        internal: network.spec.internal,
        attachable: network.spec.attachable,
        labels: network.spec.labels.clone(),
    }
}
