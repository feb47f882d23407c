//! An outgoing request.

use guest_common::body::Body;
use guest_common::reply::Reply;
use wasip3::http::client;
use wasip3::http::types::{Fields, Request, Scheme};
use wasip3::wit_future;

const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The answer to `GET url`, or 502 with the reason why there is none.
pub async fn get(url: &str) -> Reply {
    match fetch(url).await {
        Ok((status, body)) => Reply::new(status, "application/octet-stream", body),
        Err(error) => Reply::text(502, format!("{error}\n")),
    }
}

async fn fetch(url: &str) -> Result<(u16, Vec<u8>), String> {
    let (scheme, rest) = url.split_once("://").ok_or("not a URL")?;
    let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (request, _sent) = Request::new(Fields::new(), None, trailers, None);
    let set = request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    set.map_err(|()| "not a URL")?;
    let response = client::send(request).await.map_err(|code| format!("{code:?}"))?;
    let status = response.get_status_code();
    let body = Body::of_response(response).collect(BODY_BYTES_MAX).await;
    body.map(|body| (status, body)).map_err(|error| error.to_string())
}
