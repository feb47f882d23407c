//! Binds sockets: one for an address, two for "every address".
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

use super::client_socket::ClientSocket;
use crate::limits::{INGRESS_BACKLOG, INGRESS_UDP_QUEUE_BYTES};

/// Listens on TCP at `address`; on every IPv4 and IPv6 address when it is unspecified.
pub fn tcp(address: SocketAddr) -> io::Result<Vec<TcpListener>> {
    each_family(address, |address| {
        let socket = socket(address, Type::STREAM, Protocol::TCP)?;
        // A port that was just closed may still have connections in TIME_WAIT.
        socket.set_reuse_address(true)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(i32::try_from(INGRESS_BACKLOG).unwrap_or(i32::MAX))?;
        TcpListener::from_std(socket.into())
    })
}

/// Receives UDP at `address`; at every IPv4 and IPv6 address when it is unspecified.
pub fn udp(address: SocketAddr) -> io::Result<Vec<ClientSocket>> {
    each_family(address, |address| {
        let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
        // A small queue costs datagrams under load, not correctness; the system may give less.
        let _ = socket.set_recv_buffer_size(INGRESS_UDP_QUEUE_BYTES);
        socket.bind(&SockAddr::from(address))?;
        ClientSocket::new(UdpSocket::from_std(socket.into())?)
    })
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own, so that its clients have IPv4 addresses.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn each_family<T>(address: SocketAddr, bind: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<Vec<T>> {
    if !address.ip().is_unspecified() {
        return Ok(vec![bind(address)?]);
    }
    let both: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let mut bound = Vec::with_capacity(both.len());
    for ip in both {
        match bind(SocketAddr::new(ip, address.port())) {
            Ok(socket) => bound.push(socket),
            Err(error) if ip.is_ipv6() && is_no_ipv6(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bound)
}

fn is_no_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let codes = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL, Errno::PROTONOSUPPORT].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// One line that says what to do.
pub fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there; stop it, or publish another port".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this node does not have that address".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not listen on ports below 1024".to_owned(),
        _ => error.to_string(),
    }
}
