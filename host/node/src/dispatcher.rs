//! The leader's end of every node's session: views go out, heartbeats, statuses and acknowledgements come in.
//!
//! Runs on every manager and serves only while this one leads; else it says who does. The part of the view that is
//! the same for all nodes is made once per look at the state; what differs is made in each session, which sends only
//! when its stream takes it, so a slow node gets one later, merged delta instead of a queue. Statuses become
//! `ReportStatus`, one proposal at a time per node, so whatever comes meanwhile goes together.
//!
//! ```text
//! let dispatcher = Dispatcher::new(options);
//! router.stream(StreamKind::Dispatcher, Allow::Members, dispatcher.clone());
//! tokio::spawn(dispatcher.run(shutdown));
//! ```
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use imbl::OrdMap;
use minicloud_core::command::Command;
use minicloud_core::id::{Index, NodeId};
use minicloud_core::state::ClusterState;
use minicloud_core::view::{self, NodeEndpoint, Routes};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::cluster::ProposeError;
use crate::frame;
use crate::limits::{HELLO_TIMEOUT, SESSION_CATCH_UP_MAX};
use crate::liveness::LivenessHandle;
use crate::replicated::ReplicatedState;
use crate::rest::rest_after;
use crate::router::StreamService;
use crate::transport::{BoxStream, Peer};

mod acknowledgements;
pub(crate) mod message;
mod pieces;
mod serve;

use acknowledgements::Acknowledgements;
use message::{Hello, ToLeader, ToNode};

pub struct DispatcherOptions {
    pub replicated: Arc<dyn ReplicatedState>,
    /// The same handle as the leader's loop has.
    pub liveness: LivenessHandle,
}

/// See the module.
pub struct Dispatcher {
    replicated: Arc<dyn ReplicatedState>,
    liveness: LivenessHandle,
    /// `None` while this node does not lead.
    published: watch::Sender<Option<Arc<Published>>>,
    acknowledgements: Mutex<Acknowledgements>,
    acknowledged: watch::Sender<Index>,
    /// The session of each node; a new one ends the one before it.
    sessions: Mutex<BTreeMap<NodeId, CancellationToken>>,
}

/// One look at the state, with what all sessions need of it.
struct Published {
    term: u64,
    state: ClusterState,
    routes: Routes,
    nodes: OrdMap<NodeId, Arc<NodeEndpoint>>,
}

impl Dispatcher {
    pub fn new(options: DispatcherOptions) -> Arc<Self> {
        Arc::new(Dispatcher {
            replicated: options.replicated,
            liveness: options.liveness,
            published: watch::Sender::default(),
            acknowledgements: Mutex::default(),
            acknowledged: watch::Sender::default(),
            sessions: Mutex::default(),
        })
    }

    /// Publishes every change of the state to the sessions while this node leads, until `shutdown`.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let _ = shutdown.run_until_cancelled(self.publish_while_leading()).await;
        self.published.send_replace(None);
    }

    async fn publish_while_leading(&self) {
        let mut leadership = self.replicated.leadership();
        while let Ok(now) = leadership.wait_for(|now| now.leading).await.map(|now| *now) {
            info!(term = now.term, "serving sessions");
            self.liveness.begin(now.term);
            *self.acknowledgements() = Acknowledgements::default();
            self.acknowledged.send_replace(Index(0));
            let over = leadership.wait_for(|later| !later.leading || later.term != now.term);
            tokio::select! {
                over = over => if over.is_err() { return },
                () = self.publish(now.term) => return,
            }
            self.published.send_replace(None);
        }
    }

    /// Returns when the state is gone.
    async fn publish(&self, term: u64) {
        let mut changes = self.replicated.changes();
        let (mut routes, mut nodes) = (Routes::default(), OrdMap::new());
        loop {
            let began = Instant::now();
            changes.borrow_and_update();
            let state = self.replicated.state();
            routes = view::routes_from(&routes, &state);
            nodes = view::endpoints_from(&nodes, &state);
            let published = Published { term, state, routes: routes.clone(), nodes: nodes.clone() };
            self.published.send_replace(Some(Arc::new(published)));
            self.raise_acknowledged();
            rest_after(began).await;
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn stands_at(&self, node: NodeId, index: Index) {
        self.acknowledgements().set(node, index);
        self.raise_acknowledged();
    }

    fn raise_acknowledged(&self) {
        let Some(published) = self.published.borrow().clone() else { return };
        let least = self.acknowledgements().least(&published.state);
        self.acknowledged.send_if_modified(|index| {
            let rises = least > *index;
            *index = least.max(*index);
            rises
        });
    }

    /// The look at the state from which this node's session begins, or what to answer instead.
    async fn admit(&self, peer: &Peer, hello: &Hello) -> Result<Arc<Published>, ToNode> {
        if !self.replicated.leadership().borrow().leading {
            return Err(self.not_leader());
        }
        let published = self.caught_up(hello.seen).await.ok_or(ToNode::NotLeader { leader: None })?;
        let Some(node) = published.state.nodes.get(&peer.node) else {
            return Err(ToNode::Refused { reason: format!("node {} is no member of this cluster (any more)", peer.node) });
        };
        if node.hostname == hello.hostname && node.address == hello.address && node.description == hello.description {
            return Ok(published);
        }
        let describe = Command::DescribeNode {
            node: peer.node,
            hostname: hello.hostname.clone(),
            address: hello.address,
            description: hello.description.clone(),
        };
        match self.replicated.propose(describe).await {
            Ok(_) => Ok(published),
            Err(ProposeError::Rejected(rejection)) => Err(ToNode::Refused { reason: rejection.to_string() }),
            Err(error) => {
                debug!(node = %peer.node, %error, "cannot describe a node");
                Err(ToNode::NotLeader { leader: None })
            }
        }
    }

    /// The state at or past what the node has seen, so that its view never goes back.
    async fn caught_up(&self, seen: Index) -> Option<Arc<Published>> {
        let mut published = self.published.subscribe();
        let ready = published.wait_for(|published| published.as_ref().is_some_and(|published| published.state.index >= seen));
        timeout(SESSION_CATCH_UP_MAX, ready).await.ok()?.ok()?.clone()
    }

    fn not_leader(&self) -> ToNode {
        let leadership = *self.replicated.leadership().borrow();
        let state = self.replicated.state();
        let leader = leadership.leader.filter(|_| !leadership.leading).and_then(|leader| state.nodes.get(&leader).cloned());
        ToNode::NotLeader { leader: leader.map(|leader| (leader.id, leader.address)) }
    }

    /// Makes this the session of the node.
    fn register(&self, node: NodeId) -> CancellationToken {
        let session = CancellationToken::new();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = sessions.insert(node, session.clone()) {
            before.cancel();
        }
        session
    }

    fn acknowledgements(&self) -> MutexGuard<'_, Acknowledgements> {
        self.acknowledgements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StreamService for Dispatcher {
    async fn serve(&self, peer: Peer, mut stream: BoxStream) {
        let hello = match timeout(HELLO_TIMEOUT, frame::read(&mut stream)).await {
            Ok(Ok(Some(ToLeader::Hello(hello)))) => hello,
            _ => return stream.reset(),
        };
        match self.admit(&peer, &hello).await {
            Ok(published) => self.serve_session(peer.node, published.term, stream).await,
            Err(answer) => {
                if frame::write(&mut stream, &answer).await.is_ok() {
                    let _ = stream.shutdown().await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
