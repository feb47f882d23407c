//! What a node is started with.
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::Ipv4Net;
use minicloud_core::state::Availability;
use serde::{Deserialize, Serialize};

use crate::executor::Executor;
use crate::images::BundledImage;

/// Where a node is reached. Kept in the data directory, so that a later start needs no flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// UDP socket for other nodes; port 0: one is chosen.
    pub listen: SocketAddr,
    /// Where other nodes reach it.
    pub advertise: SocketAddr,
    /// Where published ports are bound: unspecified for every address.
    pub ingress: IpAddr,
    #[serde(default)]
    pub dns: DnsDoor,
    /// Added to published ports, for nodes that share one address.
    #[serde(default)]
    pub port_offset: u16,
}

/// Where service names are answered to programs of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsDoor {
    #[default]
    Off,
    /// Asked for: the node does not start without it.
    At(SocketAddr),
    /// By default: the node goes on without it when another program has the address, and says so.
    IfFree(SocketAddr),
}

/// What is to be started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Start {
    /// A new cluster with this node as its first manager.
    Found {
        addresses: Addresses,
        availability: Availability,
        /// Networks get their subnets from it.
        address_pool: Ipv4Net,
        /// `None`: the machine's.
        hostname: Option<String>,
    },
    /// A new member of an existing cluster; the token says which, and in which role.
    Join { addresses: Addresses, availability: Availability, manager: SocketAddr, token: String, hostname: Option<String> },
    /// The node that the data directory holds.
    Open,
}

/// What the binary gives a node.
pub struct NodeOptions {
    pub data_dir: PathBuf,
    pub executor: Arc<dyn Executor>,
    pub bundled: Vec<BundledImage>,
}
