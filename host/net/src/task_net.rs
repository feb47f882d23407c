//! The network as one task sees it: what guests' sockets, name look-ups and outgoing requests are made of.
use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use minicloud_core::id::{NetworkId, ServiceId, TaskId};

use crate::connection::Connection;
use crate::datagram::UdpSocketHandle;
use crate::error::NetError;
use crate::listener::Listener;
use crate::ports::{Reservation, Transport};
use crate::switch::Switch;
use crate::task::{Task, Usage};

/// The network namespace of one local task. Clones are the same; dropping the last one detaches the task.
#[derive(Clone, Debug)]
pub struct TaskNet(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    switch: Switch,
    task: Arc<Task>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.switch.detach(&self.task);
    }
}

impl TaskNet {
    pub(crate) fn new(switch: Switch, task: Arc<Task>) -> Self {
        TaskNet(Arc::new(Handle { switch, task }))
    }

    pub fn task(&self) -> TaskId {
        self.0.task.id
    }

    pub fn service(&self) -> Option<ServiceId> {
        self.0.task.service
    }

    pub fn addresses(&self) -> &BTreeMap<NetworkId, Ipv4Addr> {
        &self.0.task.addresses
    }

    pub fn usage(&self) -> Usage {
        self.0.task.registry.usage()
    }

    /// Lets the task resolve its own hostname. The first name stands.
    pub fn with_hostname(self, hostname: &str) -> Self {
        let _ = self.0.task.hostname.set(hostname.to_ascii_lowercase());
        self
    }

    /// The addresses behind a name on the task's own networks, the task's hostname, `localhost` or a literal address.
    pub fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, NetError> {
        let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        if let Ok(ip) = literal.parse() {
            return Ok(vec![ip]);
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if name == "localhost" {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let networks: Vec<NetworkId> = self.addresses().keys().copied().collect();
        match self.0.switch.resolve(&networks, &name) {
            Ok(addresses) => Ok(addresses.into_iter().map(IpAddr::V4).collect()),
            Err(_) if self.0.task.hostname.get() == Some(&name) => Ok(self.own_addresses()),
            Err(error) => Err(error),
        }
    }

    /// On the networks between tasks; a task that has none still finds itself.
    fn own_addresses(&self) -> Vec<IpAddr> {
        let table = self.0.switch.routes();
        let dialable = self.addresses().iter().filter(|(network, _)| table.dialable(**network));
        let own: Vec<IpAddr> = dialable.map(|(_, ip)| IpAddr::V4(*ip)).collect();
        if own.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { own }
    }

    /// Connects to an address of a network that this task is attached to, or within the task. `local` is the bound
    /// address of the socket, if any. The future does not keep the task attached.
    pub fn connect(
        &self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> impl Future<Output = Result<Connection, NetError>> + Send + 'static + use<> {
        self.open(local, remote, Bytes::new())
    }

    /// As [`Self::connect`], with the first bytes of the stream, at most [`FIRST_BYTES_MAX`] of them. They travel along
    /// with its opening, which saves the way there and back. A backend that gives no answer may have read them before
    /// another one does, so they must be such as may arrive twice.
    ///
    /// [`FIRST_BYTES_MAX`]: crate::limits::FIRST_BYTES_MAX
    pub fn connect_with(
        &self,
        remote: SocketAddr,
        first: Bytes,
    ) -> impl Future<Output = Result<Connection, NetError>> + Send + 'static + use<> {
        self.open(None, remote, first)
    }

    fn open(
        &self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        first: Bytes,
    ) -> impl Future<Output = Result<Connection, NetError>> + Send + 'static + use<> {
        let switch = self.0.switch.clone();
        let task = self.0.task.clone();
        async move { switch.connect_task(task, local, remote, first).await }
    }

    /// Reserves a TCP port; port 0 chooses one.
    pub fn reserve(&self, address: SocketAddr) -> Result<Reservation, NetError> {
        Reservation::new(&self.0.task, Transport::Tcp, address)
    }

    /// Reserves and listens in one step.
    pub fn listen(&self, address: SocketAddr, backlog: usize) -> Result<Listener, NetError> {
        self.listen_on(self.reserve(address)?, backlog)
    }

    /// Listens on a reserved port of this task.
    pub fn listen_on(&self, reservation: Reservation, backlog: usize) -> Result<Listener, NetError> {
        if !Arc::ptr_eq(reservation.task(), &self.0.task) {
            return Err(NetError::InvalidArgument);
        }
        Listener::new(reservation, backlog, self.0.switch.changed().clone())
    }

    /// A UDP socket at an address of this task; port 0 chooses one.
    pub fn bind_udp(&self, address: SocketAddr) -> Result<UdpSocketHandle, NetError> {
        UdpSocketHandle::new(&self.0.switch, Reservation::new(&self.0.task, Transport::Udp, address)?)
    }

    /// Detaches the task now: listeners close, connections are reset, and nothing can be opened any more.
    pub fn close(&self) {
        self.0.switch.detach(&self.0.task);
    }

    /// Resolves once the task is detached. Does not keep it attached.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut detached = self.0.task.detached();
        async move {
            // An error means that the task itself is gone.
            let _ = detached.wait_for(|detached| *detached).await;
        }
    }
}
