//! How a session reaches a manager: through the peers, or within the process when it is this node itself.
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::Manager;
use crate::limits::LOCAL_STREAM_BYTES;
use crate::peers::Peers;
use crate::router::StreamService;
use crate::transport::{BoxStream, ByteStream, Peer, StreamKind};

/// Opens dispatcher streams.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    /// The error is a reason for the log.
    async fn dial(&self, manager: Manager) -> Result<BoxStream, String>;
}

/// Dials through the peers; a manager reaches its own dispatcher without a network.
pub struct PeersDial {
    pub peers: Peers,
    pub own: OwnDispatcher,
}

/// This node's own dispatcher, while it is a manager. Cheap to clone; all clones change together.
#[derive(Clone, Default)]
pub struct OwnDispatcher(Arc<Mutex<Option<Own>>>);

/// This node as its own dispatcher sees it, and that dispatcher.
type Own = (Peer, Arc<dyn StreamService>);

impl OwnDispatcher {
    pub fn fill(&self, own: Peer, dispatcher: Arc<dyn StreamService>) {
        *self.lock() = Some((own, dispatcher));
    }

    pub fn empty(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Own>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Dial for PeersDial {
    async fn dial(&self, manager: Manager) -> Result<BoxStream, String> {
        let own = self.own.lock().clone();
        match (own, manager.node) {
            (Some((own, service)), node) if node == Some(own.node) || manager.address == own.address => Ok(serve_within(own, service)),
            (_, Some(node)) if self.peers.endpoint(node).is_some() => {
                self.peers.open(node, StreamKind::Dispatcher).await.map_err(|error| error.to_string())
            }
            _ => {
                let opened = self.peers.open_at(manager.address, StreamKind::Dispatcher).await;
                opened.map(|(stream, _)| stream).map_err(|error| error.to_string())
            }
        }
    }
}

/// A stream to a service of the same process.
pub fn serve_within(peer: Peer, service: Arc<dyn StreamService>) -> BoxStream {
    let (near, far) = tokio::io::duplex(LOCAL_STREAM_BYTES);
    tokio::spawn(async move { service.serve(peer, Box::new(LocalStream(Some(far)))).await });
    Box::new(LocalStream(Some(near)))
}

/// One end of a stream within the process.
struct LocalStream(Option<DuplexStream>);

impl LocalStream {
    fn stream(&mut self) -> io::Result<Pin<&mut DuplexStream>> {
        self.0.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::ConnectionReset.into())
    }
}

impl ByteStream for LocalStream {
    fn reset(&mut self) {
        self.0 = None;
    }
}

impl AsyncRead for LocalStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for LocalStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}
