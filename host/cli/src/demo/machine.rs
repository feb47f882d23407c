//! Whether this machine can hold the demo, and at which addresses.
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use anyhow::{Context, bail, ensure};

use super::{HASHER_PORT, PAGE_PORT, RNG_PORT};
use crate::address::NODE_PORT;

/// Memory that one node of the demo takes, generously, in bytes.
const NODE_MEMORY_BYTES: u64 = 128 << 20;
/// Ports tried for the nodes' own traffic.
const NODE_PORTS: std::ops::Range<u16> = NODE_PORT..NODE_PORT + 200;
/// Distance between the published ports of nodes that share one address.
const OFFSET_STEP: u16 = 10;

/// Where one node listens, and how far its published ports are shifted.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub listen: SocketAddr,
    pub port_offset: u16,
}

impl Place {
    pub fn published(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.listen.ip(), port + self.port_offset)
    }
}

/// 127.0.0.1, 127.0.0.2 ... where the system has them all, else one address with shifted ports.
pub fn places(nodes: u8) -> anyhow::Result<Vec<Place>> {
    let own = |number: u8| IpAddr::from(Ipv4Addr::new(127, 0, 0, number));
    let has_all = (1..=nodes).all(|number| UdpSocket::bind((own(number), 0)).is_ok());
    let mut taken = Vec::new();
    (1..=nodes)
        .map(|number| {
            let (ip, port_offset) = if has_all { (own(number), 0) } else { (own(1), OFFSET_STEP * u16::from(number - 1)) };
            let listen = free_node_address(ip, &taken)?;
            taken.push(listen);
            Ok(Place { listen, port_offset })
        })
        .collect()
}

fn free_node_address(ip: IpAddr, taken: &[SocketAddr]) -> anyhow::Result<SocketAddr> {
    NODE_PORTS
        .map(|port| SocketAddr::new(ip, port))
        .find(|address| !taken.contains(address) && UdpSocket::bind(address).is_ok())
        .with_context(|| format!("no free UDP port on {ip} between {} and {}", NODE_PORTS.start, NODE_PORTS.end))
}

/// Fails with what is in the way: a port in use, or too little memory.
pub fn check(places: &[Place]) -> anyhow::Result<()> {
    for place in places {
        for port in [PAGE_PORT, RNG_PORT, HASHER_PORT] {
            let address = place.published(port);
            if let Err(error) = TcpListener::bind(address) {
                bail!("the demo needs port {address}, and it cannot be had ({error}); end what uses it, then try again");
            }
        }
    }
    let needed = NODE_MEMORY_BYTES * places.len() as u64;
    if let Some(available) = memory_available() {
        ensure!(
            available >= needed,
            "the demo needs {} MiB of memory, and {} MiB are free; close something, or start fewer nodes with --nodes",
            needed >> 20,
            available >> 20
        );
    }
    Ok(())
}

/// Bytes that programs can still get, where the system tells.
fn memory_available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}
