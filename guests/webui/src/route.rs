//! What a request asks for, and how a file is answered. Pure.

use crate::assets::{self, Asset};
use guest_common::reply::Reply;

/// What to do about one request.
#[derive(Debug)]
pub enum Route {
    Home,
    Json,
    File(&'static Asset),
    NotFound,
    MethodNotAllowed,
}

/// Decides on a request by its method (`HEAD` counts as `GET`) and its path without the query.
pub fn route(method: &str, path: &str) -> Route {
    let route = match path {
        "/" => Route::Home,
        "/json" => Route::Json,
        path => assets::find(path).map_or(Route::NotFound, Route::File),
    };
    match route {
        Route::NotFound => Route::NotFound,
        route if method == "GET" => route,
        _ => Route::MethodNotAllowed,
    }
}

/// A file, or 304 when the client already holds it.
pub fn file(asset: &'static Asset, if_none_match: Option<&str>) -> Reply {
    let cache = if asset.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let reply = if if_none_match.is_some_and(|tags| holds(tags, asset.etag)) {
        Reply::unmodified()
    } else {
        Reply::new(200, asset.content_type, asset.bytes)
    };
    reply.header("etag", asset.etag).header("cache-control", cache)
}

/// Whether `If-None-Match` names the tag; the comparison is weak (RFC 9110, 13.1.2).
fn holds(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_the_numbers_and_what_is_unknown() {
        assert!(matches!(route("GET", "/"), Route::Home));
        assert!(matches!(route("GET", "/json"), Route::Json));
        assert!(matches!(route("GET", "/index.html"), Route::File(_)));
        assert!(matches!(route("GET", "/nothing"), Route::NotFound));
        assert!(matches!(route("POST", "/nothing"), Route::NotFound));
        assert!(matches!(route("POST", "/json"), Route::MethodNotAllowed));
    }

    #[test]
    fn a_file_the_client_holds_is_not_sent_again() {
        let asset = assets::find("/index.html").unwrap();
        assert_eq!(file(asset, None).status, 200);
        assert_eq!(file(asset, Some("\"other\"")).status, 200);
        let tags = format!("\"other\", W/{}", asset.etag);
        let reply = file(asset, Some(&tags));
        assert_eq!((reply.status, reply.body.len()), (304, 0));
    }
}
