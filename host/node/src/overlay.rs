//! The overlay: connections and datagrams between tasks of different nodes.
//!
//! One QUIC stream per connection: a header, one byte of answer, and raw bytes both ways with the ends and resets
//! of TCP ([`pump`]). Which task a connection goes to is decided by the switch of the node that opens it; the
//! switch of the receiving node queues it at the listener, or refuses. Datagrams travel as QUIC's own, and on streams
//! of their own where they are too large for that.
mod datagrams;
pub mod pump;

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use minicloud_core::id::NodeId;
use minicloud_net::{Connection, DatagramHeader, NetError, OpenFuture, StreamHeader, Switch, Uplink};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use crate::frame;
use crate::limits::{LARGE_DATAGRAMS_MAX, STREAM_KIND_TIMEOUT};
use crate::peers::{PeerError, Peers};
use crate::router::StreamService;
use crate::transport::{BoxStream, Peer, StreamKind};
pub use datagrams::LargeDatagrams;
use pump::pump;

/// What the receiving node says of a connection: the byte before its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Verdict {
    Accepted = 0,
    Refused = 1,
    Unreachable = 2,
}

impl Verdict {
    fn from_byte(byte: u8) -> Option<Verdict> {
        [Verdict::Accepted, Verdict::Refused, Verdict::Unreachable].into_iter().find(|verdict| *verdict as u8 == byte)
    }
}

/// How the overlay reaches other nodes: `Peers` in production, memory in tests.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
    /// A stream of kind `Overlay` or `Datagram`.
    async fn open(&self, node: NodeId, kind: StreamKind) -> Result<BoxStream, PeerError>;
    fn send_datagram(&self, node: NodeId, payload: Bytes);
    /// Bytes of a datagram that the connection takes now; `None` while there is none.
    fn datagram_bytes_max(&self, node: NodeId) -> Option<usize>;
}

#[async_trait]
impl Carrier for Peers {
    async fn open(&self, node: NodeId, kind: StreamKind) -> Result<BoxStream, PeerError> {
        Peers::open(self, node, kind).await
    }

    fn send_datagram(&self, node: NodeId, payload: Bytes) {
        Peers::send_datagram(self, node, payload);
    }

    fn datagram_bytes_max(&self, node: NodeId) -> Option<usize> {
        Peers::datagram_bytes_max(self, node)
    }
}

/// The way out: what the switch opens towards other nodes.
pub struct Overlay {
    carrier: Arc<dyn Carrier>,
    /// The node's own threads. Guests call from theirs, which must not come to drive the connections between nodes.
    threads: Handle,
    large_datagrams: Arc<Semaphore>,
}

impl Overlay {
    /// Must be called on the node's own runtime: what travels is carried there.
    pub fn new(carrier: Arc<dyn Carrier>) -> Overlay {
        Overlay { carrier, threads: Handle::current(), large_datagrams: Arc::new(Semaphore::new(LARGE_DATAGRAMS_MAX)) }
    }
}

impl Uplink for Overlay {
    fn open(&self, node: NodeId, header: StreamHeader, first: Bytes) -> OpenFuture {
        let opening = AbortOnDropHandle::new(self.threads.spawn(open(self.carrier.clone(), node, header, first)));
        Box::pin(async move { opening.await.unwrap_or(Err(NetError::Unreachable)) })
    }

    fn send(&self, node: NodeId, header: DatagramHeader, payload: Bytes) {
        let _on_its_threads = self.threads.enter();
        self.send_datagram(node, &header, &payload);
    }
}

async fn open(carrier: Arc<dyn Carrier>, node: NodeId, header: StreamHeader, first: Bytes) -> Result<Connection, NetError> {
    let mut stream = carrier.open(node, StreamKind::Overlay).await.map_err(|error| {
        debug!(%node, %error, "no overlay stream");
        NetError::Unreachable
    })?;
    match ask(&mut stream, header, &first).await {
        Ok(Verdict::Accepted) => Ok(pumped(stream, header)),
        Ok(Verdict::Refused) => Err(NetError::Refused),
        Ok(Verdict::Unreachable) => Err(NetError::Unreachable),
        Err(error) => {
            debug!(%node, %error, "overlay stream broke before it was answered");
            Err(NetError::Unreachable)
        }
    }
}

/// The header and the first data go out together; what is refused is thrown away at the other end.
async fn ask(stream: &mut BoxStream, header: StreamHeader, first: &[u8]) -> io::Result<Verdict> {
    let mut opening = frame::to_bytes(&header)?;
    opening.extend_from_slice(first);
    stream.write_all(&opening).await?;
    let byte = stream.read_u8().await?;
    Verdict::from_byte(byte).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{byte} is no verdict")))
}

/// The near end of a connection whose far end travels over `stream`.
fn pumped(stream: BoxStream, header: StreamHeader) -> Connection {
    let (near, far) = Connection::pair(header.source, header.destination);
    tokio::spawn(pump(stream, far));
    near
}

/// The way in: streams and datagrams for tasks of this node.
pub struct OverlayService {
    switch: Switch,
}

impl OverlayService {
    pub fn new(switch: Switch) -> OverlayService {
        OverlayService { switch }
    }
}

#[async_trait]
impl StreamService for OverlayService {
    async fn serve(&self, peer: Peer, mut stream: BoxStream) {
        match self.receive(&mut stream).await {
            Ok(Some(connection)) => pump(stream, connection).await,
            Ok(None) => drop(stream.shutdown().await),
            Err(error) => debug!(node = %peer.node, %error, "overlay stream without a good header"),
        }
    }
}

impl OverlayService {
    /// Reads the header, hands the connection to its task and answers; `None` when it was refused.
    async fn receive(&self, stream: &mut BoxStream) -> io::Result<Option<Connection>> {
        let header: StreamHeader = timeout(STREAM_KIND_TIMEOUT, frame::expect(stream)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        let (verdict, connection) = match self.switch.deliver(header) {
            Ok(connection) => (Verdict::Accepted, Some(connection)),
            Err(NetError::Unreachable) => (Verdict::Unreachable, None),
            Err(_) => (Verdict::Refused, None),
        };
        if let Err(error) = stream.write_u8(verdict as u8).await {
            if let Some(connection) = connection {
                connection.reset();
            }
            return Err(error);
        }
        Ok(connection)
    }
}

#[cfg(test)]
mod tests;
