//! A raw stream from outside into a network, as a task on it would open one: what `minicloud proxy` is made of.
//!
//! Served by every node, workers too, from the routes of its view.
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper_util::rt::TokioIo;
use minicloud_core::view::NetworkRoute;
use minicloud_net::{Connection, NetError};
use serde::Deserialize;
use tracing::debug;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::Params;
use super::types::{ErrorBody, ErrorKind};
use super::{Context, State};
use crate::client::UPGRADE_PROTOCOL;
use crate::overlay::pump::pump;
use crate::socket_stream::SocketStream;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Target {
    /// A name as on that network, or an address of it.
    host: String,
    port: u16,
}

#[utoipa::path(
    post,
    path = "/v1/networks/{network}/connect",
    tag = "networks",
    summary = "Become a raw stream to a service on an attachable network",
    params(("network" = String, Path, description = "Name or id"), Target),
    responses((status = 101, description = "The connection is the stream from here on"), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn connect(
    api: State,
    Path(network): Path<String>,
    Params(target): Params<Target>,
    request: Request,
) -> Result<Response, ApiError> {
    let wanted = request.headers().get(header::UPGRADE).is_some_and(|protocol| protocol == UPGRADE_PROTOCOL);
    if !wanted {
        return Err(ApiError::invalid(format!("this call becomes a raw stream: send 'upgrade: {UPGRADE_PROTOCOL}'")));
    }
    let connection = open(&api, &network, &target).await?;
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => pump(Box::new(SocketStream::new(TokioIo::new(upgraded))), connection).await,
            Err(error) => {
                debug!(%error, "a client left before its stream began");
                connection.reset();
            }
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(UPGRADE_PROTOCOL));
    Ok(response)
}

async fn open(api: &Context, network: &str, target: &Target) -> Result<Connection, ApiError> {
    let network = find(api, network)?;
    let mut failure = NetError::NameNotFound;
    for ip in resolve(api, &network, &target.host)? {
        let remote = SocketAddr::new(ip, target.port);
        match api.switch.connect_from_network(client_address(api), network.id, remote).await {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = error,
        }
    }
    let kind = if failure == NetError::Unreachable { ErrorKind::NotFound } else { ErrorKind::Unavailable };
    Err(ApiError::new(kind, format!("cannot connect to {}:{} on network '{}': {failure}", target.host, target.port, network.name)))
}

fn find(api: &Context, name: &str) -> Result<NetworkRoute, ApiError> {
    let routes = api.switch.routes();
    let found = routes.networks.values().find(|network| network.name == name || network.id.to_string() == name);
    match found {
        Some(network) if network.ingress || network.egress => {
            Err(ApiError::invalid(format!("network '{name}' is built in and leads to no tasks: choose one of your own")))
        }
        Some(network) if !network.attachable => Err(ApiError::conflict(format!(
            "network '{name}' is not attachable: create it with 'minicloud network create --attachable {name}'"
        ))),
        Some(network) => Ok((**network).clone()),
        None => Err(ApiError::not_found(format!("no network '{name}'; see 'minicloud network ls'"))),
    }
}

fn resolve(api: &Context, network: &NetworkRoute, host: &str) -> Result<Vec<IpAddr>, ApiError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![ip]);
    }
    match api.switch.resolve_on(network.id, host) {
        Ok(addresses) => Ok(addresses.into_iter().map(IpAddr::V4).collect()),
        Err(_) => Err(ApiError::not_found(format!("no service '{host}' on network '{}'", network.name))),
    }
}

/// What the task sees as its peer: this node, with a port of its own for each connection.
fn client_address(api: &Context) -> SocketAddr {
    static NEXT_PORT: AtomicU16 = AtomicU16::new(0);
    const EPHEMERAL: u16 = 49_152;
    let port = NEXT_PORT.fetch_add(1, Ordering::Relaxed) % (u16::MAX - EPHEMERAL);
    SocketAddr::new(api.peers.local().address().ip(), EPHEMERAL + port)
}
