//! Which resource a path names. Pure.

use crate::digest::Digest;
use crate::fault::{Code, Fault};
use crate::name::{is_repository, is_tag, is_upload};

/// A resource of the specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Base,
    Catalog,
    Tags { repository: String },
    Manifest { repository: String, reference: Reference },
    Blob { repository: String, digest: Digest },
    Uploads { repository: String },
    Upload { repository: String, id: String },
    Referrers { repository: String, digest: Digest },
}

/// How a manifest is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    Tag(String),
    Digest(Digest),
    /// Neither: nothing can have this name.
    Impossible(String),
}

/// The resource at `path`, which has no query.
pub fn route(path: &str) -> Result<Route, Fault> {
    let not_found = || Fault::new(404, Code::NameUnknown, "there is nothing here: the registry is at /v2/");
    let Some(rest) = path.strip_prefix("/v2") else { return Err(not_found()) };
    let rest = match rest {
        "" | "/" => return Ok(Route::Base),
        "/_catalog" => return Ok(Route::Catalog),
        rest => rest.strip_prefix('/').ok_or_else(not_found)?,
    };
    let parts: Vec<&str> = rest.split('/').collect();
    match parts[..] {
        [ref name @ .., "tags", "list"] => Ok(Route::Tags { repository: repository(name)? }),
        [ref name @ .., "manifests", reference] => {
            Ok(Route::Manifest { repository: repository(name)?, reference: Reference::read(reference) })
        }
        [ref name @ .., "blobs", "uploads"] | [ref name @ .., "blobs", "uploads", ""] => {
            Ok(Route::Uploads { repository: repository(name)? })
        }
        [ref name @ .., "blobs", "uploads", id] => {
            let repository = repository(name)?;
            if is_upload(id) { Ok(Route::Upload { repository, id: id.to_owned() }) } else { Err(Fault::unknown_upload()) }
        }
        [ref name @ .., "blobs", digest] => Ok(Route::Blob { repository: repository(name)?, digest: self::digest(digest)? }),
        [ref name @ .., "referrers", digest] => Ok(Route::Referrers { repository: repository(name)?, digest: self::digest(digest)? }),
        _ => Err(not_found()),
    }
}

fn repository(parts: &[&str]) -> Result<String, Fault> {
    let name = parts.join("/");
    if is_repository(&name) {
        return Ok(name);
    }
    Err(Fault::new(400, Code::NameInvalid, format!("'{name}' is no name of a repository: use lower-case letters, digits and . _ - /")))
}

fn digest(text: &str) -> Result<Digest, Fault> {
    Digest::parse(text).ok_or_else(|| Fault::invalid_digest(text))
}

impl Reference {
    fn read(text: &str) -> Self {
        match Digest::parse(text) {
            Some(digest) => Self::Digest(digest),
            None if is_tag(text) => Self::Tag(text.to_owned()),
            None => Self::Impossible(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_is_found() {
        let digest = Digest::of(b"x");
        let repository = || "a/b".to_owned();
        let id = "0".repeat(32);
        for (path, expected) in [
            ("/v2/".to_owned(), Route::Base),
            ("/v2".to_owned(), Route::Base),
            ("/v2/_catalog".to_owned(), Route::Catalog),
            ("/v2/a/b/tags/list".to_owned(), Route::Tags { repository: repository() }),
            ("/v2/a/b/manifests/v1".to_owned(), Route::Manifest { repository: repository(), reference: Reference::Tag("v1".into()) }),
            (
                format!("/v2/a/b/manifests/{digest}"),
                Route::Manifest { repository: repository(), reference: Reference::Digest(digest.clone()) },
            ),
            (
                "/v2/a/b/manifests/.INVALID".to_owned(),
                Route::Manifest { repository: repository(), reference: Reference::Impossible(".INVALID".into()) },
            ),
            (format!("/v2/a/b/blobs/{digest}"), Route::Blob { repository: repository(), digest: digest.clone() }),
            ("/v2/a/b/blobs/uploads/".to_owned(), Route::Uploads { repository: repository() }),
            ("/v2/a/b/blobs/uploads".to_owned(), Route::Uploads { repository: repository() }),
            (format!("/v2/a/b/blobs/uploads/{id}"), Route::Upload { repository: repository(), id: id.clone() }),
            (format!("/v2/a/b/referrers/{digest}"), Route::Referrers { repository: repository(), digest: digest.clone() }),
            // A repository may be called like a part of a path.
            ("/v2/blobs/uploads/tags/list".to_owned(), Route::Tags { repository: "blobs/uploads".into() }),
        ] {
            assert_eq!(route(&path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn nothing_leads_out_of_the_volume() {
        for (path, status) in [
            ("/", 404),
            ("/v3/", 404),
            ("/v2x", 404),
            ("/v2/a", 404),
            ("/v2/A/tags/list", 400),
            ("/v2/../manifests/x", 400),
            ("/v2/a/../../b/tags/list", 400),
            ("/v2//tags/list", 400),
            ("/v2/a/blobs/../../x", 404),
            ("/v2/a/blobs/uploads/..", 404),
            ("/v2/a/blobs/sha256:..", 400),
        ] {
            assert_eq!(route(path).unwrap_err().status, status, "{path}");
        }
    }
}
