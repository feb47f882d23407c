//! A bounded queue of datagrams with those who wait for one. What finds no room is dropped.
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::datagram::Datagram;
use crate::error::NetError;
use crate::limits;
use crate::wakers::{WakerSet, lock, wake_all};

/// The datagrams that wait at one socket or door.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    datagrams: VecDeque<Datagram>,
    bytes: usize,
    closed: bool,
    wakers: WakerSet,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inbox({} waiting)", lock(&self.0).datagrams.len())
    }
}

impl Inbox {
    /// Copies the payload, because a slice of a larger packet buffer would keep all of it alive.
    pub(crate) fn push(&self, payload: &[u8], source: SocketAddr) {
        let payload = Bytes::copy_from_slice(payload);
        let mut waiting = lock(&self.0);
        let full =
            waiting.datagrams.len() >= limits::DATAGRAMS_QUEUED_MAX || waiting.bytes + payload.len() > limits::DATAGRAM_BYTES_QUEUED_MAX;
        if waiting.closed || full {
            return;
        }
        waiting.bytes += payload.len();
        waiting.datagrams.push_back(Datagram { payload, source });
        let wakers = waiting.wakers.take();
        drop(waiting);
        wake_all(wakers);
    }

    /// The oldest datagram; [`NetError::Aborted`] once closed.
    pub(crate) fn take(&self) -> Result<Option<Datagram>, NetError> {
        let mut waiting = lock(&self.0);
        if waiting.closed {
            return Err(NetError::Aborted);
        }
        let datagram = waiting.datagrams.pop_front();
        waiting.bytes -= datagram.as_ref().map_or(0, |datagram| datagram.payload.len());
        Ok(datagram)
    }

    /// Ready once a datagram is there, or the queue is closed.
    pub(crate) fn poll_receivable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = lock(&self.0);
        if !waiting.datagrams.is_empty() || waiting.closed {
            return Poll::Ready(());
        }
        let evicted = waiting.wakers.register(cx.waker());
        drop(waiting);
        wake_all(evicted.into_iter().collect());
        Poll::Pending
    }

    pub(crate) fn close(&self) {
        let mut waiting = lock(&self.0);
        waiting.closed = true;
        waiting.bytes = 0;
        let datagrams = std::mem::take(&mut waiting.datagrams);
        let wakers = waiting.wakers.take();
        drop(waiting);
        drop(datagrams);
        wake_all(wakers);
    }
}
