//! Asks one task whether it does its work, through the virtual network, as any client of it would.
//!
//! When to ask, and what follows from the answers, is decided in `machine`.
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use minicloud_core::id::TaskId;
use minicloud_core::spec::HealthProbe;
use minicloud_core::view::AssignedTask;
use minicloud_net::{Connection, Switch};
use tokio::time::{sleep, timeout};

/// Who asks, as the task sees it: no other task, and nobody from outside.
const PROBER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Waits, then asks once. The error says what was wrong, in few words.
pub(super) async fn ask(switch: Switch, task: TaskId, check: Check, after: Duration) -> Result<(), String> {
    sleep(after).await;
    match timeout(check.timeout, answer(&switch, task, &check)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} ms", check.timeout.as_millis())),
    }
}

/// What is asked, with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    port: u16,
    /// `None`: a connection that is taken is enough.
    path: Option<String>,
    timeout: Duration,
}

impl Check {
    /// `None` for a task without a health check.
    pub(super) fn of(assigned: &AssignedTask) -> Option<Check> {
        let health = assigned.template.health.as_ref()?;
        let (port, path) = match &health.probe {
            HealthProbe::Http { path, port } => (port.unwrap_or(assigned.template.http_port), Some(path.clone())),
            HealthProbe::Tcp { port } => (*port, None),
        };
        Some(Check { port, path, timeout: Duration::from_millis(health.timeout_ms) })
    }
}

async fn answer(switch: &Switch, task: TaskId, check: &Check) -> Result<(), String> {
    let connected = switch.connect_host_port(PROBER, task, check.port).await;
    let connection = connected.map_err(|error| format!("port {}: {error}", check.port))?;
    match &check.path {
        Some(path) => get(connection, check.port, path).await,
        None => Ok(()),
    }
}

async fn get(connection: Connection, port: u16, path: &str) -> Result<(), String> {
    let wrong = |error: &dyn Display| format!("GET :{port}{path}: {error}");
    let request = Request::get(path).header(header::HOST, "localhost").header(header::USER_AGENT, "minicloud-health");
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| wrong(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await.map_err(|error| wrong(&error))?;
    let answer = tokio::select! {
        biased;
        answer = sender.send_request(request) => answer.map_err(|error| wrong(&error))?,
        _ = connection => return Err(wrong(&"the connection was closed without an answer")),
    };
    let status = answer.status();
    if status.is_success() || status.is_redirection() || status.is_informational() {
        Ok(())
    } else {
        Err(wrong(&format!("status {status}")))
    }
}
