//! Letting go: tasks that are over, the history beyond its bound, services whose last task is gone.
use std::sync::Arc;

use crate::command::Change;
use crate::limits;
use crate::state::{Service, Task};
use crate::task::{TaskState, TaskStatus};

use super::draft::Draft;

pub(super) fn run(draft: &mut Draft) {
    orphans(draft);
    let over = draft.state.tasks.values().filter(|task| is_over(task)).map(|task| task.id);
    for task in over.collect::<Vec<_>>() {
        draft.push(Change::RemoveTask { task });
    }
    history(draft);
    let removing = draft.state.services.values().filter(|service| service.removing).map(|service| service.id);
    let empty = removing.filter(|service| draft.state.tasks_of_service(*service).next().is_none());
    for service in empty.collect::<Vec<_>>() {
        draft.push(Change::RemoveService { service });
    }
}

/// Nobody will report any more what runs on a node that was removed.
fn orphans(draft: &mut Draft) {
    let gone = |task: &&Arc<Task>| task.occupies_node() && task.node.is_some_and(|node| !draft.state.nodes.contains_key(&node));
    let orphans: Vec<Arc<Task>> = draft.state.tasks.values().filter(gone).cloned().collect();
    for task in orphans {
        let message = "its node was removed from the cluster".to_owned();
        let status = TaskStatus { state: TaskState::Orphaned, at: draft.now, message, ..TaskStatus::default() };
        draft.push(Change::SetObserved { task: task.id, status });
    }
}

/// To be removed and known to have ended; or told to stop before it ever had a node.
fn is_over(task: &Task) -> bool {
    match task.desired {
        TaskState::Remove => !task.occupies_node(),
        _ => !task.is_wanted() && task.node.is_none(),
    }
}

/// Of each slot's ended tasks only the last few are kept.
fn history(draft: &mut Draft) {
    let mut old = Vec::new();
    for service in draft.state.services.values() {
        let mut slot: Vec<&Arc<Task>> = Vec::new();
        for task in draft.state.tasks_of_service(service.id) {
            if slot.first().is_some_and(|first| first.slot != task.slot) {
                forgotten(service, &mut slot, &mut old);
                slot.clear();
            }
            slot.push(task);
        }
        forgotten(service, &mut slot, &mut old);
    }
    for task in old {
        draft.push(Change::RemoveTask { task });
    }
}

/// What a job has done is no history: it says that it need not be done again.
fn forgotten(service: &Service, slot: &mut Vec<&Arc<Task>>, old: &mut Vec<crate::id::TaskId>) {
    if slot.len() <= limits::TASK_HISTORY_PER_SLOT {
        return;
    }
    slot.retain(|task| !task.is_wanted() && task.status.state.is_final() && !service.is_done(task));
    slot.sort_by_key(|task| (task.created, task.id));
    let surplus = slot.len().saturating_sub(limits::TASK_HISTORY_PER_SLOT);
    old.extend(slot.iter().take(surplus).map(|task| task.id));
}
