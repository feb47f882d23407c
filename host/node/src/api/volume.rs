//! Volumes.
use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use minicloud_core::command::Command;
use minicloud_core::id::VolumeId;
use minicloud_core::spec::VolumeSpec;
use minicloud_core::state::{ClusterState, Volume};
use tokio::time::timeout;

use super::State;
use super::error::ApiError;
use super::extract::Body;
use super::task::node_name;
use super::types::{Changed, CreateVolume, Created, ErrorBody, VolumeDetail, VolumeSummary};
use crate::limits::VOLUME_REMOVAL_WAIT;

const DRIVER: &str = "local";

#[utoipa::path(
    get,
    path = "/v1/volumes",
    tag = "volumes",
    summary = "Volumes",
    responses((status = 200, body = Vec<VolumeSummary>), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn list(api: State) -> Result<Json<Vec<VolumeSummary>>, ApiError> {
    let state = api.read().await?;
    let mut volumes: Vec<&Arc<Volume>> = state.volumes.values().filter(|volume| !volume.removing).collect();
    volumes.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    Ok(Json(volumes.into_iter().map(|volume| summary(&state, volume)).collect()))
}

#[utoipa::path(
    post,
    path = "/v1/volumes",
    tag = "volumes",
    summary = "Create a volume",
    request_body = CreateVolume,
    responses((status = 200, body = Created), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn create(api: State, Body(request): Body<CreateVolume>) -> Result<Json<Created>, ApiError> {
    if let Some(driver) = request.driver.filter(|driver| driver != DRIVER) {
        return Err(ApiError::invalid(format!("volumes have no driver '{driver}': use {DRIVER}")));
    }
    let id = VolumeId(api.random_id());
    let spec = VolumeSpec { name: request.name.clone(), labels: request.labels, node: None };
    let applied = api.change(Command::CreateVolume { id, spec }).await?;
    Ok(Json(Created { id: id.to_string(), name: request.name, index: applied.index, warnings: Vec::new() }))
}

#[utoipa::path(
    get,
    path = "/v1/volumes/{volume}",
    tag = "volumes",
    summary = "One volume in full",
    params(("volume" = String, Path, description = "Name or id")),
    responses((status = 200, body = VolumeDetail), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn inspect(api: State, Path(name): Path<String>) -> Result<Json<VolumeDetail>, ApiError> {
    let state = api.read().await?;
    let volume = state.find_volume(&name)?;
    let mounting = state.services.values().filter(|service| service.spec.task.mounts_volume(&volume.spec.name));
    let mut services: Vec<String> = mounting.map(|service| service.spec.name.clone()).collect();
    services.sort();
    Ok(Json(VolumeDetail { summary: summary(&state, volume), services, created_at_ms: volume.created_at }))
}

#[utoipa::path(
    delete,
    path = "/v1/volumes/{volume}",
    tag = "volumes",
    summary = "Remove a volume that no service mounts, and its data",
    params(("volume" = String, Path, description = "Name or id")),
    responses((status = 200, body = Changed), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn remove(api: State, Path(name): Path<String>) -> Result<Json<Changed>, ApiError> {
    let state = api.read().await?;
    let volume = state.find_volume(&name)?;
    let applied = api.change(Command::RemoveVolume { id: volume.id }).await?;
    let cluster = api.cluster()?;
    let gone = async {
        let mut changes = cluster.changes();
        while cluster.state().volumes.contains_key(&volume.id) && changes.changed().await.is_ok() {}
    };
    let warnings = match timeout(VOLUME_REMOVAL_WAIT, gone).await {
        Ok(()) => Vec::new(),
        Err(_) => {
            let node = node_name(&state, volume.node).unwrap_or_default();
            vec![format!("node {node} does not answer: the data of volume {} goes when it does", volume.spec.name)]
        }
    };
    Ok(Json(Changed { index: applied.index, warnings }))
}

fn summary(state: &ClusterState, volume: &Volume) -> VolumeSummary {
    VolumeSummary {
        id: volume.id,
        name: volume.spec.name.clone(),
        driver: DRIVER.to_owned(),
        node: node_name(state, volume.node),
        labels: volume.spec.labels.clone(),
    }
}
