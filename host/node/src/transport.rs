//! What carries bytes between nodes: streams and datagrams on links, two links per peer.
//!
//! The real transport is `quic`; the simulated one lives in `tests/sim`. Who may open which stream is `router`'s
//! business, and who is connected to whom is `peers`'.
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use bytes::Bytes;
use minicloud_core::id::{Index, NodeId};
use minicloud_core::state::Role;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes in both directions. `shutdown` ends our direction; dropping it before that resets the stream,
/// and the peer's next read fails.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Ends both directions at once; the peer sees a reset, never a clean end.
    fn reset(&mut self);
}

pub type BoxStream = Box<dyn ByteStream>;

/// What a stream is for: its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum StreamKind {
    Raft = 1,
    Dispatcher = 2,
    /// Proposals, reads and membership changes on their way to the leader.
    Forward = 3,
    Overlay = 4,
    Logs = 5,
    Blob = 6,
    Query = 7,
    /// Certificates: for newcomers on the join protocol, and for members that renew theirs.
    Join = 8,
    /// One datagram between tasks that is too large for a packet.
    Datagram = 9,
    /// The key that seals secrets, between managers.
    SealKey = 10,
    /// Secrets and configs, for the nodes of the tasks that have them.
    File = 11,
}

impl StreamKind {
    pub const ALL: [StreamKind; 11] = [
        StreamKind::Raft,
        StreamKind::Dispatcher,
        StreamKind::Forward,
        StreamKind::Overlay,
        StreamKind::Logs,
        StreamKind::Blob,
        StreamKind::Query,
        StreamKind::Join,
        StreamKind::Datagram,
        StreamKind::SealKey,
        StreamKind::File,
    ];

    pub fn from_byte(byte: u8) -> Option<StreamKind> {
        StreamKind::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// Bulk never shares a congestion window with heartbeats.
    pub fn lane(self) -> Lane {
        match self {
            StreamKind::Raft
            | StreamKind::Dispatcher
            | StreamKind::Forward
            | StreamKind::Query
            | StreamKind::Join
            | StreamKind::SealKey => Lane::Control,
            StreamKind::Overlay | StreamKind::Logs | StreamKind::Blob | StreamKind::Datagram | StreamKind::File => Lane::Data,
        }
    }
}

/// One of the two links to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    Control,
    Data,
}

/// The node at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// From its verified certificate.
    pub node: NodeId,
    /// From its verified certificate.
    pub role: Role,
    /// Where it says that it is reached.
    pub address: SocketAddr,
}

/// Who a certificate says the other end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certified {
    pub node: NodeId,
    pub role: Role,
    /// The state that the signer took the role from; 0: not told.
    pub issued: Index,
    /// The certificate has run out: its owner was away for long, and may only renew it.
    pub expired: bool,
}

/// Dials and accepts links. Authenticates them; whoever holds a certificate of the cluster gets one.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// `role`: the role the peer is known to have, which chooses how soon silence counts as death.
    async fn connect(&self, address: SocketAddr, node: Option<NodeId>, role: Role) -> Result<Box<dyn Link>, LinkError>;
    /// The next connection; `None` once the transport is closed.
    async fn accept(&self) -> Option<Box<dyn Incoming>>;
    /// Where it listens.
    fn local_address(&self) -> io::Result<SocketAddr>;
    /// Ends every link, and waits a moment for the peers to hear of it.
    async fn close(&self);
}

/// A connection whose handshake is not done.
#[async_trait]
pub trait Incoming: Send + 'static {
    async fn handshake(self: Box<Self>) -> Result<Box<dyn Link>, LinkError>;
}

/// One authenticated connection.
#[async_trait]
pub trait Link: Send + Sync + 'static {
    /// `None`: a newcomer on the join protocol, which has no certificate and reaches only the join service.
    fn certified(&self) -> Option<Certified>;
    fn remote_address(&self) -> SocketAddr;
    async fn open(&self) -> Result<BoxStream, LinkError>;
    async fn accept(&self) -> Result<BoxStream, LinkError>;
    /// Sends without waiting; drops what does not fit.
    fn send_datagram(&self, payload: Bytes);
    /// Largest payload of a datagram at the moment, in bytes.
    fn datagram_bytes_max(&self) -> Option<usize>;
    async fn receive_datagram(&self) -> Result<Bytes, LinkError>;
    fn is_closed(&self) -> bool;
    fn close(&self, code: CloseCode, reason: &str);
}

/// Why a link was closed, as the peer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u32)]
pub enum CloseCode {
    /// The node goes away in order.
    Shutdown = 0,
    CertificateRequired = 1,
    WrongCluster = 2,
    /// One of the two missed a forced recovery of the cluster.
    WrongEpoch = 3,
    Protocol = 4,
    /// The first frame and the certificate name different nodes, or the node was removed.
    NotAMember = 5,
    Garbage = 6,
}

impl CloseCode {
    pub fn from_number(number: u64) -> Option<CloseCode> {
        use CloseCode::*;
        [Shutdown, CertificateRequired, WrongCluster, WrongEpoch, Protocol, NotAMember, Garbage]
            .into_iter()
            .find(|code| *code as u64 == number)
    }
}

/// Why there is no link, or no stream on it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    #[error("no connection to {address}: {reason}")]
    Unreachable { address: SocketAddr, reason: String },
    /// The peer refused us for a reason that waiting does not mend.
    #[error("{reason}")]
    Refused { code: CloseCode, reason: String },
    #[error("connection lost: {0}")]
    Lost(String),
}
