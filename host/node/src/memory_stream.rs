//! A stream between nodes, in memory, for tests: ends and resets as one over QUIC does.
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use minicloud_core::id::NodeId;
use minicloud_core::state::Role;
use minicloud_net::Connection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::{BoxStream, ByteStream, Peer};

struct MemoryStream {
    connection: Option<Connection>,
    ended: bool,
}

/// Both ends of a stream.
pub fn pair() -> (BoxStream, BoxStream) {
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let (near, far) = Connection::pair(anywhere, anywhere);
    let boxed = |connection| Box::new(MemoryStream { connection: Some(connection), ended: false }) as BoxStream;
    (boxed(near), boxed(far))
}

/// A peer that a certificate would name.
pub fn peer(node: u64, role: Role) -> Peer {
    Peer { node: NodeId(node), role, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)) }
}

impl MemoryStream {
    fn connection(&mut self) -> io::Result<Pin<&mut Connection>> {
        self.connection.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::ConnectionReset.into())
    }
}

impl ByteStream for MemoryStream {
    fn reset(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.reset();
        }
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        if !self.ended {
            self.reset();
        }
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.connection()?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.connection()?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ended = true;
        self.connection()?.poll_shutdown(cx)
    }
}
