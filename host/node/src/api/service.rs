//! Services. What a user declares becomes a spec in `spec`; how far the cluster is with it is told by `progress`.
mod declare;
mod jobs;
pub mod progress;
mod spec;
pub mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use minicloud_core::command::{Command, Rejection};
use minicloud_core::id::{Index, NetworkId, ServiceId};
use minicloud_core::state::{ClusterState, Service};

use super::error::ApiError;
use super::extract::Body;
use super::types::{
    Changed, CreateService, Created, ErrorBody, PortProblem, Progress, RollbackService, ScaleServices, ServiceDetail, ServiceSummary,
    ServiceUsage, ServiceVip, UpdateService,
};
use super::{Context, State, task, transfer};
use crate::cluster::ProposeError;
use crate::limits::API_STALE_TRIES_MAX;
pub use declare::{__path_check, __path_declare, check, declare};
use progress::{desired_tasks, job_count};

#[utoipa::path(
    get,
    path = "/v1/services",
    tag = "services",
    summary = "Services",
    responses((status = 200, body = Vec<ServiceSummary>), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn list(api: State) -> Result<Json<Vec<ServiceSummary>>, ApiError> {
    let state = api.read().await?;
    let mut services: Vec<&Arc<Service>> = state.services.values().filter(|service| !service.removing).collect();
    services.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    Ok(Json(services.into_iter().map(|service| summary(&state, service)).collect()))
}

#[utoipa::path(
    post,
    path = "/v1/services",
    tag = "services",
    summary = "Create a service",
    request_body = CreateService,
    responses((status = 200, body = Created), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn create(api: State, Body(request): Body<CreateService>) -> Result<Json<Created>, ApiError> {
    let state = api.read().await?;
    let (image, defaults, mut warnings) = transfer::resolve(&api, &request.image, request.image_name.as_deref()).await?;
    let spec = spec::create(&state, request, image, defaults)?;
    let (id, name) = (ServiceId(api.random_id()), spec.name.clone());
    warnings.extend(spec::warnings(&state, &spec));
    let applied = api.change(Command::CreateService { id, spec: Box::new(spec) }).await?;
    Ok(Json(Created { id: id.to_string(), name, index: applied.index, warnings }))
}

#[utoipa::path(
    get,
    path = "/v1/services/{service}",
    tag = "services",
    summary = "One service in full",
    params(("service" = String, Path, description = "Name or id")),
    responses((status = 200, body = ServiceDetail), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn inspect(api: State, Path(name): Path<String>) -> Result<Json<ServiceDetail>, ApiError> {
    let state = api.read().await?;
    let service = find_any(&state, &name)?;
    let network_name = |id: &NetworkId| state.networks.get(id).map_or_else(|| id.to_string(), |network| network.spec.name.clone());
    let attached = service.spec.networks.iter().map(|at| at.network);
    Ok(Json(ServiceDetail {
        summary: summary(&state, service),
        spec: (*service.spec).clone(),
        previous_spec: service.previous_spec.as_deref().cloned(),
        vips: attached.map(|id| ServiceVip { network: network_name(&id), address: service.vips.get(&id).copied() }).collect(),
        update: service.update.clone(),
        port_problems: port_problems(&api, &state, service).await,
        created_at_ms: service.created_at,
        updated_at_ms: service.updated_at,
        version: service.version,
    }))
}

#[utoipa::path(
    post,
    path = "/v1/services/{service}/update",
    tag = "services",
    summary = "Change a service; its tasks are replaced as its update policy says",
    params(("service" = String, Path, description = "Name or id")),
    request_body = UpdateService,
    responses((status = 200, body = Changed), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn update(api: State, Path(name): Path<String>, Body(request): Body<UpdateService>) -> Result<Json<Changed>, ApiError> {
    let (image, image_warnings) = match &request.image {
        Some(image) => {
            let (image, defaults, warnings) = transfer::resolve(&api, image, request.image_name.as_deref()).await?;
            (Some((image, defaults)), warnings)
        }
        None => (None, Vec::new()),
    };
    // Another change may come between reading and proposing; without a version of the user's own, ours is made again.
    let mut tries = if request.version.is_some() { 1 } else { API_STALE_TRIES_MAX };
    loop {
        tries -= 1;
        let state = api.read().await?;
        let service = state.find_service(&name)?;
        let spec = spec::update(&state, service, &request, image.clone())?;
        let warnings = [image_warnings.clone(), spec::warnings(&state, &spec)].concat();
        let command = Command::UpdateService { id: service.id, version: request.version.unwrap_or(service.version), spec: Box::new(spec) };
        match api.try_change(command).await {
            Ok(applied) => return changed(applied.index, warnings),
            Err(ProposeError::Rejected(Rejection::Stale(_))) if tries > 0 => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[utoipa::path(
    post,
    path = "/v1/services/{service}/rollback",
    tag = "services",
    summary = "Go back to the previous version of a service, which the present one becomes",
    params(("service" = String, Path, description = "Name or id")),
    request_body = RollbackService,
    responses((status = 200, body = Changed), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn rollback(api: State, Path(name): Path<String>, Body(request): Body<RollbackService>) -> Result<Json<Changed>, ApiError> {
    let mut tries = if request.version.is_some() { 1 } else { API_STALE_TRIES_MAX };
    loop {
        tries -= 1;
        let state = api.read().await?;
        let service = state.find_service(&name)?;
        let command = Command::RollbackService { id: service.id, version: request.version.unwrap_or(service.version) };
        match api.try_change(command).await {
            Ok(applied) => return changed(applied.index, Vec::new()),
            Err(ProposeError::Rejected(Rejection::Stale(_))) if tries > 0 => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[utoipa::path(
    delete,
    path = "/v1/services/{service}",
    tag = "services",
    summary = "Remove a service and its tasks",
    params(("service" = String, Path, description = "Name or id")),
    responses((status = 200, body = Changed), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn remove(api: State, Path(name): Path<String>) -> Result<Json<Changed>, ApiError> {
    let id = api.read().await?.find_service(&name)?.id;
    changed(api.change(Command::RemoveService { id }).await?.index, Vec::new())
}

#[utoipa::path(
    post,
    path = "/v1/services/scale",
    tag = "services",
    summary = "Set the replicas of several services, of all or none",
    request_body = ScaleServices,
    responses((status = 200, body = Changed), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn scale(api: State, Body(request): Body<ScaleServices>) -> Result<Json<Changed>, ApiError> {
    if request.services.is_empty() {
        return Err(ApiError::invalid("name at least one service to scale, as in worker=10"));
    }
    let state = api.read().await?;
    let mut replicas = BTreeMap::new();
    for (name, count) in request.services {
        let service = state.find_service(&name)?;
        if replicas.insert(service.id, count).is_some() {
            return Err(ApiError::invalid(format!("service '{}' is named twice", service.spec.name)));
        }
    }
    changed(api.change(Command::ScaleServices { replicas }).await?.index, Vec::new())
}

#[utoipa::path(
    get,
    path = "/v1/services/{service}/watch",
    tag = "services",
    summary = "How far the cluster is with a service, until it has converged",
    params(("service" = String, Path, description = "Name or id")),
    responses((status = 200, body = Progress, content_type = "application/x-ndjson", description = "One value on each line"), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn watch(api: State, Path(name): Path<String>) -> Result<Response, ApiError> {
    progress::watch(api, &name).await
}

#[utoipa::path(
    get,
    path = "/v1/services/{service}/usage",
    tag = "services",
    summary = "What the tasks of a service use now",
    params(("service" = String, Path, description = "Name or id")),
    responses((status = 200, body = ServiceUsage), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn usage(api: State, Path(name): Path<String>) -> Result<Json<ServiceUsage>, ApiError> {
    let state = api.read().await?;
    let service = find_any(&state, &name)?;
    Ok(Json(usage::of_service(&api, &state, service).await))
}

/// A service by name or id, one that is being removed too.
pub fn find_any<'a>(state: &'a ClusterState, name: &str) -> Result<&'a Arc<Service>, ApiError> {
    state.find_service(name).or_else(|rejection| {
        let leaving = state.services.values().find(|service| service.removing && service.spec.name == name);
        leaving.ok_or_else(|| rejection.into())
    })
}

fn changed(index: Index, warnings: Vec<String>) -> Result<Json<Changed>, ApiError> {
    Ok(Json(Changed { index, warnings }))
}

fn summary(state: &ClusterState, service: &Service) -> ServiceSummary {
    let running = state.tasks_of_service(service.id).filter(|task| state.serves(task)).count();
    ServiceSummary {
        id: service.id,
        name: service.spec.name.clone(),
        mode: service.spec.mode.into(),
        replicas_running: u32::try_from(running).unwrap_or(u32::MAX),
        replicas_desired: desired_tasks(state, service),
        job: job_count(state, service),
        image: service.spec.task.image.name.clone(),
        ports: service.ports_wanted().to_vec(),
        labels: service.spec.labels.clone(),
    }
}

/// Every node listens for a published port, so every node is asked.
async fn port_problems(api: &Context, state: &ClusterState, service: &Service) -> Vec<PortProblem> {
    if service.ports.is_empty() {
        return Vec::new();
    }
    let unbound = task::ports_of(api, state, state.nodes.keys().copied()).await;
    let own = unbound.into_iter().flat_map(|(node, ports)| ports.into_iter().map(move |port| (node, port)));
    let own = own.filter(|(_, port)| port.service == service.id);
    own.map(|(node, port)| PortProblem {
        node: task::node_name(state, Some(node)).unwrap_or_default(),
        listen: port.listen,
        error: port.error,
    })
    .collect()
}
