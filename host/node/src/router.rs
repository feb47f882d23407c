//! Incoming connections: handshake, first frame, and each stream to its service if the peer's role allows it.
//!
//! One task per stream: garbage or a panic in one ends that one only. Newcomers without a certificate reach
//! the join service and nothing else. What is served may change while it runs: a promoted node serves more.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use minicloud_core::state::Role;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::hello::{self, Refusal};
use crate::limits::{HELLO_TIMEOUT, REFUSAL_LINGER, STREAM_KIND_TIMEOUT};
use crate::peers::Peers;
use crate::transport::{BoxStream, Certified, CloseCode, Incoming, Link, LinkError, Peer, StreamKind, Transport};

/// Serves the streams of one kind.
#[async_trait]
pub trait StreamService: Send + Sync + 'static {
    async fn serve(&self, peer: Peer, stream: BoxStream);
}

/// Takes the datagrams of all peers. Must not block.
pub trait DatagramService: Send + Sync + 'static {
    fn datagram(&self, peer: &Peer, payload: Bytes);
}

/// Serves newcomers, who have no certificate yet.
#[async_trait]
pub trait JoinService: Send + Sync + 'static {
    async fn serve(&self, remote: SocketAddr, stream: BoxStream);
}

/// Says who is still a member, and in which role: certificates outlive both.
pub trait Members: Send + Sync + 'static {
    /// The role that the cluster gives the node now; `None` when it was removed.
    fn role(&self, certified: Certified) -> Option<Role>;
}

/// Whose streams of a kind are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    Managers,
    Members,
}

impl Allow {
    fn permits(self, role: Role) -> bool {
        self == Allow::Members || role == Role::Manager
    }
}

/// Accepts the connections of this node. See the module.
pub struct Router {
    peers: Peers,
    services: ServicesHandle,
}

/// What is served from now on. Cheap to clone.
#[derive(Clone)]
pub struct ServicesHandle(Arc<ArcSwap<Services>>);

/// Who serves what on this node.
#[derive(Clone, Default)]
pub struct Services {
    streams: BTreeMap<StreamKind, (Allow, Arc<dyn StreamService>)>,
    datagrams: Option<Arc<dyn DatagramService>>,
    join: Option<Arc<dyn JoinService>>,
    members: Option<Arc<dyn Members>>,
}

impl ServicesHandle {
    /// Counts at once for new streams, on connections that stand too.
    pub fn replace(&self, services: Services) {
        self.0.store(Arc::new(services));
    }
}

impl Services {
    pub fn stream(mut self, kind: StreamKind, allow: Allow, service: Arc<dyn StreamService>) -> Services {
        self.streams.insert(kind, (allow, service));
        self
    }

    pub fn datagrams(mut self, service: Arc<dyn DatagramService>) -> Services {
        self.datagrams = Some(service);
        self
    }

    pub fn newcomers(mut self, service: Arc<dyn JoinService>) -> Services {
        self.join = Some(service);
        self
    }

    /// Without it, certificates alone decide.
    pub fn members(mut self, members: Arc<dyn Members>) -> Services {
        self.members = Some(members);
        self
    }

    fn still_member(&self, peer: Peer, certified: Certified) -> Result<Peer, Refusal> {
        let role = self.members.as_ref().map_or(Some(certified.role), |members| members.role(certified));
        let removed = || Refusal { code: CloseCode::NotAMember, reason: format!("node {} was removed from the cluster", peer.node) };
        Ok(Peer { role: role.ok_or_else(removed)?, ..peer })
    }
}

impl Router {
    pub fn new(peers: &Peers, services: Services) -> Router {
        Router { peers: peers.clone(), services: ServicesHandle(Arc::new(ArcSwap::from_pointee(services))) }
    }

    /// For changing what is served while it runs.
    pub fn services(&self) -> ServicesHandle {
        self.services.clone()
    }

    fn served(&self) -> Arc<Services> {
        self.services.0.load_full()
    }

    /// Accepts until the transport is closed.
    pub async fn run(self, transport: Arc<dyn Transport>) {
        let router = Arc::new(self);
        while let Some(incoming) = transport.accept().await {
            let router = router.clone();
            tokio::spawn(async move {
                if let Err(error) = router.serve_connection(incoming).await {
                    debug!(%error, "connection ended");
                }
            });
        }
    }

    async fn serve_connection(self: &Arc<Self>, incoming: Box<dyn Incoming>) -> Result<(), LinkError> {
        let slow = || LinkError::Lost("handshake took too long".into());
        let link: Arc<dyn Link> = Arc::from(timeout(HELLO_TIMEOUT, incoming.handshake()).await.map_err(|_| slow())??);
        match link.certified() {
            Some(certified) => self.serve_member(link, certified).await,
            None => self.serve_newcomer(&*link).await,
        }
    }

    async fn serve_newcomer(&self, link: &dyn Link) -> Result<(), LinkError> {
        let Some(service) = self.served().join.clone() else {
            link.close(CloseCode::CertificateRequired, "only managers let nodes join");
            return Ok(());
        };
        loop {
            let stream = link.accept().await?;
            let (service, remote) = (service.clone(), link.remote_address());
            tokio::spawn(async move { service.serve(remote, stream).await });
        }
    }

    async fn serve_member(self: &Arc<Self>, link: Arc<dyn Link>, certified: Certified) -> Result<(), LinkError> {
        let heard = timeout(
            HELLO_TIMEOUT,
            hello::receive(&*link, self.peers.local(), certified, |peer| self.served().still_member(peer, certified)),
        )
        .await;
        let (peer, lane) = match heard.unwrap_or_else(|_| Err(LinkError::Lost("no first frame".into()))) {
            Ok(heard) => heard,
            Err(error) => {
                warn!(node = %certified.node, remote = %link.remote_address(), %error, "refused a connection");
                return linger(&*link, error).await;
            }
        };
        debug!(node = %peer.node, ?lane, "connected");
        self.peers.learn(peer.node, peer.address, peer.role);
        if certified.expired {
            return self.accept_streams(&*link, peer, certified).await;
        }
        tokio::try_join!(self.accept_streams(&*link, peer, certified), self.accept_datagrams(&*link, peer)).map(|_| ())
    }

    async fn accept_streams(self: &Arc<Self>, link: &dyn Link, peer: Peer, certified: Certified) -> Result<(), LinkError> {
        loop {
            let stream = link.accept().await?;
            let router = self.clone();
            tokio::spawn(async move { router.serve_stream(peer, certified, stream).await });
        }
    }

    async fn serve_stream(&self, peer: Peer, certified: Certified, mut stream: BoxStream) {
        let byte = timeout(STREAM_KIND_TIMEOUT, stream.read_u8()).await;
        let Some(kind) = byte.ok().and_then(Result::ok).and_then(StreamKind::from_byte) else {
            debug!(node = %peer.node, "stream of no known kind");
            return stream.reset();
        };
        if certified.expired && kind != StreamKind::Join {
            debug!(node = %peer.node, ?kind, "refused a stream of a node whose certificate has run out");
            return stream.reset();
        }
        // Looked up for each stream: a demotion counts at once, not with the next connection.
        let services = self.served();
        let Ok(peer) = services.still_member(peer, certified) else {
            return stream.reset();
        };
        let served = services.streams.get(&kind).cloned();
        // A long stream must not keep what is served no longer.
        drop(services);
        match served {
            Some((allow, service)) if allow.permits(peer.role) => service.serve(peer, stream).await,
            Some(_) => {
                warn!(node = %peer.node, role = %peer.role, ?kind, "refused a stream that this role may not open");
                stream.reset();
            }
            None => {
                debug!(node = %peer.node, ?kind, "stream of a kind that is not served here");
                stream.reset();
            }
        }
    }

    async fn accept_datagrams(&self, link: &dyn Link, peer: Peer) -> Result<(), LinkError> {
        let Some(service) = self.served().datagrams.clone() else { return Ok(()) };
        loop {
            service.datagram(&peer, link.receive_datagram().await?);
        }
    }
}

/// Leaves a refused peer the time to read why, then closes.
async fn linger(link: &dyn Link, error: LinkError) -> Result<(), LinkError> {
    if let LinkError::Refused { code, reason } = &error {
        let _ = timeout(REFUSAL_LINGER, link.accept()).await;
        link.close(*code, reason);
    }
    Err(error)
}
