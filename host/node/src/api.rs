//! The node's API: HTTP and JSON on a Unix socket in the data directory, for the command line and for scripts.
//!
//! Handlers validate, resolve names, propose through [`Cluster`] and wait until the change shows; reads are
//! linearizable. A worker holds no state: it answers what it knows of itself, and says where a manager is. The API
//! describes itself at `/openapi.json`.
mod cluster;
mod connect;
mod context;
mod doors;
mod error;
mod event;
mod extract;
mod file;
mod image;
mod lines;
mod logs;
mod network;
mod node;
mod service;
pub mod socket;
mod stats;
mod task;
mod transfer;
pub mod types;
mod volume;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bytes::Bytes;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::info;
use utoipa::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use crate::limits::{API_BODY_BYTES_MAX, API_DRAIN_MAX, IMAGE_BYTES_MAX};

pub use context::NodeApi;
use doors::Doors;

/// An API whose socket is bound. See the module.
pub struct Api {
    listener: UnixListener,
    path: PathBuf,
    router: Router,
    ending: CancellationToken,
}

impl Api {
    /// Binds the socket in the node's data directory. Fails when another node listens there.
    pub async fn bind(api: NodeApi) -> io::Result<Api> {
        let path = socket::path(&api.data_dir);
        Api::bind_at(&path, api).await
    }

    async fn bind_at(path: &Path, api: NodeApi) -> io::Result<Api> {
        let listener = socket::bind(path).await?;
        info!(socket = %path.display(), "API is open");
        let ending = CancellationToken::new();
        Ok(Api { listener, path: path.to_owned(), router: router(Arc::new(Context { api, ending: ending.clone() })), ending })
    }

    /// Serves until `shutdown`; requests under way may end, streams are cut.
    pub fn spawn(self, shutdown: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(async move {
            let doors = Doors::new(self.listener);
            let (told, ending) = (shutdown.clone(), self.ending);
            let end = async move {
                told.cancelled().await;
                ending.cancel();
            };
            let serving = axum::serve(doors, self.router).with_graceful_shutdown(end);
            let drained = async {
                shutdown.cancelled().await;
                sleep(API_DRAIN_MAX).await;
            };
            tokio::select! {
                _ = serving => {}
                () = drained => {}
            }
            let _ = std::fs::remove_file(&self.path);
        })
    }
}

/// What every handler gets.
struct Context {
    api: NodeApi,
    /// The API is closing: streams end.
    ending: CancellationToken,
}

impl std::ops::Deref for Context {
    type Target = NodeApi;
    fn deref(&self) -> &NodeApi {
        &self.api
    }
}

type State = axum::extract::State<Arc<Context>>;

fn router(context: Arc<Context>) -> Router {
    let (router, description) = described();
    let description = Bytes::from(description.to_json().expect("a description is plain data"));
    router
        .route("/openapi.json", get(async move || ([(CONTENT_TYPE, "application/json")], description.clone())))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(DefaultBodyLimit::max(API_BODY_BYTES_MAX))
        .with_state(context)
}

#[derive(OpenApi)]
#[openapi(info(
    title = "minicloud",
    description = "One node of a minicloud cluster, on the Unix socket in its data directory. Ids are text; times are milliseconds \
                   since 1970; keys that are absent have their default."
))]
struct Description;

/// Every path with its handlers, and the description of all of them, made from the same list.
fn described() -> (Router<Arc<Context>>, utoipa::openapi::OpenApi) {
    let image_bytes_max = usize::try_from(IMAGE_BYTES_MAX).unwrap_or(usize::MAX);
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(cluster::version))
        .routes(routes!(cluster::info))
        .routes(routes!(cluster::join_token))
        .routes(routes!(cluster::rotate_join_token))
        .routes(routes!(cluster::leave))
        .routes(routes!(cluster::stop))
        .routes(routes!(node::list))
        .routes(routes!(node::inspect, node::update, node::remove))
        .routes(routes!(node::promote))
        .routes(routes!(node::demote))
        .routes(routes!(task::of_node))
        .routes(routes!(service::list, service::create))
        .routes(routes!(service::scale))
        .routes(routes!(service::declare))
        .routes(routes!(service::check))
        .routes(routes!(service::inspect, service::remove))
        .routes(routes!(service::update))
        .routes(routes!(service::rollback))
        .routes(routes!(task::of_service))
        .routes(routes!(logs::of_service))
        .routes(routes!(service::watch))
        .routes(routes!(service::usage))
        .routes(routes!(network::list, network::create))
        .routes(routes!(network::inspect, network::remove))
        .routes(routes!(connect::connect))
        .routes(routes!(volume::list, volume::create))
        .routes(routes!(volume::inspect, volume::remove))
        .routes(routes!(file::secret::list, file::secret::create))
        .routes(routes!(file::secret::inspect, file::secret::remove))
        .routes(routes!(file::secret::update))
        .routes(routes!(file::secret::declare))
        .routes(routes!(file::config::list, file::config::create))
        .routes(routes!(file::config::inspect, file::config::remove))
        .routes(routes!(file::config::update))
        .routes(routes!(file::config::declare))
        .routes(routes!(task::list))
        .routes(routes!(stats::stats))
        .routes(routes!(event::events))
        .routes(routes!(task::inspect))
        .routes(routes!(image::list, image::import, image::remove).layer(DefaultBodyLimit::max(image_bytes_max)))
        .routes(routes!(image::inspect))
        .routes(routes!(image::tag))
        .routes(routes!(image::prune))
        .routes(routes!(transfer::pull))
        .routes(routes!(transfer::push))
        .split_for_parts()
}
