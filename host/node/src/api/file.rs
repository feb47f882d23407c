//! Secrets and configs: the same calls for both. A secret is sealed here, before it is proposed, and never told again.
use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use minicloud_core::command::{Applied, Command, Rejection};
use minicloud_core::id::FileId;
use minicloud_core::limits::{CONFIG_BYTES_MAX, SECRET_BYTES_MAX};
use minicloud_core::spec::{FileKind, FileSpec, Labels, Payload};
use minicloud_core::state::{ClusterState, File};
use zeroize::Zeroizing;

use super::error::ApiError;
use super::extract::Body;
use super::types::{
    Base64, Changed, CreateFile, Created, DeclaredFile, ErrorBody, ErrorKind, FileDetail, FileSummary, Outcome, UpdateFile,
};
use super::{Context, State};
use crate::cluster::ProposeError;
use crate::limits::API_STALE_TRIES_MAX;
use crate::seal::{SealKeyError, have_key};

/// The calls for one kind.
macro_rules! calls {
    ($module:ident, $kind:expr, $tag:literal, $all:literal, $one:literal, $update:literal, $declare:literal, $param:literal,
     [$list:literal, $create:literal, $inspect:literal, $change:literal, $remove:literal, $declared:literal]) => {
        pub mod $module {
            use super::*;

            #[utoipa::path(
                get,
                path = $all,
                operation_id = concat!($tag, "_list"),
                tag = $tag,
                summary = $list,
                responses((status = 200, body = Vec<FileSummary>), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
            )]
            pub async fn list(api: State) -> Result<Json<Vec<FileSummary>>, ApiError> {
                super::list(&api, $kind).await
            }

            #[utoipa::path(
                post,
                path = $all,
                operation_id = concat!($tag, "_create"),
                tag = $tag,
                summary = $create,
                request_body = CreateFile,
                responses((status = 200, body = Created), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
            )]
            pub async fn create(api: State, Body(request): Body<CreateFile>) -> Result<Json<Created>, ApiError> {
                super::create(&api, $kind, request).await
            }

            #[utoipa::path(
                get,
                path = $one,
                operation_id = concat!($tag, "_inspect"),
                tag = $tag,
                summary = $inspect,
                params(($param = String, Path, description = "Name or id")),
                responses((status = 200, body = FileDetail), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
            )]
            pub async fn inspect(api: State, Path(name): Path<String>) -> Result<Json<FileDetail>, ApiError> {
                super::inspect(&api, $kind, &name).await
            }

            #[utoipa::path(
                post,
                path = $update,
                operation_id = concat!($tag, "_update"),
                tag = $tag,
                summary = $change,
                params(($param = String, Path, description = "Name or id")),
                request_body = UpdateFile,
                responses((status = 200, body = Changed), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
            )]
            pub async fn update(api: State, Path(name): Path<String>, Body(request): Body<UpdateFile>) -> Result<Json<Changed>, ApiError> {
                super::update(&api, $kind, &name, request).await
            }

            #[utoipa::path(
                delete,
                path = $one,
                operation_id = concat!($tag, "_remove"),
                tag = $tag,
                summary = $remove,
                params(($param = String, Path, description = "Name or id")),
                responses((status = 200, body = Changed), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
            )]
            pub async fn remove(api: State, Path(name): Path<String>) -> Result<Json<Changed>, ApiError> {
                super::remove(&api, $kind, &name).await
            }

            #[utoipa::path(
                post,
                path = $declare,
                operation_id = concat!($tag, "_declare"),
                tag = $tag,
                summary = $declared,
                request_body = CreateFile,
                responses((status = 200, body = DeclaredFile), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
            )]
            pub async fn declare(api: State, Body(request): Body<CreateFile>) -> Result<Json<DeclaredFile>, ApiError> {
                super::declare(&api, $kind, request).await
            }
        }
    };
}

calls!(
    secret,
    FileKind::Secret,
    "secrets",
    "/v1/secrets",
    "/v1/secrets/{secret}",
    "/v1/secrets/{secret}/update",
    "/v1/secrets/declare",
    "secret",
    [
        "Secrets, without what they hold",
        "Create a secret; it is sealed before anything is written",
        "One secret in full, without what it holds",
        "Change the labels of a secret",
        "Remove a secret that no service has",
        "A secret with this content: the one that is there under this name or one like it, else a new one"
    ]
);
calls!(
    config,
    FileKind::Config,
    "configs",
    "/v1/configs",
    "/v1/configs/{config}",
    "/v1/configs/{config}/update",
    "/v1/configs/declare",
    "config",
    [
        "Configs, without what they hold",
        "Create a config",
        "One config in full, with what it holds",
        "Change the labels of a config",
        "Remove a config that no service has",
        "A config with this content: the one that is there under this name or one like it, else a new one"
    ]
);

async fn list(api: &Context, kind: FileKind) -> Result<Json<Vec<FileSummary>>, ApiError> {
    let state = api.read().await?;
    let mut files: Vec<&Arc<File>> = state.files.values().filter(|file| file.spec.kind == kind).collect();
    files.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    Ok(Json(files.into_iter().map(|file| summary(file)).collect()))
}

async fn create(api: &Context, kind: FileKind, request: CreateFile) -> Result<Json<Created>, ApiError> {
    let New { name, labels, content } = checked(api, kind, request)?;
    let (id, applied) = add(api, kind, &name, &labels, &content).await?;
    Ok(Json(Created { id: id.to_string(), name, index: applied.index, warnings: Vec::new() }))
}

/// A file that may be made.
struct New {
    name: String,
    labels: Labels,
    content: Zeroizing<Vec<u8>>,
}

fn checked(api: &Context, kind: FileKind, request: CreateFile) -> Result<New, ApiError> {
    api.cluster()?;
    let CreateFile { name, labels, data } = request;
    let content = Zeroizing::new(data.0);
    let most = match kind {
        FileKind::Secret => SECRET_BYTES_MAX,
        FileKind::Config => CONFIG_BYTES_MAX,
    };
    if content.len() > most {
        let bytes = content.len();
        return Err(ApiError::invalid(format!(
            "{kind} '{name}' has {bytes} bytes, and at most {most} are allowed; put large data on a volume"
        )));
    }
    Ok(New { name, labels, content })
}

async fn add(api: &Context, kind: FileKind, name: &str, labels: &Labels, content: &[u8]) -> Result<(FileId, Applied), ProposeFile> {
    let id = FileId(api.random_id());
    // The key may be another one by the time that the secret is applied; then it is sealed again.
    let mut tries = API_STALE_TRIES_MAX;
    loop {
        tries -= 1;
        let (data, sealed_with) = match kind {
            FileKind::Config => (Payload::new(content), None),
            FileKind::Secret => seal(api, id, content).await.map_err(ProposeFile::Seal)?,
        };
        let (name, labels, size_bytes) = (name.to_owned(), labels.clone(), content.len() as u64);
        let spec = FileSpec { kind, name, labels, data, size_bytes, sealed_with };
        match api.try_change(Command::CreateFile { id, spec }).await {
            Ok(applied) => return Ok((id, applied)),
            Err(ProposeError::Rejected(Rejection::Stale(_))) if tries > 0 => {}
            Err(error) => return Err(ProposeFile::Propose(error)),
        }
    }
}

/// Why a file was not added.
enum ProposeFile {
    Seal(ApiError),
    Propose(ProposeError),
}

impl From<ProposeFile> for ApiError {
    fn from(error: ProposeFile) -> ApiError {
        match error {
            ProposeFile::Seal(error) => error,
            ProposeFile::Propose(error) => error.into(),
        }
    }
}

/// What is declared again and again, as compose files are, gets another name when its content is another: `password`,
/// `password_2` and so on. No name tells anything of the content, as a hash of a short secret would.
async fn declare(api: &Context, kind: FileKind, request: CreateFile) -> Result<Json<DeclaredFile>, ApiError> {
    let New { name, labels, content } = checked(api, kind, request)?;
    let mut tries = API_STALE_TRIES_MAX;
    loop {
        tries -= 1;
        let state = api.read().await?;
        if let Some(same) = same(api, &state, kind, &name, &labels, &content).await? {
            return Ok(Json(DeclaredFile { id: same.id, name: same.spec.name.clone(), outcome: Outcome::Unchanged }));
        }
        let numbered = (2..).map(|number: u64| format!("{name}_{number}"));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        let free = names.find(|name| state.file_named(kind, name).is_none()).unwrap_or_else(|| name.clone());
        match add(api, kind, &free, &labels, &content).await {
            Ok((id, _)) => return Ok(Json(DeclaredFile { id, name: free, outcome: Outcome::Created })),
            // Another one took the name meanwhile.
            Err(ProposeFile::Propose(ProposeError::Rejected(Rejection::Conflict(_)))) if tries > 0 => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A version of the name with this content, made by whom these labels name.
async fn same<'a>(
    api: &Context,
    state: &'a ClusterState,
    kind: FileKind,
    name: &str,
    labels: &Labels,
    content: &[u8],
) -> Result<Option<&'a Arc<File>>, ApiError> {
    let numbered = |rest: &str| rest.strip_prefix('_').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|c| c.is_ascii_digit()));
    let is_version = |known: &str| known.strip_prefix(name).is_some_and(|rest| rest.is_empty() || numbered(rest));
    let fits = |file: &FileSpec| {
        let labelled = labels.iter().all(|(key, value)| file.labels.get(key) == Some(value));
        file.kind == kind && is_version(&file.name) && labelled && file.size_bytes == content.len() as u64
    };
    let candidates: Vec<&Arc<File>> = state.files.values().filter(|file| fits(&file.spec)).collect();
    if kind == FileKind::Config || candidates.is_empty() {
        return Ok(candidates.into_iter().find(|file| *file.spec.data == *content));
    }
    let Some(key) = have_key(&api.peers, &api.seal_keys, state).await? else { return Ok(None) };
    let holds = |file: &&Arc<File>| key.open(file.id, &file.spec.data).is_ok_and(|known| known.as_slice() == content);
    Ok(candidates.into_iter().find(holds))
}

/// The sealed secret, and the fingerprint of the key that sealed it.
async fn seal(api: &Context, id: FileId, content: &[u8]) -> Result<(Payload, Option<[u8; 32]>), ApiError> {
    let key = api.seal_keys.to_seal(&api.peers, &api.cluster()?, &*api.random).await?;
    let sealed = key.seal(id, content, &*api.random).map_err(|error| ApiError::new(ErrorKind::Internal, error.to_string()))?;
    Ok((sealed, Some(key.fingerprint())))
}

async fn inspect(api: &Context, kind: FileKind, name: &str) -> Result<Json<FileDetail>, ApiError> {
    let state = api.read().await?;
    let file = state.find_file(kind, name)?;
    let data = match kind {
        FileKind::Secret => None,
        FileKind::Config => Some(Base64(file.spec.data.to_vec())),
    };
    Ok(Json(FileDetail { summary: summary(file), services: state.users_of_file(file.id), data }))
}

async fn update(api: &Context, kind: FileKind, name: &str, request: UpdateFile) -> Result<Json<Changed>, ApiError> {
    let state: ClusterState = api.read().await?;
    let file = state.find_file(kind, name)?;
    let mut labels = file.spec.labels.clone();
    for key in &request.labels_rm {
        if labels.remove(key).is_none() {
            return Err(ApiError::not_found(format!("{kind} '{}' has no label '{key}'", file.spec.name)));
        }
    }
    labels.extend(request.labels_add);
    let applied = api.change(Command::LabelFile { id: file.id, labels }).await?;
    Ok(Json(Changed { index: applied.index, warnings: Vec::new() }))
}

async fn remove(api: &Context, kind: FileKind, name: &str) -> Result<Json<Changed>, ApiError> {
    let id = api.read().await?.find_file(kind, name)?.id;
    let applied = api.change(Command::RemoveFile { id }).await?;
    Ok(Json(Changed { index: applied.index, warnings: Vec::new() }))
}

fn summary(file: &File) -> FileSummary {
    FileSummary {
        id: file.id,
        name: file.spec.name.clone(),
        labels: file.spec.labels.clone(),
        size_bytes: file.spec.size_bytes,
        created_at_ms: file.created_at,
        updated_at_ms: file.updated_at,
    }
}

impl From<SealKeyError> for ApiError {
    fn from(error: SealKeyError) -> ApiError {
        match error {
            SealKeyError::Propose(error) => error.into(),
            error => ApiError::unavailable(error.to_string()),
        }
    }
}
