//! Streams of the operating system and of HTTP as [`ByteStream`]s, so that one pump carries all of them.
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::limits::CLIENT_KEEP_ALIVE;
use crate::transport::ByteStream;

/// A stream that can be given up so that the other side notices.
pub trait Resettable: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Makes the coming close an abrupt one, where the stream knows the difference.
    fn prepare_reset(&self);
}

impl Resettable for TcpStream {
    fn prepare_reset(&self) {
        // Closing with nothing to linger for sends RST instead of FIN.
        let _ = SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}

impl Resettable for TokioIo<Upgraded> {
    fn prepare_reset(&self) {}
}

/// See the module.
pub struct SocketStream<S>(Option<S>);

impl SocketStream<TcpStream> {
    /// A client's connection: small writes go out at once, and a client that vanished is noticed in the end.
    pub fn of_client(stream: TcpStream) -> SocketStream<TcpStream> {
        let _ = stream.set_nodelay(true);
        let keep_alive = TcpKeepalive::new().with_time(CLIENT_KEEP_ALIVE).with_interval(CLIENT_KEEP_ALIVE);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keep_alive);
        SocketStream(Some(stream))
    }
}

impl<S: Resettable> SocketStream<S> {
    pub fn new(stream: S) -> SocketStream<S> {
        SocketStream(Some(stream))
    }

    fn stream(&mut self) -> io::Result<Pin<&mut S>> {
        self.0.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::ConnectionReset.into())
    }
}

impl<S: Resettable> ByteStream for SocketStream<S> {
    fn reset(&mut self) {
        if let Some(stream) = self.0.take() {
            stream.prepare_reset();
        }
    }
}

impl<S: Resettable> AsyncRead for SocketStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buffer)
    }
}

impl<S: Resettable> AsyncWrite for SocketStream<S> {
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
