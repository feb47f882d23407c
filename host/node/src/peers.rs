//! Outgoing connections: one per peer and lane, dialled when first needed, dialled again with backoff.
//!
//! Who is where comes from the replicated state (`set_endpoints`), and before there is any from what a node was
//! told when it joined or from peers that dialled us (`learn`). Incoming streams are `router`'s.
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use minicloud_core::id::NodeId;
use minicloud_core::state::Role;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

use crate::hello::{self, Local};
use crate::limits::{CONNECT_TIMEOUT, DATAGRAMS_WAITING_MAX, OPEN_TIMEOUT, RECONNECT_DELAY_FIRST, RECONNECT_DELAY_MAX};
use crate::transport::{BoxStream, Lane, Link, LinkError, Peer, StreamKind, Transport};

/// Handle on all outgoing connections of this node. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    shared: Arc<Shared>,
}

/// Why there is no stream to a peer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PeerError {
    #[error("address of node {0} is not known")]
    UnknownNode(NodeId),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("no stream within {} ms", .0.as_millis())]
    Timeout(Duration),
}

struct Shared {
    local: Local,
    transport: Arc<dyn Transport>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// From the replicated state.
    members: BTreeMap<NodeId, (SocketAddr, Role)>,
    /// Heard elsewhere; used for nodes that `members` does not name.
    heard: BTreeMap<NodeId, (SocketAddr, Role)>,
    slots: BTreeMap<(Target, Lane), Arc<Slot>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Node(NodeId),
    Address(SocketAddr),
}

/// The connection to one peer on one lane, or the attempt at it.
#[derive(Default)]
struct Slot {
    /// Held while dialling, so that one dials and the others wait for it.
    dialling: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<SlotState>,
}

/// A link that is up, and who is at its other end.
type Linked = (Arc<dyn Link>, Peer);

#[derive(Default)]
struct SlotState {
    link: Option<Linked>,
    /// The last failure, and until when it is repeated to callers instead of dialling again.
    failure: Option<(LinkError, Instant)>,
    delay: Duration,
    datagrams: VecDeque<Bytes>,
    /// A task is bringing the link up for `datagrams`.
    connecting: bool,
}

impl Peers {
    pub fn new(local: Local, transport: Arc<dyn Transport>) -> Peers {
        Peers { shared: Arc::new(Shared { local, transport, book: Mutex::default() }) }
    }

    pub fn local(&self) -> &Local {
        &self.shared.local
    }

    /// A new stream of `kind` to `node`; waits at most [`OPEN_TIMEOUT`].
    pub async fn open(&self, node: NodeId, kind: StreamKind) -> Result<BoxStream, PeerError> {
        let (address, role) = self.endpoint(node).ok_or(PeerError::UnknownNode(node))?;
        let slot = self.slot(Target::Node(node), kind.lane());
        self.open_on(&slot, address, Some(node), role, kind).await.map(|(stream, _)| stream)
    }

    /// A new stream to the manager at `address`, whose id need not be known.
    pub async fn open_at(&self, address: SocketAddr, kind: StreamKind) -> Result<(BoxStream, Peer), PeerError> {
        let slot = self.slot(Target::Address(address), kind.lane());
        let (stream, peer) = self.open_on(&slot, address, None, Role::Manager, kind).await?;
        self.learn(peer.node, peer.address, peer.role);
        Ok((stream, peer))
    }

    /// Sends a datagram without waiting. One that cannot be sent soon is dropped, as networks do.
    pub fn send_datagram(&self, node: NodeId, payload: Bytes) {
        let Some((address, role)) = self.endpoint(node) else { return };
        let slot = self.slot(Target::Node(node), Lane::Data);
        let mut state = lock(&slot.state);
        if let Some((link, _)) = state.live_link() {
            return link.send_datagram(payload);
        }
        if state.datagrams.len() < DATAGRAMS_WAITING_MAX {
            state.datagrams.push_back(payload);
        }
        if !std::mem::replace(&mut state.connecting, true) {
            drop(state);
            let peers = self.clone();
            tokio::spawn(async move { peers.connect_for_datagrams(&slot, address, node, role).await });
        }
    }

    /// Largest datagram that reaches `node` at the moment; `None` while there is no connection.
    pub fn datagram_bytes_max(&self, node: NodeId) -> Option<usize> {
        let slot = self.slot(Target::Node(node), Lane::Data);
        let mut state = lock(&slot.state);
        state.live_link()?.0.datagram_bytes_max()
    }

    /// The members as the replicated state has them; replaces what was set before.
    pub fn set_endpoints(&self, endpoints: impl Iterator<Item = (NodeId, SocketAddr, Role)>) {
        let members: BTreeMap<_, _> = endpoints.map(|(node, address, role)| (node, (address, role))).collect();
        let mut book = lock(&self.shared.book);
        let moved: Vec<NodeId> = book
            .members
            .iter()
            .filter(|(node, (address, _))| members.get(node).map(|m| m.0) != Some(*address))
            .map(|(node, _)| *node)
            .collect();
        book.slots.retain(|(target, _), _| !matches!(target, Target::Node(node) if moved.contains(node)));
        book.members = members;
    }

    /// Opens every further stream on a new connection, which shows this node's certificate of now. Streams that are
    /// open go on.
    pub fn redial(&self) {
        lock(&self.shared.book).slots.clear();
    }

    /// Where a node is according to itself or to a membership entry. The replicated state outranks it.
    pub fn learn(&self, node: NodeId, address: SocketAddr, role: Role) {
        lock(&self.shared.book).heard.insert(node, (address, role));
    }

    /// Where `node` is reached, as far as this node knows.
    pub fn endpoint(&self, node: NodeId) -> Option<(SocketAddr, Role)> {
        let book = lock(&self.shared.book);
        book.members.get(&node).or_else(|| book.heard.get(&node)).copied()
    }

    /// Managers that this node knows of, itself excepted.
    pub fn managers(&self) -> Vec<(NodeId, SocketAddr)> {
        let book = lock(&self.shared.book);
        let mut known = book.heard.clone();
        known.extend(book.members.iter());
        let local = self.shared.local.node();
        known
            .into_iter()
            .filter(|(node, (_, role))| *role == Role::Manager && *node != local)
            .map(|(node, (address, _))| (node, address))
            .collect()
    }

    fn slot(&self, target: Target, lane: Lane) -> Arc<Slot> {
        lock(&self.shared.book).slots.entry((target, lane)).or_default().clone()
    }

    async fn open_on(
        &self,
        slot: &Arc<Slot>,
        address: SocketAddr,
        node: Option<NodeId>,
        role: Role,
        kind: StreamKind,
    ) -> Result<(BoxStream, Peer), PeerError> {
        let opening = async {
            let (link, peer) = self.link(slot, address, node, role, kind.lane()).await?;
            let stream = match open_kind(&*link, kind).await {
                Ok(stream) => return Ok((stream, peer)),
                // The link died unnoticed; a fresh one decides.
                Err(_) => {
                    slot.forget(&link);
                    let (link, _) = self.link(slot, address, node, role, kind.lane()).await?;
                    open_kind(&*link, kind).await?
                }
            };
            Ok((stream, peer))
        };
        timeout(OPEN_TIMEOUT, opening).await.unwrap_or(Err(PeerError::Timeout(OPEN_TIMEOUT)))
    }

    async fn link(
        &self,
        slot: &Arc<Slot>,
        address: SocketAddr,
        node: Option<NodeId>,
        role: Role,
        lane: Lane,
    ) -> Result<(Arc<dyn Link>, Peer), LinkError> {
        if let Some(link) = slot.ready()? {
            return Ok(link);
        }
        let dialling = slot.dialling.clone().lock_owned().await;
        if let Some(link) = slot.ready()? {
            return Ok(link);
        }
        // A task of its own: callers with little time give up, and the connection still comes up for the next.
        let (peers, slot) = (self.clone(), slot.clone());
        let dialled = tokio::spawn(async move {
            let _dialling = dialling;
            let dialled = timeout(CONNECT_TIMEOUT, peers.dial(address, node, role, lane)).await;
            slot.settle(dialled.unwrap_or_else(|_| Err(LinkError::Unreachable { address, reason: "no answer".into() })))
        });
        dialled.await.unwrap_or_else(|error| Err(LinkError::Unreachable { address, reason: error.to_string() }))
    }

    async fn dial(&self, address: SocketAddr, node: Option<NodeId>, role: Role, lane: Lane) -> Result<(Arc<dyn Link>, Peer), LinkError> {
        let link = self.shared.transport.connect(address, node, role).await?;
        let peer = hello::introduce(&*link, &self.shared.local, lane).await?;
        Ok((Arc::from(link), peer))
    }

    async fn connect_for_datagrams(&self, slot: &Arc<Slot>, address: SocketAddr, node: NodeId, role: Role) {
        let link = self.link(slot, address, Some(node), role, Lane::Data).await;
        let waiting = {
            let mut state = lock(&slot.state);
            state.connecting = false;
            std::mem::take(&mut state.datagrams)
        };
        if let Ok((link, _)) = link {
            waiting.into_iter().for_each(|payload| link.send_datagram(payload));
        }
    }
}

impl Slot {
    /// The link if it is up; the last failure while it is too early to try again.
    fn ready(&self) -> Result<Option<Linked>, LinkError> {
        let mut state = lock(&self.state);
        if let Some(link) = state.live_link() {
            return Ok(Some(link));
        }
        match &state.failure {
            Some((error, until)) if Instant::now() < *until => Err(error.clone()),
            _ => Ok(None),
        }
    }

    fn settle(&self, dialled: Result<(Arc<dyn Link>, Peer), LinkError>) -> Result<(Arc<dyn Link>, Peer), LinkError> {
        let mut state = lock(&self.state);
        match &dialled {
            Ok(link) => {
                state.link = Some(link.clone());
                state.failure = None;
                state.delay = Duration::ZERO;
            }
            Err(error) => {
                state.delay = (state.delay * 2).clamp(RECONNECT_DELAY_FIRST, RECONNECT_DELAY_MAX);
                state.failure = Some((error.clone(), Instant::now() + state.delay));
            }
        }
        dialled
    }

    fn forget(&self, dead: &Arc<dyn Link>) {
        let mut state = lock(&self.state);
        if state.link.as_ref().is_some_and(|(link, _)| Arc::ptr_eq(link, dead)) {
            state.link = None;
        }
    }
}

impl SlotState {
    fn live_link(&mut self) -> Option<(Arc<dyn Link>, Peer)> {
        if self.link.as_ref().is_some_and(|(link, _)| link.is_closed()) {
            self.link = None;
        }
        self.link.clone()
    }
}

async fn open_kind(link: &dyn Link, kind: StreamKind) -> Result<BoxStream, LinkError> {
    let mut stream = link.open().await?;
    stream.write_all(&[kind as u8]).await.map_err(|error| LinkError::Lost(error.to_string()))?;
    Ok(stream)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
