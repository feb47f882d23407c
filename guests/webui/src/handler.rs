//! The `wasi:http/handler` export.

use crate::numbers::{Numbers, error_json};
use crate::route::{Route, file, route};
use guest_common::clock;
use guest_common::redis::{Client, ClientError};
use guest_common::reply::Reply;
use guest_common::serve::{RequestLine, respond};
use std::sync::Once;
use std::time::Duration;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Request, Response};

/// Bound of a whole conversation with `redis`: the page asks every second.
const REDIS_BOUND: Duration = Duration::from_secs(2);
const REDIS_PORT: u16 = 6379;

/// An HTTP component runs from its first request on.
static STARTED: Once = Once::new();

struct WebUi;
wasip3::http::service::export!(WebUi);

impl Guest for WebUi {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        STARTED.call_once(|| guest_common::log::line("WEBUI running on port 80"));
        let line = RequestLine::of(&request);
        let reply = match route(line.effective_method(), line.resource()) {
            Route::Home => Reply::text(302, "").header("location", "/index.html"),
            Route::Json => json().await,
            Route::File(asset) => file(asset, if_none_match(&request).as_deref()),
            Route::NotFound => Reply::not_found(),
            Route::MethodNotAllowed => Reply::method_not_allowed("GET, HEAD"),
        };
        respond(&line, reply)
    }
}

fn if_none_match(request: &Request) -> Option<String> {
    let value = request.get_headers().get("if-none-match").into_iter().next()?;
    String::from_utf8(value).ok()
}

async fn json() -> Reply {
    let (status, body) = match clock::timeout(REDIS_BOUND, numbers()).await {
        Ok(Ok(Some(numbers))) => (200, numbers.to_json(clock::unix())),
        Ok(Ok(None)) => (503, error_json("redis gave an answer it should not")),
        Ok(Err(error)) => (503, error_json(&error.to_string())),
        Err(elapsed) => (503, error_json(&format!("redis: {elapsed}"))),
    };
    Reply::new(status, "application/json", body.into_bytes()).header("cache-control", "no-store")
}

async fn numbers() -> Result<Option<Numbers>, ClientError> {
    let mut client = Client::open("redis", REDIS_PORT, REDIS_BOUND).await?;
    let answers = client.pipeline([&[b"HLEN", b"wallet"], &[b"GET", b"hashes"]]).await?;
    Ok(Numbers::from_answers(answers))
}
