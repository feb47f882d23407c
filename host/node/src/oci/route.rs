//! Where a registry is. A loopback address with a published port of this cluster means the cluster's own registry, so
//! that such a name means the same on every node: it leads to this node's ingress. Pure.
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use minicloud_core::spec::{Protocol, PublishMode};
use minicloud_core::view::NodeView;

/// Whether a registry is named by a loopback address.
pub fn is_loopback(registry: &str) -> bool {
    host_and_port(registry).is_some_and(|(loopback, _)| loopback)
}

/// Where this node reaches `registry` through its own ingress, if that is a service of the cluster. `ingress` and
/// `port_offset`: where this node listens for published ports.
pub fn inside(registry: &str, view: &NodeView, ingress: IpAddr, port_offset: u16) -> Option<SocketAddr> {
    let (true, port) = host_and_port(registry)? else { return None };
    let mut ports = view.routes.services.values().flat_map(|service| &service.ports);
    let published = ports.find(|own| own.published == port && own.protocol == Protocol::Tcp && own.mode == PublishMode::Ingress)?;
    let address = match published.address.unwrap_or(ingress) {
        everywhere if everywhere.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        address => address,
    };
    Some(SocketAddr::new(address, port.checked_add(port_offset)?))
}

/// Whether the host is a loopback address, and the port.
fn host_and_port(registry: &str) -> Option<(bool, u16)> {
    const PORT_DEFAULT: u16 = 80;
    let authority: http::uri::Authority = registry.parse().ok()?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    Some((loopback, authority.port_u16().unwrap_or(PORT_DEFAULT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_plain() {
        for registry in ["127.0.0.1:5000", "localhost:5000", "localhost", "[::1]:5000", "127.1.2.3"] {
            assert!(is_loopback(registry), "{registry}");
        }
        for registry in ["10.0.0.1:5000", "registry.local:5000", "localhost.example.com", "ghcr.io"] {
            assert!(!is_loopback(registry), "{registry}");
        }
    }
}
