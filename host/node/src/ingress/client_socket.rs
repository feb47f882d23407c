//! A UDP socket that answers from the address at which it was asked, which matters where a node has several.
//!
//! A socket bound to one address does so by itself. One bound to every address has to be told for each datagram; the
//! library behind our QUIC knows how, on each system.
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;

use minicloud_net::UdpClient;
use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// See the module.
pub struct ClientSocket {
    socket: UdpSocket,
    /// Of a socket that is bound to every address.
    every_address: Option<UdpSocketState>,
}

/// What one receive brought: a datagram, or several of one client and of one size.
pub struct Received {
    bytes: usize,
    stride: usize,
}

impl Received {
    pub fn datagrams<'a>(&self, buffer: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (bytes, stride) = (&buffer[..self.bytes.min(buffer.len())], self.stride.max(1));
        // An empty datagram is one, too.
        let empty = bytes.is_empty().then_some(bytes);
        empty.into_iter().chain(bytes.chunks(stride))
    }
}

impl ClientSocket {
    pub fn new(socket: UdpSocket) -> io::Result<ClientSocket> {
        let address = socket.local_addr()?;
        let every_address = match address.ip().is_unspecified() {
            true => Some(UdpSocketState::new((&socket).into())?),
            false => None,
        };
        if every_address.is_some() {
            may_fragment(&socket, address)?;
        }
        Ok(ClientSocket { socket, every_address })
    }

    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Cancel safe: what is not taken stays with the system.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<(UdpClient, Received)> {
        let Some(state) = &self.every_address else {
            let (bytes, address) = self.socket.recv_from(buffer).await?;
            return Ok((UdpClient { address, heard_at: None }, Received { bytes, stride: bytes }));
        };
        let mut meta = [RecvMeta::default()];
        let read = || state.recv((&self.socket).into(), &mut [IoSliceMut::new(buffer)], &mut meta);
        self.socket.async_io(Interest::READABLE, read).await?;
        let [meta] = meta;
        Ok((UdpClient { address: meta.addr, heard_at: meta.dst_ip }, Received { bytes: meta.len, stride: meta.stride }))
    }

    pub async fn send(&self, client: UdpClient, payload: &[u8]) -> io::Result<()> {
        let Some(state) = &self.every_address else {
            return self.socket.send_to(payload, client.address).await.map(drop);
        };
        let transmit = Transmit { destination: client.address, ecn: None, contents: payload, segment_size: None, src_ip: client.heard_at };
        self.socket.async_io(Interest::WRITABLE, || state.try_send((&self.socket).into(), &transmit)).await
    }
}

/// QUIC wants no fragments; answers of any size do.
#[cfg(target_os = "linux")]
fn may_fragment(socket: &UdpSocket, address: SocketAddr) -> io::Result<()> {
    use rustix::net::sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover};
    match address {
        SocketAddr::V4(_) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT)?,
        SocketAddr::V6(_) => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DONT)?,
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn may_fragment(_: &UdpSocket, _: SocketAddr) -> io::Result<()> {
    Ok(())
}
