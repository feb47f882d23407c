//! UDP: an echo server, one that tells whom it sees, and a client.

use crate::run::{Outcome, lookup};
use crate::tcp::{at, text};
use guest_common::log;
use wasip3::sockets::types::{IpAddress, IpAddressFamily, UdpSocket};

/// Sends every datagram back, for ever.
pub async fn server(port: u16) -> Outcome {
    let socket = UdpSocket::create(IpAddressFamily::Ipv4)?;
    socket.bind(at((0, 0, 0, 0), port))?;
    log::line(format_args!("udp on {}", socket.get_local_address().map(text)?));
    loop {
        let (data, peer) = socket.receive().await?;
        log::line(format_args!("udp {} bytes from {}", data.len(), text(peer)));
        socket.send(data, Some(peer)).await?;
    }
}

/// Answers every datagram with who it is from, as seen here, and what it said.
pub async fn who(port: u16) -> Outcome {
    let socket = UdpSocket::create(IpAddressFamily::Ipv4)?;
    socket.bind(at((0, 0, 0, 0), port))?;
    loop {
        let (data, peer) = socket.receive().await?;
        let mut answer = format!("{} said ", text(peer)).into_bytes();
        answer.extend(data);
        // One that is too large to answer is no reason to stop.
        let _ = socket.send(answer, Some(peer)).await;
    }
}

pub async fn client(host: &str, port: u16) -> Outcome {
    let address = lookup(host).await?.into_iter().find_map(|address| match address {
        IpAddress::Ipv4(address) => Some(address),
        IpAddress::Ipv6(_) => None,
    });
    let socket = UdpSocket::create(IpAddressFamily::Ipv4)?;
    socket.bind(at((0, 0, 0, 0), 0))?;
    let server = at(address.ok_or("no address")?, port);
    socket.send(b"ping".to_vec(), Some(server)).await?;
    let (data, peer) = socket.receive().await?;
    log::line(format_args!("udp {:?} from {}", String::from_utf8_lossy(&data), text(peer)));
    Ok(())
}
