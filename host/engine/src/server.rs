//! The HTTP server of a task: accepts on the task's own addresses, admits requests, hands them to its instances.
//!
//! A connection is no request: one that is kept alive and idle holds nothing. Draining answers what has been sent,
//! asks clients to reconnect elsewhere, then closes. WASI has no word for the client's address, so it is told in the
//! header that proxies use, as the last of its list.
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::channel::oneshot;
use http::header::{CONNECTION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use minicloud_core::task::Exit;
use minicloud_net::{Connection, Listener};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::admission::{Admission, Permit};
use crate::command::Ready;
use crate::component::{Component, ComponentKind, WasiVersion};
use crate::error::EngineError;
use crate::instance::{self, Instances, Job};
use crate::limits::{CONNECTIONS_PER_TASK_MAX, DRAIN_LINGER, HTTP_BACKLOG, HTTP_HEAD_TIMEOUT};
use crate::meter::Turn;
use crate::store::TaskContext;

/// Whom a request came from: what the client claims, then its true address.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What the connections of a task share.
struct Server {
    context: Arc<TaskContext>,
    admission: Arc<Admission>,
    instances: Instances,
    draining: watch::Receiver<bool>,
}

/// Serve until `draining` turns true and all connections are done, or until no instance can be had any more.
pub async fn run(
    context: Arc<TaskContext>,
    component: Component,
    admission: Arc<Admission>,
    mut draining: watch::Receiver<bool>,
    ready: Ready,
) -> Exit {
    let mut keepers = JoinSet::new();
    let started = start(&context, component, &mut keepers).await;
    let (listener, instances) = match started {
        Ok(started) => started,
        Err(error) => {
            ready.send(Err(error)).ok();
            return Exit::Stopped;
        }
    };
    let server = Arc::new(Server { context, admission, instances, draining: draining.clone() });
    ready.send(Ok(())).ok();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_PER_TASK_MAX => match accepted {
                Ok(connection) => drop(connections.spawn(server.clone().serve(connection))),
                // The network is gone: the task was detached.
                Err(_) => break,
            },
            Some(_) = connections.join_next() => {}
            Some(ended) = keepers.join_next() => return ended_instance(ended),
            _ = draining.wait_for(|draining| *draining) => break,
        }
    }
    // What was connected before the routes changed is still served; what comes now goes elsewhere.
    listener.refuse();
    while let Ok(Some(connection)) = listener.try_accept() {
        connections.spawn(server.clone().serve(connection));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Exit::Stopped
}

/// Listen, and have an instance that runs.
async fn start(
    context: &Arc<TaskContext>,
    component: Component,
    keepers: &mut JoinSet<Exit>,
) -> Result<(Listener, Instances), EngineError> {
    let turn = Turn::new();
    let instances = match component.kind() {
        ComponentKind::Http(WasiVersion::P3) => {
            let (jobs, receiver) = mpsc::unbounded_channel();
            let (started, starting) = oneshot::channel();
            let keeper = instance::keep(context.clone(), component, turn.clone(), receiver, started);
            keepers.spawn(context.metered(turn, keeper));
            starting.await.unwrap_or(Err(EngineError::Closed))?;
            Instances::Kept(jobs)
        }
        ComponentKind::Http(WasiVersion::P2) => {
            let check = instance::check(context.clone(), component.clone(), turn.clone());
            context.metered(turn, check).await?;
            Instances::fresh(context.clone(), component)
        }
        ComponentKind::Command(_) => return Err(EngineError::NothingToRun),
    };
    let port = context.spec.http_port;
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let listener = context.net.listen(address, HTTP_BACKLOG).map_err(|source| EngineError::Listen { port, source })?;
    Ok((listener, instances))
}

fn ended_instance(ended: Result<Exit, tokio::task::JoinError>) -> Exit {
    match ended {
        Ok(exit) => exit,
        Err(error) if error.is_panic() => crate::trap::host_panicked(error.into_panic().as_ref()),
        Err(_) => Exit::Stopped,
    }
}

impl Server {
    async fn serve(self: Arc<Self>, connection: Connection) {
        let mut draining = self.draining.clone();
        let client = connection.remote.ip().to_canonical();
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            let server = self.clone();
            tell_client(request.headers_mut(), client);
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HTTP_HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(connection), service);
        let mut serving = pin!(serving);
        // How a connection ends, well or not, concerns its client only.
        tokio::select! {
            _ = &mut serving => return,
            _ = draining.wait_for(|draining| *draining) => {}
        }
        tokio::select! {
            _ = &mut serving => return,
            () = tokio::time::sleep(DRAIN_LINGER) => {}
        }
        serving.as_mut().graceful_shutdown();
        serving.await.ok();
    }

    async fn answer(&self, request: http::Request<Incoming>) -> Response<AnswerBody> {
        let mut response = match self.answer_admitted(request).await {
            Ok(response) => response,
            Err(refusal) => refusal.response(),
        };
        if *self.draining.borrow() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn answer_admitted(&self, request: http::Request<Incoming>) -> Result<Response<AnswerBody>, Refusal> {
        let request = with_authority(request, &self.context.spec.hostname)?;
        let permit = Arc::new(self.admission.enter().await.map_err(|_| Refusal::QueueFull)?);
        let (answer, answered) = oneshot::channel();
        let request = request.map(|body| body.map_err(Error::from).boxed_unsync());
        self.instances.hand_over(Job { request, answer, permit: permit.clone() });
        match answered.await {
            Ok(Ok(response)) => Ok(response.map(|body| AnswerBody::Guest { body, permit: Some(permit) })),
            Ok(Err(error)) => Err(Refusal::Error(error.root_cause().to_string())),
            Err(oneshot::Canceled) => Err(Refusal::Trapped),
        }
    }
}

fn tell_client(headers: &mut HeaderMap, client: IpAddr) {
    let mut told = Vec::new();
    for claimed in headers.get_all(FORWARDED_FOR) {
        told.extend_from_slice(claimed.as_bytes());
        told.extend_from_slice(b", ");
    }
    told.extend_from_slice(client.to_string().as_bytes());
    let told = HeaderValue::from_bytes(&told).expect("header values and an address make a header value");
    headers.insert(FORWARDED_FOR, told);
}

/// Guests see an absolute URI; a client that names no host means this task.
fn with_authority(request: http::Request<Incoming>, hostname: &str) -> Result<http::Request<Incoming>, Refusal> {
    let (mut parts, body) = request.into_parts();
    let mut uri = parts.uri.into_parts();
    if uri.authority.is_none() {
        let host = match parts.headers.get(HOST) {
            Some(host) => host.as_bytes(),
            None => hostname.as_bytes(),
        };
        uri.authority = Some(host.try_into().map_err(|_| Refusal::BadRequest)?);
    }
    uri.scheme = Some(http::uri::Scheme::HTTP);
    uri.path_and_query.get_or_insert(http::uri::PathAndQuery::from_static("/"));
    parts.uri = http::Uri::from_parts(uri).map_err(|_| Refusal::BadRequest)?;
    Ok(http::Request::from_parts(parts, body))
}

/// An answer that the host gives in place of the guest.
enum Refusal {
    BadRequest,
    QueueFull,
    Trapped,
    Error(String),
}

impl Refusal {
    fn response(self) -> Response<AnswerBody> {
        let (status, text) = match self {
            Refusal::BadRequest => (StatusCode::BAD_REQUEST, "the Host header is no host\n".to_owned()),
            Refusal::QueueFull => (StatusCode::SERVICE_UNAVAILABLE, "too many requests wait for this task\n".to_owned()),
            Refusal::Trapped => (StatusCode::INTERNAL_SERVER_ERROR, "the component trapped; see the log of its task\n".to_owned()),
            Refusal::Error(cause) => (StatusCode::INTERNAL_SERVER_ERROR, format!("the component failed: {cause}\n")),
        };
        let mut response = Response::new(AnswerBody::Host(Some(text.into())));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }
}

/// The body of an answer; the guest's holds its admission until the end.
enum AnswerBody {
    Guest { body: WasiBody, permit: Option<Arc<Permit>> },
    Host(Option<Bytes>),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut *self {
            AnswerBody::Host(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            AnswerBody::Guest { body, permit } => {
                let frame = Pin::new(body).poll_frame(cx);
                if let Poll::Ready(None | Some(Err(_))) = frame {
                    *permit = None;
                }
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Guest { body, .. } => body.is_end_stream(),
            AnswerBody::Host(text) => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Guest { body, .. } => body.size_hint(),
            AnswerBody::Host(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}
