//! What a request asks for. Pure.

/// The largest number of bytes one request may ask for.
pub const BYTES_MAX: u64 = 1024 * 1024;

/// What to do about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Banner,
    Random { bytes: u64 },
    TooLarge,
    NotFound,
    MethodNotAllowed,
}

/// Decides on a request by its method (`HEAD` counts as `GET`) and its path without the query.
pub fn route(method: &str, path: &str) -> Route {
    let name = path.strip_prefix('/').unwrap_or(path);
    let numeric = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    if !name.is_empty() && !numeric {
        return Route::NotFound;
    }
    if method != "GET" {
        return Route::MethodNotAllowed;
    }
    if name.is_empty() {
        return Route::Banner;
    }
    // All digits: what does not fit is only too large.
    match name.parse() {
        Ok(bytes) if bytes <= BYTES_MAX => Route::Random { bytes },
        _ => Route::TooLarge,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_up_to_the_bound() {
        assert_eq!(route("GET", "/"), Route::Banner);
        assert_eq!(route("GET", "/0"), Route::Random { bytes: 0 });
        assert_eq!(route("GET", "/32"), Route::Random { bytes: 32 });
        assert_eq!(route("GET", "/1048576"), Route::Random { bytes: BYTES_MAX });
        assert_eq!(route("GET", "/1048577"), Route::TooLarge);
        assert_eq!(route("GET", "/99999999999999999999999"), Route::TooLarge);
    }

    #[test]
    fn what_is_no_number_is_not_found() {
        for path in ["/x", "/-1", "/+1", "/3.2", "/32/", "//32", "/%33", "/٣"] {
            assert_eq!(route("GET", path), Route::NotFound, "{path}");
        }
    }

    #[test]
    fn only_get_is_served() {
        assert_eq!(route("POST", "/32"), Route::MethodNotAllowed);
        assert_eq!(route("DELETE", "/"), Route::MethodNotAllowed);
        assert_eq!(route("POST", "/x"), Route::NotFound);
    }
}
