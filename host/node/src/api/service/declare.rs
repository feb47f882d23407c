//! A service made as it is described: what `compose` and `stack` ask for, so that they need not know what differs.
use std::collections::BTreeMap;

use axum::Json;
use minicloud_core::command::{Command, Rejection};
use minicloud_core::id::ServiceId;
use minicloud_core::spec::{Image, ServiceSpec};
use minicloud_core::state::ClusterState;

use super::super::error::ApiError;
use super::super::extract::Body;
use super::super::types::{Checked, CreateService, Declared, ErrorBody, Outcome};
use super::super::{State, transfer};
use super::spec;
use crate::cluster::ProposeError;
use crate::images::ImageDefaults;
use crate::limits::API_STALE_TRIES_MAX;

#[utoipa::path(
    post,
    path = "/v1/services/check",
    tag = "services",
    summary = "Whether a service could be made as described, once its networks, secrets and configs are there",
    request_body = CreateService,
    responses((status = 200, body = Checked), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn check(api: State, Body(request): Body<CreateService>) -> Result<Json<Checked>, ApiError> {
    let (image, defaults, _) = transfer::resolve(&api, &request.image, request.image_name.as_deref()).await?;
    let digest = image.digest;
    alone(request, image, defaults)?.check()?;
    Ok(Json(Checked { image: digest }))
}

#[utoipa::path(
    post,
    path = "/v1/services/declare",
    tag = "services",
    summary = "Make a service as it is described: create it, change what differs, or leave it",
    request_body = CreateService,
    responses((status = 200, body = Declared), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn declare(api: State, Body(request): Body<CreateService>) -> Result<Json<Declared>, ApiError> {
    let name = request.name.clone().ok_or_else(|| ApiError::invalid("a service that is declared has a name"))?;
    let (image, defaults, told) = transfer::resolve(&api, &request.image, request.image_name.as_deref()).await?;
    // Another change may come between reading and proposing; then it is compared again.
    let mut tries = API_STALE_TRIES_MAX;
    loop {
        tries -= 1;
        let state = api.read().await?;
        let mut spec = spec::create(&state, request.clone(), image.clone(), defaults.clone())?;
        let warnings = told.iter().cloned().chain(spec::warnings(&state, &spec)).collect();
        let existing = state.services.values().find(|service| service.spec.name == name && !service.removing);
        let (id, outcome, command) = match existing {
            None => {
                let id = ServiceId(api.random_id());
                (id, Outcome::Created, Command::CreateService { id, spec: Box::new(spec) })
            }
            Some(service) => {
                spec.task.force_update = service.spec.task.force_update;
                if spec == *service.spec {
                    return Ok(Json(Declared { id: service.id, outcome: Outcome::Unchanged, warnings }));
                }
                let command = Command::UpdateService { id: service.id, version: service.version, spec: Box::new(spec) };
                (service.id, Outcome::Updated, command)
            }
        };
        match api.try_change(command).await {
            Ok(_) => return Ok(Json(Declared { id, outcome, warnings })),
            Err(ProposeError::Rejected(Rejection::Stale(_) | Rejection::Conflict(_))) if tries > 0 => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The spec without what must be there first: networks, secrets and configs.
fn alone(request: CreateService, image: Image, defaults: ImageDefaults) -> Result<ServiceSpec, ApiError> {
    let request = CreateService {
        networks: Vec::new(),
        aliases: BTreeMap::new(),
        foreground: false,
        secrets: Vec::new(),
        configs: Vec::new(),
        ..request
    };
    spec::create(&ClusterState::default(), request, image, defaults)
}
