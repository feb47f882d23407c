//! The `wasi:http/handler` export.

use crate::proxy;
use guest_common::body::Body;
use guest_common::reply::Reply;
use guest_common::serve::{RequestLine, respond};
use guest_common::{clock, hostname};
use std::cell::Cell;
use std::time::Duration;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Request, Response};

const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

thread_local! {
    static REQUESTS: Cell<u64> = const { Cell::new(0) };
}

struct Service;
wasip3::http::service::export!(Service);

impl Guest for Service {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let line = RequestLine::of(&request);
        let count = REQUESTS.get() + 1;
        REQUESTS.set(count);
        let value = || line.path.split_once('=').map_or("", |(_, value)| value);
        let reply = match line.resource() {
            "/" => {
                let (method, path) = (&line.method, &line.path);
                Reply::text(200, format!("{method} {path} on {} request {count}\n", hostname()))
            }
            "/get" => proxy::get(value()).await,
            "/slow" => {
                clock::sleep(Duration::from_millis(value().parse().unwrap_or(100))).await;
                Reply::text(200, "slow\n")
            }
            "/body" => echo(request).await,
            "/headers" => Reply::text(200, headers(&request)),
            "/status" => Reply::text(value().parse().unwrap_or(500), "as asked\n"),
            "/trap" => std::process::abort(),
            _ => Reply::not_found(),
        };
        respond(&line, reply)
    }
}

async fn echo(request: Request) -> Reply {
    match Body::of_request(request).collect(BODY_BYTES_MAX).await {
        Ok(body) => Reply::new(200, "application/octet-stream", body),
        Err(error) => Reply::text(413, format!("{error}\n")),
    }
}

fn headers(request: &Request) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (name, value) in request.get_headers().copy_all() {
        lines.push(format!("{name}: {}\n", String::from_utf8_lossy(&value)));
    }
    lines.sort();
    format!("authority: {}\n{}", request.get_authority().unwrap_or_default(), lines.concat())
}
