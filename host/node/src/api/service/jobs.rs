//! How far a job is: what has run to its end, what is under way, and what was given up.
use std::collections::BTreeMap;
use std::sync::Arc;

use minicloud_core::plan::is_followed;
use minicloud_core::spec::{RestartCondition, ServiceMode};
use minicloud_core::state::{Availability, ClusterState, Service, Slot, Task};

use super::super::task;
use super::super::types::{JobCount, Progress, ProgressTask};
use super::progress;

/// The tasks of one slot in the present iteration, oldest first; never empty.
type Tries<'a> = Vec<&'a Arc<Task>>;

pub fn count(state: &ClusterState, service: &Service) -> JobCount {
    let slots = slots(state, service);
    let completed = progress::count(slots.values().filter(|tries| is_done(service, tries)).count());
    let total = match service.spec.mode {
        ServiceMode::ReplicatedJob { total, .. } => total,
        _ => completed + progress::count(nodes_to_do(state, service, &slots)),
    };
    JobCount { completed, total }
}

pub fn progress(state: &ClusterState, service: &Service) -> Progress {
    let slots = slots(state, service);
    let job = count(state, service);
    let tasks: Vec<&Arc<Task>> = state.tasks_of_service(service.id).collect();
    let given_up: Vec<ProgressTask> = slots.values().filter_map(|tries| given_up(state, service, tries)).collect();
    let under_way = tasks.iter().any(|task| task.is_live());
    let (stopping, unreachable) = progress::stopping(state, &tasks);
    let shown = slots.values().filter_map(|tries| tries.iter().rev().find(|task| task.is_live() || service.is_done(task)));
    Progress {
        running: progress::count(tasks.iter().filter(|task| task.is_running()).count()),
        desired: progress::desired_tasks(state, service),
        job: Some(job),
        converged: !service.removing && service.allocated == service.version && job.completed >= job.total && !under_way,
        tasks: shown.map(|task| progress::progress_task(state, task)).chain(given_up.iter().cloned()).collect(),
        stopping,
        unreachable,
        given_up,
        ..Progress::default()
    }
}

fn slots<'a>(state: &'a ClusterState, service: &Service) -> BTreeMap<Slot, Tries<'a>> {
    let mut slots: BTreeMap<Slot, Tries<'a>> = BTreeMap::new();
    let own = |task: &Task| matches!(task.slot, Slot::Node(_)) == service.spec.mode.is_per_node();
    for task in state.tasks_of_service(service.id).filter(|task| task.template_version == service.template_version && own(task)) {
        slots.entry(task.slot).or_default().push(task);
    }
    slots.values_mut().for_each(|tries| tries.sort_by_key(|task| (task.created, task.id)));
    slots
}

fn is_done(service: &Service, tries: &Tries) -> bool {
    tries.iter().any(|task| service.is_done(task))
}

/// Nodes on which a global job is not done yet: those that take tasks, and those that have one.
fn nodes_to_do(state: &ClusterState, service: &Service, slots: &BTreeMap<Slot, Tries>) -> usize {
    let nodes = state.nodes.values().filter(|node| node.satisfies(&service.spec.task.constraints));
    let to_do = nodes.filter(|node| match slots.get(&Slot::Node(node.id)) {
        Some(tries) if is_done(service, tries) => false,
        _ if node.availability == Availability::Drain => false,
        Some(_) => true,
        None => node.is_ready() && node.availability == Availability::Active,
    });
    to_do.count()
}

/// The last try in a slot, when it failed and no other follows.
fn given_up(state: &ClusterState, service: &Service, tries: &Tries) -> Option<ProgressTask> {
    let last = tries.last()?;
    let under_way = tries.iter().any(|task| task.is_live());
    let failed = last.ended_unasked && !is_followed(last, &service.spec.restart_policy());
    let once = service.spec.task.restart.condition == RestartCondition::None && !last.is_wanted();
    if under_way || is_done(service, tries) || !(failed || once && has_stopped(state, last)) {
        return None;
    }
    let mut told = progress::progress_task(state, last);
    if told.error.is_empty() {
        told.error = match task::node_name(state, last.node) {
            Some(node) if last.occupies_node() => format!("node {node} was lost while it ran there"),
            _ => "it was stopped before it was done".to_owned(),
        };
    }
    Some(told)
}

/// It has ended, or nothing is known of it as its node is down.
fn has_stopped(state: &ClusterState, task: &Task) -> bool {
    let node = task.node.and_then(|node| state.nodes.get(&node));
    !task.occupies_node() || node.is_none_or(|node| node.status == minicloud_core::state::NodeStatus::Down)
}
