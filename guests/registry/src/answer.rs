//! What each resource answers to each method.

use crate::content::Content;
use crate::digest::Digest;
use crate::fault::{Code, Fault};
use crate::manifest::{MANIFEST_BYTES_MAX, Manifest};
use crate::page::{self, Page};
use crate::range::{self, Wanted};
use crate::route::{Reference, Route, route};
use crate::store::Store;
use crate::{name, query, referrers, upload};
use guest_common::body::{Body, BodyError, content_length};
use guest_common::reply::Reply;
use guest_common::serve::RequestLine;
use serde_json::json;
use std::cell::OnceCell;
use std::time::SystemTime;
use wasip3::http::types::Request;

const VOLUME: &str = "/data";
const JSON: &str = "application/json";
const DIGEST: &str = "docker-content-digest";

/// An answer that is not a failure.
pub enum Answer {
    Reply(Reply),
    /// A blob, or a part of one.
    Content(Content),
}

/// What is asked for, beside the resource itself.
struct Asked<'a> {
    method: &'a str,
    query: &'a str,
    path: &'a str,
    request: Request,
}

pub async fn answer(line: &RequestLine, request: Request) -> Result<Answer, Fault> {
    let query = line.path.split_once('?').map_or("", |(_, query)| query);
    let asked = Asked { method: line.effective_method(), query, path: line.resource(), request };
    let reply = match route(line.resource())? {
        Route::Base => only_get(&asked).map(|()| Reply::new(200, JSON, b"{}".as_slice())),
        Route::Catalog => catalog(&store()?, &asked),
        Route::Tags { repository } => tags(&store()?, &repository, &asked),
        Route::Manifest { repository, reference } => manifest(&store()?, &repository, reference, asked).await,
        Route::Blob { repository, digest } => return blob(&store()?, &repository, digest, &asked),
        Route::Uploads { repository } => begin(&store()?, &repository, asked).await,
        Route::Upload { repository, id } => proceed(&store()?, &repository, &id, asked).await,
        Route::Referrers { repository, digest } => list_referrers(&store()?, &repository, &digest, &asked),
    };
    reply.map(Answer::Reply)
}

/// The files, opened with the first request.
fn store() -> Result<Store, Fault> {
    thread_local! {
        static STORE: OnceCell<Store> = const { OnceCell::new() };
    }
    STORE.with(|opened| {
        if let Some(store) = opened.get() {
            return Ok(store.clone());
        }
        let no_volume = |error| Fault::new(500, Code::Unknown, format!("the registry needs a volume at {VOLUME}: {error}"));
        let store = Store::open(VOLUME).map_err(no_volume)?;
        store.forget_old_uploads(SystemTime::now())?;
        Ok(opened.get_or_init(|| store).clone())
    })
}

fn only_get(asked: &Asked<'_>) -> Result<(), Fault> {
    if asked.method == "GET" { Ok(()) } else { Err(Fault::unsupported("GET, HEAD")) }
}

fn header(request: &Request, name: &str) -> Option<String> {
    String::from_utf8(request.get_headers().get(name).into_iter().next()?).ok()
}

fn catalog(store: &Store, asked: &Asked<'_>) -> Result<Reply, Fault> {
    only_get(asked)?;
    listing(store.repositories()?, asked, |entries| json!({ "repositories": entries }))
}

fn tags(store: &Store, repository: &str, asked: &Asked<'_>) -> Result<Reply, Fault> {
    only_get(asked)?;
    listing(store.tags(repository)?, asked, |entries| json!({ "name": repository, "tags": entries }))
}

fn listing(sorted: Vec<String>, asked: &Asked<'_>, body: impl FnOnce(Vec<String>) -> serde_json::Value) -> Result<Reply, Fault> {
    let page = page::page(sorted, asked.query, asked.path);
    let Page { entries, link } = page.map_err(|why| Fault::new(400, Code::Unsupported, why))?;
    let reply = Reply::new(200, JSON, body(entries).to_string().into_bytes());
    Ok(link.into_iter().fold(reply, |reply, link| reply.header("link", link)))
}

fn list_referrers(store: &Store, repository: &str, digest: &Digest, asked: &Asked<'_>) -> Result<Reply, Fault> {
    only_get(asked)?;
    let wanted = query::value(asked.query, "artifactType").filter(|text| !text.is_empty());
    let index = referrers::index(store.referrers(repository, digest)?, wanted.as_deref());
    let reply = Reply::new(200, referrers::INDEX_MEDIA_TYPE, index);
    Ok(if wanted.is_some() { reply.header("oci-filters-applied", "artifactType") } else { reply })
}

async fn manifest(store: &Store, repository: &str, reference: Reference, asked: Asked<'_>) -> Result<Reply, Fault> {
    match asked.method {
        "GET" => get_manifest(store, repository, reference),
        "PUT" => put_manifest(store, repository, reference, asked.request).await,
        "DELETE" => {
            match &reference {
                Reference::Tag(tag) => store.delete_tag(repository, tag)?,
                Reference::Digest(digest) => store.delete_manifest(repository, digest)?,
                Reference::Impossible(text) => return Err(Fault::unknown_manifest(text)),
            }
            Ok(empty(202))
        }
        _ => Err(Fault::unsupported("GET, HEAD, PUT, DELETE")),
    }
}

fn get_manifest(store: &Store, repository: &str, reference: Reference) -> Result<Reply, Fault> {
    let digest = match reference {
        Reference::Tag(tag) => store.tagged(repository, &tag)?,
        Reference::Digest(digest) => digest,
        Reference::Impossible(text) => return Err(Fault::unknown_manifest(&text)),
    };
    let (media_type, _) = store.manifest(repository, &digest)?;
    let content = store.manifest_content(&digest)?;
    Ok(Reply::new(200, &media_type, content).header(DIGEST, digest.to_string()).header("etag", format!("\"{digest}\"")))
}

async fn put_manifest(store: &Store, repository: &str, reference: Reference, request: Request) -> Result<Reply, Fault> {
    let content_type = header(&request, "content-type");
    let too_large = || Fault::new(413, Code::SizeInvalid, format!("a manifest has at most {MANIFEST_BYTES_MAX} bytes"));
    if content_length(&request.get_headers()).is_some_and(|length| length > MANIFEST_BYTES_MAX as u64) {
        Body::of_request(request).discard().await;
        return Err(too_large());
    }
    let content = Body::of_request(request).collect(MANIFEST_BYTES_MAX).await.map_err(|error| match error {
        BodyError::TooLarge => too_large(),
        error @ BodyError::Incomplete(_) => Fault::new(400, Code::ManifestInvalid, error.to_string()),
    })?;
    let manifest = Manifest::read(&content, content_type.as_deref())?;
    let tag = match &reference {
        Reference::Tag(tag) => Some(tag.as_str()),
        Reference::Digest(digest) if *digest == Digest::of(&content) => None,
        Reference::Digest(digest) => {
            let own = Digest::of(&content);
            return Err(Fault::new(400, Code::DigestInvalid, format!("the manifest's digest is {own}, not {digest}")));
        }
        Reference::Impossible(text) => {
            return Err(Fault::new(400, Code::ManifestInvalid, format!("'{text}' can be neither a tag nor a digest")));
        }
    };
    let digest = store.put_manifest(repository, &content, &manifest, tag)?;
    let named = tag.map_or_else(|| digest.to_string(), str::to_owned);
    let reply = empty(201).header("location", format!("/v2/{repository}/manifests/{named}")).header(DIGEST, digest.to_string());
    Ok(manifest.subject.iter().fold(reply, |reply, subject| reply.header("oci-subject", subject.to_string())))
}

fn blob(store: &Store, repository: &str, digest: Digest, asked: &Asked<'_>) -> Result<Answer, Fault> {
    match asked.method {
        "GET" => {}
        "DELETE" => {
            store.delete_blob(repository, &digest)?;
            return Ok(Answer::Reply(empty(202)));
        }
        _ => return Err(Fault::unsupported("GET, HEAD, DELETE")),
    }
    let size = store.blob_size(repository, &digest)?;
    match range::wanted(header(&asked.request, "range").as_deref(), size) {
        Wanted::Whole => Ok(Answer::Content(Content { digest, size, part: None })),
        Wanted::Part { first, last } => Ok(Answer::Content(Content { digest, size, part: Some((first, last)) })),
        Wanted::Unsatisfiable => {
            let fault = Fault::new(416, Code::SizeInvalid, format!("the blob has {size} bytes"));
            Err(fault.header("content-range", format!("bytes */{size}")))
        }
    }
}

/// `POST`: a mount, a whole blob at once, or the begin of an upload.
async fn begin(store: &Store, repository: &str, asked: Asked<'_>) -> Result<Reply, Fault> {
    if asked.method != "POST" {
        return Err(Fault::unsupported("POST"));
    }
    if let Some(text) = query::value(asked.query, "mount") {
        let digest = Digest::parse(&text).ok_or_else(|| Fault::invalid_digest(&text))?;
        let from = query::value(asked.query, "from").filter(|from| !from.is_empty());
        if from.as_deref().is_none_or(name::is_repository) && store.mount(repository, &digest, from.as_deref())? {
            return Ok(created(repository, &digest));
        }
    }
    let digest = wanted_digest(asked.query)?;
    let id = upload::new_id();
    store.begin_upload(&id)?;
    match digest {
        Some(digest) => upload::whole(store, repository, &id, &digest, asked.request).await.map(|()| created(repository, &digest)),
        None => Ok(underway(202, repository, &id, 0)),
    }
}

/// One upload: how far it is, a further piece, its end, or giving it up.
async fn proceed(store: &Store, repository: &str, id: &str, asked: Asked<'_>) -> Result<Reply, Fault> {
    match asked.method {
        "GET" => Ok(underway(204, repository, id, store.upload_size(id)?)),
        "PATCH" => {
            expect_piece(store, repository, id, &asked.request)?;
            let bytes = upload::append(store, id, asked.request).await?;
            Ok(underway(202, repository, id, bytes))
        }
        "PUT" => {
            expect_piece(store, repository, id, &asked.request)?;
            let no_digest = || Fault::new(400, Code::DigestInvalid, "an upload ends with '?digest=' and the digest of the blob");
            let digest = wanted_digest(asked.query)?.ok_or_else(no_digest)?;
            upload::end(store, repository, id, &digest, asked.request).await?;
            Ok(created(repository, &digest))
        }
        "DELETE" => {
            store.end_upload(id)?;
            upload::forget(id);
            Ok(empty(204))
        }
        _ => Err(Fault::unsupported("GET, PATCH, PUT, DELETE")),
    }
}

/// Refuses a piece that does not continue what has come.
fn expect_piece(store: &Store, repository: &str, id: &str, request: &Request) -> Result<(), Fault> {
    let has = store.upload_size(id)?;
    let Some(text) = header(request, "content-range") else { return Ok(()) };
    let Some((first, last)) = range::piece(&text) else {
        return Err(Fault::new(400, Code::BlobUploadInvalid, format!("'{text}' is no Content-Range: write FIRST-LAST")));
    };
    if first != has {
        let fault = Fault::new(416, Code::BlobUploadInvalid, format!("this upload goes on at byte {has}, not at {first}"));
        return Err(fault.header("location", location(repository, id)).header("range", range::uploaded(has)));
    }
    match content_length(&request.get_headers()) {
        Some(length) if last - first + 1 != length => {
            Err(Fault::new(400, Code::SizeInvalid, format!("Content-Range has {} bytes, Content-Length {length}", last - first + 1)))
        }
        _ => Ok(()),
    }
}

fn wanted_digest(query: &str) -> Result<Option<Digest>, Fault> {
    let Some(text) = query::value(query, "digest") else { return Ok(None) };
    Digest::parse(&text).map(Some).ok_or_else(|| Fault::invalid_digest(&text))
}

fn location(repository: &str, id: &str) -> String {
    format!("/v2/{repository}/blobs/uploads/{id}")
}

fn underway(status: u16, repository: &str, id: &str, bytes: u64) -> Reply {
    let reply = empty(status).header("location", location(repository, id)).header("range", range::uploaded(bytes));
    reply.header("docker-upload-uuid", id)
}

fn created(repository: &str, digest: &Digest) -> Reply {
    empty(201).header("location", format!("/v2/{repository}/blobs/{digest}")).header(DIGEST, digest.to_string())
}

fn empty(status: u16) -> Reply {
    Reply { status, headers: Vec::new(), body: std::borrow::Cow::Borrowed(&[]) }
}
