//! The state machine: applies committed entries to the state in memory, and has it written down now and then.
//!
//! A snapshot is a clone of the state, which costs nothing; `network` sends it row by row. Only entries reach the
//! state here, so `Cluster` and everything behind it only ever read it.
mod checkpoints;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures::{Stream, TryStreamExt};
use minicloud_core::event::{self, Event};
use minicloud_core::id::Index;
use minicloud_core::state::{ClusterState, RowKey};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use tokio::sync::{mpsc, oneshot, watch};

use super::store::{Dirty, Position, StateStore};
use super::{Proposal, Reply, Snapshot, SnapshotMeta, StoreError, StoredMembership, TypeConfig};
use crate::env::{Clock, Env};
use crate::events::Events;
use crate::raft::LogId;

pub use super::store::FILE;

/// Requests for a checkpoint that wait; there are never more than openraft's few callers.
const CHECKPOINT_QUEUE_MAX: usize = 16;

/// Handle on the applied state. Cheap to clone.
#[derive(Clone)]
pub struct Machine {
    shared: Arc<Shared>,
}

/// A state as a snapshot carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotState(pub ClusterState);

struct Shared {
    applied: Mutex<Applied>,
    index: watch::Sender<Index>,
    events: Events,
    clock: Arc<dyn Clock>,
    checkpoints: mpsc::Sender<oneshot::Sender<io::Result<()>>>,
}

/// What has been applied, and which of it is not on disk.
struct Applied {
    state: ClusterState,
    position: Position,
    dirty: Dirty,
    snapshot: Option<(SnapshotMeta, SnapshotState)>,
}

impl Machine {
    /// Opens or creates the state in `directory`.
    pub fn open(env: &Env, directory: &Path) -> Result<Machine, StoreError> {
        let (store, state, position) = StateStore::open(env, directory)?;
        let (index, _) = watch::channel(state.index);
        let (checkpoints, requests) = mpsc::channel(CHECKPOINT_QUEUE_MAX);
        let meta = SnapshotMeta { last_log_id: position.applied, last_membership: position.membership.clone() };
        let snapshot = position.applied.map(|_| (meta, SnapshotState(state.clone())));
        let applied = Mutex::new(Applied { state, position, dirty: Dirty::Rows(BTreeSet::new()), snapshot });
        let (events, clock) = (Events::default(), env.clock.clone());
        let shared = Arc::new(Shared { applied, index, events, clock, checkpoints });
        let written = shared.applied().position.clone();
        let writer = checkpoints::run(env.disk.clone(), store, Arc::downgrade(&shared), requests, written);
        let spawned = env.disk.spawn_writer("state", Box::pin(writer));
        spawned.map_err(|source| StoreError::Io { path: directory.join(FILE), source })?;
        Ok(Machine { shared })
    }

    /// The state as last applied.
    pub fn state(&self) -> ClusterState {
        self.shared.applied().state.clone()
    }

    /// Whether any entry of the log has reached the state.
    pub fn has_applied(&self) -> bool {
        self.shared.applied().position.applied.is_some()
    }

    /// Looks at the state without keeping it alive.
    pub fn downgrade(&self) -> WeakMachine {
        WeakMachine(Arc::downgrade(&self.shared))
    }

    /// The index of [`Machine::state`], as it grows.
    pub fn index(&self) -> watch::Receiver<Index> {
        self.shared.index.subscribe()
    }

    /// What happened, entry by entry, since the machine was opened.
    pub fn events(&self) -> Events {
        self.shared.events.clone()
    }

    /// Returns once everything applied so far is on disk.
    pub async fn checkpoint(&self) -> io::Result<()> {
        let gone = || io::Error::other("the state's writer has stopped");
        let (done, result) = oneshot::channel();
        self.shared.checkpoints.send(done).await.map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

/// See [`Machine::downgrade`].
pub struct WeakMachine(Weak<Shared>);

impl WeakMachine {
    /// The state as last applied; `None` once the machine is gone.
    pub fn state(&self) -> Option<ClusterState> {
        self.0.upgrade().map(|shared| shared.applied().state.clone())
    }
}

impl Shared {
    fn applied(&self) -> MutexGuard<'_, Applied> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, applied: Applied) {
        let index = applied.state.index;
        *self.applied() = applied;
        self.index.send_replace(index);
    }
}

/// Entries applied to a copy of the state, until they are published together.
struct Batch {
    state: ClusterState,
    position: Position,
    touched: BTreeSet<RowKey>,
    events: Vec<Event>,
    /// The terms that began with these entries.
    terms: Vec<(u64, Index)>,
}

impl Batch {
    fn apply(&mut self, log_id: LogId, payload: EntryPayload<Proposal, minicloud_core::id::NodeId, super::Member>) -> Reply {
        if self.position.applied.is_some_and(|applied| log_id.index() <= applied.index()) {
            return Reply(None);
        }
        let index = Index(log_id.index());
        let term = |log_id: &LogId| log_id.committed_leader_id().term;
        if self.position.applied.as_ref().map(term) != Some(term(&log_id)) {
            self.terms.push((term(&log_id), index));
        }
        self.position.applied = Some(log_id);
        let reply = match payload {
            EntryPayload::Blank => None,
            EntryPayload::Membership(membership) => {
                self.position.membership = StoredMembership::new(Some(log_id), membership);
                None
            }
            EntryPayload::Normal(Proposal(request)) => {
                let before = self.state.clone();
                let (outcome, touched) = self.state.apply(index, &request);
                self.events.extend(event::events(&before, &self.state, &touched, request.at));
                self.touched.extend(touched);
                Some(outcome)
            }
        };
        self.state.set_index(index);
        Reply(reply)
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotState;
    type SnapshotBuilder = Machine;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let applied = self.shared.applied();
        Ok((applied.position.applied, applied.position.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut batch = {
            let applied = self.shared.applied();
            Batch {
                state: applied.state.clone(),
                position: applied.position.clone(),
                touched: BTreeSet::new(),
                events: Vec::new(),
                terms: Vec::new(),
            }
        };
        let mut replies = Vec::new();
        while let Some((entry, responder)) = entries.try_next().await? {
            let log_id = entry.log_id();
            let reply = batch.apply(log_id, entry.payload);
            replies.extend(responder.map(|responder| (responder, reply)));
        }
        self.shared.absorb(batch);
        for (responder, reply) in replies {
            responder.send(reply);
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotState) -> io::Result<()> {
        let position = Position { applied: meta.last_log_id, membership: meta.last_membership.clone() };
        let snapshot_row = Some((meta.clone(), snapshot.clone()));
        let events = self.shared.skipped(&snapshot.0);
        self.shared.publish(Applied { state: snapshot.0, position, dirty: Dirty::Everything, snapshot: snapshot_row });
        self.shared.events.push(events);
        // The log up to here may be dropped once this returns.
        self.checkpoint().await
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.shared.applied().snapshot.clone().map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    type SnapshotData = SnapshotState;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let (meta, snapshot) = {
            let applied = self.shared.applied();
            let position = applied.position.clone();
            let meta = SnapshotMeta { last_log_id: position.applied, last_membership: position.membership };
            (meta, SnapshotState(applied.state.clone()))
        };
        // Reporting the snapshot allows the log up to here to be dropped, so the state must be on disk first.
        self.checkpoint().await?;
        self.shared.applied().snapshot = Some((meta.clone(), snapshot.clone()));
        Ok(Snapshot { meta, snapshot })
    }
}

impl Shared {
    fn absorb(&self, batch: Batch) {
        let index = batch.state.index;
        {
            let mut applied = self.applied();
            applied.state = batch.state;
            applied.position = batch.position;
            applied.dirty.extend(batch.touched);
        }
        self.index.send_replace(index);
        batch.terms.into_iter().for_each(|(term, index)| self.events.term_began(term, index, self.clock.now()));
        self.events.push(batch.events);
    }

    /// What happened in the entries that a snapshot stands for, as far as it still shows. A new manager has seen nothing
    /// before, and to it all of that is no news.
    fn skipped(&self, snapshot: &ClusterState) -> Vec<Event> {
        let before = self.state();
        if before.cluster.is_none() {
            return Vec::new();
        }
        let keys: BTreeSet<RowKey> = before.rows().chain(snapshot.rows()).map(|(key, _)| key).collect();
        event::events(&before, snapshot, &keys.into_iter().collect::<Vec<_>>(), self.clock.now())
    }

    fn state(&self) -> ClusterState {
        self.applied().state.clone()
    }
}
