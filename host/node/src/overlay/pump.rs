//! Carries one connection over a stream of bytes: data, half-close, reset and back-pressure, in both directions.
//!
//! One task per connection, no locks. Data of the connection is written as the chunks it lies in; data of the stream
//! is read into chunks that become the connection's own. A connection may rest for days: nothing here has a timeout.
//! Also used by the ingress and by the API, over sockets.
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use minicloud_net::{Connection, PipeReader, PipeWriter};
use tokio::io::AsyncWrite;
use tokio_util::io::poll_read_buf;

use crate::transport::BoxStream;

/// Most bytes moved at a time in each direction.
const CHUNK_BYTES_MAX: usize = 64 << 10;
/// Least bytes asked of the stream at a time.
const CHUNK_BYTES_MIN: usize = 4 << 10;

/// Runs until both directions have ended, or one end reset.
pub async fn pump(stream: BoxStream, connection: Connection) {
    let (reader, writer) = connection.into_split();
    let mut pump = Pump {
        stream,
        outgoing: Outgoing { reader: Some(reader), chunk: Bytes::new(), state: Direction::Open },
        incoming: Incoming { writer: Some(writer), chunk: BytesMut::new(), chunk_bytes: CHUNK_BYTES_MIN, state: Direction::Open },
    };
    poll_fn(|cx| pump.poll(cx)).await;
}

struct Pump {
    stream: BoxStream,
    outgoing: Outgoing,
    incoming: Incoming,
}

/// From the connection to the stream.
struct Outgoing {
    /// `None`: the stream takes nothing more, and writers at the other end of the connection are told so.
    reader: Option<PipeReader>,
    chunk: Bytes,
    state: Direction,
}

/// From the stream to the connection.
struct Incoming {
    /// `None`: nobody reads any more, and what still comes is thrown away.
    writer: Option<PipeWriter>,
    chunk: BytesMut,
    /// How much to ask for: grows while the stream fills it, so that little data never pins a large chunk.
    chunk_bytes: usize,
    state: Direction,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Open,
    /// All data is written; the end is being said.
    Ending,
    Done,
}

/// One end gave the connection up.
struct Reset;

impl Pump {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.poll_both(cx);
        if matches!(polled, Poll::Ready(Err(Reset))) {
            self.reset();
        }
        polled.map(|_| ())
    }

    fn poll_both(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reset>> {
        let outgoing = done(self.poll_outgoing(cx))?;
        let incoming = done(self.poll_incoming(cx))?;
        // With nothing left to write and nobody left to read, the peer's further data would go nowhere.
        if outgoing && (incoming || self.incoming.is_unread(cx)) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn reset(&mut self) {
        self.stream.reset();
        self.outgoing.reader = None;
        if let Some(writer) = self.incoming.writer.take() {
            writer.reset();
        }
    }

    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reset>> {
        loop {
            match self.outgoing.state {
                Direction::Done => return Poll::Ready(Ok(())),
                Direction::Ending => {
                    let ended = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
                    self.outgoing.finish(ended.is_ok());
                }
                Direction::Open if self.outgoing.chunk.has_remaining() => {
                    match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outgoing.chunk)) {
                        Ok(count) if count > 0 => self.outgoing.chunk.advance(count),
                        _ => self.outgoing.finish(false),
                    }
                }
                Direction::Open => {
                    let Some(reader) = &mut self.outgoing.reader else {
                        self.outgoing.state = Direction::Done;
                        continue;
                    };
                    match reader.poll_read_bytes(cx, CHUNK_BYTES_MAX) {
                        Poll::Ready(Ok(chunk)) if chunk.is_empty() => self.outgoing.state = Direction::Ending,
                        Poll::Ready(Ok(chunk)) => self.outgoing.chunk = chunk,
                        Poll::Ready(Err(_)) => return Poll::Ready(Err(Reset)),
                        Poll::Pending => {
                            // Sockets send at once; what a buffering stream holds must not wait for more.
                            let _ = Pin::new(&mut self.stream).poll_flush(cx);
                            return Poll::Pending;
                        }
                    }
                }
            }
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reset>> {
        loop {
            if self.incoming.state == Direction::Done {
                return Poll::Ready(Ok(()));
            }
            let room = ready!(self.incoming.poll_room(cx));
            self.incoming.chunk.reserve(room);
            let read = poll_read_buf(Pin::new(&mut self.stream), cx, &mut (&mut self.incoming.chunk).limit(room));
            match read {
                Poll::Ready(Ok(0)) => self.incoming.end(),
                Poll::Ready(Ok(count)) => self.incoming.hand_over(count),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Reset)),
                Poll::Pending => {
                    // A connection that rests holds no memory for data that may never come.
                    self.incoming.chunk = BytesMut::new();
                    return Poll::Pending;
                }
            }
        }
    }
}

fn done(polled: Poll<Result<(), Reset>>) -> Result<bool, Reset> {
    match polled {
        Poll::Ready(result) => result.map(|()| true),
        Poll::Pending => Ok(false),
    }
}

impl Outgoing {
    /// The direction is over. Not `clean`: the other end takes no more, so writers are to hear of it.
    fn finish(&mut self, clean: bool) {
        self.state = Direction::Done;
        self.chunk = Bytes::new();
        if !clean {
            self.reader = None;
        }
    }
}

impl Incoming {
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let Some(writer) = &mut self.writer else { return Poll::Ready(self.chunk_bytes) };
        match ready!(writer.poll_writable(cx)) {
            Ok(room) => Poll::Ready(room.min(self.chunk_bytes)),
            Err(_) => {
                self.writer = None;
                Poll::Ready(self.chunk_bytes)
            }
        }
    }

    fn is_unread(&mut self, cx: &mut Context<'_>) -> bool {
        self.writer.as_mut().is_none_or(|writer| writer.poll_closed(cx).is_ready())
    }

    fn hand_over(&mut self, count: usize) {
        let filled = count >= self.chunk_bytes;
        self.chunk_bytes = if filled { CHUNK_BYTES_MAX.min(self.chunk_bytes * 2) } else { CHUNK_BYTES_MIN.max(self.chunk_bytes / 2) };
        let chunk = self.chunk.split().freeze();
        // An error says that the reader has gone between the look and now.
        if self.writer.as_mut().is_some_and(|writer| writer.push(chunk).is_err()) {
            self.writer = None;
        }
    }

    fn end(&mut self) {
        self.state = Direction::Done;
        if let Some(writer) = self.writer.take() {
            writer.close();
        }
    }
}
