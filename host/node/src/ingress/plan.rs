//! Which ports this node is to listen on, as a function of its view.
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use minicloud_core::id::{ServiceId, TaskId};
use minicloud_core::spec::{Protocol, PublishMode, PublishedPort};
use minicloud_core::task::TaskState;
use minicloud_core::view::NodeView;

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listen {
    pub address: SocketAddr,
    pub protocol: Protocol,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{}/{protocol}", self.address)
    }
}

/// Where what arrives goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub service: ServiceId,
    /// This task alone; `None`: any of the service.
    pub task: Option<TaskId>,
    pub port: u16,
}

/// Every port of the view that this node is to listen on.
pub fn ports(view: &NodeView, address: IpAddr, port_offset: u16) -> BTreeMap<Listen, Target> {
    let listen = |port: &PublishedPort| {
        // 0: not chosen yet.
        let number = port.published.checked_add(port_offset).filter(|_| port.published != 0)?;
        Some(Listen { address: SocketAddr::new(port.address.unwrap_or(address), number), protocol: port.protocol })
    };
    let mut wanted = BTreeMap::new();
    for service in view.routes.services.values() {
        for port in service.ports.iter().filter(|port| port.mode == PublishMode::Ingress) {
            let target = Target { service: service.id, task: None, port: port.target };
            wanted.extend(listen(port).map(|listen| (listen, target)));
        }
    }
    for task in view.tasks.values().filter(|task| task.desired < TaskState::Shutdown) {
        for port in &task.host_ports {
            let target = Target { service: task.service, task: Some(task.id), port: port.target };
            wanted.extend(listen(port).map(|listen| (listen, target)));
        }
    }
    wanted
}
