//! A QUIC stream as a [`ByteStream`]: dropping it unfinished resets it, where quinn alone would finish it.
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use quinn::{RecvStream, SendStream, VarInt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::{BoxStream, ByteStream};

const RESET: VarInt = VarInt::from_u32(1);

struct QuicStream {
    send: SendStream,
    receive: RecvStream,
    finished: bool,
}

pub(super) fn boxed(send: SendStream, receive: RecvStream) -> BoxStream {
    Box::new(QuicStream { send, receive, finished: false })
}

impl ByteStream for QuicStream {
    fn reset(&mut self) {
        // An error says that the stream or its connection is gone already.
        let _ = self.send.reset(RESET);
        let _ = self.receive.stop(RESET);
        self.finished = true;
    }
}

impl Drop for QuicStream {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.send.reset(RESET);
        }
    }
}

impl AsyncRead for QuicStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        AsyncRead::poll_read(Pin::new(&mut self.receive), cx, buffer)
    }
}

impl AsyncWrite for QuicStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.send), cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.send), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.finished {
            return Poll::Ready(Ok(()));
        }
        self.finished = true;
        Poll::Ready(self.send.finish().map_err(io::Error::from))
    }
}
