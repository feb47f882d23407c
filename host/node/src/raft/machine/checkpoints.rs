//! Writes the state down: every [`CHECKPOINT_INTERVAL`] while it changes, at once when asked, and at the end.
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Weak};

use minicloud_core::state::ClusterState;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::error;

use super::Shared;
use crate::env::Disk;
use crate::limits::CHECKPOINT_INTERVAL;
use crate::raft::store::{Dirty, Position, StateStore};

type Request = oneshot::Sender<io::Result<()>>;

/// Runs until the machine is dropped.
pub(super) async fn run(
    disk: Arc<dyn Disk>,
    store: StateStore,
    machine: Weak<Shared>,
    mut requests: mpsc::Receiver<Request>,
    mut written: Position,
) {
    loop {
        let due = Instant::now() + CHECKPOINT_INTERVAL;
        let request = match timeout_at(due, requests.recv()).await {
            Ok(Some(request)) => Some(request),
            Ok(None) => return,
            Err(_) => None,
        };
        let Some(shared) = machine.upgrade() else { return };
        let Some((state, position, dirty)) = take(&shared, &written) else {
            request.map(|request| request.send(Ok(())));
            continue;
        };
        disk.before_commit().await;
        let result = store.checkpoint(&state, &position, &dirty);
        match &result {
            Ok(()) => written = position,
            Err(error) => {
                error!(%error, "cannot write the state");
                shared.applied().dirty.merge(dirty);
            }
        }
        // Nobody waits any more when the node shuts down.
        request.map(|request| request.send(result.map_err(io::Error::other)));
    }
}

/// What must be written, if anything changed since `written`.
fn take(shared: &Shared, written: &Position) -> Option<(ClusterState, Position, Dirty)> {
    let mut applied = shared.applied();
    if *written == applied.position {
        return None;
    }
    let dirty = std::mem::replace(&mut applied.dirty, Dirty::Rows(BTreeSet::new()));
    Some((applied.state.clone(), applied.position.clone(), dirty))
}

impl Dirty {
    pub(super) fn extend(&mut self, keys: impl IntoIterator<Item = minicloud_core::state::RowKey>) {
        if let Dirty::Rows(rows) = self {
            rows.extend(keys);
        }
    }

    /// Puts back what could not be written.
    fn merge(&mut self, earlier: Dirty) {
        match earlier {
            Dirty::Rows(keys) => self.extend(keys),
            Dirty::Everything => *self = Dirty::Everything,
        }
    }
}
