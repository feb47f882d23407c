//! The overlay: connections and datagrams between tasks of different nodes.
//!
//! One QUIC stream per connection: a header, one byte of answer, then raw bytes both ways with the ends and resets
//! of TCP ([`pump`]). Which task a connection goes to is decided by the switch of the node that opens it; the
//! switch of the receiving node queues it at the listener, or refuses.
pub mod pump;

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use minicloud_core::id::NodeId;
use minicloud_net::{Connection, DatagramHeader, NetError, OpenFuture, StreamHeader, Switch, Uplink};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tracing::{debug, trace};

use crate::frame;
use crate::limits::STREAM_KIND_TIMEOUT;
use crate::peers::{PeerError, Peers};
use crate::router::{DatagramService, StreamService};
use crate::transport::{BoxStream, Peer, StreamKind};
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
    /// A stream of kind `Overlay`.
    async fn open(&self, node: NodeId) -> Result<BoxStream, PeerError>;
    fn send_datagram(&self, node: NodeId, payload: Bytes);
}

#[async_trait]
impl Carrier for Peers {
    async fn open(&self, node: NodeId) -> Result<BoxStream, PeerError> {
        Peers::open(self, node, StreamKind::Overlay).await
    }

    fn send_datagram(&self, node: NodeId, payload: Bytes) {
        Peers::send_datagram(self, node, payload);
    }
}

/// The way out: what the switch opens towards other nodes.
pub struct Overlay {
    carrier: Arc<dyn Carrier>,
}

impl Overlay {
    pub fn new(carrier: Arc<dyn Carrier>) -> Overlay {
        Overlay { carrier }
    }
}

impl Uplink for Overlay {
    fn open(&self, node: NodeId, header: StreamHeader) -> OpenFuture {
        let carrier = self.carrier.clone();
        Box::pin(async move {
            let mut stream = carrier.open(node).await.map_err(|error| {
                debug!(%node, %error, "no overlay stream");
                NetError::Unreachable
            })?;
            match ask(&mut stream, header).await {
                Ok(Verdict::Accepted) => Ok(pumped(stream, header)),
                Ok(Verdict::Refused) => Err(NetError::Refused),
                Ok(Verdict::Unreachable) => Err(NetError::Unreachable),
                Err(error) => {
                    debug!(%node, %error, "overlay stream broke before it was answered");
                    Err(NetError::Unreachable)
                }
            }
        })
    }

    fn send(&self, node: NodeId, header: DatagramHeader, payload: Bytes) {
        if let Some(datagram) = encode_datagram(&header, &payload) {
            self.carrier.send_datagram(node, datagram);
        }
    }
}

async fn ask(stream: &mut BoxStream, header: StreamHeader) -> io::Result<Verdict> {
    frame::write(stream, &header).await?;
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

impl DatagramService for OverlayService {
    fn datagram(&self, peer: &Peer, payload: Bytes) {
        match decode_datagram(payload) {
            Some((header, payload)) => self.switch.deliver_datagram(header, payload),
            None => trace!(node = %peer.node, "datagram without a good header"),
        }
    }
}

/// Length of the header in one byte, the header as a frame's record, the payload.
fn encode_datagram(header: &DatagramHeader, payload: &[u8]) -> Option<Bytes> {
    let header = frame::encode(header).ok()?;
    let mut datagram = BytesMut::with_capacity(1 + header.len() + payload.len());
    datagram.put_u8(u8::try_from(header.len()).ok()?);
    datagram.put_slice(&header);
    datagram.put_slice(payload);
    Some(datagram.freeze())
}

fn decode_datagram(mut datagram: Bytes) -> Option<(DatagramHeader, Bytes)> {
    let length = usize::from(*datagram.first()?);
    if datagram.len() < 1 + length {
        return None;
    }
    let payload = datagram.split_off(1 + length);
    Some((frame::decode(&datagram[1..]).ok()?, payload))
}

#[cfg(test)]
mod tests;
