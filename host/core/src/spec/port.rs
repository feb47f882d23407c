//! Ports of tasks that are reached from outside the cluster.
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublishedPort {
    /// Port on the nodes; 0: one is chosen.
    #[serde(default)]
    pub published: u16,
    /// Port of the task.
    pub target: u16,
    #[serde(default)]
    pub protocol: Protocol,
    #[serde(default)]
    pub mode: PublishMode,
    /// Address to bind on each node instead of the node's ingress address.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub address: Option<IpAddr>,
}

impl PublishedPort {
    /// Whether the two could not both be bound on one node. A port that is still to be chosen clashes with none.
    pub fn clashes(&self, other: &PublishedPort) -> bool {
        let everywhere = |address: Option<IpAddr>| address.is_none_or(|address| address.is_unspecified());
        let same_address = everywhere(self.address) || everywhere(other.address) || self.address == other.address;
        self.published != 0 && self.published == other.published && self.protocol == other.protocol && same_address
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum PublishMode {
    /// Every node listens and routes to any task.
    #[default]
    Ingress,
    /// Only the nodes that run a task listen, each for its own.
    Host,
}
