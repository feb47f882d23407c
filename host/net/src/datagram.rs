//! Datagrams: the sockets that receive them, and how they find their target.
//!
//! Best effort, as UDP is: what finds no room or nobody is dropped. Each socket stays with the backend it was given
//! for a virtual address, and sees that backend's answers as coming from the virtual address.
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use minicloud_core::id::{NetworkId, NodeId, ServiceId, TaskId};

use crate::connect::{Route, source_on};
use crate::error::NetError;
use crate::limits;
use crate::open_count::OpenCount;
use crate::ports::{Reservation, Server};
use crate::switch::Switch;
use crate::uplink::DatagramHeader;
use crate::wakers::{WakerSet, lock, wake_all};

/// One message and who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    pub payload: Bytes,
    pub source: SocketAddr,
}

/// A bound UDP socket. Dropping it frees the port.
#[derive(Debug)]
pub struct UdpSocketHandle {
    switch: Switch,
    reservation: Reservation,
    inbox: Arc<Inbox>,
    sticky: Mutex<Sticky>,
}

impl UdpSocketHandle {
    pub(crate) fn new(switch: &Switch, reservation: Reservation) -> Result<Self, NetError> {
        let inbox = Arc::new(Inbox::default());
        reservation.serve(Server::Socket(inbox.clone()))?;
        Ok(UdpSocketHandle { switch: switch.clone(), reservation, inbox, sticky: Mutex::default() })
    }

    /// The bound address; its port is never 0.
    pub fn local_address(&self) -> SocketAddr {
        self.reservation.address()
    }

    /// Ready once a datagram is there, or the task was detached.
    pub fn poll_receivable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inbox.poll_receivable(cx)
    }

    /// The oldest datagram that waits; [`NetError::Aborted`] once the task is detached.
    pub fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Result<Datagram, NetError>> {
        loop {
            if let Some(result) = self.try_receive().transpose() {
                return Poll::Ready(result);
            }
            ready!(self.poll_receivable(cx));
        }
    }

    /// As [`Self::poll_receive`], but `None` instead of waiting.
    pub fn try_receive(&self) -> Result<Option<Datagram>, NetError> {
        let Some(mut datagram) = self.inbox.take()? else { return Ok(None) };
        if let Some(virtual_address) = lock(&self.sticky).by_backend.get(&datagram.source) {
            datagram.source = *virtual_address;
        }
        Ok(Some(datagram))
    }

    /// Sends to a task, a service or within the task. Success does not mean that anybody received it.
    pub fn send_to(&self, payload: Bytes, to: SocketAddr) -> Result<(), NetError> {
        if payload.len() > limits::DATAGRAM_BYTES_MAX {
            return Err(NetError::DatagramTooLarge);
        }
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        if to.port() == 0 || to.ip().is_unspecified() {
            return Err(NetError::InvalidArgument);
        }
        if self.reservation.task().is_detached() {
            return Err(NetError::Aborted);
        }
        match to.ip() {
            ip if ip.is_loopback() => self.send_within(payload, to),
            IpAddr::V4(ip) => self.send_out(payload, ip, to),
            IpAddr::V6(_) => Err(NetError::Unreachable),
        }
    }

    fn send_within(&self, payload: Bytes, to: SocketAddr) -> Result<(), NetError> {
        let bound = self.local_address();
        let ip = match bound.ip() {
            ip if ip.is_loopback() => ip,
            ip if !ip.is_unspecified() => return Err(NetError::Unreachable),
            _ if to.is_ipv4() => Ipv4Addr::LOCALHOST.into(),
            _ => Ipv6Addr::LOCALHOST.into(),
        };
        if let Some(inbox) = self.reservation.task().ports.inbox(to) {
            inbox.push(payload, SocketAddr::new(ip, bound.port()));
        }
        Ok(())
    }

    fn send_out(&self, payload: Bytes, ip: Ipv4Addr, to: SocketAddr) -> Result<(), NetError> {
        let addresses = &self.reservation.task().addresses;
        let route = self.switch.route(&self.switch.routes(), addresses, ip).ok_or(NetError::Unreachable)?;
        let bound = self.local_address();
        let source = SocketAddr::new(source_on(addresses, route.network(), Some(bound))?.into(), bound.port());
        let target = match route {
            Route::Task { task, node, .. } => Some((task, node, ip)),
            Route::Service { network, service } => self.backend(network, service, to),
        };
        if let Some((task, node, ip)) = target {
            let destination = SocketAddr::new(ip.into(), to.port());
            self.switch.send_datagram(node, DatagramHeader { network: route.network(), source, destination, task }, payload);
        }
        Ok(())
    }

    /// The backend that stands for a virtual address: the same one for as long as it is there.
    fn backend(&self, network: NetworkId, service: ServiceId, to: SocketAddr) -> Option<(TaskId, NodeId, Ipv4Addr)> {
        let table = self.switch.routes();
        let group = table.group(network, service)?;
        let mut sticky = lock(&self.sticky);
        let known = sticky.by_virtual.get(&to).and_then(|kept| group.candidate(kept.task));
        if let Some(candidate) = known {
            return Some((candidate.task, candidate.node, candidate.ip));
        }
        let (at, count) = group.choose(&HashSet::new())?;
        let candidate = &group.candidates[at];
        sticky.keep(to, SocketAddr::new(candidate.ip.into(), to.port()), Kept { task: candidate.task, _count: count });
        Some((candidate.task, candidate.node, candidate.ip))
    }
}

/// Which backend stands for which virtual address, and back.
#[derive(Debug, Default)]
struct Sticky {
    by_virtual: HashMap<SocketAddr, Kept>,
    by_backend: HashMap<SocketAddr, SocketAddr>,
    /// Virtual addresses, in the order they were first sent to.
    order: VecDeque<SocketAddr>,
}

#[derive(Debug)]
struct Kept {
    task: TaskId,
    _count: OpenCount,
}

impl Sticky {
    fn keep(&mut self, virtual_address: SocketAddr, backend: SocketAddr, kept: Kept) {
        self.forget(virtual_address);
        if self.order.len() >= limits::STICKY_BACKENDS_MAX
            && let Some(oldest) = self.order.front().copied()
        {
            self.forget(oldest);
        }
        self.by_virtual.insert(virtual_address, kept);
        self.by_backend.insert(backend, virtual_address);
        self.order.push_back(virtual_address);
    }

    fn forget(&mut self, virtual_address: SocketAddr) {
        if self.by_virtual.remove(&virtual_address).is_some() {
            self.by_backend.retain(|_, known| *known != virtual_address);
            self.order.retain(|known| *known != virtual_address);
        }
    }
}

impl Switch {
    fn send_datagram(&self, node: NodeId, header: DatagramHeader, payload: Bytes) {
        if node == self.node() {
            self.deliver_datagram(header, payload);
        } else {
            self.uplink().send(node, header, payload);
        }
    }

    /// Hands a datagram to a task of this node; it is dropped when nobody there waits for it.
    pub fn deliver_datagram(&self, header: DatagramHeader, payload: Bytes) {
        let Some(task) = self.local_task(header.task) else { return };
        let own = task.addresses.get(&header.network).map(|ip| IpAddr::V4(*ip));
        if own != Some(header.destination.ip()) || payload.len() > limits::DATAGRAM_BYTES_MAX {
            return;
        }
        if let Some(inbox) = task.ports.inbox(header.destination) {
            inbox.push(payload, header.source);
        }
    }
}

/// The datagrams that wait at one socket.
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
    fn push(&self, payload: Bytes, source: SocketAddr) {
        // A copy, because a slice of a larger packet buffer would keep all of it alive.
        let payload = Bytes::copy_from_slice(&payload);
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

    fn take(&self) -> Result<Option<Datagram>, NetError> {
        let mut waiting = lock(&self.0);
        if waiting.closed {
            return Err(NetError::Aborted);
        }
        let datagram = waiting.datagrams.pop_front();
        waiting.bytes -= datagram.as_ref().map_or(0, |datagram| datagram.payload.len());
        Ok(datagram)
    }

    fn poll_receivable(&self, cx: &mut Context<'_>) -> Poll<()> {
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
