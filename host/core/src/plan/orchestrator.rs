//! How many tasks there are: slots are opened and closed until their number is the wanted one.
//!
//! What happens inside an open slot is the business of `restart` and `update`.
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::id::NodeId;
use crate::spec::ServiceMode;
use crate::state::{Availability, Node, Service, Slot};
use crate::task::TaskState;

use super::draft::Draft;
use super::slots::{SlotTasks, slots, stops_first};

pub(super) fn run(draft: &mut Draft) {
    let services: Vec<_> = draft.state.services.values().cloned().collect();
    for service in services {
        let slots = slots(&draft.state, &service);
        match service.spec.mode {
            _ if service.removing => close(draft, slots.iter()),
            ServiceMode::Replicated { replicas } => replicated(draft, &service, &slots, replicas as usize),
            ServiceMode::Global => global(draft, &service, &slots),
            // The business of `jobs`.
            ServiceMode::ReplicatedJob { .. } | ServiceMode::GlobalJob => {}
        }
    }
}

fn replicated(draft: &mut Draft, service: &Service, slots: &[SlotTasks], replicas: usize) {
    let (open, others): (Vec<_>, Vec<_>) = slots.iter().partition(|slot| matches!(slot.slot, Slot::Replica(_)));
    hand_over(draft, service, &open, replicas, others);
    if open.len() > replicas {
        let surplus = open.len() - replicas;
        close(draft, first_to_go(open).into_iter().take(surplus));
    } else {
        let missing = replicas - open.len();
        let taken: BTreeSet<Slot> = open.iter().map(|slot| slot.slot).collect();
        let free = (1..).map(Slot::Replica).filter(|slot| !taken.contains(slot));
        let _full = free.take(missing).try_for_each(|slot| draft.create(service, slot).then_some(()));
    }
}

/// Slots in the order in which a scale-down closes them: not running first, then from the node that has most, then
/// the highest number.
pub(super) fn first_to_go(mut slots: Vec<&SlotTasks>) -> Vec<&SlotTasks> {
    let mut nth_on_node: BTreeMap<NodeId, usize> = BTreeMap::new();
    slots.sort_by_key(|slot| (!is_running(slot), slot.slot));
    let mut keyed: Vec<_> = slots.into_iter().map(|slot| (rank(slot, &mut nth_on_node), slot)).collect();
    keyed.sort_by_key(|(rank, slot)| (is_running(slot), Reverse(*rank), Reverse(slot.slot)));
    keyed.into_iter().map(|(_, slot)| slot).collect()
}

/// The how-many-th slot of the service this is on its node.
fn rank(slot: &SlotTasks, nth_on_node: &mut BTreeMap<NodeId, usize>) -> usize {
    let Some(node) = slot.live().last().and_then(|task| task.node) else { return 0 };
    let nth = nth_on_node.entry(node).or_default();
    *nth += 1;
    *nth
}

fn is_running(slot: &SlotTasks) -> bool {
    slot.tasks.iter().any(|task| task.is_running())
}

/// One slot for every node that is eligible. A node that is down keeps its slot: nothing can run there instead, and
/// when it returns the task may still be running.
fn global(draft: &mut Draft, service: &Service, slots: &[SlotTasks]) {
    let keeps = |node: &Node| node.availability != Availability::Drain && node.satisfies(&service.spec.task.constraints);
    let (replicas, own): (Vec<_>, Vec<_>) = slots.iter().partition(|slot| matches!(slot.slot, Slot::Replica(_)));
    let node_of = |slot: &SlotTasks| match slot.slot {
        Slot::Node(node) => draft.state.nodes.get(&node),
        Slot::Replica(_) => None,
    };
    let eligible = |slot: &SlotTasks| node_of(slot).is_some_and(|node| keeps(node));
    let (open, ineligible): (Vec<_>, Vec<_>) = own.into_iter().partition(|slot| eligible(slot));
    let taken: BTreeSet<Slot> = open.iter().map(|slot| slot.slot).collect();
    let takes = |node: &Node| keeps(node) && node.is_ready() && node.availability == Availability::Active;
    let taking = draft.state.nodes.values().filter(|node| takes(node)).map(|node| Slot::Node(node.id));
    let missing: Vec<Slot> = taking.filter(|slot| !taken.contains(slot)).collect();
    close(draft, ineligible);
    hand_over(draft, service, &open, open.len() + missing.len(), replicas);
    let _full = missing.into_iter().try_for_each(|slot| draft.create(service, slot).then_some(()));
}

/// After a change of mode, slots of the other kind go one by one as those of this kind run.
fn hand_over(draft: &mut Draft, service: &Service, open: &[&SlotTasks], wanted: usize, others: Vec<&SlotTasks>) {
    let settled = open.iter().filter(|slot| is_running(slot) || slot.live().is_empty()).count();
    let kept = if stops_first(service) { 0 } else { wanted.saturating_sub(settled) };
    close(draft, others.into_iter().skip(kept));
}

/// The slots' tasks, with their history, are to stop and be forgotten.
pub(super) fn close<'a>(draft: &mut Draft, slots: impl IntoIterator<Item = &'a SlotTasks>) {
    for task in slots.into_iter().flat_map(|slot| &slot.tasks) {
        draft.set_desired(task.id, TaskState::Remove);
    }
}
