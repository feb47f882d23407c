//! Datagrams: the sockets that receive them, and how they find their target.
//!
//! Best effort, as UDP is: what finds no room or nobody is dropped. Each socket stays with the backend it was given
//! for a virtual address, and sees that backend's answers as coming from the virtual address. It remembers the clients
//! outside the cluster that wrote to it, and can answer those and no others.
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use minicloud_core::id::{NetworkId, NodeId, ServiceId, TaskId};

use crate::connect::{Route, source_on};
use crate::error::NetError;
use crate::family::Family;
use crate::inbox::Inbox;
use crate::limits;
use crate::open_count::OpenCount;
use crate::ports::{Reservation, Server};
use crate::recent::Recent;
use crate::switch::Switch;
use crate::task::Task;
use crate::udp_door::DoorId;
use crate::uplink::{DatagramHeader, Passage};
use crate::wakers::lock;

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
    receiver: Arc<Receiver>,
    sticky: Mutex<Sticky>,
}

/// The receiving side of a socket, as its task's ports know it.
#[derive(Debug)]
pub(crate) struct Receiver {
    inbox: Inbox,
    family: Family,
    /// Clients outside, by the address under which the guest sees them.
    callers: Mutex<Recent<SocketAddr, Caller>>,
}

/// A client outside the cluster, and the way back to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) client: SocketAddr,
    pub(crate) node: NodeId,
    pub(crate) door: DoorId,
    pub(crate) network: NetworkId,
    /// The address of this task that the client reached.
    pub(crate) reached: SocketAddr,
}

impl UdpSocketHandle {
    pub(crate) fn new(switch: &Switch, reservation: Reservation) -> Result<Self, NetError> {
        let receiver = Arc::new(Receiver::new(Family::of(reservation.address().ip())));
        reservation.serve(Server::Socket(receiver.clone()))?;
        Ok(UdpSocketHandle { switch: switch.clone(), reservation, receiver, sticky: Mutex::default() })
    }

    /// The bound address; its port is never 0.
    pub fn local_address(&self) -> SocketAddr {
        self.reservation.address()
    }

    /// Ready once a datagram is there, or the task was detached.
    pub fn poll_receivable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.receiver.inbox.poll_receivable(cx)
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
        let Some(mut datagram) = self.receiver.inbox.take()? else { return Ok(None) };
        self.reservation.task().registry.count_received(datagram.payload.len());
        if let Some(virtual_address) = lock(&self.sticky).by_backend.get(&datagram.source) {
            datagram.source = *virtual_address;
        }
        datagram.source = self.receiver.family.show(datagram.source);
        Ok(Some(datagram))
    }

    /// Sends to a task, a service, within the task, or to a client outside that wrote to this socket lately. Success
    /// does not mean that anybody received it.
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
        let bytes = payload.len();
        self.send_where_it_leads(payload, to).inspect(|()| self.reservation.task().registry.count_sent(bytes))
    }

    fn send_where_it_leads(&self, payload: Bytes, to: SocketAddr) -> Result<(), NetError> {
        // The own networks come first: no client outside can draw traffic of the cluster to itself.
        let addresses = &self.reservation.task().addresses;
        if let IpAddr::V4(ip) = to.ip()
            && let Some(route) = self.switch.route(&self.switch.routes(), addresses, ip)
        {
            return self.send_out(payload, route, ip, to);
        }
        if let Some(caller) = lock(&self.receiver.callers).touch(&to).copied() {
            self.answer(caller, payload);
            return Ok(());
        }
        if to.ip().is_loopback() { self.send_within(payload, to) } else { Err(NetError::Unreachable) }
    }

    fn answer(&self, caller: Caller, payload: Bytes) {
        let Caller { client, node, door, network, reached } = caller;
        let task = self.reservation.task().id;
        let passage = Passage::Outward(door);
        self.switch.send_datagram(node, DatagramHeader { network, source: reached, destination: client, task, passage }, payload);
    }

    fn send_within(&self, payload: Bytes, to: SocketAddr) -> Result<(), NetError> {
        let bound = self.local_address();
        let ip = match bound.ip() {
            ip if ip.is_loopback() => ip,
            ip if !ip.is_unspecified() => return Err(NetError::Unreachable),
            _ if to.is_ipv4() => Ipv4Addr::LOCALHOST.into(),
            _ => Ipv6Addr::LOCALHOST.into(),
        };
        if let Some(receiver) = self.reservation.task().ports.receiver(to) {
            receiver.push_inner(&payload, SocketAddr::new(ip, bound.port()));
        }
        Ok(())
    }

    fn send_out(&self, payload: Bytes, route: Route, ip: Ipv4Addr, to: SocketAddr) -> Result<(), NetError> {
        let addresses = &self.reservation.task().addresses;
        let bound = self.local_address();
        let source = SocketAddr::new(source_on(addresses, route.network(), Some(bound))?.into(), bound.port());
        let target = match route {
            Route::Task { task, node, .. } => Some((task, node, ip)),
            Route::Service { network, service } => self.backend(network, service, to),
        };
        if let Some((task, node, ip)) = target {
            let destination = SocketAddr::new(ip.into(), to.port());
            let header = DatagramHeader { network: route.network(), source, destination, task, passage: Passage::Within };
            self.switch.send_datagram(node, header, payload);
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

impl Receiver {
    fn new(family: Family) -> Self {
        let callers = Recent::new(limits::OUTSIDE_CLIENTS_MAX, limits::OUTSIDE_CLIENT_IDLE);
        Receiver { inbox: Inbox::default(), family, callers: Mutex::new(callers) }
    }

    /// Takes a datagram from within the cluster; who was a client outside under this address is one no more.
    fn push_inner(&self, payload: &[u8], source: SocketAddr) {
        lock(&self.callers).remove(&source);
        self.inbox.push(payload, source);
    }

    /// Takes a datagram from outside, and remembers the way back.
    fn push_outer(&self, payload: &[u8], caller: Caller) {
        let shown = self.family.show(caller.client);
        let known_as = SocketAddr::new(shown.ip().to_canonical(), shown.port());
        lock(&self.callers).put(known_as, caller);
        self.inbox.push(payload, caller.client);
    }

    pub(crate) fn close(&self) {
        self.inbox.close();
    }
}

impl Switch {
    pub(crate) fn send_datagram(&self, node: NodeId, header: DatagramHeader, payload: Bytes) {
        if node == self.node() {
            self.deliver_datagram(node, header, payload);
        } else {
            self.uplink().send(node, header, payload);
        }
    }

    /// Takes a datagram from a node, this one included; it is dropped when nobody here waits for it.
    pub fn deliver_datagram(&self, from: NodeId, header: DatagramHeader, payload: Bytes) {
        if payload.len() > limits::DATAGRAM_BYTES_MAX {
            return;
        }
        if let Passage::Outward(door) = header.passage {
            return self.leave_by_door(door, header, &payload);
        }
        let Some(task) = self.local_task(header.task) else { return };
        let own = task.addresses.get(&header.network).map(|ip| IpAddr::V4(*ip));
        if own != Some(header.destination.ip()) {
            return;
        }
        match header.passage {
            Passage::Inward(door) => {
                let caller = Caller { client: header.source, node: from, door, network: header.network, reached: header.destination };
                self.receive_from_outside(&task, caller, &payload);
            }
            _ => {
                if let Some(receiver) = task.ports.receiver(header.destination) {
                    receiver.push_inner(&payload, header.source);
                }
            }
        }
    }

    /// A datagram of a client outside; one whose address is somebody's on the task's own networks is a forgery.
    pub(crate) fn receive_from_outside(&self, task: &Task, caller: Caller, payload: &[u8]) {
        if let IpAddr::V4(ip) = caller.client.ip().to_canonical()
            && self.route(&self.routes(), &task.addresses, ip).is_some()
        {
            return;
        }
        if let Some(receiver) = task.ports.receiver(caller.reached) {
            receiver.push_outer(payload, caller);
        }
    }
}
