//! Images: what is here and how it is called, and components that users hand in.
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::Request;
use bytes::Bytes;
use minicloud_core::spec::Digest;

use super::error::ApiError;
use super::extract::{self, Body, Params};
use super::types::{ErrorBody, ErrorKind, ImageDetail, ImageName, ImageSummary, ImportImage, PrunedImages, RemovedImage, TagImage};
use super::{Context, State};
use crate::images::{ImageDefaults, Named, ParseReferenceError, Reference, StoredImage};

#[utoipa::path(
    get,
    path = "/v1/images",
    tag = "images",
    summary = "Components that this node holds, once for each name",
    responses((status = 200, body = Vec<ImageSummary>), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn list(api: State) -> Result<Json<Vec<ImageSummary>>, ApiError> {
    Ok(Json(stored(&api).await?.into_iter().map(summary).collect()))
}

/// Answers once the component is known to run here, and enough managers hold it.
#[utoipa::path(
    post,
    path = "/v1/images",
    tag = "images",
    summary = "Hand in a component",
    params(ImportImage),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = ImageSummary), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn import(api: State, Params(import): Params<ImportImage>, request: Request) -> Result<Json<ImageSummary>, ApiError> {
    let reference = import.name.as_deref().map(own_name).transpose()?;
    let defaults = defaults(import.defaults.as_deref())?;
    let component = extract::raw(request, &()).await?;
    let image = hand_in(&api, component).await?;
    let Some(reference) = reference else { return Ok(Json(summary(image))) };
    let named = Named { digest: image.digest, named_at_ms: now_ms(), defaults, manifest: None };
    let summary = ImageSummary {
        name: reference.to_string(),
        digest: image.digest,
        size: image.size_bytes,
        bundled: false,
        named_at_ms: Some(named.named_at_ms),
    };
    api.images.name(&reference, named)?;
    Ok(Json(summary))
}

#[utoipa::path(
    get,
    path = "/v1/images/inspect",
    tag = "images",
    summary = "One image in full",
    params(ImageName),
    responses((status = 200, body = ImageDetail), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn inspect(api: State, Params(wanted): Params<ImageName>) -> Result<Json<ImageDetail>, ApiError> {
    let (reference, digest, defaults) = find(&api, &wanted.image).await?;
    let named = reference.as_ref().and_then(|reference| api.images.named(reference));
    let rows = stored(&api).await?;
    let size = rows.iter().find(|row| row.digest == digest).map_or(0, |row| row.size_bytes);
    let summary = ImageSummary {
        name: reference.as_ref().map_or_else(|| digest.to_string(), |reference| shown(reference, named.is_some())),
        digest,
        size,
        bundled: named.is_none() && rows.iter().any(|row| row.bundled && row.digest == digest),
        named_at_ms: named.as_ref().map(|named| named.named_at_ms),
    };
    Ok(Json(ImageDetail { summary, defaults, manifest: named.and_then(|named| named.manifest) }))
}

#[utoipa::path(
    post,
    path = "/v1/images/tag",
    tag = "images",
    summary = "Give an image a further name",
    request_body = TagImage,
    responses((status = 200, body = ImageSummary), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn tag(api: State, Body(request): Body<TagImage>) -> Result<Json<ImageSummary>, ApiError> {
    let target = own_name(&request.target)?;
    let (_, digest, defaults) = find(&api, &request.source).await?;
    let path = api.images.ensure(digest).await?;
    let size = tokio::fs::metadata(path).await.map_or(0, |metadata| metadata.len());
    let named = Named { digest, named_at_ms: now_ms(), defaults, manifest: None };
    let summary = ImageSummary { name: target.to_string(), digest, size, bundled: false, named_at_ms: Some(named.named_at_ms) };
    api.images.name(&target, named)?;
    Ok(Json(summary))
}

#[utoipa::path(
    delete,
    path = "/v1/images",
    tag = "images",
    summary = "Take a name away, and the component where nothing else refers to it",
    params(ImageName),
    responses((status = 200, body = RemovedImage), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn remove(api: State, Params(wanted): Params<ImageName>) -> Result<Json<RemovedImage>, ApiError> {
    if let Ok(digest) = wanted.image.parse::<Digest>() {
        return remove_nameless(&api, digest).await;
    }
    let reference = parse(&wanted.image)?;
    let Some(named) = api.images.unname(&reference)? else {
        return Err(match api.images.find(&reference) {
            Some(_) => ApiError::conflict(format!("image '{}' travels inside the binary and cannot be removed", wanted.image)),
            None => no_such_name(&wanted.image),
        });
    };
    let deleted = !is_used(&api, named.digest);
    if deleted {
        api.images.forget(named.digest).await;
    }
    Ok(Json(RemovedImage { name: reference.to_string(), digest: named.digest, deleted }))
}

#[utoipa::path(
    post,
    path = "/v1/images/prune",
    tag = "images",
    summary = "Remove components of this node that have no name and that no service refers to",
    responses((status = 200, body = PrunedImages), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn prune(api: State) -> Result<Json<PrunedImages>, ApiError> {
    let state = api.read().await?;
    let removed = api.images.prune(&state, own_tasks(&api)).await.map_err(internal)?;
    let bytes = removed.iter().map(|(_, bytes)| bytes).sum();
    Ok(Json(PrunedImages { digests: removed.into_iter().map(|(digest, _)| digest).collect(), bytes }))
}

/// Stores a component here, sees whether it can run, and gives it to as many managers as a write of the log needs.
pub(super) async fn hand_in(api: &Context, component: Bytes) -> Result<StoredImage, ApiError> {
    let managers = api.read().await?.managers();
    let taken = api.images.take(&component).await?;
    let digest = taken.image.digest;
    if let Err(error) = api.executor.prepare(digest, &taken.path).await {
        if taken.is_new {
            api.images.forget(digest).await;
        }
        return Err(ApiError::invalid(error.message));
    }
    api.images.spread(digest, component, managers).await?;
    Ok(taken.image)
}

/// The image that a user means; by name, or by digest.
pub(super) async fn find(api: &Context, image: &str) -> Result<(Option<Reference>, Digest, ImageDefaults), ApiError> {
    if image.parse::<Digest>().is_ok() {
        let (image, defaults) = api.images.resolve(image, None).await?;
        return Ok((None, image.digest, defaults));
    }
    let reference = parse(image)?;
    match api.images.find(&reference) {
        Some((digest, defaults)) => Ok((Some(reference), digest, defaults)),
        None => Err(no_such_name(image)),
    }
}

async fn remove_nameless(api: &Context, digest: Digest) -> Result<Json<RemovedImage>, ApiError> {
    let rows = stored(api).await?;
    let names: Vec<String> = rows.iter().filter(|row| row.digest == digest).filter_map(|row| row.name.clone()).collect();
    if !names.is_empty() {
        return Err(ApiError::conflict(format!("the component {digest} has a name: remove {}", names.join(", "))));
    }
    if !rows.iter().any(|row| row.digest == digest) {
        return Err(no_such_name(&digest.to_string()));
    }
    if is_used(api, digest) {
        return Err(ApiError::conflict(format!("a service refers to the component {digest}: see 'minicloud service ls'")));
    }
    api.images.forget(digest).await;
    Ok(Json(RemovedImage { name: digest.to_string(), digest, deleted: true }))
}

/// Whether a name, a service or a task of this node refers to a component, as far as this node knows.
fn is_used(api: &Context, digest: Digest) -> bool {
    let referred = api.cluster.get().map(|cluster| crate::images::referred(&cluster.state())).unwrap_or_default();
    referred.contains(&digest) || own_tasks(api).contains(&digest) || api.images.has_name(digest)
}

fn own_tasks(api: &Context) -> BTreeSet<Digest> {
    let view = api.session.view().borrow().clone();
    view.tasks.values().map(|task| task.template.image.digest).collect()
}

pub(super) async fn stored(api: &Context) -> Result<Vec<StoredImage>, ApiError> {
    api.images.list().await.map_err(internal)
}

pub(super) fn internal(error: std::io::Error) -> ApiError {
    ApiError::new(ErrorKind::Internal, error.to_string())
}

fn defaults(text: Option<&str>) -> Result<ImageDefaults, ApiError> {
    let Some(text) = text else { return Ok(ImageDefaults::default()) };
    let defaults: ImageDefaults = serde_json::from_str(text).map_err(|error| ApiError::invalid(format!("defaults: {error}")))?;
    defaults.check().map_err(ApiError::invalid)?;
    Ok(defaults)
}

pub(super) fn parse(name: &str) -> Result<Reference, ApiError> {
    name.parse().map_err(|error: ParseReferenceError| ApiError::invalid(error.to_string()))
}

/// A name to give: it has no digest, as the component decides that.
fn own_name(name: &str) -> Result<Reference, ApiError> {
    match parse(name)? {
        Reference { manifest: Some(_), .. } => Err(ApiError::invalid(format!("'{name}': leave the digest out of a name"))),
        reference => Ok(reference),
    }
}

fn no_such_name(image: &str) -> ApiError {
    ApiError::not_found(format!("no image '{image}' on this node; see 'minicloud images'"))
}

/// Bundled images are called without a tag.
fn shown(reference: &Reference, named: bool) -> String {
    if named { reference.to_string() } else { reference.short() }
}

pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

fn summary(image: StoredImage) -> ImageSummary {
    ImageSummary {
        name: image.name.unwrap_or_else(|| image.digest.to_string()),
        digest: image.digest,
        size: image.size_bytes,
        bundled: image.bundled,
        named_at_ms: image.named_at_ms,
    }
}
