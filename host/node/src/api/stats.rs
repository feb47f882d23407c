//! What nodes and their tasks use now, all of them in one answer.
//!
//! Taken from this manager's own state, so that it answers without a leader too. A node that does not answer in time is
//! shown without figures, and holds nobody up for longer than that.
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use minicloud_core::id::{NodeId, TaskId};
use minicloud_core::state::{ClusterState, Node, NodeStatus, Task};

use super::error::ApiError;
use super::extract::Params;
use super::service::find_any;
use super::service::usage::{by_node, line};
use super::task::node_name;
use super::types::{ErrorBody, NodeStats, NodeUsage, Stats, StatsQuery};
use super::{Context, State};
use crate::usage::{Query, QueryAnswer};

#[utoipa::path(
    get,
    path = "/v1/stats",
    tag = "cluster",
    summary = "What nodes and running tasks use now",
    params(StatsQuery),
    responses((status = 200, body = Stats), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn stats(api: State, Params(query): Params<StatsQuery>) -> Result<Json<Stats>, ApiError> {
    let cluster = api.cluster()?;
    let state = cluster.state();
    let leader = cluster.leadership().borrow().leader;
    let wanted: Vec<&str> = query.of.split(',').filter(|name| !name.is_empty()).collect();
    let mut tasks = tasks_of(&state, &wanted)?;
    tasks.sort_by_cached_key(|task| (state.services.get(&task.service).map(|service| service.spec.name.clone()), task.slot, task.id));
    let mut asked = by_node(tasks.iter().map(|task| &***task));
    if wanted.is_empty() {
        state.nodes.keys().for_each(|node| _ = asked.entry(*node).or_default());
    }
    let nodes: Vec<NodeId> = asked.keys().copied().collect();
    let (node_usages, task_usages) = ask(&api, &state, asked).await;
    let node = |id: &NodeId| Some(node_stats(&state, state.nodes.get(id)?, node_usages.get(id)));
    Ok(Json(Stats {
        nodes: nodes.iter().filter_map(node).collect(),
        tasks: tasks.iter().map(|task| line(&state, task, task_usages.get(&task.id))).collect(),
        leader,
    }))
}

/// The running tasks of what was named; of everything when nothing was.
fn tasks_of<'a>(state: &'a ClusterState, wanted: &[&str]) -> Result<Vec<&'a Arc<Task>>, ApiError> {
    if wanted.is_empty() {
        return Ok(state.tasks.values().filter(|task| task.is_running()).collect());
    }
    let mut tasks: BTreeMap<TaskId, &Arc<Task>> = BTreeMap::new();
    for name in wanted {
        match find_any(state, name) {
            Ok(service) => tasks.extend(state.tasks_of_service(service.id).map(|task| (task.id, task))),
            Err(error) => {
                let task = state.find_task(name).map_err(|_| error)?;
                tasks.insert(task.id, task);
            }
        }
    }
    Ok(tasks.into_values().filter(|task| task.is_running()).collect())
}

type Usages = (BTreeMap<NodeId, NodeUsage>, BTreeMap<TaskId, minicloud_core::task::TaskUsage>);

/// A node that is known to be down is not waited for.
async fn ask(api: &Context, state: &ClusterState, asked: BTreeMap<NodeId, Vec<TaskId>>) -> Usages {
    let up = |node: &NodeId| state.nodes.get(node).is_some_and(|node| node.status != NodeStatus::Down);
    let queries = asked.into_iter().filter(|(node, _)| up(node)).map(|(node, tasks)| (node, Query::Stats { tasks }));
    let mut usages = Usages::default();
    for (id, answer) in api.ask(queries.collect()).await {
        if let QueryAnswer::Stats { node, tasks } = answer {
            usages.0.insert(id, node);
            usages.1.extend(tasks);
        }
    }
    usages
}

fn node_stats(state: &ClusterState, node: &Node, usage: Option<&NodeUsage>) -> NodeStats {
    NodeStats {
        id: node.id,
        hostname: node_name(state, Some(node.id)).unwrap_or_default(),
        status: node.status,
        tasks_running: state.tasks_of_node(node.id).filter(|task| task.is_running()).count(),
        memory_total_bytes: node.description.memory_bytes,
        cpu_millis: node.description.cpu_millis,
        usage: usage.copied(),
    }
}
