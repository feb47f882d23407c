//! A stream of the simulated network: bytes arrive later, in order, while the way is open.
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use minicloud_node::transport::{ByteStream, LinkError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Net, Way};

/// What travels in one direction of a stream.
enum Piece {
    Data(Bytes),
    End,
    Reset,
}

/// One end of a stream.
pub struct SimStream {
    out: Option<mpsc::UnboundedSender<Piece>>,
    input: mpsc::UnboundedReceiver<Piece>,
    rest: Bytes,
    ended: bool,
}

impl SimStream {
    pub fn pair(net: &Net, way: Way, broken: &watch::Sender<Option<LinkError>>) -> (SimStream, SimStream) {
        let (near_out, far_input) = pipe(net, way, broken);
        let (far_out, near_input) = pipe(net, way.back(), broken);
        let end = |out, input| SimStream { out: Some(out), input, rest: Bytes::new(), ended: false };
        (end(near_out, near_input), end(far_out, far_input))
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::NotConnected, "the link is gone");
        self.out.as_ref().ok_or_else(gone)?.send(piece).map_err(|_| gone())
    }
}

/// One direction: what is put in comes out later, in order, while the way is open.
fn pipe(net: &Net, way: Way, broken: &watch::Sender<Option<LinkError>>) -> (mpsc::UnboundedSender<Piece>, mpsc::UnboundedReceiver<Piece>) {
    let (input, mut pieces) = mpsc::unbounded_channel::<Piece>();
    let (deliver, output) = mpsc::unbounded_channel();
    let (net, mut broken) = (net.clone(), broken.subscribe());
    tokio::spawn(async move {
        let carry = async {
            let mut clear = Instant::now();
            while let Some(piece) = pieces.recv().await {
                // Pieces that wait together travel together.
                clear = clear.max(Instant::now() + net.delay());
                sleep_until(clear).await;
                net.passage(way).await?;
                let last = matches!(piece, Piece::End | Piece::Reset);
                if deliver.send(piece).is_err() || last {
                    break;
                }
            }
            Ok::<(), ()>(())
        };
        tokio::select! {
            biased;
            _ = broken.wait_for(Option::is_some) => drop(deliver.send(Piece::Reset)),
            carried = carry => if carried.is_err() { drop(deliver.send(Piece::Reset)) },
        }
    });
    (input, output)
}

impl ByteStream for SimStream {
    fn reset(&mut self) {
        let _ = self.send(Piece::Reset);
        self.out = None;
        self.ended = true;
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let _ = self.send(Piece::Reset);
    }
}

impl AsyncRead for SimStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let reset = || io::Error::new(io::ErrorKind::ConnectionReset, "the stream was reset");
        while self.rest.is_empty() && !self.ended {
            match std::task::ready!(self.input.poll_recv(cx)) {
                Some(Piece::Data(bytes)) => self.rest = bytes,
                Some(Piece::End) => self.ended = true,
                Some(Piece::Reset) | None => return Poll::Ready(Err(reset())),
            }
        }
        let count = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..count]);
        self.rest.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.send(Piece::Data(Bytes::copy_from_slice(bytes))).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = self.send(Piece::End);
        self.out = None;
        Poll::Ready(Ok(()))
    }
}
