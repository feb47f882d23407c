//! The tasks of a service slot by slot, and what several stages ask of a task.
use std::sync::Arc;

use crate::spec::{PublishMode, UpdateOrder};
use crate::state::{Availability, ClusterState, NodeStatus, Service, Slot, Task};
use crate::task::TaskState;

/// One slot's tasks that are not to be removed, oldest first; never empty.
#[derive(Debug)]
pub(super) struct SlotTasks {
    pub(super) slot: Slot,
    pub(super) tasks: Vec<Arc<Task>>,
}

impl SlotTasks {
    /// The last task created here.
    pub(super) fn newest(&self) -> &Arc<Task> {
        self.tasks.last().expect("slots are made from their tasks")
    }

    /// Tasks that are wanted and have not ended, oldest first.
    pub(super) fn live(&self) -> Vec<&Arc<Task>> {
        self.tasks.iter().filter(|task| task.is_live()).collect()
    }
}

/// The occupied slots of a service, in order.
pub(super) fn slots(state: &ClusterState, service: &Service) -> Vec<SlotTasks> {
    let mut slots: Vec<SlotTasks> = Vec::new();
    for task in state.tasks_of_service(service.id).filter(|task| task.desired < TaskState::Remove) {
        match slots.last_mut() {
            Some(last) if last.slot == task.slot => last.tasks.push(Arc::clone(task)),
            _ => slots.push(SlotTasks { slot: task.slot, tasks: vec![Arc::clone(task)] }),
        }
    }
    for slot in &mut slots {
        slot.tasks.sort_by_key(|task| (task.created, task.id));
    }
    slots
}

/// The occupied slots of the kind that the service's mode has; after a change of mode the others only wait to go.
pub(super) fn own_slots(state: &ClusterState, service: &Service) -> Vec<SlotTasks> {
    let mut slots = slots(state, service);
    slots.retain(|slot| is_own(service, slot.slot));
    slots
}

/// Of the kind that the service's mode has.
pub(super) fn is_own(service: &Service, slot: Slot) -> bool {
    matches!(slot, Slot::Node(_)) == service.spec.mode.is_per_node()
}

/// Its node is down or gone, so nothing is known of it.
pub(super) fn is_lost(state: &ClusterState, task: &Task) -> bool {
    let down = |id| state.nodes.get(&id).is_none_or(|node| node.status == NodeStatus::Down);
    task.node.is_some_and(down)
}

/// Runs another template than the service has now: an older one, or after a rollback the one that was taken back.
pub(super) fn is_outdated(service: &Service, task: &Task) -> bool {
    task.template_version != service.template_version
}

/// Its node is being drained, or is no longer what the service asks for.
pub(super) fn is_misplaced(state: &ClusterState, service: &Service, task: &Task) -> bool {
    let node = task.node.and_then(|id| state.nodes.get(&id));
    node.is_some_and(|node| node.availability == Availability::Drain || !node.satisfies(&service.spec.task.constraints))
}

/// As it should be, or on its way there: nothing asks for its replacement.
pub(super) fn is_good(state: &ClusterState, service: &Service, task: &Task) -> bool {
    !is_outdated(service, task) && !is_misplaced(state, service, task) && !is_lost(state, task)
}

/// Whether the old task of a slot must have ended before the new one may start.
///
/// A volume is never in two tasks of a slot at once, whatever order was asked for.
pub(super) fn stops_first(service: &Service) -> bool {
    let host_ports = service.spec.ports.iter().any(|port| port.mode == PublishMode::Host);
    match service.update_config().order {
        _ if service.spec.task.volumes().next().is_some() => true,
        Some(order) => order == UpdateOrder::StopFirst,
        None => host_ports,
    }
}
