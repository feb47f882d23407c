//! Volumes: which node holds the data, and who mounts it.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::Rejection;
use crate::id::{Index, NodeId, VolumeId};
use crate::spec::{TaskTemplate, VolumeSpec};
use crate::time::Timestamp;

use super::{ClusterState, Row, RowKey, Writer, validate};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    pub id: VolumeId,
    pub spec: VolumeSpec,
    /// The node that holds the data.
    pub node: Option<NodeId>,
    pub created_at: Timestamp,
    pub version: Index,
    /// To be forgotten once its node has removed the data. Nobody finds it by name or id any more.
    #[serde(default)]
    pub removing: bool,
}

impl Writer<'_> {
    pub(super) fn create_volume(&mut self, id: VolumeId, spec: &VolumeSpec) -> Result<(), Rejection> {
        let name = &spec.name;
        validate::name("volume", name)?;
        validate::labels(&spec.labels)?;
        if self.state.volume_named(name).is_some() {
            return Err(Rejection::Conflict(format!("volume '{name}' already exists; mount it, or choose another name")));
        }
        validate::fresh_id("volume", self.state.volumes.contains_key(&id))?;
        if let Some(node) = spec.node.filter(|node| !self.state.nodes.contains_key(node)) {
            return Err(Rejection::NotFound(format!("node {node} is not a member of this cluster; see 'minicloud node ls'")));
        }
        let volume = Volume { id, spec: spec.clone(), node: spec.node, created_at: self.at, version: self.index, removing: false };
        self.put(Row::Volume(Arc::new(volume)));
        Ok(())
    }

    pub(super) fn remove_volume(&mut self, id: VolumeId) -> Result<(), Rejection> {
        let Some(volume) = self.state.volumes.get(&id).filter(|volume| !volume.removing) else {
            return Err(Rejection::NotFound(format!("no volume {id}; see 'minicloud volume ls'")));
        };
        let name = &volume.spec.name;
        let mounts = |template: &TaskTemplate| template.mounts_volume(name);
        let holds = |id| self.state.tasks_of_service(id).any(|task| !task.status.state.is_final() && mounts(&task.template));
        let users = self.state.services.values().filter(|service| mounts(&service.spec.task) || holds(service.id));
        let users: Vec<&str> = users.map(|service| service.spec.name.as_str()).collect();
        if let Some(users) = validate::users(&users) {
            return Err(Rejection::Conflict(format!("volume '{name}' is used by {users}; remove that first")));
        }
        match volume.node.filter(|node| self.state.nodes.contains_key(node)) {
            Some(_) => self.edit_volume(id, |volume| volume.removing = true),
            None => self.remove(RowKey::Volume(id)),
        }
        Ok(())
    }

    /// The node has removed the data. Volumes that are not to go, or not from there, are passed over.
    pub(super) fn forget_volumes(&mut self, node: NodeId, volumes: &[VolumeId]) {
        for id in volumes {
            if self.state.volumes.get(id).is_some_and(|volume| volume.removing && volume.node == Some(node)) {
                self.remove(RowKey::Volume(*id));
            }
        }
    }
}

impl ClusterState {
    pub(crate) fn volume_named(&self, name: &str) -> Option<&Arc<Volume>> {
        self.volumes.values().find(|volume| volume.spec.name == name && !volume.removing)
    }

    /// Volumes whose data this node is to remove.
    pub fn volumes_leaving(&self, node: NodeId) -> Vec<VolumeId> {
        let leaving = self.volumes.values().filter(|volume| volume.removing && volume.node == Some(node));
        leaving.map(|volume| volume.id).collect()
    }
}
