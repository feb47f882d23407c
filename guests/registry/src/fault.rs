//! What a request that fails is answered with: the status and the error body of the specification. Pure.

use guest_common::reply::Reply;
use serde::Serialize;

/// The codes of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    Unsupported,
    Unknown,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub status: u16,
    pub code: Code,
    pub message: String,
    /// Headers beside those of the body: where an upload stands, or what is allowed.
    pub headers: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
struct Body<'a> {
    errors: [Error<'a>; 1],
}

#[derive(Serialize)]
struct Error<'a> {
    code: Code,
    message: &'a str,
}

impl Fault {
    pub fn new(status: u16, code: Code, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    pub fn unknown_name(name: &str) -> Self {
        Self::new(404, Code::NameUnknown, format!("there is no repository '{name}'"))
    }

    pub fn unknown_blob() -> Self {
        Self::new(404, Code::BlobUnknown, "this repository has no such blob")
    }

    pub fn unknown_manifest(reference: &str) -> Self {
        Self::new(404, Code::ManifestUnknown, format!("this repository has no manifest '{reference}'"))
    }

    pub fn unknown_upload() -> Self {
        Self::new(404, Code::BlobUploadUnknown, "there is no such upload: it has ended, or it was never begun")
    }

    pub fn invalid_digest(text: &str) -> Self {
        Self::new(400, Code::DigestInvalid, format!("'{text}' is no digest: write sha256: and 64 lower-case hex digits"))
    }

    pub fn unsupported(allow: &'static str) -> Self {
        Self::new(405, Code::Unsupported, "this cannot be asked for here").header("allow", allow)
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn reply(self) -> Reply {
        let body = Body { errors: [Error { code: self.code, message: &self.message }] };
        // Two strings always make JSON.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let reply = Reply::new(self.status, "application/json", body);
        self.headers.into_iter().fold(reply, |reply, (name, value)| reply.header(name, value))
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::full(),
            _ => Self::new(500, Code::Unknown, format!("the volume of the registry failed: {error}")),
        }
    }
}

impl Fault {
    pub fn full() -> Self {
        Self::new(507, Code::Unknown, "the volume of the registry is full")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_the_specification_s() {
        let reply = Fault::new(404, Code::BlobUnknown, "a \"b\"").header("range", "0-1").reply();
        assert_eq!(reply.status, 404);
        assert_eq!(reply.body.as_ref(), br#"{"errors":[{"code":"BLOB_UNKNOWN","message":"a \"b\""}]}"#);
        assert_eq!(reply.headers, [("content-type", "application/json".to_owned()), ("range", "0-1".to_owned())]);
    }

    #[test]
    fn a_full_volume_is_told_apart() {
        assert_eq!(Fault::from(std::io::Error::from(std::io::ErrorKind::StorageFull)).status, 507);
        assert_eq!(Fault::from(std::io::Error::from(std::io::ErrorKind::NotFound)).status, 500);
    }
}
