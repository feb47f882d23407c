//! The `wasi:http/handler` export.

use crate::route::{Route, route};
use guest_common::reply::Reply;
use guest_common::serve::{RequestLine, respond};
use guest_common::{clock, debug_enabled, hostname, log};
use std::time::Duration;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Request, Response};
use wasip3::random::random::get_random_bytes;

/// What one answer with random bytes costs.
const WORK: Duration = Duration::from_millis(100);

struct Rng;
wasip3::http::service::export!(Rng);

impl Guest for Rng {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let line = RequestLine::of(&request);
        drop(request);
        let reply = match route(line.effective_method(), line.resource()) {
            Route::Banner => Reply::text(200, format!("RNG running on {}\n", hostname())),
            Route::Random { bytes } => random(bytes).await,
            Route::TooLarge => Reply::text(413, "at most 1048576 bytes\n"),
            Route::NotFound => Reply::not_found(),
            Route::MethodNotAllowed => Reply::method_not_allowed("GET, HEAD"),
        };
        respond(&line, reply)
    }
}

async fn random(bytes: u64) -> Reply {
    if debug_enabled() {
        log::line(format_args!("DEBUG: generating {bytes} random bytes"));
    }
    clock::sleep(WORK).await;
    Reply::new(200, "application/octet-stream", get_random_bytes(bytes))
}
