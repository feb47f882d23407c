//! What must hold of every state, whatever commands led to it. For tests, simulations and debug builds.
use std::collections::BTreeMap;
use std::fmt;

use crate::id::Index;
use crate::spec::{FileKind, PublishMode};
use crate::state::{ClusterState, Service, Slot, Task};
use crate::task::TaskState;

/// Something that should never be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every violation of the state's invariants; empty when all is well.
pub fn check(state: &ClusterState) -> Vec<Violation> {
    let mut found = Found::default();
    names(state, &mut found);
    versions(state, &mut found);
    addresses(state, &mut found);
    ports(state, &mut found);
    state.tasks.values().for_each(|task| self::task(state, task, &mut found));
    volumes(state, &mut found);
    lookups(state, &mut found);
    found.0
}

#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn ensure(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Violation(otherwise()));
        }
    }
}

fn names(state: &ClusterState, found: &mut Found) {
    let services = state.services.values().filter(|service| !service.removing).map(|service| ("service", &service.spec.name));
    let networks = state.networks.values().map(|network| ("network", &network.spec.name));
    let volumes = state.volumes.values().filter(|volume| !volume.removing).map(|volume| ("volume", &volume.spec.name));
    let files = state.files.values().map(|file| (if file.spec.kind == FileKind::Secret { "secret" } else { "config" }, &file.spec.name));
    let mut counts = BTreeMap::new();
    services.chain(networks).chain(volumes).chain(files).for_each(|name| *counts.entry(name).or_insert(0) += 1);
    for ((noun, name), count) in counts {
        found.ensure(count == 1, || format!("{count} rows are called {noun} '{name}'"));
    }
}

fn versions(state: &ClusterState, found: &mut Found) {
    let nodes = state.nodes.values().map(|row| (format!("node {}", row.id), row.version));
    let services = state.services.values().map(|row| (format!("service {}", row.id), row.version.max(row.template_version)));
    let tasks = state.tasks.values().map(|row| (format!("task {}", row.id), row.version.max(row.created).max(row.desired_at)));
    let networks = state.networks.values().map(|row| (format!("network {}", row.id), row.version));
    let volumes = state.volumes.values().map(|row| (format!("volume {}", row.id), row.version));
    let files = state.files.values().map(|row| (format!("{} {}", row.spec.kind, row.id), row.version));
    for (row, version) in nodes.chain(services).chain(tasks).chain(networks).chain(volumes).chain(files) {
        found.ensure(version > Index(0) && version <= state.index, || {
            format!("{row} is of version {version}, but the state of index {}", state.index)
        });
    }
}

/// Each address lies in its network and has one holder; what has ended holds none.
fn addresses(state: &ClusterState, found: &mut Found) {
    let tasks = state.tasks.values().filter(|task| !task.status.state.is_final());
    let tasks = tasks.map(|task| (format!("task {}", task.id), &task.addresses));
    let services = state.services.values().map(|service| (format!("service {}", service.id), &service.vips));
    let mut holders = BTreeMap::new();
    for (holder, addresses) in tasks.chain(services) {
        for (network, address) in addresses {
            let subnet = state.networks.get(network).map(|network| network.subnet);
            if let Some(subnet) = subnet {
                found
                    .ensure(subnet.is_some_and(|subnet| subnet.contains(address)), || format!("{holder}: {address} is outside {subnet:?}"));
            }
            if let Some(other) = holders.insert((*network, *address), holder.clone()) {
                found.ensure(false, || format!("{holder} and {other} both have {address}"));
            }
        }
    }
    for (at, one) in state.networks.values().enumerate() {
        for other in state.networks.values().skip(at + 1) {
            let apart = match (one.subnet, other.subnet) {
                (Some(one), Some(other)) => !one.contains(&other) && !other.contains(&one),
                _ => true,
            };
            found.ensure(apart, || format!("networks {} and {} overlap", one.spec.name, other.spec.name));
        }
    }
}

/// A port that every node listens on has one service.
fn ports(state: &ClusterState, found: &mut Found) {
    let ports_of = |service: &Service| service.ports_wanted().to_vec();
    let services: Vec<_> = state.services.values().filter(|service| !service.removing && !service.ports_wanted().is_empty()).collect();
    for (at, one) in services.iter().enumerate() {
        for other in &services[at + 1..] {
            for port in ports_of(one).iter().filter(|port| port.mode == PublishMode::Ingress) {
                let clash = ports_of(other).iter().any(|other| other.mode == PublishMode::Ingress && other.clashes(port));
                found.ensure(!clash, || format!("{} and {} both publish {}", one.spec.name, other.spec.name, port.published));
            }
        }
    }
}

fn task(state: &ClusterState, task: &Task, found: &mut Found) {
    let id = task.id;
    let (observed, desired) = (task.status.state, task.desired);
    found.ensure(state.services.contains_key(&task.service), || format!("task {id} is of no service"));
    let assigned = observed >= TaskState::Assigned && observed != TaskState::Orphaned;
    found.ensure(task.node.is_some() || !assigned, || format!("task {id} is {observed} on no node"));
    found.ensure(task.node.is_none() || observed >= TaskState::Assigned, || format!("task {id} has a node but is {observed}"));
    found.ensure(observed != TaskState::Remove, || format!("task {id} was observed as a wish"));
    let wishes = [TaskState::Running, TaskState::Complete, TaskState::Shutdown, TaskState::Remove];
    found.ensure(wishes.contains(&desired), || format!("task {id} is wanted to be {desired}"));
    let current = state.services.get(&task.service).filter(|service| service.template_version == task.template_version);
    if let Some(service) = current.filter(|_| task.is_wanted()) {
        let job = service.spec.mode.is_job();
        found.ensure(job == (desired == TaskState::Complete), || format!("task {id} of {} is wanted to be {desired}", service.spec.name));
    }
    found.ensure(task.created_at.0 > 0 && task.created <= task.version, || format!("task {id} changed before it was created"));
    let missing = state.missing_file(&task.template).filter(|_| task.occupies_node());
    found.ensure(missing.is_none(), || format!("task {id} has a {}", missing.unwrap_or_default()));
    if let (Slot::Node(own), Some(node)) = (task.slot, task.node) {
        found.ensure(own == node, || format!("task {id} of slot {own} is on node {node}"));
    }
}

/// What mounts a volume runs where the volume is, and one task of a slot at a time has it.
fn volumes(state: &ClusterState, found: &mut Found) {
    let mounting = state.tasks.values().filter(|task| task.occupies_node());
    let mut slots = BTreeMap::new();
    for task in mounting {
        for name in task.template.volumes() {
            let volume = state.volume_named(name);
            let there = volume.is_some_and(|volume| volume.node == task.node);
            found.ensure(there, || format!("task {} runs away from volume {name}", task.id));
            if let Some(other) = slots.insert((task.service, task.slot, name.as_str()), task.id).filter(|other| *other != task.id) {
                found.ensure(false, || format!("tasks {other} and {} share a slot and its volume", task.id));
            }
        }
    }
}

/// What follows from the rows is what would follow from them anew.
fn lookups(state: &ClusterState, found: &mut Found) {
    let mut anew = ClusterState::default();
    state.rows().for_each(|(_, row)| anew.put_row(row));
    anew.set_index(state.index);
    found.ensure(anew == *state, || "the lookups do not follow from the rows".to_owned());
}
