//! Requests on their way to the leader: one request and one answer per `StreamKind::Forward` stream.
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use minicloud_core::command::{Rejection, Request};
use minicloud_core::id::NodeId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use tracing::debug;

use super::propose::Failed;
use super::{Cluster, ProposeError};
use crate::frame;
use crate::limits::PROPOSE_TIMEOUT;
use crate::peers::{PeerError, Peers};
use crate::router::StreamService;
use crate::transport::{BoxStream, Peer, StreamKind};

/// The request.
#[derive(Serialize, Deserialize)]
pub(super) enum Call {
    Propose(Box<Request>),
    ReadIndex,
    AddManager {
        node: NodeId,
        address: SocketAddr,
    },
    RemoveManager {
        node: NodeId,
    },
    Demote {
        node: NodeId,
    },
    TransferLeadership,
    Managers,
    /// A new manager asks any manager to have it added.
    Enlist {
        address: SocketAddr,
    },
}

/// Why there is no result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Refused {
    /// Certainly not done: not the leader, for example.
    NotDone(String),
    Unknown(String),
    Rejected(Rejection),
}

pub(super) type Answer<T> = Result<T, Refused>;

impl Call {
    pub(super) async fn send<T: DeserializeOwned>(&self, peers: &Peers, leader: NodeId) -> Answer<T> {
        let stream = peers.open(leader, StreamKind::Forward).await.map_err(not_reached)?;
        self.exchange(stream).await
    }

    pub(super) async fn send_to<T: DeserializeOwned>(&self, peers: &Peers, manager: SocketAddr) -> Answer<T> {
        let (stream, _) = peers.open_at(manager, StreamKind::Forward).await.map_err(not_reached)?;
        self.exchange(stream).await
    }

    async fn exchange<T: DeserializeOwned>(&self, mut stream: BoxStream) -> Answer<T> {
        let exchange = async {
            frame::write(&mut stream, self).await?;
            stream.shutdown().await?;
            frame::expect::<Answer<T>>(&mut stream).await
        };
        exchange.await.unwrap_or_else(|error: io::Error| Err(Refused::Unknown(error.to_string())))
    }
}

/// Serves what other managers forward.
pub(super) struct ForwardService {
    cluster: Cluster,
}

impl ForwardService {
    pub(super) fn new(cluster: Cluster) -> ForwardService {
        ForwardService { cluster }
    }

    async fn answer(&self, peer: Peer, stream: &mut BoxStream) -> io::Result<()> {
        let call: Call = frame::expect(stream).await?;
        let cluster = &self.cluster;
        if let Call::Enlist { address } = call {
            return reply(stream, cluster.add_manager(peer.node, address).await.map_err(Refused::from)).await;
        }
        if !cluster.leader_now().leading {
            return reply::<()>(stream, Err(Refused::NotDone("this manager is not the leader".into()))).await;
        }
        let deadline = Instant::now() + PROPOSE_TIMEOUT;
        match call {
            Call::Propose(request) => reply(stream, cluster.propose_here(*request, deadline).await.map_err(Refused::from)).await,
            Call::ReadIndex => reply(stream, cluster.read_index_here(deadline).await.map_err(Refused::from)).await,
            Call::AddManager { node, address } => reply(stream, cluster.add_here(node, address).await.map_err(Refused::from)).await,
            Call::RemoveManager { node } => reply(stream, cluster.remove_here(node).await.map_err(Refused::from)).await,
            Call::Demote { node } => reply(stream, cluster.demote_here(node).await.map_err(Refused::from)).await,
            Call::TransferLeadership => reply(stream, cluster.hand_over().await.map_err(Refused::from)).await,
            Call::Managers => reply(stream, Ok(cluster.managers_here())).await,
            Call::Enlist { .. } => Ok(()),
        }
    }
}

#[async_trait]
impl StreamService for ForwardService {
    async fn serve(&self, peer: Peer, mut stream: BoxStream) {
        if let Err(error) = self.answer(peer, &mut stream).await {
            debug!(node = %peer.node, %error, "forwarded request ended");
        }
    }
}

async fn reply<T: Serialize>(stream: &mut BoxStream, answer: Answer<T>) -> io::Result<()> {
    frame::write(stream, &answer).await?;
    stream.shutdown().await
}

fn not_reached(error: PeerError) -> Refused {
    Refused::NotDone(error.to_string())
}

impl From<Failed> for Refused {
    fn from(failed: Failed) -> Refused {
        match failed {
            Failed::NotDone(reason) => Refused::NotDone(reason),
            Failed::Unknown(reason) => Refused::Unknown(reason),
            Failed::Rejected(rejection) => Refused::Rejected(rejection),
        }
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Failed {
        match refused {
            Refused::NotDone(reason) => Failed::NotDone(reason),
            Refused::Unknown(reason) => Failed::Unknown(reason),
            Refused::Rejected(rejection) => Failed::Rejected(rejection),
        }
    }
}

impl From<ProposeError> for Refused {
    fn from(error: ProposeError) -> Refused {
        match error {
            ProposeError::Rejected(rejection) => Refused::Rejected(rejection),
            ProposeError::Unavailable(reason) => Refused::NotDone(reason),
            ProposeError::Unknown(reason) => Refused::Unknown(reason),
        }
    }
}
