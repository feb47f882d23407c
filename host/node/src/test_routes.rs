//! A small network for tests: service `web` on network `blue`, published, with tasks on the nodes given.
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use minicloud_core::id::{Index, NetworkId, NodeId, ServiceId, TaskId};
use minicloud_core::spec::{EndpointMode, PublishedPort};
use minicloud_core::state::Slot;
use minicloud_core::view::{Backend, NetworkRoute, NodeView, Routes, ServiceRoute};
use minicloud_net::{Switch, TaskNet};

pub const BLUE: NetworkId = NetworkId(1);
pub const INGRESS: NetworkId = NetworkId(2);
pub const WEB: ServiceId = ServiceId(7);
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);

/// A task's address on `BLUE`.
pub fn address(task: u64) -> Ipv4Addr {
    Ipv4Addr::new(10, 1, 1, task as u8)
}

pub fn at(ip: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::from((ip, port))
}

fn addresses(task: u64) -> BTreeMap<NetworkId, Ipv4Addr> {
    BTreeMap::from([(BLUE, address(task)), (INGRESS, Ipv4Addr::new(10, 255, 1, task as u8))])
}

/// Opens a task's namespace on a switch.
pub fn attach(switch: &Switch, task: u64) -> TaskNet {
    switch.attach(TaskId(task), Some(WEB), addresses(task))
}

/// `tasks`: task and the node it runs on.
pub fn routes(tasks: &[(u64, u64)], ports: Vec<PublishedPort>) -> Routes {
    let backend = |(task, node): &(u64, u64)| Backend {
        task: TaskId(*task),
        slot: Slot::Replica(*task as u32),
        node: NodeId(*node),
        addresses: addresses(*task),
    };
    let web = ServiceRoute {
        id: WEB,
        name: "web".into(),
        endpoint_mode: EndpointMode::Vip,
        vips: BTreeMap::from([(BLUE, VIP)]),
        aliases: BTreeMap::from([(BLUE, vec!["www".into()])]),
        ports,
        backends: tasks.iter().map(backend).collect(),
        expects_tasks: !tasks.is_empty(),
    };
    let networks = [network(BLUE, "blue", "10.1.0.0/16"), network(INGRESS, "ingress", "10.255.0.0/16")];
    Routes {
        index: Index(1),
        networks: networks.into_iter().map(|network| (network.id, Arc::new(network))).collect(),
        services: [(WEB, Arc::new(web))].into_iter().collect(),
    }
}

pub fn view(routes: &Routes) -> Arc<NodeView> {
    Arc::new(NodeView { index: routes.index, routes: routes.clone(), ..NodeView::default() })
}

fn network(id: NetworkId, name: &str, subnet: &str) -> NetworkRoute {
    let subnet = subnet.parse().unwrap();
    NetworkRoute { id, name: name.into(), subnet, internal: false, attachable: true, ingress: id == INGRESS, egress: false }
}
