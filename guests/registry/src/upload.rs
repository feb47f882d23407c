//! Uploads: bytes go from the request to the file and through the digest on the way, in pieces.
//!
//! The digest in progress is kept between the requests of an upload. Where it is not (after a restart, or when there
//! are many uploads), the file is read again at the end.

use crate::digest::{Digest, Hasher};
use crate::fault::{Code, Fault};
use crate::store::Store;
use futures::future::join;
use guest_common::clock;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasip3::http::types::Request;
use wasip3::wit_bindgen::{StreamReader, StreamResult};
use wasip3::{random, wit_future, wit_stream};

/// Bytes asked for in one read.
const CHUNK_BYTES: usize = 256 * 1024;
/// Digests that are kept between requests.
const DIGESTS_MAX: usize = 1024;
/// What is read of a body that is refused, so that its sender gets to see the answer.
const DISCARDED_BYTES_MAX: usize = 256 * 1024 * 1024;
const DISCARD_BOUND: Duration = Duration::from_secs(5);

enum Progress {
    /// A request writes to it.
    Busy,
    Idle(Hasher),
}

thread_local! {
    static UPLOADS: RefCell<HashMap<String, Progress>> = RefCell::default();
}

/// A name for an upload that nobody guesses.
pub fn new_id() -> String {
    random::random::get_random_bytes(16).into_iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn forget(id: &str) {
    UPLOADS.with_borrow_mut(|uploads| uploads.remove(id));
}

/// A whole blob in one request; nothing of it stays when it is not what it should be.
pub async fn whole(store: &Store, repository: &str, id: &str, digest: &Digest, request: Request) -> Result<(), Fault> {
    let outcome = end(store, repository, id, digest, request).await;
    if outcome.is_err() {
        // The failure itself is what the client is told.
        let _ = store.end_upload(id);
    }
    outcome
}

/// Appends the body of a request; answers how many bytes the upload has then. A body that breaks off leaves what was
/// there before.
pub async fn append(store: &Store, id: &str, request: Request) -> Result<u64, Fault> {
    let turn = Turn::take(id)?;
    let before = store.upload_size(id)?;
    let file = open(&Store::upload_path(id), DescriptorFlags::READ | DescriptorFlags::WRITE).await?;
    let mut hasher = turn.hasher.clone().filter(|hasher| hasher.bytes() == before);
    let mut bytes = 0;
    let received = receive(request, &file, |piece| {
        bytes += piece.len() as u64;
        if let Some(hasher) = &mut hasher {
            hasher.update(piece);
        }
    })
    .await;
    match received {
        Ok(()) => {
            turn.give_back(hasher);
            Ok(before + bytes)
        }
        Err(fault) => {
            file.set_size(before).await.map_err(failed)?;
            let hasher = turn.hasher.clone();
            turn.give_back(hasher);
            Err(fault)
        }
    }
}

/// Appends the body of the last request and makes the upload a blob, if it has this digest.
pub async fn end(store: &Store, repository: &str, id: &str, digest: &Digest, request: Request) -> Result<(), Fault> {
    append(store, id, request).await?;
    let turn = Turn::take(id)?;
    let file = open(&Store::upload_path(id), DescriptorFlags::READ | DescriptorFlags::WRITE).await?;
    let bytes = store.upload_size(id)?;
    let hasher = match turn.hasher.clone().filter(|hasher| hasher.bytes() == bytes) {
        Some(hasher) => hasher,
        None => hash(&file).await?,
    };
    let found = hasher.finish();
    if found != *digest {
        store.end_upload(id)?;
        return Err(Fault::new(400, Code::DigestInvalid, format!("what came has the digest {found}, not {digest}")));
    }
    file.sync_data().await.map_err(failed)?;
    store.finish_upload(repository, id, digest)
}

/// Takes the body to the end of the file, and shows each piece on the way.
async fn receive(request: Request, file: &Descriptor, mut see: impl FnMut(&[u8])) -> Result<(), Fault> {
    let (_, result) = wit_future::new(|| Ok(()));
    let (mut body, trailers) = Request::consume_body(request, result);
    let (mut writer, reader) = wit_stream::new();
    let written = file.append_via_stream(reader);
    let (mut piece, mut spare) = (Vec::new(), Vec::new());
    let mut result = StreamResult::Complete(0);
    let refused = loop {
        // While one piece goes to the file, the next one comes and is hashed.
        let next = async {
            spare.clear();
            if result == StreamResult::Dropped {
                return (result, spare);
            }
            spare.reserve(CHUNK_BYTES);
            let (result, piece) = body.read(spare).await;
            see(&piece);
            (result, piece)
        };
        let last = result == StreamResult::Dropped;
        let (unwritten, came) = join(writer.write_all(piece), next).await;
        if !unwritten.is_empty() {
            break true;
        }
        if last {
            break false;
        }
        spare = unwritten;
        (result, piece) = came;
    };
    drop(writer);
    if let Err(code) = written.await {
        discard(body).await;
        return Err(failed(code));
    }
    if refused {
        return Err(failed(ErrorCode::Io));
    }
    drop(body);
    trailers.await.map(drop).map_err(|code| Fault::new(400, Code::BlobUploadInvalid, format!("the body broke off: {code:?}")))
}

async fn discard(mut body: StreamReader<u8>) {
    let rest = async {
        let (mut buffer, mut total) = (Vec::with_capacity(CHUNK_BYTES), 0);
        while total < DISCARDED_BYTES_MAX {
            buffer.clear();
            let (result, piece) = body.read(buffer).await;
            total += piece.len();
            buffer = piece;
            if result == StreamResult::Dropped {
                break;
            }
        }
    };
    // The answer is the same either way.
    let _ = clock::timeout(DISCARD_BOUND, rest).await;
}

async fn hash(file: &Descriptor) -> Result<Hasher, Fault> {
    let (mut reader, outcome) = file.read_via_stream(0);
    let (mut hasher, mut buffer) = (Hasher::default(), Vec::with_capacity(CHUNK_BYTES));
    loop {
        let (result, piece) = reader.read(buffer).await;
        hasher.update(&piece);
        if result == StreamResult::Dropped {
            break;
        }
        buffer = piece;
        buffer.clear();
    }
    drop(reader);
    outcome.await.map_err(failed)?;
    Ok(hasher)
}

/// A file of the volume, by its path there.
pub async fn open(path: &str, flags: DescriptorFlags) -> Result<Descriptor, Fault> {
    let volume = get_directories().into_iter().find(|(_, path)| path == "/data");
    let (volume, _) = volume.ok_or_else(|| Fault::new(500, Code::Unknown, "the registry needs a volume at /data"))?;
    let opened = volume.open_at(PathFlags::empty(), path.to_owned(), OpenFlags::empty(), flags).await;
    opened.map_err(|code| if matches!(code, ErrorCode::NoEntry) { Fault::unknown_upload() } else { failed(code) })
}

fn failed(code: ErrorCode) -> Fault {
    match code {
        ErrorCode::InsufficientSpace | ErrorCode::Quota => Fault::full(),
        code => Fault::new(500, Code::Unknown, format!("the volume of the registry failed: {code:?}")),
    }
}

/// An upload that one request works on. Dropped, it is free again, and its digest has to be made anew.
struct Turn<'a> {
    id: &'a str,
    hasher: Option<Hasher>,
}

impl<'a> Turn<'a> {
    fn take(id: &'a str) -> Result<Self, Fault> {
        let before = UPLOADS.with_borrow_mut(|uploads| uploads.insert(id.to_owned(), Progress::Busy));
        match before {
            Some(Progress::Busy) => Err(Fault::new(409, Code::BlobUploadInvalid, "another request writes to this upload")),
            Some(Progress::Idle(hasher)) => Ok(Self { id, hasher: Some(hasher) }),
            // New, or of an earlier life: the number of bytes tells.
            None => Ok(Self { id, hasher: Some(Hasher::default()) }),
        }
    }

    fn give_back(self, hasher: Option<Hasher>) {
        let id = self.id.to_owned();
        drop(self);
        if let Some(hasher) = hasher {
            UPLOADS.with_borrow_mut(|uploads| {
                if uploads.len() < DIGESTS_MAX {
                    uploads.insert(id, Progress::Idle(hasher));
                }
            });
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        forget(self.id);
    }
}
