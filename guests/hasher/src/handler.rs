//! The `wasi:http/handler` export.

use crate::digest::Hasher;
use guest_common::body::{Body, BodyError, content_length};
use guest_common::reply::Reply;
use guest_common::serve::{RequestLine, respond};
use guest_common::{clock, hostname};
use std::time::Duration;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Request, Response};

/// What one digest costs.
const WORK: Duration = Duration::from_millis(100);
/// The largest body accepted; none is ever held in memory.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

struct HasherService;
wasip3::http::service::export!(HasherService);

impl Guest for HasherService {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let line = RequestLine::of(&request);
        let reply = match (line.effective_method(), line.resource()) {
            ("GET", "/") => Reply::text(200, format!("HASHER running on {}\n", hostname())),
            ("POST", "/") => digest(request).await,
            (_, "/") => Reply::method_not_allowed("GET, HEAD, POST"),
            _ => Reply::not_found(),
        };
        respond(&line, reply)
    }
}

async fn digest(request: Request) -> Reply {
    let headers = request.get_headers();
    if content_length(&headers).is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        // Who waits for leave to send has sent nothing yet.
        if !headers.has("expect") {
            Body::of_request(request).discard().await;
        }
        return too_large();
    }
    let mut hasher = Hasher::default();
    match Body::of_request(request).for_each(BODY_BYTES_MAX, |piece| hasher.update(piece)).await {
        Ok(()) => {}
        Err(BodyError::TooLarge) => return too_large(),
        Err(error @ BodyError::Incomplete(_)) => return Reply::text(400, format!("{error}\n")),
    }
    clock::sleep(WORK).await;
    Reply::new(200, "text/plain", hasher.finish().into_bytes())
}

fn too_large() -> Reply {
    Reply::text(413, "at most 16777216 bytes\n")
}
