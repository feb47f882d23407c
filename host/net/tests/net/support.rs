//! A small cluster made of switches: networks, services and tasks by number, and wires between nodes.
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use minicloud_core::id::{Index, NetworkId, NodeId, ServiceId, TaskId};
use minicloud_core::spec::{EndpointMode, PublishedPort};
use minicloud_core::state::Slot;
use minicloud_core::view::{Backend, NetworkRoute, Routes, ServiceRoute};
use minicloud_net::{Connection, DatagramHeader, NetError, OpenFuture, PipeReader, PipeWriter, StreamHeader, Switch, TaskNet, Uplink};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

pub const INGRESS: NetworkId = NetworkId(1);
pub const EGRESS: NetworkId = NetworkId(2);
pub const BLUE: NetworkId = NetworkId(10);
pub const GREEN: NetworkId = NetworkId(20);
pub const HOME: NodeId = NodeId(1);
pub const AWAY: NodeId = NodeId(2);

/// The address of task or VIP `host` on a network: `10.<network>.<host / 256>.<host % 256>`.
pub fn ip(network: NetworkId, host: u64) -> Ipv4Addr {
    Ipv4Addr::new(10, network.0 as u8, (host >> 8) as u8, host as u8)
}

pub fn at(network: NetworkId, host: u64, port: u16) -> SocketAddr {
    SocketAddr::new(ip(network, host).into(), port)
}

pub fn any(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)
}

pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
}

/// The VIP of a service: hosts from 200 on.
pub fn vip(network: NetworkId, service: u64, port: u16) -> SocketAddr {
    at(network, 200 + service, port)
}

pub fn addresses(networks: &[NetworkId], host: u64) -> BTreeMap<NetworkId, Ipv4Addr> {
    networks.iter().map(|network| (*network, ip(*network, host))).collect()
}

/// Routes with four networks, `ingress`, `egress`, `blue` and `green`, to which services are added.
pub struct RoutesBuilder(Routes);

pub fn routes() -> RoutesBuilder {
    let network = |id: NetworkId, name: &str| {
        let subnet = format!("10.{}.0.0/16", id.0).parse().unwrap();
        let (ingress, egress) = (id == INGRESS, id == EGRESS);
        let route = NetworkRoute { id, name: name.into(), subnet, internal: false, attachable: true, ingress, egress };
        (id, Arc::new(route))
    };
    let networks = [network(INGRESS, "ingress"), network(EGRESS, "egress"), network(BLUE, "blue"), network(GREEN, "green")];
    RoutesBuilder(Routes { index: Index(1), networks: networks.into_iter().collect(), ..Routes::default() })
}

impl RoutesBuilder {
    /// A service on `networks` whose tasks are (task, node); each task's host number is its id.
    pub fn service(mut self, id: u64, name: &str, networks: &[NetworkId], tasks: &[(u64, NodeId)]) -> Self {
        let backend = |(slot, (task, node)): (usize, &(u64, NodeId))| Backend {
            task: TaskId(*task),
            slot: Slot::Replica(slot as u32 + 1),
            node: *node,
            addresses: addresses(networks, *task),
        };
        let service = ServiceRoute {
            id: ServiceId(id),
            name: name.into(),
            endpoint_mode: EndpointMode::Vip,
            vips: addresses(networks, 200 + id),
            aliases: networks.iter().map(|network| (*network, vec![format!("{name}-alias")])).collect(),
            ports: Vec::new(),
            backends: tasks.iter().enumerate().map(backend).collect(),
            expects_tasks: true,
        };
        self.0.services.insert(ServiceId(id), Arc::new(service));
        self
    }

    pub fn change(mut self, id: u64, change: impl FnOnce(&mut ServiceRoute)) -> Self {
        let mut service = (*self.0.services[&ServiceId(id)]).clone();
        change(&mut service);
        self.0.services.insert(ServiceId(id), Arc::new(service));
        self
    }

    pub fn published(self, id: u64, target: u16) -> Self {
        let port = PublishedPort { published: 8000, target, ..serde_like_default() };
        self.change(id, |service| service.ports.push(port))
    }

    pub fn build(self) -> Routes {
        self.0
    }
}

fn serde_like_default() -> PublishedPort {
    PublishedPort { published: 0, target: 0, protocol: Default::default(), mode: Default::default(), address: None }
}

pub fn attach(switch: &Switch, task: u64, networks: &[NetworkId]) -> TaskNet {
    switch.attach(TaskId(task), None, addresses(networks, task))
}

/// Two tasks, 1 and 2, on the network blue of one node.
pub fn two_tasks() -> (Switch, TaskNet, TaskNet) {
    let switch = Switch::new(HOME, Arc::new(minicloud_net::NoUplink));
    switch.set_routes(routes().build());
    let (first, second) = (attach(&switch, 1, &[BLUE]), attach(&switch, 2, &[BLUE]));
    (switch, first, second)
}

/// Connected ends of tasks 1 (client) and 2 (server).
pub async fn connected(client: &TaskNet, server: &TaskNet) -> (Connection, Connection) {
    let listener = server.listen(any(0), 8).unwrap();
    let to = at(BLUE, server.task().0, listener.local_address().port());
    let near = client.connect(None, to).await.unwrap();
    (near, listener.accept().await.unwrap())
}

/// What a server writes to each connection, so that clients know where they got.
pub fn serve_id(net: &TaskNet, port: u16) {
    let listener = net.listen(any(port), 128).unwrap();
    let id = net.task().0;
    tokio::spawn(async move {
        while let Ok(mut connection) = listener.accept().await {
            tokio::spawn(async move {
                let _ = connection.write_u64(id).await;
                // Stays open until the client goes.
                let _ = connection.read_u8().await;
            });
        }
    });
}

/// A test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn served_by(connection: &mut Connection) -> u64 {
    connection.read_u64().await.unwrap()
}

pub async fn read_all(reader: &mut PipeReader) -> Result<Vec<u8>, NetError> {
    let mut all = Vec::new();
    loop {
        let read = poll_fn(|cx| reader.poll_read_bytes(cx, 1 << 20));
        let bytes = timeout(PATIENCE, read).await.expect("a read that waits is woken")?;
        if bytes.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&bytes);
    }
}

pub async fn write_all(writer: &mut PipeWriter, mut bytes: &[u8]) -> Result<(), NetError> {
    while !bytes.is_empty() {
        let write = poll_fn(|cx| writer.poll_write(cx, bytes));
        let count = timeout(PATIENCE, write).await.expect("a write that waits is woken")?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Polls once, without being woken.
pub fn poll_now<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    match poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Lets everything that is ready run, on a runtime of one thread.
pub async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Joins switches in memory: an overlay without a network.
#[derive(Default)]
pub struct Wires {
    switches: Mutex<HashMap<NodeId, Switch>>,
    /// Streams that were opened, per node.
    pub opened: Mutex<HashMap<NodeId, usize>>,
    /// Nodes that never answer.
    pub silent: Mutex<Vec<NodeId>>,
}

/// The wires, as one node holds them.
#[derive(Clone, Default)]
pub struct Wire(pub Arc<Wires>, NodeId);

impl Wire {
    pub fn switch(&self, node: NodeId) -> Switch {
        let switch = Switch::new(node, Arc::new(Wire(self.0.clone(), node)));
        self.0.switches.lock().unwrap().insert(node, switch.clone());
        switch
    }

    fn to(&self, node: NodeId) -> Result<Switch, NetError> {
        self.0.switches.lock().unwrap().get(&node).cloned().ok_or(NetError::Unreachable)
    }
}

impl Uplink for Wire {
    fn open(&self, node: NodeId, header: StreamHeader, first: Bytes) -> OpenFuture {
        let wire = self.clone();
        Box::pin(async move {
            *wire.0.opened.lock().unwrap().entry(node).or_default() += 1;
            if wire.0.silent.lock().unwrap().contains(&node) {
                std::future::pending::<()>().await;
            }
            tokio::task::yield_now().await;
            let far = wire.to(node)?.deliver(header)?;
            let (near, carried) = Connection::pair(header.source, header.destination);
            let (near_reader, near_writer) = carried.into_split();
            let (far_reader, mut far_writer) = far.into_split();
            far_writer.push(first)?;
            tokio::spawn(carry(near_reader, far_writer));
            tokio::spawn(carry(far_reader, near_writer));
            Ok(near)
        })
    }

    fn send(&self, node: NodeId, header: DatagramHeader, payload: Bytes) {
        if let Ok(switch) = self.to(node) {
            switch.deliver_datagram(self.1, header, payload);
        }
    }
}

/// One direction of a stream between nodes, with its end, its reset and its back-pressure.
async fn carry(mut reader: PipeReader, mut writer: PipeWriter) {
    loop {
        let room = match poll_fn(|cx| writer.poll_writable(cx)).await {
            Ok(room) => room,
            Err(_) => return,
        };
        let read = poll_fn(|cx| match writer.poll_closed(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => reader.poll_read_bytes(cx, room).map(Some),
        });
        match read.await {
            None => return,
            Some(Ok(bytes)) if bytes.is_empty() => return writer.close(),
            Some(Ok(bytes)) => {
                if writer.push(bytes).is_err() {
                    return;
                }
            }
            Some(Err(_)) => return writer.reset(),
        }
    }
}
