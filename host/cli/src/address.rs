//! Addresses as users type them: `192.0.2.7`, `192.0.2.7:7777`, `[::1]:2377`, `eth1`, `eth1:7777`, `:2400`.
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, bail};
use minicloud_node::node::DnsDoor;

/// Port between nodes when none is given.
pub const NODE_PORT: u16 = 2377;

/// Port on which service names are answered when none is given; 53 would need root.
const DNS_PORT: u16 = 5300;

/// The address to listen on; default `0.0.0.0:2377`.
pub fn listen(text: Option<&str>) -> anyhow::Result<SocketAddr> {
    let address = parse(text.unwrap_or("0.0.0.0"), NODE_PORT).context("--listen-addr")?;
    if !address.ip().is_unspecified() && !is_ours(address.ip())? {
        bail!("--listen-addr {address} is no address of this machine; choose one of {}", own_addresses_text()?);
    }
    Ok(address)
}

/// The address that other nodes are told: given, or the one that listens, or this machine's only one.
pub fn advertise(text: Option<&str>, listen: SocketAddr) -> anyhow::Result<SocketAddr> {
    if let Some(text) = text {
        let address = parse(text, listen.port()).context("--advertise-addr")?;
        if address.ip().is_unspecified() {
            bail!("--advertise-addr {address} names no single address; choose one of {}", own_addresses_text()?);
        }
        return Ok(address);
    }
    if !listen.ip().is_unspecified() {
        return Ok(listen);
    }
    let candidates: Vec<IpAddr> = own_addresses()?.into_iter().filter(|ip| ip.is_ipv4() && !ip.is_loopback()).collect();
    match candidates.as_slice() {
        [] => Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listen.port())),
        [only] => Ok(SocketAddr::new(*only, listen.port())),
        _ => bail!(
            "this machine has several addresses; say which one other nodes shall use: --advertise-addr, one of {}",
            own_addresses_text()?
        ),
    }
}

/// An address, or the name of an interface, with or without a port.
pub fn parse(text: &str, default_port: u16) -> anyhow::Result<SocketAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, default_port));
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().with_context(|| format!("'{port}' in '{text}' is no port"))?),
        None => (text, default_port),
    };
    if name.is_empty() {
        return Ok(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
    }
    if name == "localhost" {
        return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    }
    Ok(SocketAddr::new(interface_address(name)?, port))
}

/// Where a manager is: an address or a host's name, with or without a port.
pub fn remote(text: &str) -> anyhow::Result<SocketAddr> {
    use std::net::ToSocketAddrs;
    let literal =
        text.parse().or_else(|_| text.trim_start_matches('[').trim_end_matches(']').parse().map(|ip| SocketAddr::new(ip, NODE_PORT)));
    let address = match literal {
        Ok(address) => address,
        Err(_) => {
            let named = if text.contains(':') { text.to_owned() } else { format!("{text}:{NODE_PORT}") };
            let mut found = named
                .to_socket_addrs()
                .with_context(|| format!("'{text}' is no address of a manager; write for example 192.0.2.7:{NODE_PORT}"))?;
            found.next().with_context(|| format!("'{text}' has no address"))?
        }
    };
    if address.ip().is_unspecified() || address.port() == 0 {
        bail!("'{text}' names no single address; write for example 192.0.2.7:{NODE_PORT}");
    }
    Ok(address)
}

/// An address of this machine with a port, for clap.
pub fn local<const DEFAULT_PORT: u16>(text: &str) -> Result<SocketAddr, String> {
    parse(text, DEFAULT_PORT).map_err(|error| format!("{error:#}"))
}

/// An address of this machine, for clap.
pub fn local_ip(text: &str) -> Result<IpAddr, String> {
    local::<0>(text).map(|address| address.ip())
}

/// Where service names are answered, or `off`, for clap.
pub fn dns(text: &str) -> Result<DnsDoor, String> {
    if text == "off" { Ok(DnsDoor::Off) } else { local::<53>(text).map(DnsDoor::At) }
}

/// Names are for programs of this machine: on the loopback address that the node has, so that several nodes share one.
pub fn default_dns(listen: SocketAddr) -> DnsDoor {
    let ip = if listen.ip().is_loopback() { listen.ip() } else { Ipv4Addr::LOCALHOST.into() };
    DnsDoor::IfFree(SocketAddr::new(ip, DNS_PORT))
}

fn interface_address(name: &str) -> anyhow::Result<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().context("this machine's addresses cannot be listed")?;
    let mut addresses: Vec<IpAddr> = interfaces.iter().filter(|interface| interface.name == name).map(if_addrs::Interface::ip).collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    let names = || interfaces.iter().map(|interface| interface.name.as_str()).collect::<std::collections::BTreeSet<_>>();
    addresses
        .first()
        .copied()
        .with_context(|| format!("'{name}' is neither an address nor an interface of this machine ({names:?})", names = names()))
}

fn own_addresses() -> anyhow::Result<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs().context("this machine's addresses cannot be listed")?;
    Ok(interfaces.iter().map(if_addrs::Interface::ip).collect())
}

fn own_addresses_text() -> anyhow::Result<String> {
    let addresses: Vec<String> = own_addresses()?.iter().map(IpAddr::to_string).collect();
    Ok(addresses.join(", "))
}

/// Whether the system lets us bind the address: all of 127.0.0.0/8 counts where it does.
fn is_ours(ip: IpAddr) -> anyhow::Result<bool> {
    Ok(own_addresses()?.contains(&ip) || std::net::UdpSocket::bind((ip, 0)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_users_type_them() {
        let read = |text| parse(text, 2377).unwrap().to_string();
        assert_eq!(read("192.0.2.7"), "192.0.2.7:2377");
        assert_eq!(read("192.0.2.7:7777"), "192.0.2.7:7777");
        assert_eq!(read("::1"), "[::1]:2377");
        assert_eq!(read("[::1]:7777"), "[::1]:7777");
        assert_eq!(read(":2400"), "0.0.0.0:2400");
        assert_eq!(read("lo:7777"), "127.0.0.1:7777");
    }

    #[test]
    fn managers_have_addresses_or_names() {
        let read = |text| remote(text).unwrap().to_string();
        assert_eq!(read("192.0.2.7"), "192.0.2.7:2377");
        assert_eq!(read("192.0.2.7:7777"), "192.0.2.7:7777");
        assert_eq!(read("::1"), "[::1]:2377");
        assert_eq!(remote("localhost:7777").unwrap().port(), 7777);
        for text in ["0.0.0.0", "192.0.2.7:0", "", "host.invalid", "192.0.2.7:port"] {
            assert!(format!("{:#}", remote(text).unwrap_err()).contains("192.0.2.7:2377"), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_says_so() {
        assert!(parse("eth99:7777", 2377).unwrap_err().to_string().contains("neither an address nor an interface"));
        assert!(parse("192.0.2.7:port", 2377).unwrap_err().to_string().contains("is no port"));
        assert!(listen(Some("192.0.2.7")).unwrap_err().to_string().contains("no address of this machine"));
        assert!(advertise(Some("0.0.0.0"), "0.0.0.0:2377".parse().unwrap()).unwrap_err().to_string().contains("names no single address"));
    }
}
