//! Blobs on their way out: the file's stream becomes the answer's body.

use crate::digest::Digest;
use crate::store::Store;
use crate::upload;
use guest_common::serve::{self, RequestLine};
use guest_common::{clock, log};
use wasip3::filesystem;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags};
use wasip3::http::types::{ErrorCode, Fields, Response};
use wasip3::wit_bindgen::{StreamReader, StreamResult};
use wasip3::{spawn_local, wit_future, wit_stream};

/// Bytes asked for in one read.
const CHUNK_BYTES: usize = 256 * 1024;

/// A blob, or a part of it: from the first to the last byte, both included.
pub struct Content {
    pub digest: Digest,
    pub size: u64,
    pub part: Option<(u64, u64)>,
}

pub async fn respond(line: &RequestLine, content: Content) -> Result<Response, ErrorCode> {
    let (first, length) = match content.part {
        Some((first, last)) => (first, last - first + 1),
        None => (0, content.size),
    };
    let status = if content.part.is_some() { 206 } else { 200 };
    let contents = if line.effective_method() == line.method && length > 0 {
        match upload::open(&Store::blob_path(&content.digest), DescriptorFlags::READ).await {
            Ok(file) if first + length == content.size => Some(rest(&file, first)),
            Ok(file) => Some(body(file, first, length)),
            Err(fault) => return serve::respond(line, fault.reply()),
        }
    } else {
        None
    };
    let client = line.client.as_deref();
    let bytes = usize::try_from(length).unwrap_or(usize::MAX);
    log::line(log::access(clock::unix_seconds(), client, &line.method, &line.path, status, bytes));
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(headers(&content, length)?, contents, trailers);
    response.set_status_code(status).map_err(|()| ErrorCode::InternalError(Some("status code".to_owned())))?;
    Ok(response)
}

fn headers(content: &Content, length: u64) -> Result<Fields, ErrorCode> {
    let mut entries = vec![
        ("content-length", length.to_string()),
        ("content-type", "application/octet-stream".to_owned()),
        ("docker-content-digest", content.digest.to_string()),
        ("etag", format!("\"{}\"", content.digest)),
        ("accept-ranges", "bytes".to_owned()),
        ("docker-distribution-api-version", "registry/2.0".to_owned()),
    ];
    if let Some((first, last)) = content.part {
        entries.push(("content-range", format!("bytes {first}-{last}/{}", content.size)));
    }
    let entries: Vec<_> = entries.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
    Fields::from_list(&entries).map_err(|error| ErrorCode::InternalError(Some(format!("{error:?}"))))
}

/// `length` bytes of the file from `first` on.
fn body(file: Descriptor, first: u64, length: u64) -> StreamReader<u8> {
    let (mut writer, body) = wit_stream::new();
    spawn_local(async move {
        let (mut reader, outcome) = file.read_via_stream(first);
        let (mut buffer, mut left) = (Vec::new(), length);
        while left > 0 {
            buffer.clear();
            buffer.reserve(CHUNK_BYTES);
            let (result, mut piece) = reader.read(buffer).await;
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= piece.len() as u64;
            buffer = writer.write_all(piece).await;
            // The client left, or the file ended early; the length that was told lets the client see that.
            if !buffer.is_empty() || result == StreamResult::Dropped {
                break;
            }
        }
        drop(reader);
        report(outcome.await);
    });
    body
}

/// The file from `first` to its end: its stream is the answer's own, and no byte comes by here.
fn rest(file: &Descriptor, first: u64) -> StreamReader<u8> {
    let (reader, outcome) = file.read_via_stream(first);
    spawn_local(async move { report(outcome.await) });
    reader
}

fn report(outcome: Result<(), filesystem::types::ErrorCode>) {
    if let Err(code) = outcome {
        log::line(format!("error: a blob could not be read: {code:?}"));
    }
}
