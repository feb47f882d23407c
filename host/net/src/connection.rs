//! Two pipes and two addresses: a stream between two ends.
//!
//! Each end knows when both of its halves are gone; what was held for the connection (its place in a task, its
//! count at a backend) is then given back, once, by whichever end goes first.
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::NetError;
use crate::limits;
use crate::open_count::OpenCount;
use crate::pipe::{PipeReader, PipeWriter, pipe};
use crate::task::{Membership, Registry};
use crate::wakers::lock;

/// One end of a stream. Dropping it closes both directions: the other end reads what was written, then the end.
#[derive(Debug)]
pub struct Connection {
    pub reader: PipeReader,
    pub writer: PipeWriter,
    pub local: SocketAddr,
    /// The true peer of an accepted connection, from outside of the cluster too; for a connection that was made, the
    /// address it was made to.
    pub remote: SocketAddr,
}

impl Connection {
    /// Both ends of a new stream: the one at `first`, and the one at `second`.
    pub fn pair(first: SocketAddr, second: SocketAddr) -> (Connection, Connection) {
        Connection::pair_with_capacity(first, second, limits::PIPE_BYTES_DEFAULT)
    }

    /// As [`Self::pair`], with another bound on the unread bytes of each direction.
    pub fn pair_with_capacity(first: SocketAddr, second: SocketAddr, capacity_bytes: usize) -> (Connection, Connection) {
        let (first_writer, second_reader) = pipe(capacity_bytes);
        let (second_writer, first_reader) = pipe(capacity_bytes);
        let bond = Arc::new(Bond::default());
        let mut near = Connection { reader: first_reader, writer: first_writer, local: first, remote: second };
        let mut far = Connection { reader: second_reader, writer: second_writer, local: second, remote: first };
        near.tie(&bond);
        far.tie(&bond);
        (near, far)
    }

    /// The two halves, which live on their own.
    pub fn into_split(self) -> (PipeReader, PipeWriter) {
        (self.reader, self.writer)
    }

    /// Gives the connection up: the other end sees [`NetError::Reset`] on reads and writes.
    pub fn reset(self) {
        self.writer.reset();
    }

    /// Makes this end one of a task's connections, until it is dropped or the task is detached.
    pub(crate) fn join(&mut self, registry: &Arc<Registry>) -> Result<(), NetError> {
        let membership = registry.enter(self.reader.pipe(), self.writer.pipe())?;
        let end = self.end();
        let joined = end.membership.set(membership);
        debug_assert!(joined.is_ok(), "an end joins one task");
        Ok(())
    }

    /// Counts bytes that were sent before this end joined its task.
    pub(crate) fn count_sent(&mut self, bytes: usize) {
        self.end().count_sent(bytes);
    }

    /// Keeps a backend's count until either end is gone.
    pub(crate) fn hold(&mut self, count: OpenCount) {
        self.end().bond.hold(count);
    }

    /// A connection built from bare pipes gets its end here.
    fn end(&mut self) -> Arc<End> {
        if let Some(end) = self.reader.end() {
            return end.clone();
        }
        self.tie(&Arc::new(Bond::default()))
    }

    fn tie(&mut self, bond: &Arc<Bond>) -> Arc<End> {
        let end = Arc::new(End { bond: bond.clone(), membership: OnceLock::new() });
        self.reader.tie(end.clone());
        self.writer.tie(end.clone());
        end
    }
}

/// One side of a connection, shared by its reader and its writer.
#[derive(Debug)]
pub(crate) struct End {
    bond: Arc<Bond>,
    membership: OnceLock<Membership>,
}

impl End {
    pub(crate) fn count_received(&self, bytes: usize) {
        if let Some(membership) = self.membership.get() {
            membership.count_received(bytes);
        }
    }

    pub(crate) fn count_sent(&self, bytes: usize) {
        if let Some(membership) = self.membership.get() {
            membership.count_sent(bytes);
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.bond.end();
    }
}

/// What both ends share: whether the connection has ended, and what is held until then.
#[derive(Debug, Default)]
struct Bond(Mutex<BondState>);

#[derive(Debug, Default)]
struct BondState {
    ended: bool,
    count: Option<OpenCount>,
}

impl Bond {
    fn hold(&self, count: OpenCount) {
        let mut state = lock(&self.0);
        if !state.ended {
            state.count = Some(count);
        }
    }

    fn end(&self) {
        let mut state = lock(&self.0);
        state.ended = true;
        let count = state.count.take();
        drop(state);
        drop(count);
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        AsyncRead::poll_read(Pin::new(&mut self.get_mut().reader), cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.get_mut().writer), cx, bytes)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write_vectored(Pin::new(&mut self.get_mut().writer), cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.writer.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.get_mut().writer), cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(&mut self.get_mut().writer), cx)
    }
}
