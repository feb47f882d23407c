//! What follows from the rows and must be found fast: tasks by service and by node, who holds an address.
//!
//! Kept right by `put_row` and `remove_row` alone; never stored.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::id::{Index, NetworkId, NodeId, RequestKey, ServiceId, TaskId};

use super::{Answer, ClusterState, Service, Slot, Task};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Lookup {
    tasks_of_service: OrdSet<(ServiceId, Slot, TaskId)>,
    tasks_of_node: OrdSet<(NodeId, TaskId)>,
    addresses: OrdMap<(NetworkId, Ipv4Addr), Holder>,
    answers: OrdSet<(Index, RequestKey)>,
}

/// Who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    Task(TaskId),
    /// As a virtual address.
    Service(ServiceId),
}

impl Lookup {
    pub(super) fn task(&mut self, old: Option<&Task>, new: Option<&Task>) {
        let place = |task: &Task| (task.service, task.slot, task.id);
        let on_node = |task: &Task| task.node.map(|node| (node, task.id));
        replace(&mut self.tasks_of_service, old.map(place), new.map(place));
        replace(&mut self.tasks_of_node, old.and_then(on_node), new.and_then(on_node));
        let holder = Holder::Task(old.or(new).map_or(TaskId(0), |task| task.id));
        // A task that has ended keeps its addresses for `service ps`, but holds them no more.
        let ended = |task: &&Task| task.status.state.is_final();
        let old = old.filter(|task| !ended(task)).map(|task| &task.addresses);
        let new = new.filter(|task| !ended(task)).map(|task| &task.addresses);
        self.hold(holder, old, new);
    }

    pub(super) fn service(&mut self, old: Option<&Service>, new: Option<&Service>) {
        let holder = Holder::Service(old.or(new).map_or(ServiceId(0), |service| service.id));
        self.hold(holder, old.map(|service| &service.vips), new.map(|service| &service.vips));
    }

    pub(super) fn answer(&mut self, old: Option<&Answer>, new: Option<&Answer>) {
        let place = |answer: &Answer| (answer.index, answer.key);
        replace(&mut self.answers, old.map(place), new.map(place));
    }

    pub(super) fn oldest_answer(&self) -> Option<RequestKey> {
        self.answers.get_min().map(|(_, key)| *key)
    }

    fn hold(&mut self, holder: Holder, old: Option<&Addresses>, new: Option<&Addresses>) {
        if old == new {
            return;
        }
        for (network, address) in old.into_iter().flatten() {
            if self.addresses.get(&(*network, *address)) == Some(&holder) {
                self.addresses.remove(&(*network, *address));
            }
        }
        for (network, address) in new.into_iter().flatten() {
            self.addresses.insert((*network, *address), holder);
        }
    }
}

type Addresses = BTreeMap<NetworkId, Ipv4Addr>;

fn replace<T: Ord + Clone>(set: &mut OrdSet<T>, old: Option<T>, new: Option<T>) {
    if old == new {
        return;
    }
    if let Some(old) = old {
        set.remove(&old);
    }
    if let Some(new) = new {
        set.insert(new);
    }
}

impl ClusterState {
    /// The service's tasks, by slot, then by id.
    pub fn tasks_of_service(&self, service: ServiceId) -> impl Iterator<Item = &Arc<Task>> {
        let all = (service, SLOT_FIRST, TaskId(0))..=(service, SLOT_LAST, TaskId(u64::MAX));
        self.lookup.tasks_of_service.range(all).filter_map(|(_, _, task)| self.tasks.get(task))
    }

    /// The tasks of one slot, by id.
    pub fn tasks_of_slot(&self, service: ServiceId, slot: Slot) -> impl Iterator<Item = &Arc<Task>> {
        let all = (service, slot, TaskId(0))..=(service, slot, TaskId(u64::MAX));
        self.lookup.tasks_of_service.range(all).filter_map(|(_, _, task)| self.tasks.get(task))
    }

    /// The tasks assigned to a node, by id, finished ones included.
    pub fn tasks_of_node(&self, node: NodeId) -> impl Iterator<Item = &Arc<Task>> {
        let all = (node, TaskId(0))..=(node, TaskId(u64::MAX));
        self.lookup.tasks_of_node.range(all).filter_map(|(_, task)| self.tasks.get(task))
    }

    /// Who has this address.
    pub(crate) fn holder(&self, network: NetworkId, address: Ipv4Addr) -> Option<Holder> {
        self.lookup.addresses.get(&(network, address)).copied()
    }
}

const SLOT_FIRST: Slot = Slot::Replica(0);
const SLOT_LAST: Slot = Slot::Node(NodeId(u64::MAX));
