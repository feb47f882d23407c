//! The handle on the replicated state, on managers: propose, read, watch, and change who is a manager.
//!
//! Any manager serves it: what only the leader can do is forwarded over `StreamKind::Forward`, at most once for
//! each try. A proposal carries a key where doing it twice would matter, so that a try whose answer was lost can
//! be repeated.
mod forward;
mod members;
mod propose;
mod slot;
mod tokens;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use minicloud_core::command::Rejection;
use minicloud_core::id::{Index, NodeId};
use minicloud_core::state::{ClusterState, Role};
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::Fatal;
use openraft::metrics::RaftServerMetrics;
use openraft::{RaftMetrics, ServerState};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::env::Env;
use crate::events::Events;
use crate::peers::Peers;
use crate::raft::log::LogStore;
use crate::raft::machine::Machine;
use crate::raft::machine::WeakMachine;
use crate::raft::{Network, Raft, RaftService, StoreError, Tuning, TypeConfig};
use crate::router::{Allow, Members, Services};
use crate::transport::{Certified, StreamKind};
use forward::ForwardService;
pub use slot::ClusterSlot;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    env: Env,
    peers: Peers,
    raft: Raft,
    machine: Machine,
    leadership: watch::Sender<Leadership>,
    /// Why consensus stopped on this node by itself, once it has.
    failure: watch::Sender<Option<String>>,
    /// Cancelled when this node stops taking part.
    ended: CancellationToken,
    /// Held by the leader while it changes the membership: openraft takes one change at a time.
    membership: Mutex<()>,
}

/// Who leads, as this node knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    pub leader: Option<NodeId>,
    /// This node leads.
    pub leading: bool,
    pub term: u64,
}

/// Why a proposal or a read did not give a result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProposeError {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Certainly not done.
    #[error("the cluster has no leader that answers: {0}")]
    Unavailable(String),
    /// May or may not be done.
    #[error("no answer, so the change may or may not be done: {0}")]
    Unknown(String),
}

/// A manager as `node ls` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerStatus {
    pub node: NodeId,
    pub address: SocketAddr,
    pub leader: bool,
    /// A learner catches up and does not vote yet.
    pub voter: bool,
    pub reachable: bool,
}

/// Why consensus does not start.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("consensus does not start: {0}")]
    Raft(String),
}

impl Cluster {
    /// Opens the log and the state in `directory` and takes part in consensus. A new manager opens empty ones, and
    /// then enlists.
    pub async fn open(env: &Env, directory: &Path, peers: &Peers, tuning: &Tuning) -> Result<Cluster, ClusterError> {
        let log = LogStore::open(env, directory)?;
        let machine = Machine::open(env, directory)?;
        crate::raft::check_pair(directory, &log, &machine)?;
        let local = peers.local();
        let config = crate::raft::config(&local.cluster().to_string(), tuning).map_err(|error| ClusterError::Raft(error.to_string()))?;
        learn_members(peers, &machine.state());
        let raft = Raft::new(local.node(), Arc::new(config), Network::new(peers.clone()), log, machine.clone())
            .await
            .map_err(|error| ClusterError::Raft(error.to_string()))?;
        let shared = Arc::new(Shared {
            env: env.clone(),
            peers: peers.clone(),
            raft,
            machine,
            leadership: watch::Sender::default(),
            failure: watch::Sender::default(),
            ended: CancellationToken::new(),
            membership: Mutex::default(),
        });
        // Neither keeps consensus alive: they end with the last handle.
        tokio::spawn(watch_raft((shared.raft.server_metrics(), shared.raft.metrics()), shared.leadership.clone(), shared.failure.clone()));
        tokio::spawn(watch_state(shared.peers.clone(), shared.machine.downgrade(), shared.machine.index()));
        tokio::spawn(name_leaders(shared.leadership.subscribe(), shared.machine.downgrade(), shared.machine.events()));
        Ok(Cluster { shared })
    }

    /// Adds what a manager serves to others, and who it still serves: Raft's messages, and requests forwarded to the leader.
    pub fn serve(&self, services: Services) -> Services {
        let raft = Arc::new(RaftService::new(self.shared.raft.clone()));
        let forward = Arc::new(ForwardService::new(self.clone()));
        let services = services.members(Arc::new(self.clone()));
        services.stream(StreamKind::Raft, Allow::Managers, raft).stream(StreamKind::Forward, Allow::Managers, forward)
    }

    /// The state as last applied here.
    pub fn state(&self) -> ClusterState {
        self.shared.machine.state()
    }

    /// The index of [`Cluster::state`].
    pub fn changes(&self) -> watch::Receiver<Index> {
        self.shared.machine.index()
    }

    /// What happens in the cluster, as this node applies it.
    pub fn events(&self) -> Events {
        self.shared.machine.events()
    }

    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    /// Returns once [`Cluster::state`] is at `index` or past it, or the cluster was shut down.
    pub async fn wait_applied(&self, index: Index) {
        // An error says that the machine is gone.
        let _ = self.changes().wait_for(|at| *at >= index).await;
    }

    /// Returns why consensus stopped on this node, once it has without being told to: its disk failed, for example.
    pub async fn failed(&self) -> String {
        let mut failure = self.shared.failure.subscribe();
        let reason = failure.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    /// Returns once this node takes part no longer: it stops, or was demoted.
    pub async fn ended(&self) {
        self.shared.ended.cancelled().await;
    }

    /// Hands leadership over if this node has it, stops taking part, and writes the state down.
    pub async fn shutdown(&self) {
        if let Err(error) = self.hand_over().await {
            warn!(?error, "stopping without a successor");
        }
        self.shared.ended.cancel();
        if let Err(error) = self.shared.raft.shutdown().await {
            error!(%error, "consensus did not stop in order");
        }
        if let Err(error) = self.shared.machine.checkpoint().await {
            error!(%error, "cannot write the state");
        }
    }

    fn leader_now(&self) -> Leadership {
        *self.shared.leadership.borrow()
    }
}

impl Members for Cluster {
    fn role(&self, certified: Certified) -> Option<Role> {
        let state = self.state();
        match state.nodes.get(&certified.node) {
            // The signer knew a later state than this manager has.
            _ if certified.issued > state.index => Some(certified.role),
            // A promotion counts once the node has the certificate for it.
            Some(row) => Some(if row.role == Role::Worker { Role::Worker } else { certified.role }),
            // An id is the index of the entry that added the node: beyond what is applied here it may be new.
            None => (certified.node.0 > state.index.0).then_some(certified.role),
        }
    }
}

/// Follows openraft: who leads, and whether it still runs. Only a change of these wakes it up, not each heartbeat.
async fn watch_raft(
    (mut server, all): (WatchReceiverOf<TypeConfig, RaftServerMetrics<TypeConfig>>, WatchReceiverOf<TypeConfig, RaftMetrics<TypeConfig>>),
    leadership: watch::Sender<Leadership>,
    failure: watch::Sender<Option<String>>,
) {
    loop {
        let now = server.borrow_watched().clone();
        let seen = Leadership { leader: now.current_leader, leading: now.state == ServerState::Leader, term: now.vote.leader_id().term };
        leadership.send_if_modified(|old| std::mem::replace(old, seen) != seen);
        if server.changed().await.is_err() {
            break;
        }
    }
    let running = all.borrow_watched().running_state.clone();
    let term = leadership.borrow().term;
    leadership.send_replace(Leadership { leader: None, leading: false, term });
    if let Err(fatal) = running
        && fatal != Fatal::Stopped
    {
        error!(error = %fatal, "consensus stopped");
        failure.send_replace(Some(fatal.to_string()));
    }
}

/// Says who leads where a term only has a number.
async fn name_leaders(mut leadership: watch::Receiver<Leadership>, machine: WeakMachine, events: Events) {
    loop {
        let now = *leadership.borrow_and_update();
        if let Some(leader) = now.leader {
            let Some(state) = machine.state() else { return };
            let hostname = state.nodes.get(&leader).map(|node| node.hostname.clone());
            events.leads(now.term, leader.to_string(), hostname.unwrap_or_else(|| leader.to_string()));
        }
        if leadership.changed().await.is_err() {
            return;
        }
    }
}

/// Follows the state: where members are, and which epoch the cluster is in.
async fn watch_state(peers: Peers, machine: WeakMachine, mut changes: watch::Receiver<Index>) {
    let mut seen = ClusterState::default();
    while let Some(state) = machine.state() {
        if !state.nodes.ptr_eq(&seen.nodes) {
            learn_members(&peers, &state);
        }
        seen = state;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn learn_members(peers: &Peers, state: &ClusterState) {
    let local = peers.local();
    if let Some(cluster) = &state.cluster {
        local.raise_epoch(cluster.epoch);
    }
    for node in state.nodes.values().filter(|node| node.id != local.node()) {
        peers.learn(node.id, node.address, node.role);
    }
}
