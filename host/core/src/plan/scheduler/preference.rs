//! Placing by what a service prefers: an even spread over the values of labels, and a bound per node.
//!
//! Looks at every node for every task, which the plain ranking need not: a preference moves all nodes of a value at once,
//! and the bound depends on the task's slot.
use std::collections::BTreeMap;

use crate::id::NodeId;
use crate::spec::TaskTemplate;
use crate::state::{Service, Task};

use super::super::draft::Draft;
use super::filter::{self, Load, Obstacle};
use super::{Ranking, room};

/// Whether the plain ranking is not enough.
pub(super) fn is_particular(template: &TaskTemplate) -> bool {
    template.placement.replicas_max_per_node > 0 || !template.placement.preferences.is_empty()
}

/// The best of the nodes that have room. `obstacles`: what keeps the others from any task of this template.
pub(super) fn best(
    draft: &Draft,
    service: &Service,
    task: &Task,
    ranking: &Ranking,
    obstacles: &BTreeMap<Obstacle, usize>,
    loads: &BTreeMap<NodeId, Load>,
) -> Result<NodeId, String> {
    let tasks_in = branches(draft, &task.template, ranking);
    let mut obstacles = obstacles.clone();
    let mut fitting = Vec::new();
    for (rank, node) in ranking {
        match room(draft, service, &task.template, *node, loads).or_else(|| filter::limit(&draft.state, *node, task)) {
            Some(obstacle) => *obstacles.entry(obstacle).or_default() += 1,
            None => {
                let own = branches_of(draft, &task.template, *node).into_iter();
                let counts: Vec<usize> = own.map(|branch| tasks_in.get(&branch).copied().unwrap_or(0)).collect();
                fitting.push((rank.fails_often, counts, *rank, *node));
            }
        }
    }
    fitting.into_iter().min().map(|(.., node)| node).ok_or_else(|| filter::explain(&obstacles))
}

/// The values of the preferred labels, from the first to each.
type Branch = Vec<String>;

/// How many tasks of the service each branch has.
fn branches(draft: &Draft, template: &TaskTemplate, ranking: &Ranking) -> BTreeMap<Branch, usize> {
    let mut branches: BTreeMap<Branch, usize> = BTreeMap::new();
    for (rank, node) in ranking {
        for branch in branches_of(draft, template, *node) {
            *branches.entry(branch).or_default() += rank.of_service;
        }
    }
    branches
}

/// The branches in which the node lies, the widest first.
fn branches_of(draft: &Draft, template: &TaskTemplate, node: NodeId) -> Vec<Branch> {
    let row = draft.state.nodes.get(&node);
    let value = |label: &str| row.and_then(|row| row.labels.get(label)).cloned().unwrap_or_default();
    let values: Branch = template.placement.preferences.iter().map(|preference| value(&preference.label)).collect();
    (1..=values.len()).map(|depth| values[..depth].to_vec()).collect()
}
