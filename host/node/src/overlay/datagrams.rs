//! Datagrams of the overlay: as QUIC's own, or each on a stream where it is too large for a packet. Best effort either way.
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use minicloud_core::id::NodeId;
use minicloud_net::DatagramHeader;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tracing::{debug, trace};

use super::{Overlay, OverlayService};
use crate::frame;
use crate::limits::{DATAGRAM_BYTES_SURE, LARGE_DATAGRAM_BYTES_MAX, STREAM_KIND_TIMEOUT};
use crate::router::{DatagramService, StreamService};
use crate::transport::{BoxStream, Peer, StreamKind};

impl Overlay {
    pub(super) fn send_datagram(&self, node: NodeId, header: &DatagramHeader, payload: &[u8]) {
        let Some(datagram) = encode(header, payload) else { return };
        if datagram.len() <= self.carrier.datagram_bytes_max(node).unwrap_or(DATAGRAM_BYTES_SURE) {
            return self.carrier.send_datagram(node, datagram);
        }
        let Ok(permit) = self.large_datagrams.clone().try_acquire_owned() else {
            return trace!(%node, "dropped a large datagram: too many are under way");
        };
        let carrier = self.carrier.clone();
        tokio::spawn(async move {
            let sending = async {
                let mut stream = carrier.open(node, StreamKind::Datagram).await.map_err(std::io::Error::other)?;
                stream.write_all(&datagram).await?;
                stream.shutdown().await
            };
            if let Err(error) = timeout(STREAM_KIND_TIMEOUT, sending).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
                debug!(%node, %error, "lost a large datagram");
            }
            drop(permit);
        });
    }
}

impl DatagramService for OverlayService {
    fn datagram(&self, peer: &Peer, payload: Bytes) {
        match decode(payload) {
            Some((header, payload)) => self.switch.deliver_datagram(peer.node, header, payload),
            None => trace!(node = %peer.node, "datagram without a good header"),
        }
    }
}

/// Serves streams of kind `Datagram`: one datagram each.
pub struct LargeDatagrams(pub Arc<OverlayService>);

#[async_trait]
impl StreamService for LargeDatagrams {
    async fn serve(&self, peer: Peer, mut stream: BoxStream) {
        let mut datagram = Vec::new();
        let mut whole = (&mut stream).take(LARGE_DATAGRAM_BYTES_MAX as u64);
        match timeout(STREAM_KIND_TIMEOUT, whole.read_to_end(&mut datagram)).await {
            Ok(Ok(_)) => self.0.datagram(&peer, datagram.into()),
            Ok(Err(error)) => return debug!(node = %peer.node, %error, "a large datagram broke off"),
            Err(_) => return debug!(node = %peer.node, "a large datagram came too slowly"),
        }
        let _ = stream.shutdown().await;
    }
}

/// Length of the header in one byte, the header as a frame's record, the payload.
pub(super) fn encode(header: &DatagramHeader, payload: &[u8]) -> Option<Bytes> {
    let header = frame::encode(header).ok()?;
    let mut datagram = BytesMut::with_capacity(1 + header.len() + payload.len());
    datagram.put_u8(u8::try_from(header.len()).ok()?);
    datagram.put_slice(&header);
    datagram.put_slice(payload);
    Some(datagram.freeze())
}

pub(super) fn decode(mut datagram: Bytes) -> Option<(DatagramHeader, Bytes)> {
    let length = usize::from(*datagram.first()?);
    if datagram.len() < 1 + length {
        return None;
    }
    let payload = datagram.split_off(1 + length);
    Some((frame::decode(&datagram[1..]).ok()?, payload))
}
