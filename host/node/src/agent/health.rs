//! Asks one task whether it does its work, through the virtual network, as any client of it would.
//!
//! When to ask, and what follows from the answers, is decided in `machine`.
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
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

const CLOSED: &str = "the connection was closed without an answer";

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
    let exchange = async move {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        // To its end: a server whose client leaves in the middle of an answer sees an error.
        let mut body = answer.into_body();
        while body.frame().await.is_some_and(|frame| frame.is_ok()) {}
        Ok::<_, hyper::Error>(status)
    };
    // A server may close as soon as it has answered.
    let (status, _) = tokio::join!(exchange, connection);
    let status = status.map_err(|error| if error.is_incomplete_message() { wrong(&CLOSED) } else { wrong(&error) })?;
    if status.is_success() || status.is_redirection() || status.is_informational() {
        Ok(())
    } else {
        Err(wrong(&format!("status {status}")))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What is said of a server that reads the request and writes these pieces, and whether it could write them all.
    async fn asked(pieces: &'static [&'static str]) -> (Result<(), String>, bool) {
        let (near, mut far) = Connection::pair(PROBER, PROBER);
        let serving = async move {
            let mut request = [0; 1024];
            let read = far.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /up HTTP/1.1\r\n"));
            for piece in pieces {
                tokio::task::yield_now().await;
                if far.write_all(piece.as_bytes()).await.is_err() {
                    return false;
                }
            }
            far.shutdown().await.is_ok()
        };
        tokio::join!(get(near, 80, "/up"), serving)
    }

    #[tokio::test]
    async fn a_server_that_closes_after_its_answer_is_healthy_and_not_disturbed() {
        for pieces in [
            &["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"][..],
            &["HTTP/1.1 200 OK\r\n", "content-length: 4\r\n\r\n", "up", "up"],
            &["HTTP/1.0 200 OK\r\n\r\n", "until", " it ", "closes"],
            &["HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"],
        ] {
            assert_eq!(asked(pieces).await, (Ok(()), true), "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_good_answer_is_told() {
        let told = async |pieces| asked(pieces).await.0.unwrap_err();
        assert_eq!(told(&["HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"]).await, "GET :80/up: status 500 Internal Server Error");
        assert_eq!(told(&[]).await, format!("GET :80/up: {CLOSED}"));
        assert!(told(&["SSH-2.0-x\r\n\r\n"]).await.starts_with("GET :80/up: "));
    }
}
