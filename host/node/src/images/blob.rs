//! Components between nodes, over streams of kind `Blob`: one question, one answer, then the bytes.
use std::io;

use async_trait::async_trait;
use minicloud_core::spec::Digest;
use minicloud_core::state::Role;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_util::io::StreamReader;
use tracing::debug;

use super::Images;
use super::store::Store;
use crate::frame;
use crate::limits::{IMAGE_BYTES_MAX, IMAGE_SILENCE_MAX};
use crate::router::StreamService;
use crate::transport::{BoxStream, Peer};

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum BlobRequest {
    /// Answered by `Sending` and the bytes, or by `Absent`.
    Get { digest: Digest },
    /// Answered by `Stored` at once, or by `Send` and by `Stored` after the bytes. Managers only.
    Put { digest: Digest, size_bytes: u64 },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum BlobAnswer {
    Sending { size_bytes: u64 },
    Absent,
    Send,
    Stored,
    Refused(String),
}

/// Fetches a component into the store; `None` when the peer does not have it.
pub async fn get(stream: &mut BoxStream, store: &Store, digest: Digest) -> io::Result<Option<std::path::PathBuf>> {
    frame::write(stream, &BlobRequest::Get { digest }).await?;
    stream.shutdown().await?;
    match answer(stream).await? {
        BlobAnswer::Sending { size_bytes } => receive(stream, store, digest, size_bytes).await.map(Some),
        BlobAnswer::Absent => Ok(None),
        other => Err(unexpected(other)),
    }
}

/// Hands a component to a peer; returns once the peer has it on disk.
pub async fn put(stream: &mut BoxStream, digest: Digest, component: &[u8]) -> io::Result<()> {
    frame::write(stream, &BlobRequest::Put { digest, size_bytes: component.len() as u64 }).await?;
    match answer(stream).await? {
        BlobAnswer::Stored => return Ok(()),
        BlobAnswer::Send => stream.write_all(component).await?,
        other => return Err(unexpected(other)),
    }
    stream.shutdown().await?;
    match answer(stream).await? {
        BlobAnswer::Stored => Ok(()),
        other => Err(unexpected(other)),
    }
}

async fn answer(stream: &mut BoxStream) -> io::Result<BlobAnswer> {
    timeout(IMAGE_SILENCE_MAX, frame::expect(stream)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn unexpected(answer: BlobAnswer) -> io::Error {
    match answer {
        BlobAnswer::Refused(reason) => io::Error::other(reason),
        other => io::Error::new(io::ErrorKind::InvalidData, format!("unexpected answer {other:?}")),
    }
}

/// Takes the bytes; a peer that falls silent is given up.
async fn receive(stream: &mut BoxStream, store: &Store, digest: Digest, size_bytes: u64) -> io::Result<std::path::PathBuf> {
    if size_bytes > IMAGE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("component of {size_bytes} bytes is above the limit")));
    }
    let chunks = tokio_util::io::ReaderStream::with_capacity(stream, 256 << 10);
    let patient = tokio_stream::StreamExt::timeout(chunks, IMAGE_SILENCE_MAX);
    let patient = futures::StreamExt::map(patient, |chunk| chunk.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())));
    let mut source = StreamReader::new(Box::pin(patient));
    store.receive(digest, size_bytes, &mut source).await
}

/// Serves streams of kind `Blob`.
pub struct BlobService(pub Images);

#[async_trait]
impl StreamService for BlobService {
    async fn serve(&self, peer: Peer, mut stream: BoxStream) {
        if let Err(error) = self.answer(peer, &mut stream).await {
            debug!(node = %peer.node, %error, "blob stream ended");
            stream.reset();
        }
    }
}

impl BlobService {
    async fn answer(&self, peer: Peer, stream: &mut BoxStream) -> io::Result<()> {
        let request = timeout(IMAGE_SILENCE_MAX, frame::expect(stream)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        match request {
            BlobRequest::Get { digest } => self.send(stream, digest).await,
            BlobRequest::Put { digest, size_bytes } if peer.role == Role::Manager => self.take(stream, digest, size_bytes).await,
            BlobRequest::Put { .. } => frame::write(stream, &BlobAnswer::Refused("only managers hand out components".into())).await,
        }?;
        stream.shutdown().await
    }

    async fn send(&self, stream: &mut BoxStream, digest: Digest) -> io::Result<()> {
        let Some(path) = self.0.local(digest).await? else {
            return frame::write(stream, &BlobAnswer::Absent).await;
        };
        let mut file = tokio::fs::File::open(path).await?;
        frame::write(stream, &BlobAnswer::Sending { size_bytes: file.metadata().await?.len() }).await?;
        tokio::io::copy(&mut file, stream).await.map(|_| ())
    }

    async fn take(&self, stream: &mut BoxStream, digest: Digest, size_bytes: u64) -> io::Result<()> {
        if self.0.local(digest).await?.is_none() {
            frame::write(stream, &BlobAnswer::Send).await?;
            receive(stream, &self.0.shared.store, digest, size_bytes).await?;
        }
        frame::write(stream, &BlobAnswer::Stored).await
    }
}
