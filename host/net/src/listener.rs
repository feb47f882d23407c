//! A listening socket: connections wait in its backlog until they are accepted.
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use tokio::sync::Notify;

use crate::connection::Connection;
use crate::error::NetError;
use crate::limits;
use crate::ports::{Reservation, Server};
use crate::wakers::{WakerSet, lock, wake_all};

/// Accepts connections at one bound address. Dropping it resets those that still wait, and frees the port.
#[derive(Debug)]
pub struct Listener {
    backlog: Arc<Backlog>,
    reservation: Reservation,
}

impl Listener {
    /// `changed` is told when connections that were turned away may try again.
    pub(crate) fn new(reservation: Reservation, backlog: usize, changed: Arc<Notify>) -> Result<Self, NetError> {
        let backlog = Arc::new(Backlog::new(backlog, changed));
        reservation.serve(Server::Listener(backlog.clone()))?;
        backlog.changed.notify_waiters();
        Ok(Listener { backlog, reservation })
    }

    /// The bound address; its port is never 0.
    pub fn local_address(&self) -> SocketAddr {
        self.reservation.address()
    }

    /// Ready once [`Self::poll_accept`] would not wait.
    pub fn poll_acceptable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = lock(&self.backlog.waiting);
        if !waiting.connections.is_empty() || waiting.refusing {
            return Poll::Ready(());
        }
        let evicted = waiting.wakers.register(cx.waker());
        drop(waiting);
        wake_all(evicted.into_iter().collect());
        Poll::Pending
    }

    /// The connection that waited longest; [`NetError::Aborted`] once the task is detached, and after
    /// [`Self::refuse`] once none is left.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Connection, NetError>> {
        loop {
            if let Some(result) = self.try_accept().transpose() {
                return Poll::Ready(result);
            }
            ready!(self.poll_acceptable(cx));
        }
    }

    /// As [`Self::poll_accept`], but `None` instead of waiting.
    pub fn try_accept(&self) -> Result<Option<Connection>, NetError> {
        let mut waiting = lock(&self.backlog.waiting);
        let was_full = waiting.connections.len() >= waiting.capacity;
        let connection = waiting.connections.pop_front();
        if connection.is_none() && waiting.refusing {
            return Err(NetError::Aborted);
        }
        drop(waiting);
        if was_full {
            self.backlog.changed.notify_waiters();
        }
        Ok(connection)
    }

    /// Waits for a connection.
    pub async fn accept(&self) -> Result<Connection, NetError> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Takes no further connections: they go elsewhere or are refused. Those that wait can still be accepted, so that
    /// a server which stops resets nobody.
    pub fn refuse(&self) {
        self.backlog.refuse();
    }

    /// Changes how many connections may wait; those that wait already stay.
    pub fn set_backlog(&self, backlog: usize) {
        lock(&self.backlog.waiting).capacity = clamped(backlog);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.backlog.close();
    }
}

/// The connections that wait to be accepted.
#[derive(Debug)]
pub(crate) struct Backlog {
    waiting: Mutex<Waiting>,
    changed: Arc<Notify>,
}

struct Waiting {
    connections: VecDeque<Connection>,
    capacity: usize,
    refusing: bool,
    wakers: WakerSet,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} waiting", self.connections.len(), self.capacity)
    }
}

impl Backlog {
    fn new(capacity: usize, changed: Arc<Notify>) -> Self {
        let waiting = Waiting { connections: VecDeque::new(), capacity: clamped(capacity), refusing: false, wakers: WakerSet::default() };
        Backlog { waiting: Mutex::new(waiting), changed }
    }

    /// Queues one end of a new connection; [`NetError::WouldBlock`] when full.
    pub(crate) fn offer(&self, connection: Connection) -> Result<(), NetError> {
        let mut waiting = lock(&self.waiting);
        if waiting.refusing {
            return Err(NetError::Refused);
        }
        if waiting.connections.len() >= waiting.capacity {
            return Err(NetError::WouldBlock);
        }
        waiting.connections.push_back(connection);
        let wakers = waiting.wakers.take();
        drop(waiting);
        wake_all(wakers);
        Ok(())
    }

    fn refuse(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.refusing = true;
        let wakers = waiting.wakers.take();
        drop(waiting);
        wake_all(wakers);
        self.changed.notify_waiters();
    }

    pub(crate) fn close(&self) {
        self.refuse();
        let connections = std::mem::take(&mut lock(&self.waiting).connections);
        connections.into_iter().for_each(Connection::reset);
    }
}

fn clamped(backlog: usize) -> usize {
    backlog.clamp(1, limits::BACKLOG_MAX)
}
