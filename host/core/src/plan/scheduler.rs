//! Which node a task gets: filters that explain themselves, then the spread.
//!
//! Spread: first what the service prefers (`preference`), then the nodes with the fewest tasks of this service, then with the fewest tasks, then the lowest id; a
//! node on which the service failed often of late goes last.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::command::Change;
use crate::id::NodeId;
use crate::limits;
use crate::spec::TaskTemplate;
use crate::state::{Service, Slot, Task};
use crate::task::TaskState;

use super::draft::Draft;

mod filter;
mod preference;
mod volumes;

use filter::{Load, Obstacle};

pub(super) fn run(draft: &mut Draft) {
    let pending = draft.state.tasks.values().filter(|task| task.status.state == TaskState::Pending && task.is_live());
    let mut groups: BTreeMap<_, Vec<Arc<Task>>> = BTreeMap::new();
    for task in pending {
        groups.entry((task.service, task.template_version)).or_default().push(Arc::clone(task));
    }
    if groups.is_empty() {
        return;
    }
    let mut loads: BTreeMap<NodeId, Load> = draft.state.nodes.keys().map(|node| (*node, Load::of(&draft.state, *node))).collect();
    for ((service, _), mut tasks) in groups {
        if let Some(service) = draft.state.services.get(&service).cloned() {
            tasks.sort_by_key(|task| (task.slot, task.id));
            place_all(draft, &service, &tasks, &mut loads);
        }
    }
}

/// Nodes that pass, best first.
type Ranking = BTreeSet<(Rank, NodeId)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    fails_often: bool,
    of_service: usize,
    all: usize,
}

/// Places the pending tasks of one service, which all run the same template.
fn place_all(draft: &mut Draft, service: &Service, tasks: &[Arc<Task>], loads: &mut BTreeMap<NodeId, Load>) {
    let Some(template) = tasks.first().map(|task| Arc::clone(&task.template)) else { return };
    if let Some(missing) = draft.state.missing_file(&template) {
        return tasks.iter().for_each(|task| waits(draft, task, missing.clone()));
    }
    let mut obstacles: BTreeMap<Obstacle, usize> = BTreeMap::new();
    let mut ranking = Ranking::new();
    for node in draft.state.nodes.values() {
        match filter::node(node, &template) {
            Some(obstacle) => *obstacles.entry(obstacle).or_default() += 1,
            None => drop(ranking.insert((rank(draft, service, node.id, &loads[&node.id]), node.id))),
        }
    }
    let particular = preference::is_particular(&template);
    for task in tasks {
        let place = match fixed_node(draft, task) {
            Fixed::Free if particular => preference::best(draft, service, task, &ranking, &obstacles, loads),
            Fixed::Free => best(draft, service, &template, &mut ranking, &mut obstacles, loads),
            Fixed::Node(node) => only(draft, service, task, node, loads),
            Fixed::Waits(reason) => Err(reason),
        };
        match place {
            Ok(node) => assign(draft, service, task, node, &mut ranking, loads),
            Err(reason) => waits(draft, task, reason),
        }
    }
}

/// Where a task must go, whatever the spread says.
enum Fixed {
    Free,
    Node(NodeId),
    Waits(String),
}

fn fixed_node(draft: &Draft, task: &Task) -> Fixed {
    match (volumes::holder(&draft.state, task), task.slot) {
        (Err(reason), _) => Fixed::Waits(reason),
        (Ok(Some(node)), Slot::Node(own)) if node != own => {
            Fixed::Waits(format!("its volume is held by node {node}, but it runs on {own}"))
        }
        (Ok(_), Slot::Node(node)) | (Ok(Some(node)), Slot::Replica(_)) => Fixed::Node(node),
        (Ok(None), Slot::Replica(_)) => Fixed::Free,
    }
}

/// The first of the ranking that has room; those that have none leave it.
fn best(
    draft: &Draft,
    service: &Service,
    template: &TaskTemplate,
    ranking: &mut Ranking,
    obstacles: &mut BTreeMap<Obstacle, usize>,
    loads: &BTreeMap<NodeId, Load>,
) -> Result<NodeId, String> {
    while let Some((_, node)) = ranking.first() {
        let node = *node;
        match room(draft, service, template, node, loads) {
            None => return Ok(node),
            Some(obstacle) => {
                ranking.pop_first();
                *obstacles.entry(obstacle).or_default() += 1;
            }
        }
    }
    Err(filter::explain(obstacles))
}

/// The one node that may have the task, when it passes.
fn only(draft: &Draft, service: &Service, task: &Task, node: NodeId, loads: &BTreeMap<NodeId, Load>) -> Result<NodeId, String> {
    let Some(row) = draft.state.nodes.get(&node) else { return Err(format!("node {node} was removed")) };
    let room = || room(draft, service, &task.template, node, loads).or_else(|| filter::limit(&draft.state, node, task));
    match filter::node(row, &task.template).or_else(room) {
        None => Ok(node),
        Some(obstacle) => Err(format!("node {} ({node}) is {obstacle}", row.hostname)),
    }
}

fn room(draft: &Draft, service: &Service, template: &TaskTemplate, node: NodeId, loads: &BTreeMap<NodeId, Load>) -> Option<Obstacle> {
    let row = draft.state.nodes.get(&node)?;
    filter::room(row, &loads[&node], service, template)
}

fn rank(draft: &Draft, service: &Service, node: NodeId, load: &Load) -> Rank {
    let recent = |task: &&Arc<Task>| task.ended_at.is_some_and(|at| draft.now.since(at) <= limits::FAILURE_WINDOW);
    let failures = draft.state.tasks_of_node(node).filter(|task| task.service == service.id && task.has_failed()).filter(recent).count();
    let fails_often = failures >= limits::FAILURES_PER_NODE_MAX;
    let of_service = load.of_service.get(&(service.id, service.template_version)).copied().unwrap_or(0);
    Rank { fails_often, of_service, all: load.tasks }
}

fn assign(draft: &mut Draft, service: &Service, task: &Task, node: NodeId, ranking: &mut Ranking, loads: &mut BTreeMap<NodeId, Load>) {
    if let Err(reason) = volumes::bind(draft, task, node) {
        return waits(draft, task, reason);
    }
    if !draft.push(Change::AssignTask { task: task.id, node }) {
        return;
    }
    let Some(load) = loads.get_mut(&node) else { return };
    load.add(task, Some(service));
    if let Some((rank, _)) = ranking.iter().find(|(_, ranked)| *ranked == node).copied() {
        ranking.remove(&(rank, node));
        ranking.insert((Rank { of_service: rank.of_service + 1, all: rank.all + 1, ..rank }, node));
    }
}

fn waits(draft: &mut Draft, task: &Task, reason: String) {
    if task.status.message != reason {
        draft.push(Change::SetWaiting { task: task.id, reason: reason.clone() });
    }
    draft.report.tasks.insert(task.id, reason);
}
