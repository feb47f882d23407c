//! The handle on the replicated state, on managers: propose, read, watch, and change who is a manager.
//!
//! Any manager serves it: what only the leader can do is forwarded over `StreamKind::Forward`.
use std::net::SocketAddr;
use std::sync::Arc;

use minicloud_core::command::{Applied, Command, Rejection};
use minicloud_core::id::{Index, NodeId};
use minicloud_core::state::ClusterState;
use tokio::sync::watch;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    state: ClusterState,
    applied: watch::Sender<Index>,
    leadership: watch::Sender<Leadership>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManagerStatus {
    pub node: NodeId,
    pub address: SocketAddr,
    pub leader: bool,
    /// A learner catches up and does not vote yet.
    pub voter: bool,
    pub reachable: bool,
}

impl Cluster {
    /// Proposes a command and waits until it is applied on the leader. Any manager forwards; "no leader" is
    /// retried for a bounded time, under one idempotency key.
    pub async fn propose(&self, _command: Command) -> Result<Applied, ProposeError> {
        Err(ProposeError::Unavailable("not wired yet".into()))
    }

    /// The state with everything in it that was acknowledged before this call (ReadIndex).
    pub async fn read(&self) -> Result<ClusterState, ProposeError> {
        Err(ProposeError::Unavailable("not wired yet".into()))
    }

    /// The state as last applied here.
    pub fn state(&self) -> ClusterState {
        self.shared.state.clone()
    }

    /// The index of [`Cluster::state`].
    pub fn changes(&self) -> watch::Receiver<Index> {
        self.shared.applied.subscribe()
    }

    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    /// Returns once [`Cluster::state`] is at `index` or past it, or the cluster was shut down.
    pub async fn wait_applied(&self, index: Index) {
        let mut applied = self.changes();
        let _ = applied.wait_for(|at| *at >= index).await;
    }

    /// Makes a member a manager: learner, caught up, voter. Repeating it does nothing more.
    pub async fn add_manager(&self, _node: NodeId, _address: SocketAddr) -> Result<(), ProposeError> {
        Err(ProposeError::Unavailable("not wired yet".into()))
    }

    /// Takes a manager out of the log's membership; the leader hands over first when it is itself.
    pub async fn remove_manager(&self, _node: NodeId) -> Result<(), ProposeError> {
        Err(ProposeError::Unavailable("not wired yet".into()))
    }

    /// Makes another voter the leader; does nothing when there is none.
    pub async fn transfer_leadership(&self) -> Result<(), ProposeError> {
        Err(ProposeError::Unavailable("not wired yet".into()))
    }

    /// All managers; `reachable` is the leader's word, asked for when this node does not lead.
    pub async fn managers(&self) -> Vec<ManagerStatus> {
        Vec::new()
    }
}
