//! What the tasks of a service use now, as their nodes say.
use std::collections::BTreeMap;

use minicloud_core::id::{NodeId, TaskId};
use minicloud_core::limits::TASK_MEMORY_DEFAULT_BYTES;
use minicloud_core::state::{ClusterState, Service, Task};
use minicloud_core::task::TaskUsage;

use super::super::Context;
use super::super::task::node_name;
use super::super::types::{ServiceUsage, TaskUsageLine};
use crate::usage::{Query, QueryAnswer};

pub async fn of_service(api: &Context, state: &ClusterState, service: &Service) -> ServiceUsage {
    let mut running: Vec<&Task> = state.tasks_of_service(service.id).map(|task| &**task).filter(|task| task.is_running()).collect();
    running.sort_by_key(|task| (task.slot, task.id));
    let usages = ask(api, &running).await;
    ServiceUsage {
        service: service.spec.name.clone(),
        tasks: running.iter().map(|task| line(state, task, usages.get(&task.id))).collect(),
        total: usages.values().fold(TaskUsage::default(), sum),
    }
}

pub fn line(state: &ClusterState, task: &Task, usage: Option<&TaskUsage>) -> TaskUsageLine {
    let limit_bytes = task.template.resources.limit_memory_bytes;
    TaskUsageLine {
        id: task.id,
        name: state.task_name(task),
        node: node_name(state, task.node).unwrap_or_default(),
        node_id: task.node.unwrap_or_default(),
        memory_limit_bytes: if limit_bytes == 0 { TASK_MEMORY_DEFAULT_BYTES } else { limit_bytes },
        usage: usage.copied(),
    }
}

async fn ask(api: &Context, tasks: &[&Task]) -> BTreeMap<TaskId, TaskUsage> {
    let queries = by_node(tasks.iter().copied()).into_iter().map(|(node, tasks)| (node, Query::Usage { tasks })).collect();
    let answers = api.ask(queries).await.into_values().filter_map(|answer| match answer {
        QueryAnswer::Usage(usages) => Some(usages),
        _ => None,
    });
    answers.flatten().collect()
}

/// The tasks that each node has to be asked for.
pub fn by_node<'a>(tasks: impl Iterator<Item = &'a Task>) -> BTreeMap<NodeId, Vec<TaskId>> {
    let mut by_node: BTreeMap<NodeId, Vec<TaskId>> = BTreeMap::new();
    for task in tasks {
        if let Some(node) = task.node {
            by_node.entry(node).or_default().push(task.id);
        }
    }
    by_node
}

/// Counters and gauges add up; of the times since a start, the longest counts.
fn sum(total: TaskUsage, usage: &TaskUsage) -> TaskUsage {
    TaskUsage {
        memory_bytes: total.memory_bytes + usage.memory_bytes,
        cpu_us: total.cpu_us + usage.cpu_us,
        requests: total.requests + usage.requests,
        active: total.active + usage.active,
        queued: total.queued + usage.queued,
        concurrency: total.concurrency + usage.concurrency,
        saturated_us: total.saturated_us + usage.saturated_us,
        uptime_us: total.uptime_us.max(usage.uptime_us),
        connections: total.connections + usage.connections,
        received_bytes: total.received_bytes + usage.received_bytes,
        sent_bytes: total.sent_bytes + usage.sent_bytes,
    }
}
