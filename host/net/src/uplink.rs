//! The way to other nodes: what the switch asks of an overlay, and what travels with each stream and datagram.
use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;
use minicloud_core::id::{NetworkId, NodeId, TaskId};
use serde::{Deserialize, Serialize};

use crate::connection::Connection;
use crate::error::NetError;
use crate::udp_door::DoorId;

/// Names the two ends of a stream between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamHeader {
    pub network: NetworkId,
    /// What the target sees as its peer.
    pub source: SocketAddr,
    /// What the target sees as its own address.
    pub destination: SocketAddr,
    pub task: TaskId,
}

/// Names the two ends of a datagram between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DatagramHeader {
    pub network: NetworkId,
    /// What the target sees as the sender.
    pub source: SocketAddr,
    /// What the target sees as its own address.
    pub destination: SocketAddr,
    /// The task that it is for; of [`Passage::Outward`], the one that it is from.
    pub task: TaskId,
    #[serde(default, skip_serializing_if = "Passage::is_within")]
    pub passage: Passage,
}

/// Whether a datagram stays in the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Passage {
    /// Between two tasks.
    #[default]
    Within,
    /// From a client outside, by a door of the sending node, to a task.
    Inward(DoorId),
    /// The answer: from a task, by a door of the receiving node, to a client outside.
    Outward(DoorId),
}

impl Passage {
    fn is_within(&self) -> bool {
        *self == Passage::Within
    }
}

/// The result of [`Uplink::open`].
pub type OpenFuture = Pin<Box<dyn Future<Output = Result<Connection, NetError>> + Send>>;

/// Carries streams and datagrams to other nodes. Dropping an [`OpenFuture`] gives the attempt up.
pub trait Uplink: Send + Sync + 'static {
    /// Resolves once the other node's listener took the stream, or with why not. `first` are the first bytes of the
    /// stream, which travel along with its opening.
    fn open(&self, node: NodeId, header: StreamHeader, first: Bytes) -> OpenFuture;
    /// Sends without a promise; what cannot be sent now is dropped.
    fn send(&self, node: NodeId, header: DatagramHeader, payload: Bytes);
}

/// No other node can be reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoUplink;

impl Uplink for NoUplink {
    fn open(&self, _: NodeId, _: StreamHeader, _: Bytes) -> OpenFuture {
        Box::pin(ready(Err(NetError::Unreachable)))
    }

    fn send(&self, _: NodeId, _: DatagramHeader, _: Bytes) {}
}
