//! Images between this node and registries: `pull`, `push`, and names in `service create` that a registry knows.
use std::sync::Arc;

use axum::response::Response;
use minicloud_core::spec::{Digest, Image};
use tokio::sync::watch;
use tokio::time::sleep;

use super::error::ApiError;
use super::extract::Body;
use super::types::{ErrorBody, ImageDetail, ImageSummary, Transfer, TransferImage};
use super::{Context, State, image, lines};
use crate::images::{ImageDefaults, Named, Reference};
use crate::limits::TRANSFER_INTERVAL;
use crate::oci::{Found, Login, OciError, Passed, Remote, route};

#[utoipa::path(
    post,
    path = "/v1/images/pull",
    tag = "images",
    summary = "Fetch an image from a registry, and give it its name here",
    request_body = TransferImage,
    responses((status = 200, body = Transfer, content_type = "application/x-ndjson", description = "One value on each line"), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn pull(api: State, Body(request): Body<TransferImage>) -> Result<Response, ApiError> {
    let reference = with_registry(&request.image, OciError::PullNamesNoRegistry)?;
    api.cluster()?;
    Ok(told(move |progress| async move {
        let known = if request.known_will_do { Known::WillDo } else { Known::IsNotEnough };
        let pulled = fetch(&api, &reference, request.login, known, progress).await?;
        let image = detail(&reference, &pulled.named, pulled.size_bytes);
        Ok((image, pulled.warnings))
    }))
}

#[utoipa::path(
    post,
    path = "/v1/images/push",
    tag = "images",
    summary = "Hand an image of this node to the registry in its name",
    request_body = TransferImage,
    responses((status = 200, body = Transfer, content_type = "application/x-ndjson", description = "One value on each line"), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn push(api: State, Body(request): Body<TransferImage>) -> Result<Response, ApiError> {
    let reference = with_registry(&request.image, OciError::NoRegistry)?;
    let (_, digest, defaults) = image::find(&api, &request.image).await?;
    Ok(told(move |progress| async move {
        let image = hand_over(&api, &reference, digest, defaults, request.login, progress).await?;
        Ok((image, Vec::new()))
    }))
}

/// The image that a service is to run: one of this node, or what a registry has under that name now. Where the
/// registry cannot be reached, a component that has the name here will do; a warning says so.
pub async fn resolve(api: &Context, image: &str, shown: Option<&str>) -> Result<(Image, ImageDefaults, Vec<String>), ApiError> {
    let reference = image.parse::<Reference>().ok().filter(|reference| reference.registry.is_some());
    let Some(reference) = reference.filter(|_| image.parse::<Digest>().is_err()) else {
        let (image, defaults) = api.images.resolve(image, shown).await?;
        return Ok((image, defaults, Vec::new()));
    };
    let nobody = watch::channel(Transfer::default()).0;
    let pulled = fetch(api, &reference, None, Known::WillDo, nobody).await?;
    Ok((Image { name: image.to_owned(), digest: pulled.named.digest }, pulled.named.defaults, pulled.warnings))
}

/// Whether a component that has the name on this node will do when the registry cannot be reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    WillDo,
    IsNotEnough,
}

struct Pulled {
    named: Named,
    size_bytes: u64,
    warnings: Vec<String>,
}

type Progress = watch::Sender<Transfer>;

async fn fetch(api: &Context, reference: &Reference, login: Option<Login>, known: Known, progress: Progress) -> Result<Pulled, ApiError> {
    let remote = remote(api, reference, login)?;
    let named = api.images.named(reference);
    let found = match (&named, known) {
        (Some(named), Known::WillDo) => match look_again(&remote, named).await {
            Ok(None) => return have(api, named.clone(), Vec::new()).await,
            Ok(Some(found)) => found,
            Err(error @ OciError::Unreachable { .. }) => {
                let warning = format!("{error}; the image of that name on this node is taken, {}", named.digest);
                return have(api, named.clone(), vec![warning]).await;
            }
            Err(error) => return Err(error.into()),
        },
        _ => remote.find().await?,
    };
    bring(api, reference, &remote, found, progress).await
}

/// What the registry has now, if that is not what is known.
async fn look_again(remote: &Remote, named: &Named) -> Result<Option<Found>, OciError> {
    if named.manifest.as_ref() == Some(&remote.probe().await?) {
        return Ok(None);
    }
    remote.find().await.map(Some)
}

async fn have(api: &Context, named: Named, warnings: Vec<String>) -> Result<Pulled, ApiError> {
    let path = api.images.ensure(named.digest).await?;
    let size_bytes = tokio::fs::metadata(path).await.map_or(0, |metadata| metadata.len());
    Ok(Pulled { named, size_bytes, warnings })
}

/// The component is brought here, unless some node has it, and gets its name.
async fn bring(api: &Context, reference: &Reference, remote: &Remote, found: Found, progress: Progress) -> Result<Pulled, ApiError> {
    let total_bytes = found.size_bytes();
    let passed: Passed = Arc::new(move |done_bytes| {
        progress.send_replace(Transfer { done_bytes, total_bytes, ..Transfer::default() });
    });
    passed(0);
    let here = match found.digest() {
        Some(digest) if api.images.ensure(digest).await.is_ok() => Some(digest),
        _ => None,
    };
    let digest = match here {
        Some(digest) => digest,
        None => image::hand_in(api, remote.pull(&found, passed.clone()).await?).await?.digest,
    };
    passed(total_bytes);
    let named = Named { digest, named_at_ms: image::now_ms(), defaults: found.defaults, manifest: Some(found.manifest) };
    api.images.name(reference, named.clone())?;
    Ok(Pulled { named, size_bytes: total_bytes, warnings: Vec::new() })
}

async fn hand_over(
    api: &Context,
    reference: &Reference,
    digest: Digest,
    defaults: ImageDefaults,
    login: Option<Login>,
    progress: Progress,
) -> Result<ImageDetail, ApiError> {
    let path = api.images.ensure(digest).await?;
    let component = tokio::fs::read(path).await.map_err(image::internal)?;
    let total_bytes = component.len() as u64;
    let passed: Passed = Arc::new(move |done_bytes| {
        progress.send_replace(Transfer { done_bytes, total_bytes, ..Transfer::default() });
    });
    passed(0);
    let manifest = remote(api, reference, login)?.push(component.into(), &defaults, passed).await?;
    let before = api.images.named(reference);
    let named_at_ms = before.map_or_else(image::now_ms, |named| named.named_at_ms);
    let named = Named { digest, named_at_ms, defaults, manifest: Some(manifest) };
    api.images.name(reference, named.clone())?;
    Ok(detail(reference, &named, total_bytes))
}

fn remote(api: &Context, reference: &Reference, login: Option<Login>) -> Result<Remote, ApiError> {
    let registry = reference.registry.as_deref().unwrap_or_default();
    let view = api.session.view().borrow().clone();
    let inside = route::inside(registry, &view, api.addresses.ingress, api.addresses.port_offset);
    Ok(Remote::new(reference, login, inside)?)
}

fn with_registry(name: &str, without: fn(String) -> OciError) -> Result<Reference, ApiError> {
    let reference = image::parse(name)?;
    match reference.registry {
        Some(_) => Ok(reference),
        None => Err(without(reference.short()).into()),
    }
}

fn detail(reference: &Reference, named: &Named, size: u64) -> ImageDetail {
    let summary =
        ImageSummary { name: reference.to_string(), digest: named.digest, size, bundled: false, named_at_ms: Some(named.named_at_ms) };
    ImageDetail { summary, defaults: named.defaults.clone(), manifest: named.manifest.clone() }
}

/// A response that tells how far `work` is, and at last how it ended. It goes on when nobody listens any more.
fn told<F>(work: impl FnOnce(Progress) -> F) -> Response
where
    F: Future<Output = Result<(ImageDetail, Vec<String>), ApiError>> + Send + 'static,
{
    let (progress, mut changes) = watch::channel(Transfer::default());
    let work = tokio::spawn(work(progress));
    lines::response(move |sink| async move {
        while changes.changed().await.is_ok() {
            let now = changes.borrow_and_update().clone();
            if sink.send(lines::line(&now)).await.is_err() {
                return;
            }
            sleep(TRANSFER_INTERVAL).await;
        }
        let last = match work.await {
            Ok(Ok((image, warnings))) => Transfer { image: Some(image), warnings, ..Transfer::default() },
            Ok(Err(error)) => Transfer { error: Some(error.into()), ..Transfer::default() },
            Err(error) => Transfer { error: Some(image::internal(error.into()).into()), ..Transfer::default() },
        };
        let _ = sink.send(lines::line(&last)).await;
    })
}
