//! The two families of addresses, which WASI keeps apart: what a guest's socket may name, and what it is shown.
//!
//! A task has IPv4 addresses only, and its peers may have either kind: a listener on `[::]` serves IPv4 peers, and
//! clients outside come by IPv6. C libraries abort on an address of the other family, so none is ever shown.
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The kind of address a socket was created for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    pub fn unspecified(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    /// WASI keeps the families apart: no address of one in the clothes of the other.
    pub(crate) fn accepts(self, ip: IpAddr) -> bool {
        match (self, ip) {
            (Family::V4, IpAddr::V4(_)) => true,
            (Family::V6, IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unspecified() || ip.to_ipv4().is_none(),
            _ => false,
        }
    }

    /// An address as a socket of this family is shown it: IPv4 as `::ffff:a.b.c.d`; IPv6, which has no IPv4 form, as
    /// a stand-in from 240.0.0.0/4, which no network uses, with its own port.
    pub(crate) fn show(self, address: SocketAddr) -> SocketAddr {
        let ip = match (self, address.ip().to_canonical()) {
            (Family::V4, IpAddr::V6(ip)) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            (Family::V4, IpAddr::V6(ip)) => stand_in(ip).into(),
            (Family::V6, IpAddr::V4(ip)) if ip.is_unspecified() => Ipv6Addr::UNSPECIFIED.into(),
            (Family::V6, IpAddr::V4(ip)) => ip.to_ipv6_mapped().into(),
            (_, ip) => ip,
        };
        SocketAddr::new(ip, address.port())
    }
}

/// The same for the same address, on every node of this build.
fn stand_in(ip: Ipv6Addr) -> Ipv4Addr {
    let mut hasher = DefaultHasher::new();
    ip.octets().hash(&mut hasher);
    // 255.255.255.255 is no address of anybody: the lowest bit stays clear.
    Ipv4Addr::from_bits(0xf000_0000 | (hasher.finish() as u32 & 0x0fff_fffe))
}

pub(crate) fn is_unicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => !ip.is_multicast(),
    }
}

pub(crate) fn may_be_remote(address: SocketAddr) -> bool {
    address.port() != 0 && !address.ip().is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_shown_addresses_of_its_own_family_only() {
        let show = |family: Family, address: &str| family.show(address.parse().unwrap()).to_string();
        assert_eq!(show(Family::V4, "10.0.0.1:5"), "10.0.0.1:5");
        assert_eq!(show(Family::V4, "[::ffff:10.0.0.1]:5"), "10.0.0.1:5");
        assert_eq!(show(Family::V4, "[::1]:5"), "127.0.0.1:5");
        assert_eq!(show(Family::V6, "10.0.0.1:5"), "[::ffff:10.0.0.1]:5");
        assert_eq!(show(Family::V6, "[2001:db8::1]:5"), "[2001:db8::1]:5");
        let [first, second] = ["[2001:db8::1]:5", "[2001:db8::2]:5"].map(|address| show(Family::V4, address));
        assert!(first != second && first.starts_with("2") && first.ends_with(":5"), "{first} {second}");
        assert!(first.parse::<SocketAddr>().unwrap().is_ipv4());
    }
}
