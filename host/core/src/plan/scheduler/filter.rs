//! The filters: what stands between a task and a node, in words.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::id::{Index, NodeId, ServiceId};
use crate::spec::{PublishMode, PublishedPort, TaskTemplate};
use crate::state::{Availability, ClusterState, Node, NodeStatus, Service, Task};

/// Why a node does not get a task, in the order in which it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Obstacle {
    Unknown,
    Down,
    Paused,
    Drained,
    Constraint,
    /// It has as many tasks as its process takes.
    Full,
    Memory,
    Cpu,
    HostPort(u16),
    /// It has as many replicas as it may.
    Limit(u32),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Unknown => f.write_str("not connected yet"),
            Obstacle::Down => f.write_str("down"),
            Obstacle::Paused => f.write_str("paused"),
            Obstacle::Drained => f.write_str("drained"),
            Obstacle::Constraint => f.write_str("excluded by constraints"),
            Obstacle::Full => f.write_str("full"),
            Obstacle::Memory => f.write_str("short of memory"),
            Obstacle::Cpu => f.write_str("short of CPU"),
            Obstacle::Limit(1) => f.write_str("at the limit of 1 replica per node"),
            Obstacle::Limit(most) => write!(f, "at the limit of {most} replicas per node"),
            Obstacle::HostPort(port) => write!(f, "using host port {port} already"),
        }
    }
}

/// `no suitable node (2 drained, 1 short of memory)`.
pub(super) fn explain(obstacles: &BTreeMap<Obstacle, usize>) -> String {
    if obstacles.is_empty() {
        return "no suitable node (the cluster has none)".to_owned();
    }
    let counted: Vec<String> = obstacles.iter().map(|(obstacle, count)| format!("{count} {obstacle}")).collect();
    format!("no suitable node ({})", counted.join(", "))
}

/// What keeps the node from any task of this template.
pub(super) fn node(node: &Node, template: &TaskTemplate) -> Option<Obstacle> {
    match (node.status, node.availability) {
        (NodeStatus::Unknown, _) => Some(Obstacle::Unknown),
        (NodeStatus::Down, _) => Some(Obstacle::Down),
        (_, Availability::Pause) => Some(Obstacle::Paused),
        (_, Availability::Drain) => Some(Obstacle::Drained),
        _ if !node.satisfies(&template.constraints) => Some(Obstacle::Constraint),
        _ => None,
    }
}

/// What the node has given out already.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    pub(super) tasks: usize,
    /// The same and those that are told to stop.
    held: usize,
    /// Wanted tasks by service and template.
    pub(super) of_service: BTreeMap<(ServiceId, Index), usize>,
    memory_bytes: u64,
    cpu_millis: u64,
    ports: Vec<PublishedPort>,
}

impl Load {
    pub(super) fn of(state: &ClusterState, node: NodeId) -> Self {
        let mut load = Load::default();
        for task in state.tasks_of_node(node).filter(|task| task.occupies_node()) {
            load.add(task, state.services.get(&task.service).map(|service| &**service));
        }
        load
    }

    /// A task that is told to stop still has its resources, but counts no more for the spread.
    pub(super) fn add(&mut self, task: &Task, service: Option<&Service>) {
        if task.is_live() {
            self.tasks += 1;
            *self.of_service.entry((task.service, task.template_version)).or_default() += 1;
        }
        self.held += 1;
        self.memory_bytes = self.memory_bytes.saturating_add(task.template.resources.reserve_memory_bytes);
        self.cpu_millis = self.cpu_millis.saturating_add(u64::from(task.template.resources.reserve_cpu_millis));
        self.ports.extend(service.into_iter().flat_map(host_ports));
    }
}

/// What the node has too little of, or what clashes there.
pub(super) fn room(node: &Node, load: &Load, service: &Service, template: &TaskTemplate) -> Option<Obstacle> {
    let most = node.description.tasks_max as usize;
    if most > 0 && load.held >= most {
        return Some(Obstacle::Full);
    }
    let wanted = &template.resources;
    let memory = load.memory_bytes.saturating_add(wanted.reserve_memory_bytes);
    let cpu = load.cpu_millis.saturating_add(u64::from(wanted.reserve_cpu_millis));
    if wanted.reserve_memory_bytes > 0 && memory > node.description.memory_bytes {
        return Some(Obstacle::Memory);
    }
    if wanted.reserve_cpu_millis > 0 && cpu > u64::from(node.description.cpu_millis) {
        return Some(Obstacle::Cpu);
    }
    let taken = |port: &PublishedPort| load.ports.iter().any(|other| other.clashes(port));
    host_ports(service).find(taken).map(|port| Obstacle::HostPort(port.published))
}

/// Whether the node has as many replicas of the service as it may, besides the one that the task is for.
pub(super) fn limit(state: &ClusterState, node: NodeId, task: &Task) -> Option<Obstacle> {
    let most = task.template.placement.replicas_max_per_node;
    if most == 0 {
        return None;
    }
    let others = state.tasks_of_node(node).filter(|other| other.service == task.service && other.is_live() && other.slot != task.slot);
    let slots: BTreeSet<_> = others.map(|other| other.slot).collect();
    (slots.len() >= most as usize).then_some(Obstacle::Limit(most))
}

fn host_ports(service: &Service) -> impl Iterator<Item = PublishedPort> + '_ {
    service.ports.iter().filter(|port| port.mode == PublishMode::Host).copied()
}
