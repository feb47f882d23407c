//! Networks: their names and subnets, and who uses them.
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::command::Rejection;
use crate::id::{Index, NetworkId};
use crate::limits;
use crate::spec::NetworkSpec;
use crate::time::Timestamp;

use super::{ClusterState, Row, RowKey, Writer, validate};

/// The built-in network over which published ports reach tasks.
pub const INGRESS: &str = "ingress";
/// The built-in network that leads out of the cluster.
pub const EGRESS: &str = "egress";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    pub id: NetworkId,
    pub spec: NetworkSpec,
    /// `None` until the allocator has chosen.
    pub subnet: Option<Ipv4Net>,
    /// The last address given out; the search for a free one goes on after it, so that an address is not used again soon.
    #[serde(default)]
    pub cursor: Option<Ipv4Addr>,
    pub created_at: Timestamp,
    pub version: Index,
}

impl Network {
    pub fn is_ingress(&self) -> bool {
        self.spec.name == INGRESS
    }

    pub fn is_egress(&self) -> bool {
        self.spec.name == EGRESS
    }
}

impl Writer<'_> {
    pub(super) fn create_network(&mut self, id: NetworkId, spec: &NetworkSpec) -> Result<(), Rejection> {
        let name = &spec.name;
        validate::name("network", name)?;
        validate::labels(&spec.labels)?;
        if [INGRESS, EGRESS].contains(&name.as_str()) {
            return Err(Rejection::Conflict(format!("network '{name}' is built in; choose another name")));
        }
        if validate::NETWORK_NAMES_RESERVED.contains(&name.as_str()) {
            return Err(Rejection::Invalid(format!("'{name}' is a reserved name; choose another for the network")));
        }
        if self.state.networks.values().any(|network| network.spec.name == *name) {
            return Err(Rejection::Conflict(format!(
                "network '{name}' already exists; choose another name, or remove it with 'minicloud network rm {name}'"
            )));
        }
        validate::fresh_id("network", self.state.networks.contains_key(&id))?;
        if let Some(subnet) = spec.subnet {
            self.usable_subnet(subnet)?;
        }
        self.put_network(id, spec);
        Ok(())
    }

    fn usable_subnet(&self, subnet: Ipv4Net) -> Result<(), Rejection> {
        let prefixes = limits::SUBNET_PREFIX_MIN..=limits::SUBNET_PREFIX_MAX;
        let first = subnet.network();
        let odd =
            first.is_loopback() || first.is_multicast() || first.is_unspecified() || first.is_link_local() || first.octets()[0] >= 240;
        if subnet != subnet.trunc() || !prefixes.contains(&subnet.prefix_len()) || odd {
            return Err(Rejection::Invalid(format!(
                "'{subnet}' cannot be a subnet; give a private network of /{} to /{}, such as 10.9.0.0/16",
                limits::SUBNET_PREFIX_MIN,
                limits::SUBNET_PREFIX_MAX
            )));
        }
        match self.state.network_overlapping(subnet) {
            Some(other) => Err(Rejection::Conflict(format!(
                "subnet {subnet} overlaps network '{}' ({}); choose another with --subnet",
                other.spec.name,
                other.subnet.map_or_else(|| "no subnet yet".to_owned(), |subnet| subnet.to_string())
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn put_network(&mut self, id: NetworkId, spec: &NetworkSpec) {
        let network = Network { id, spec: spec.clone(), subnet: spec.subnet, cursor: None, created_at: self.at, version: self.index };
        self.put(Row::Network(Arc::new(network)));
    }

    pub(super) fn remove_network(&mut self, id: NetworkId) -> Result<(), Rejection> {
        let Some(network) = self.state.networks.get(&id) else {
            return Err(Rejection::NotFound(format!("no network {id}; see 'minicloud network ls'")));
        };
        let name = &network.spec.name;
        if network.is_ingress() || network.is_egress() {
            return Err(Rejection::Invalid(format!("network '{name}' is built in and stays")));
        }
        let users = self.state.services.values().filter(|service| service.spec.networks.iter().any(|at| at.network == id));
        let users: Vec<&str> = users.map(|service| service.spec.name.as_str()).collect();
        if let Some(users) = validate::users(&users) {
            return Err(Rejection::Conflict(format!("network '{name}' is used by {users}; remove that first")));
        }
        self.remove(RowKey::Network(id));
        Ok(())
    }
}

impl ClusterState {
    /// A network whose subnet shares addresses with `subnet`.
    pub(crate) fn network_overlapping(&self, subnet: Ipv4Net) -> Option<&Arc<Network>> {
        let overlaps = |other: Ipv4Net| other.contains(&subnet) || subnet.contains(&other);
        self.networks.values().find(|network| network.subnet.is_some_and(overlaps))
    }

    /// The built-in network over which published ports reach tasks.
    pub fn ingress_network(&self) -> Option<NetworkId> {
        self.cluster.as_ref().map(|cluster| cluster.founding.ingress_network)
    }
}
