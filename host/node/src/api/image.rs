//! Images: what is here, and components that users hand in.
use axum::Json;
use axum::extract::Request;

use super::State;
use super::error::ApiError;
use super::extract;
use super::types::{ErrorBody, ErrorKind, ImageSummary};
use crate::images::StoredImage;

#[utoipa::path(
    get,
    path = "/v1/images",
    tag = "images",
    summary = "Components that this node holds",
    responses((status = 200, body = Vec<ImageSummary>), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn list(api: State) -> Result<Json<Vec<ImageSummary>>, ApiError> {
    let images = api.images.list().await.map_err(|error| ApiError::new(ErrorKind::Internal, error.to_string()))?;
    Ok(Json(images.into_iter().map(summary).collect()))
}

/// Answers once the component is known to run here, and enough managers hold it.
#[utoipa::path(
    post,
    path = "/v1/images",
    tag = "images",
    summary = "Hand in a component",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = ImageSummary), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn import(api: State, request: Request) -> Result<Json<ImageSummary>, ApiError> {
    let managers = api.read().await?.managers();
    let component = extract::raw(request, &()).await?;
    let taken = api.images.take(&component).await?;
    let digest = taken.image.digest;
    if let Err(error) = api.executor.prepare(digest, &taken.path).await {
        if taken.is_new {
            api.images.forget(digest).await;
        }
        return Err(ApiError::invalid(error.message));
    }
    api.images.spread(digest, component, managers).await?;
    Ok(Json(summary(taken.image)))
}

fn summary(image: StoredImage) -> ImageSummary {
    ImageSummary {
        name: image.name.map_or_else(|| image.digest.to_string(), str::to_owned),
        digest: image.digest,
        size: image.size_bytes,
        bundled: image.name.is_some(),
    }
}
