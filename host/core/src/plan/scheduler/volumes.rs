//! Volumes pin their tasks to the node that holds the data.
use std::sync::Arc;

use crate::command::Change;
use crate::id::{NodeId, VolumeId};
use crate::spec::{Labels, TaskTemplate, VolumeSpec, has_placeholder};
use crate::state::{Availability, ClusterState, NodeStatus, Slot, Task};

use super::super::draft::Draft;

/// The node that holds the task's volumes, `None` while none is bound; an error says what the task waits for.
pub(super) fn holder(state: &ClusterState, task: &Task) -> Result<Option<NodeId>, String> {
    let template = expected(state, task);
    let mut found: Option<(NodeId, &str)> = None;
    for name in template.volumes().filter(|name| !has_placeholder(name)) {
        let Some(volume) = state.volume_named(name) else {
            // It will be made on the node after which it is named.
            if task.template.has_placeholders() {
                continue;
            }
            return Err(format!("volume '{name}' does not exist"));
        };
        match (volume.node, found) {
            (Some(node), Some((other, earlier))) if node != other => {
                return Err(format!("volume '{earlier}' is held by node {other}, but volume '{name}' by node {node}"));
            }
            (Some(node), _) => found = Some((node, name)),
            (None, _) => {}
        }
    }
    let Some((node, volume)) = found else { return Ok(None) };
    if let Some(state) = absence(state, node) {
        return Err(format!("volume '{volume}' is held by node {state}"));
    }
    before_it(state, task, &template, node).map_or(Ok(Some(node)), Err)
}

/// The template as it will be, as far as the node is known: a global service's task knows its own.
fn expected(state: &ClusterState, task: &Task) -> Arc<TaskTemplate> {
    let node = match task.slot {
        Slot::Node(node) => state.nodes.get(&node),
        Slot::Replica(_) => None,
    };
    node.map_or_else(|| Arc::clone(&task.template), |node| node.names_in(&task.template))
}

/// `n2 (host2), which is down`; `None` when the node takes tasks.
fn absence(state: &ClusterState, node: NodeId) -> Option<String> {
    let Some(row) = state.nodes.get(&node) else { return Some(format!("{node}, which was removed")) };
    let word = match (row.status, row.availability) {
        (NodeStatus::Down, _) => "is down",
        (NodeStatus::Unknown, _) => "is not connected yet",
        (_, Availability::Pause) => "is paused",
        (_, Availability::Drain) => "is drained",
        _ => return None,
    };
    Some(format!("{node} ({}), which {word}", row.hostname))
}

/// Whoever is on the way out with the volume must have ended: an older task of the slot, or one that is told to stop.
fn before_it(state: &ClusterState, task: &Task, template: &TaskTemplate, node: NodeId) -> Option<String> {
    let leaves = |other: &Task| !other.is_live() || (other.service == task.service && other.slot == task.slot);
    let mut others = state.tasks_of_node(node).filter(|other| other.id != task.id && other.occupies_node() && leaves(other));
    others.find_map(|other| {
        let volume = other.template.volumes().find(|volume| template.mounts_volume(volume))?;
        Some(format!("volume '{volume}' is still in use by task {} ({}), which is to stop first", state.task_name(other), other.id))
    })
}

/// Binds what is still free to the node, and makes what is named after it. An error says why the task cannot go there.
pub(super) fn bind(draft: &mut Draft, task: &Task, node: NodeId) -> Result<(), String> {
    let Some(row) = draft.state.nodes.get(&node) else { return Err(format!("node {node} was removed")) };
    let template = row.names_in(&task.template);
    for name in template.volumes() {
        let change = match draft.state.volume_named(name) {
            Some(volume) if volume.node.is_none() => Change::BindVolume { volume: volume.id, node },
            Some(volume) if volume.node == Some(node) => continue,
            Some(_) => return Err(format!("volume '{name}', which is named after its node, is held by another node")),
            None => {
                let spec = VolumeSpec { name: name.clone(), labels: Labels::new(), node: Some(node) };
                Change::CreateVolume { volume: VolumeId(draft.next_id()), spec }
            }
        };
        if !draft.push(change) {
            return Err(format!("volume '{name}' cannot be made on node {node}; its name must be a DNS label"));
        }
    }
    Ok(())
}
