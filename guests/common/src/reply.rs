//! An HTTP reply as plain data: what a handler decides before any WASI type is touched.

use std::borrow::Cow;

/// Status, headers and whole body of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Cow<'static, [u8]>,
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<Cow<'static, [u8]>>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.into() }
    }

    /// A reply in plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body.into().into_bytes())
    }

    /// 404, with the reason in the body.
    pub fn not_found() -> Self {
        Self::text(404, "not found\n")
    }

    /// 405, naming what is allowed.
    pub fn method_not_allowed(allow: &str) -> Self {
        Self::text(405, "method not allowed\n").header("allow", allow)
    }

    /// 304: the client holds the body already.
    pub fn unmodified() -> Self {
        Self { status: 304, headers: Vec::new(), body: Cow::Borrowed(&[]) }
    }

    /// The same reply with one header more.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_accumulate() {
        let reply = Reply::method_not_allowed("GET, HEAD");
        assert_eq!(reply.status, 405);
        assert_eq!(reply.headers[1], ("allow", "GET, HEAD".to_owned()));
    }
}
