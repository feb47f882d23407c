//! How a connection finds its target: the routing rules, and the wait for a service that is not ready yet.
use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use minicloud_core::id::{NetworkId, NodeId, ServiceId, TaskId};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::connection::Connection;
use crate::error::NetError;
use crate::limits;
use crate::route_table::{Group, RouteTable};
use crate::switch::Switch;
use crate::task::Task;
use crate::uplink::StreamHeader;

/// Where an address leads, seen from some networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Service { network: NetworkId, service: ServiceId },
    Task { network: NetworkId, task: TaskId, node: NodeId },
}

impl Route {
    pub(crate) fn network(&self) -> NetworkId {
        match self {
            Route::Service { network, .. } | Route::Task { network, .. } => *network,
        }
    }
}

/// What is the same for every backend that one connection tries.
#[derive(Clone)]
struct Call {
    network: NetworkId,
    source: SocketAddr,
    port: u16,
    /// Most bytes that either direction may hold, as far as the caller is concerned.
    capacity_bytes: usize,
    /// Travel along with the opening; empty for most.
    first: Bytes,
}

impl Call {
    /// Of one who sends nothing along.
    fn new(network: NetworkId, source: SocketAddr, port: u16) -> Call {
        Call { network, source, port, capacity_bytes: limits::PIPE_BYTES_DEFAULT, first: Bytes::new() }
    }

    fn header(&self, task: TaskId, ip: Ipv4Addr) -> StreamHeader {
        let destination = SocketAddr::new(ip.into(), self.port);
        StreamHeader { network: self.network, source: self.source, destination, task }
    }
}

/// How many backends of a service one look tries.
#[derive(Clone, Copy)]
enum Look {
    Everywhere,
    Again,
}

impl Switch {
    /// A connection from outside of the cluster to a published port, over the ingress network. The target sees
    /// `client` as its peer.
    pub async fn connect_published(&self, client: SocketAddr, service: ServiceId, target_port: u16) -> Result<Connection, NetError> {
        let network = self.routes().ingress().ok_or(NetError::Unreachable)?;
        self.connect_service(&Call::new(network, client, target_port), service).await
    }

    /// A connection from outside of the cluster to one task of this node, which publishes a port of this node only.
    pub async fn connect_host_port(&self, client: SocketAddr, task: TaskId, target_port: u16) -> Result<Connection, NetError> {
        let task = self.local_task(task).ok_or(NetError::Refused)?;
        let ip = task.addresses.values().next().copied().unwrap_or(Ipv4Addr::LOCALHOST);
        let destination = SocketAddr::new(ip.into(), target_port);
        let may_pass = |error| is_full(error) || error == NetError::Refused;
        self.once_taken(may_pass, || open_at(&task, client, destination, limits::PIPE_BYTES_DEFAULT, &Bytes::new())).await
    }

    /// A connection from `client`, which is no task, to an address on one network: for proxies.
    pub async fn connect_from_network(&self, client: SocketAddr, network: NetworkId, remote: SocketAddr) -> Result<Connection, NetError> {
        let IpAddr::V4(ip) = remote.ip().to_canonical() else { return Err(NetError::Unreachable) };
        let route = self.route_on(&self.routes(), network, ip).ok_or(NetError::Unreachable)?;
        let call = Call::new(network, client, remote.port());
        let mut connection = self.connect_route(route, &call, ip).await?;
        connection.remote = remote;
        Ok(connection)
    }

    /// Takes a stream from another node: one end waits at the target's listener, the other is returned to be pumped.
    pub fn deliver(&self, header: StreamHeader) -> Result<Connection, NetError> {
        self.offer(header, limits::PIPE_BYTES_DEFAULT, &Bytes::new())
            .map_err(|error| if error == NetError::WouldBlock { NetError::Refused } else { error })
    }

    /// A connection from a task, which becomes one of its own; given up when the task is detached.
    pub(crate) async fn connect_task(
        &self,
        task: Arc<Task>,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        first: Bytes,
    ) -> Result<Connection, NetError> {
        if first.len() > limits::FIRST_BYTES_MAX {
            return Err(NetError::InvalidArgument);
        }
        let first_bytes = first.len();
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        let mut detached = task.detached();
        if *detached.borrow() {
            return Err(NetError::Aborted);
        }
        let mut connection = tokio::select! {
            biased;
            connection = self.connect_address(&task, local, remote, first) => connection?,
            _ = detached.wait_for(|detached| *detached) => return Err(NetError::Aborted),
        };
        match connection.join(&task.registry) {
            Ok(()) => {
                connection.count_sent(first_bytes);
                Ok(connection)
            }
            Err(error) => {
                connection.reset();
                Err(error)
            }
        }
    }

    async fn connect_address(
        &self,
        task: &Arc<Task>,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        first: Bytes,
    ) -> Result<Connection, NetError> {
        if task.registry.usage().connections >= limits::CONNECTIONS_PER_TASK_MAX {
            return Err(NetError::TooManySockets);
        }
        let capacity_bytes = task.registry.pipe_capacity_bytes();
        let port = local.map(|local| local.port()).filter(|port| *port != 0).unwrap_or_else(|| task.ephemeral_port());
        if remote.ip().is_loopback() {
            let source = SocketAddr::new(own_loopback(remote.ip(), local)?, port);
            return self.once_taken(is_full, || open_at(task, source, remote, capacity_bytes, &first)).await;
        }
        let IpAddr::V4(ip) = remote.ip() else { return Err(NetError::Unreachable) };
        let route = self.route(&self.routes(), &task.addresses, ip).ok_or(NetError::Unreachable)?;
        let own = source_on(&task.addresses, route.network(), local)?;
        let source = SocketAddr::new(own.into(), port);
        let call = Call { capacity_bytes, first, ..Call::new(route.network(), source, remote.port()) };
        let mut connection = self.connect_route(route, &call, ip).await?;
        connection.remote = remote;
        Ok(connection)
    }

    /// The target of an address for one who is attached to these networks: none that is not on one of them.
    pub(crate) fn route(&self, table: &RouteTable, networks: &BTreeMap<NetworkId, Ipv4Addr>, ip: Ipv4Addr) -> Option<Route> {
        networks.keys().find_map(|network| self.route_on(table, *network, ip))
    }

    fn route_on(&self, table: &RouteTable, network: NetworkId, ip: Ipv4Addr) -> Option<Route> {
        if !table.dialable(network) {
            return None;
        }
        if let Some(service) = table.service_at(network, ip) {
            return Some(Route::Service { network, service });
        }
        if let Some(task) = self.local_task_at(network, ip) {
            return Some(Route::Task { network, task, node: self.node() });
        }
        table.task_at(network, ip).map(|(task, node)| Route::Task { network, task, node })
    }

    async fn connect_route(&self, route: Route, call: &Call, ip: Ipv4Addr) -> Result<Connection, NetError> {
        match route {
            Route::Service { service, .. } => self.connect_service(call, service).await,
            Route::Task { task, node, .. } if node == self.node() => {
                self.once_taken(is_full, || self.offer(call.header(task, ip), call.capacity_bytes, &call.first)).await
            }
            Route::Task { task, node, .. } => self.open_remote(node, call.header(task, ip), &call.first, limits::CONNECT_TIMEOUT).await,
        }
    }

    /// Tries the backends of a service until one takes the connection, for a bounded time.
    async fn connect_service(&self, call: &Call, service: ServiceId) -> Result<Connection, NetError> {
        let deadline = Instant::now() + limits::CONNECT_READY_WAIT;
        let mut look = Look::Everywhere;
        let mut refused = false;
        loop {
            let changed = self.changed().notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let group = self.routes().group(call.network, service).cloned().ok_or(NetError::Refused)?;
            let error = match self.try_backends(&group, call, look, deadline).await {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            refused |= error != NetError::TimedOut;
            let now = Instant::now();
            let nothing_to_wait_for = group.candidates.is_empty() && !group.expects_tasks;
            if nothing_to_wait_for || now >= deadline {
                // The last look was cut short by the deadline: its silence says nothing of a service that had answered.
                return Err(if refused { NetError::Refused } else { error });
            }
            // Either way it is time to look again, but not at once.
            let _ = timeout_at(deadline.min(now + limits::READY_POLL_INTERVAL), changed).await;
            sleep_until(deadline.min(now + limits::LOOK_INTERVAL_MIN)).await;
            look = Look::Again;
        }
    }

    async fn try_backends(&self, group: &Group, call: &Call, look: Look, deadline: Instant) -> Result<Connection, NetError> {
        let tries = match look {
            Look::Everywhere => group.candidates.len(),
            Look::Again => group.candidates.len().min(limits::BACKENDS_PER_LOOK_MAX),
        };
        let mut tried = HashSet::new();
        let mut silent = 0;
        while tried.len() < tries {
            let Some((at, count)) = group.choose(&tried) else { break };
            tried.insert(at);
            let candidate = &group.candidates[at];
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = if tried.len() < group.candidates.len() { left.min(limits::BACKEND_TIMEOUT) } else { left };
            let header = call.header(candidate.task, candidate.ip);
            let opened = if candidate.node == self.node() {
                self.offer(header, call.capacity_bytes, &call.first)
            } else {
                self.open_remote(candidate.node, header, &call.first, patience).await
            };
            match opened {
                Ok(mut connection) => {
                    connection.hold(count);
                    return Ok(connection);
                }
                Err(failure) => silent += usize::from(failure == NetError::TimedOut),
            }
        }
        // A service that cannot be reached refuses, whatever became of its backends; only silence of all is told apart.
        Err(if silent > 0 && silent == tried.len() { NetError::TimedOut } else { NetError::Refused })
    }

    async fn open_remote(&self, node: NodeId, header: StreamHeader, first: &Bytes, patience: Duration) -> Result<Connection, NetError> {
        let opened = timeout(patience, self.uplink().open(node, header, first.clone())).await;
        let mut connection = opened.map_err(|_| NetError::TimedOut)??;
        connection.local = header.source;
        connection.remote = header.destination;
        Ok(connection)
    }

    /// Queues a connection at a task of this node; [`NetError::WouldBlock`] when its backlog is full.
    fn offer(&self, header: StreamHeader, capacity_bytes: usize, first: &Bytes) -> Result<Connection, NetError> {
        let task = self.local_task(header.task).ok_or(NetError::Refused)?;
        let own = task.addresses.get(&header.network).map(|ip| IpAddr::V4(*ip));
        if own != Some(header.destination.ip()) {
            return Err(NetError::Unreachable);
        }
        open_at(&task, header.source, header.destination, capacity_bytes, first)
    }

    /// Repeats an attempt within this node, as TCP repeats its first packet, while it fails in a way that may pass.
    async fn once_taken(
        &self,
        may_pass: impl Fn(NetError) -> bool,
        open: impl Fn() -> Result<Connection, NetError>,
    ) -> Result<Connection, NetError> {
        let deadline = Instant::now() + limits::CONNECT_READY_WAIT;
        loop {
            let changed = self.changed().notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let error = match open() {
                Err(error) if may_pass(error) => error,
                result => return result,
            };
            if timeout_at(deadline, changed).await.is_err() {
                return Err(if is_full(error) { NetError::TimedOut } else { error });
            }
        }
    }
}

fn is_full(error: NetError) -> bool {
    error == NetError::WouldBlock
}

/// Makes a connection with the first bytes in it and queues its far end at the task's listener.
fn open_at(task: &Task, source: SocketAddr, destination: SocketAddr, capacity_bytes: usize, first: &Bytes) -> Result<Connection, NetError> {
    let backlog = task.ports.listener(destination).ok_or(NetError::Refused)?;
    let capacity_bytes = capacity_bytes.min(task.registry.pipe_capacity_bytes());
    let (mut near, mut far) = Connection::pair_with_capacity(source, destination, capacity_bytes);
    near.writer.push(first.clone())?;
    far.join(&task.registry).map_err(|_| NetError::Refused)?;
    backlog.offer(far)?;
    Ok(near)
}

/// The source of a connection within a task; a socket bound elsewhere cannot reach in there.
fn own_loopback(remote: IpAddr, local: Option<SocketAddr>) -> Result<IpAddr, NetError> {
    match local.map(|local| local.ip()) {
        Some(ip) if ip.is_loopback() => Ok(ip),
        Some(ip) if !ip.is_unspecified() => Err(NetError::Unreachable),
        _ if remote.is_ipv4() => Ok(Ipv4Addr::LOCALHOST.into()),
        _ => Ok(Ipv6Addr::LOCALHOST.into()),
    }
}

/// The own address on a network, which a bound socket has to agree with.
pub(crate) fn source_on(
    addresses: &BTreeMap<NetworkId, Ipv4Addr>,
    network: NetworkId,
    local: Option<SocketAddr>,
) -> Result<Ipv4Addr, NetError> {
    let own = *addresses.get(&network).ok_or(NetError::Unreachable)?;
    match local.map(|local| local.ip()) {
        Some(ip) if !ip.is_unspecified() && ip != IpAddr::V4(own) => Err(NetError::Unreachable),
        _ => Ok(own),
    }
}
