//! The cluster's state: rows, and `apply`, the only writer.
//!
//! One room per noun: `state/service.rs` holds the service's row and the commands that write it. Nothing here
//! reads a clock or decides what should happen next; that is `plan`. The node applies the log, stores the rows
//! that `apply` touched, and rebuilds the state from them.
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::command::{Applied, Command, Outcome, Request};
use crate::id::{FileId, Index, NetworkId, NodeId, RequestKey, ServiceId, TaskId, VolumeId};

mod change;
mod cluster;
mod file;
mod find;
mod lookup;
mod network;
mod node;
mod rows;
mod service;
mod task;
mod validate;
mod volume;
mod writer;

pub use crate::id::Slot;
pub use crate::spec::{Availability, NodeDescription, NodeStatus, Role, UpdateProgress, UpdateState};
pub use cluster::Cluster;
pub use file::File;
pub(crate) use lookup::Holder;
pub use network::{EGRESS, INGRESS, Network};
pub use node::Node;
pub use service::Service;
pub use task::Task;
pub use volume::Volume;
pub(crate) use writer::Writer;

/// Everything the cluster knows. Cloning is O(1); two clones share what they have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterState {
    /// The last entry applied.
    pub index: Index,
    pub cluster: Option<Arc<Cluster>>,
    pub nodes: OrdMap<NodeId, Arc<Node>>,
    pub services: OrdMap<ServiceId, Arc<Service>>,
    pub tasks: OrdMap<TaskId, Arc<Task>>,
    pub networks: OrdMap<NetworkId, Arc<Network>>,
    pub volumes: OrdMap<VolumeId, Arc<Volume>>,
    /// Secrets and configs.
    pub files: OrdMap<FileId, Arc<File>>,
    /// Answers to recent keyed requests, oldest index first to go.
    pub answers: OrdMap<RequestKey, Arc<Answer>>,
    /// Follows from the rows; never stored.
    pub(crate) lookup: lookup::Lookup,
}

/// One row as it is stored and sent in a snapshot. `apply` says which rows it touched by their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RowKey {
    Cluster,
    Node(NodeId),
    Service(ServiceId),
    Task(TaskId),
    Network(NetworkId),
    Volume(VolumeId),
    Answer(RequestKey),
    File(FileId),
}

/// The value of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Row {
    Cluster(Arc<Cluster>),
    Node(Arc<Node>),
    Service(Arc<Service>),
    Task(Arc<Task>),
    Network(Arc<Network>),
    Volume(Arc<Volume>),
    Answer(Arc<Answer>),
    File(Arc<File>),
}

/// What a keyed request was answered, kept for its retries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The key of the request.
    #[serde(default)]
    pub key: RequestKey,
    pub index: Index,
    pub outcome: Outcome,
}

impl ClusterState {
    /// Applies the entry at `index`. The keys name the rows it touched: read each with [`ClusterState::row`].
    ///
    /// An index that was applied before changes nothing, and a request whose key was answered before gets that
    /// answer again. A rejection changes nothing but the index (and the answer, when there is a key).
    pub fn apply(&mut self, index: Index, request: &Request) -> (Outcome, Vec<RowKey>) {
        let answered = request.key.and_then(|key| self.answers.get(&key));
        if let Some(answer) = answered {
            let outcome = answer.outcome.clone();
            self.set_index(index);
            return (outcome, Vec::new());
        }
        if index <= self.index {
            return (Ok(Applied { index, node: None, skipped: 0 }), Vec::new());
        }
        self.index = index;
        let mut writer = Writer::new(self, index, request.at);
        let outcome = writer.command(&request.command);
        if let Some(key) = request.key {
            writer.record(key, &outcome);
        }
        let touched = writer.touched();
        (outcome, touched)
    }

    /// Notes that entries up to `index` are applied, for entries that carry no request.
    pub fn set_index(&mut self, index: Index) {
        self.index = self.index.max(index);
    }
}

impl Writer<'_> {
    /// Dispatches one command to its room.
    fn command(&mut self, command: &Command) -> Outcome {
        let mut applied = Applied { index: self.index, node: None, skipped: 0 };
        match command {
            Command::CreateCluster(cluster) => self.create_cluster(cluster)?,
            Command::RotateJoinSecret { role, secret_hash } => self.rotate_join_secret(*role, secret_hash)?,
            Command::AddNode { hostname, role, availability, address } => {
                applied.node = Some(self.add_node(hostname, *role, *availability, *address)?);
            }
            Command::UpdateNode { node, change } => self.update_node(*node, change)?,
            Command::DescribeNode { node, hostname, address, description } => {
                self.describe_node(*node, hostname, *address, description)?;
            }
            Command::SetNodeStatus { nodes } => self.set_node_status(nodes),
            Command::RemoveNode { node, force } => self.remove_node(*node, *force)?,
            Command::CreateNetwork { id, spec } => self.create_network(*id, spec)?,
            Command::RemoveNetwork { id } => self.remove_network(*id)?,
            Command::CreateVolume { id, spec } => self.create_volume(*id, spec)?,
            Command::RemoveVolume { id } => self.remove_volume(*id)?,
            Command::ForgetVolumes { node, volumes } => self.forget_volumes(*node, volumes),
            Command::SetSealKey { fingerprint, replaces } => self.set_seal_key(fingerprint, *replaces)?,
            Command::CreateFile { id, spec } => self.create_file(*id, spec)?,
            Command::LabelFile { id, labels } => self.label_file(*id, labels)?,
            Command::RemoveFile { id } => self.remove_file(*id)?,
            Command::CreateService { id, spec } => self.create_service(*id, spec)?,
            Command::UpdateService { id, version, spec } => self.update_service(*id, *version, spec)?,
            Command::RollbackService { id, version } => self.rollback_service(*id, *version)?,
            Command::ScaleServices { replicas } => self.scale_services(replicas)?,
            Command::RemoveService { id } => self.remove_service(*id)?,
            Command::ReportStatus { node, tasks } => self.report_status(*node, tasks)?,
            Command::ApplyPlan { changes } => applied.skipped = self.apply_plan(changes),
        }
        Ok(applied)
    }
}
