//! The real transport: QUIC with mutual TLS 1.3, one UDP socket for everything between nodes.
//!
//! Two application protocols: `node`, which needs a certificate of the cluster, and `join`, which needs none and
//! reaches only the join service. TLS cannot tell them apart when it asks for a certificate, so the asking is
//! optional there and this file insists on it afterwards.
mod config;
mod latecomer;
mod newcomer;
mod stream;
mod turns;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use minicloud_core::id::NodeId;
use minicloud_core::state::Role;
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, ConnectionError, Endpoint, EndpointConfig, VarInt};
use rustls::pki_types::CertificateDer;
use socket2::{Domain, Protocol, Socket, Type};
use tracing::debug;

use crate::env::Clock;
use crate::identity::{self, Identity, node_name, role_name};
use crate::limits::{HANDSHAKES_MAX, PACKET_BYTES_MAX};
use crate::transport::{BoxStream, Certified, CloseCode, Incoming, Link, LinkError, Transport};
pub use config::ResetKey;
pub use newcomer::{Newcomer, connect_newcomer};

/// Application protocol of members.
const ALPN_NODE: &[u8] = b"minicloud-node/1";
/// Application protocol of newcomers.
const ALPN_JOIN: &[u8] = b"minicloud-join/1";
/// Bytes asked of the system for the socket's buffers; it may give less.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// How long `close` waits for peers to hear of it.
const CLOSE_WAIT: Duration = Duration::from_millis(300);

/// The transport of a member. Cheap to clone.
#[derive(Clone)]
pub struct Quic {
    endpoint: Endpoint,
    clients: Arc<ArcSwap<config::Clients>>,
    clock: Arc<dyn Clock>,
    handshakes: Arc<AtomicUsize>,
}

impl Quic {
    /// Serves on a socket from [`bind_socket`]. Must run inside a tokio runtime. Certificates are judged by `clock`.
    pub fn new(socket: UdpSocket, identity: &Identity, reset_key: &ResetKey, clock: Arc<dyn Clock>) -> io::Result<Quic> {
        let mut config = EndpointConfig::new(reset_key.hmac());
        config.max_udp_payload_size(PACKET_BYTES_MAX).map_err(io::Error::other)?;
        let server = config::server(identity, &clock).map_err(io::Error::other)?;
        let clients = config::Clients::new(identity, &clock).map_err(io::Error::other)?;
        let endpoint = Endpoint::new(config, Some(server), socket, Arc::new(turns::LastInTurn))?;
        Ok(Quic { endpoint, clients: Arc::new(ArcSwap::from_pointee(clients)), clock, handshakes: Arc::default() })
    }

    /// Uses a renewed certificate for every connection from now on; those that stand go on.
    pub fn set_identity(&self, identity: &Identity) -> io::Result<()> {
        self.endpoint.set_server_config(Some(config::server(identity, &self.clock).map_err(io::Error::other)?));
        self.clients.store(Arc::new(config::Clients::new(identity, &self.clock).map_err(io::Error::other)?));
        Ok(())
    }
}

#[async_trait]
impl Transport for Quic {
    async fn connect(&self, address: SocketAddr, node: Option<NodeId>, role: Role) -> Result<Box<dyn Link>, LinkError> {
        let unreachable = |reason: String| LinkError::Unreachable { address, reason };
        let name = node.map_or_else(|| role_name(Role::Manager), node_name);
        let config = self.clients.load().towards(role);
        let connecting = self.endpoint.connect_with(config, address, &name).map_err(|error| unreachable(error.to_string()))?;
        let connection = connecting.await.map_err(|error| refused(&error).unwrap_or_else(|| unreachable(error.to_string())))?;
        let certified = certified(&connection, &*self.clock).map_err(unreachable)?;
        Ok(Box::new(QuicLink { connection, certified: Some(certified) }))
    }

    async fn accept(&self) -> Option<Box<dyn Incoming>> {
        loop {
            let incoming = self.endpoint.accept().await?;
            if self.handshakes.load(Ordering::Relaxed) >= HANDSHAKES_MAX && !incoming.remote_address_validated() {
                // Costs us nothing, and the newcomer one round trip that proves its address.
                let _ = incoming.retry();
                continue;
            }
            self.handshakes.fetch_add(1, Ordering::Relaxed);
            let under_way = Handshake(self.handshakes.clone());
            return Some(Box::new(QuicIncoming { incoming, clock: self.clock.clone(), under_way }));
        }
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    async fn close(&self) {
        self.endpoint.close(VarInt::from_u32(CloseCode::Shutdown as u32), b"the node stops");
        let _ = tokio::time::timeout(CLOSE_WAIT, self.endpoint.wait_idle()).await;
    }
}

/// Counts down when dropped.
struct Handshake(Arc<AtomicUsize>);

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct QuicIncoming {
    incoming: quinn::Incoming,
    clock: Arc<dyn Clock>,
    under_way: Handshake,
}

#[async_trait]
impl Incoming for QuicIncoming {
    async fn handshake(self: Box<Self>) -> Result<Box<dyn Link>, LinkError> {
        let remote = self.incoming.remote_address();
        let connection = self.incoming.await.map_err(|error| lost(&error))?;
        drop(self.under_way);
        let protocol = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok()).and_then(|data| data.protocol);
        let certified = match protocol.as_deref() {
            Some(ALPN_JOIN) => None,
            Some(ALPN_NODE) => match certified(&connection, &*self.clock) {
                Ok(certified) => Some(certified),
                Err(reason) => {
                    close(&connection, CloseCode::CertificateRequired, &reason);
                    return Err(LinkError::Refused { code: CloseCode::CertificateRequired, reason });
                }
            },
            _ => return Err(LinkError::Lost(format!("{remote} speaks no protocol of ours"))),
        };
        Ok(Box::new(QuicLink { connection, certified }))
    }
}

/// One connection.
struct QuicLink {
    connection: Connection,
    certified: Option<Certified>,
}

#[async_trait]
impl Link for QuicLink {
    fn certified(&self) -> Option<Certified> {
        self.certified
    }

    fn remote_address(&self) -> SocketAddr {
        let address = self.connection.remote_address();
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }

    async fn open(&self) -> Result<BoxStream, LinkError> {
        let (send, receive) = self.connection.open_bi().await.map_err(|error| lost(&error))?;
        Ok(stream::boxed(send, receive))
    }

    async fn accept(&self) -> Result<BoxStream, LinkError> {
        let (send, receive) = self.connection.accept_bi().await.map_err(|error| lost(&error))?;
        Ok(stream::boxed(send, receive))
    }

    fn send_datagram(&self, payload: Bytes) {
        if let Err(error) = self.connection.send_datagram(payload) {
            debug!(%error, "dropped a datagram");
        }
    }

    fn datagram_bytes_max(&self) -> Option<usize> {
        self.connection.max_datagram_size()
    }

    async fn receive_datagram(&self) -> Result<Bytes, LinkError> {
        self.connection.read_datagram().await.map_err(|error| lost(&error))
    }

    fn is_closed(&self) -> bool {
        self.connection.close_reason().is_some()
    }

    fn close(&self, code: CloseCode, reason: &str) {
        close(&self.connection, code, reason);
    }
}

/// Takes the UDP socket; an unspecified IPv6 address takes IPv4 too.
pub fn bind_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // Small buffers cost throughput, not correctness.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn certified(connection: &Connection, clock: &dyn Clock) -> Result<Certified, String> {
    let chain = connection.peer_identity().and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
    let leaf = chain.as_ref().and_then(|chain| chain.first()).ok_or("a certificate of the cluster is required")?;
    let (certified, _, _, not_after) = identity::read_certificate(leaf).map_err(|error| error.to_string())?;
    Ok(Certified { expired: clock.now() > not_after, ..certified })
}

fn close(connection: &Connection, code: CloseCode, reason: &str) {
    connection.close(VarInt::from_u32(code as u32), reason.as_bytes());
}

fn lost(error: &ConnectionError) -> LinkError {
    refused(error).unwrap_or_else(|| LinkError::Lost(error.to_string()))
}

/// The peer's typed reason, when it gave one that waiting does not mend.
fn refused(error: &ConnectionError) -> Option<LinkError> {
    let ConnectionError::ApplicationClosed(closed) = error else { return None };
    let code = CloseCode::from_number(closed.error_code.into_inner()).filter(|code| *code != CloseCode::Shutdown)?;
    Some(LinkError::Refused { code, reason: String::from_utf8_lossy(&closed.reason).into_owned() })
}
