//! The bound ports of one task: who may bind what, and which listener or socket an incoming packet belongs to.
//!
//! Binding reserves at once; a [`Reservation`] gives its port back when it is dropped.
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use crate::datagram::Receiver;
use crate::error::NetError;
use crate::limits;
use crate::listener::Backlog;
use crate::task::Task;
use crate::wakers::lock;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

/// A port of a task that nobody else can bind until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    task: Arc<Task>,
    transport: Transport,
    address: SocketAddr,
}

impl Reservation {
    /// The bound address; its port is never 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn task(&self) -> &Arc<Task> {
        &self.task
    }

    pub(crate) fn new(task: &Arc<Task>, transport: Transport, address: SocketAddr) -> Result<Self, NetError> {
        if !task.may_bind(address.ip()) {
            return Err(NetError::AddressNotBindable);
        }
        let address = task.ports.bind(transport, address)?;
        Ok(Reservation { task: task.clone(), transport, address })
    }

    /// Lets packets for this port in.
    pub(crate) fn serve(&self, server: Server) -> Result<(), NetError> {
        self.task.ports.serve(self.transport, self.address, server)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.task.ports.free(self.transport, self.address);
    }
}

/// What receives at a bound port.
#[derive(Clone, Debug)]
pub(crate) enum Server {
    Listener(Arc<Backlog>),
    Socket(Arc<Receiver>),
}

#[derive(Debug)]
pub(crate) struct Ports {
    bound: Mutex<Bound>,
    next: AtomicU16,
}

#[derive(Debug, Default)]
struct Bound {
    closed: bool,
    count: usize,
    by_port: HashMap<(Transport, u16), Vec<Binding>>,
}

#[derive(Debug)]
struct Binding {
    ip: IpAddr,
    server: Option<Server>,
}

impl Default for Ports {
    fn default() -> Self {
        Ports { bound: Mutex::default(), next: AtomicU16::new(*limits::EPHEMERAL_PORTS.start()) }
    }
}

impl Ports {
    fn bind(&self, transport: Transport, address: SocketAddr) -> Result<SocketAddr, NetError> {
        let mut bound = lock(&self.bound);
        if bound.closed {
            return Err(NetError::Aborted);
        }
        if bound.count >= limits::BOUND_PORTS_PER_TASK_MAX {
            return Err(NetError::TooManySockets);
        }
        let port = match address.port() {
            0 => self.find_free(&bound, transport).ok_or(NetError::AddressInUse)?,
            port => port,
        };
        let bindings = bound.by_port.entry((transport, port)).or_default();
        if bindings.iter().any(|binding| clashes(binding.ip, address.ip())) {
            return Err(NetError::AddressInUse);
        }
        bindings.push(Binding { ip: address.ip(), server: None });
        bound.count += 1;
        Ok(SocketAddr::new(address.ip(), port))
    }

    /// The next port that no socket is bound to. All bound: the next one anyway, as its connections differ by peer.
    pub(crate) fn next_free(&self, transport: Transport) -> u16 {
        let bound = lock(&self.bound);
        self.find_free(&bound, transport).unwrap_or_else(|| self.next())
    }

    fn find_free(&self, bound: &Bound, transport: Transport) -> Option<u16> {
        limits::EPHEMERAL_PORTS.map(|_| self.next()).find(|port| !bound.by_port.contains_key(&(transport, *port)))
    }

    fn next(&self) -> u16 {
        let following = |port: u16| port.checked_add(1).unwrap_or(*limits::EPHEMERAL_PORTS.start());
        self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |port| Some(following(port))).unwrap_or_else(|port| port)
    }

    fn serve(&self, transport: Transport, address: SocketAddr, server: Server) -> Result<(), NetError> {
        let mut bound = lock(&self.bound);
        if bound.closed {
            return Err(NetError::Aborted);
        }
        let bindings = bound.by_port.get_mut(&(transport, address.port()));
        let binding = bindings.and_then(|bindings| bindings.iter_mut().find(|binding| binding.ip == address.ip()));
        binding.ok_or(NetError::InvalidState)?.server = Some(server);
        Ok(())
    }

    fn free(&self, transport: Transport, address: SocketAddr) {
        let mut bound = lock(&self.bound);
        let Some(bindings) = bound.by_port.get_mut(&(transport, address.port())) else { return };
        let Some(at) = bindings.iter().position(|binding| binding.ip == address.ip()) else { return };
        let binding = bindings.swap_remove(at);
        if bindings.is_empty() {
            bound.by_port.remove(&(transport, address.port()));
        }
        bound.count -= 1;
        drop(bound);
        drop(binding);
    }

    pub(crate) fn listener(&self, to: SocketAddr) -> Option<Arc<Backlog>> {
        self.find(Transport::Tcp, to, |server| match server {
            Server::Listener(backlog) => Some(backlog.clone()),
            Server::Socket(_) => None,
        })
    }

    pub(crate) fn receiver(&self, to: SocketAddr) -> Option<Arc<Receiver>> {
        self.find(Transport::Udp, to, |server| match server {
            Server::Socket(receiver) => Some(receiver.clone()),
            Server::Listener(_) => None,
        })
    }

    /// The server bound closest to the address: to itself, to every address of its family, to every address.
    fn find<T>(&self, transport: Transport, to: SocketAddr, pick: impl Fn(&Server) -> Option<T>) -> Option<T> {
        let bound = lock(&self.bound);
        let bindings = bound.by_port.get(&(transport, to.port()))?;
        let [own, other] = match to.ip() {
            IpAddr::V4(_) => [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()],
            IpAddr::V6(_) => [IpAddr::from(Ipv6Addr::UNSPECIFIED), Ipv4Addr::UNSPECIFIED.into()],
        };
        [to.ip(), own, other].into_iter().find_map(|ip| {
            let binding = bindings.iter().find(|binding| binding.ip == ip)?;
            binding.server.as_ref().and_then(&pick)
        })
    }

    /// Ends every listener and socket. Reservations stay until they are dropped; nothing new can be bound.
    pub(crate) fn close(&self) {
        let mut bound = lock(&self.bound);
        bound.closed = true;
        let bindings = bound.by_port.values_mut().flatten();
        let servers: Vec<Server> = bindings.filter_map(|binding| binding.server.take()).collect();
        drop(bound);
        for server in servers {
            match server {
                Server::Listener(backlog) => backlog.close(),
                Server::Socket(receiver) => receiver.close(),
            }
        }
    }
}

/// Two sockets of one port clash when an address could belong to both; the families are apart, as WASI wants.
fn clashes(first: IpAddr, second: IpAddr) -> bool {
    first.is_ipv4() == second.is_ipv4() && (first == second || first.is_unspecified() || second.is_unspecified())
}
