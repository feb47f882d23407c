//! The one way to write rows: keeps the derived lookups right and remembers what was touched.
//!
//! Used by `apply`, by the rooms of `state`, and by `plan` on its working copy.
use std::sync::Arc;

use crate::command::Outcome;
use crate::id::{FileId, Index, NetworkId, NodeId, RequestKey, ServiceId, TaskId, VolumeId};
use crate::limits;
use crate::time::Timestamp;

use super::{Answer, ClusterState, File, Network, Node, Row, RowKey, Service, Task, Volume};

pub(crate) struct Writer<'a> {
    pub(super) state: &'a mut ClusterState,
    /// The entry that is applied; every row it writes gets this version.
    pub(super) index: Index,
    /// The proposer's clock.
    pub(super) at: Timestamp,
    touched: Vec<RowKey>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(state: &'a mut ClusterState, index: Index, at: Timestamp) -> Self {
        Writer { state, index, at, touched: Vec::new() }
    }

    pub(super) fn put(&mut self, row: Row) {
        self.touched.push(row.key());
        self.state.put_row(row);
    }

    pub(super) fn remove(&mut self, key: RowKey) {
        self.touched.push(key);
        self.state.remove_row(key);
    }

    /// Changes a node's row, which must exist.
    pub(super) fn edit_node(&mut self, id: NodeId, edit: impl FnOnce(&mut Node)) {
        if let Some(mut row) = self.state.nodes.get(&id).cloned() {
            let node = Arc::make_mut(&mut row);
            edit(node);
            node.version = self.index;
            self.put(Row::Node(row));
        }
    }

    /// Changes a service's row, which must exist. Its version is the caller's business: it dates the spec.
    pub(super) fn edit_service(&mut self, id: ServiceId, edit: impl FnOnce(&mut Service)) {
        if let Some(mut row) = self.state.services.get(&id).cloned() {
            edit(Arc::make_mut(&mut row));
            self.put(Row::Service(row));
        }
    }

    pub(super) fn edit_task(&mut self, id: TaskId, edit: impl FnOnce(&mut Task)) {
        if let Some(mut row) = self.state.tasks.get(&id).cloned() {
            let task = Arc::make_mut(&mut row);
            edit(task);
            task.version = self.index;
            self.put(Row::Task(row));
        }
    }

    pub(super) fn edit_network(&mut self, id: NetworkId, edit: impl FnOnce(&mut Network)) {
        if let Some(mut row) = self.state.networks.get(&id).cloned() {
            let network = Arc::make_mut(&mut row);
            edit(network);
            network.version = self.index;
            self.put(Row::Network(row));
        }
    }

    pub(super) fn edit_volume(&mut self, id: VolumeId, edit: impl FnOnce(&mut Volume)) {
        if let Some(mut row) = self.state.volumes.get(&id).cloned() {
            let volume = Arc::make_mut(&mut row);
            edit(volume);
            volume.version = self.index;
            self.put(Row::Volume(row));
        }
    }

    pub(super) fn edit_file(&mut self, id: FileId, edit: impl FnOnce(&mut File)) {
        if let Some(mut row) = self.state.files.get(&id).cloned() {
            let file = Arc::make_mut(&mut row);
            edit(file);
            file.version = self.index;
            self.put(Row::File(row));
        }
    }

    /// Keeps the answer for a retry of the request, and forgets the oldest ones.
    pub(super) fn record(&mut self, key: RequestKey, outcome: &Outcome) {
        self.put(Row::Answer(Arc::new(Answer { key, index: self.index, outcome: outcome.clone() })));
        while self.state.answers.len() > limits::REQUEST_ANSWERS_MAX {
            let Some(oldest) = self.state.lookup.oldest_answer() else { break };
            self.remove(RowKey::Answer(oldest));
        }
    }

    /// The rows written or removed, each once, in order.
    pub(super) fn touched(mut self) -> Vec<RowKey> {
        self.touched.sort_unstable();
        self.touched.dedup();
        self.touched
    }
}
