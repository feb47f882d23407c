//! Volumes pin their tasks to the node that holds the data.
use crate::command::Change;
use crate::id::NodeId;
use crate::state::{Availability, ClusterState, NodeStatus, Task};

use super::super::draft::Draft;

/// The node that holds the task's volumes, `None` while none is bound; an error says what the task waits for.
pub(super) fn holder(state: &ClusterState, task: &Task) -> Result<Option<NodeId>, String> {
    let mut found: Option<(NodeId, &str)> = None;
    for mount in &task.template.mounts {
        let Some(volume) = state.volume_named(&mount.volume) else {
            return Err(format!("volume '{}' does not exist", mount.volume));
        };
        match (volume.node, found) {
            (Some(node), Some((other, name))) if node != other => {
                return Err(format!("volume '{name}' is held by node {other}, but volume '{}' by node {node}", mount.volume));
            }
            (Some(node), _) => found = Some((node, &mount.volume)),
            (None, _) => {}
        }
    }
    let Some((node, volume)) = found else { return Ok(None) };
    if let Some(state) = absence(state, node) {
        return Err(format!("volume '{volume}' is held by node {state}"));
    }
    before_it(state, task, node).map_or(Ok(Some(node)), Err)
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
fn before_it(state: &ClusterState, task: &Task, node: NodeId) -> Option<String> {
    let own = |volume: &str| task.template.mounts.iter().any(|mount| mount.volume == volume);
    let leaves = |other: &Task| !other.is_live() || (other.service == task.service && other.slot == task.slot);
    let mut others = state.tasks_of_node(node).filter(|other| other.id != task.id && other.occupies_node() && leaves(other));
    others.find_map(|other| {
        let volume = &other.template.mounts.iter().find(|mount| own(&mount.volume))?.volume;
        Some(format!("volume '{volume}' is still in use by task {} ({}), which is to stop first", state.task_name(other), other.id))
    })
}

/// Binds what is still free to the node. False when the plan is full.
pub(super) fn bind(draft: &mut Draft, task: &Task, node: NodeId) -> bool {
    let named = task.template.mounts.iter().filter_map(|mount| draft.state.volume_named(&mount.volume));
    let free: Vec<_> = named.filter(|volume| volume.node.is_none()).map(|volume| volume.id).collect();
    free.into_iter().all(|volume| draft.push(Change::BindVolume { volume, node }))
}
