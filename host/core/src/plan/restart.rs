//! Open slots without a task that stands: a task ended, or its node did.
//!
//! Decides whether a replacement comes, and when. Replacing tasks that stand is `update`'s business.
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use crate::spec::{RestartCondition, RestartPolicy};
use crate::state::{Service, Slot, Task};
use crate::task::TaskState;
use crate::time::Timestamp;

use super::draft::{Backoff, Draft};
use super::slots::{SlotTasks, is_lost, is_outdated, own_slots, stops_first};

pub(super) fn run(draft: &mut Draft) {
    for service in draft.services_that_run() {
        for slot in own_slots(&draft.state, &service) {
            mend(draft, &service, &slot);
        }
    }
}

fn mend(draft: &mut Draft, service: &Service, slot: &SlotTasks) {
    let live = slot.live();
    let (lost, standing): (Vec<_>, Vec<_>) = live.into_iter().partition(|task| may_be_replaced(slot.slot) && is_lost(&draft.state, task));
    for task in &lost {
        give_up(draft, task);
    }
    if standing.is_empty() {
        refill(draft, service, slot);
    } else {
        for task in slot.tasks.iter().filter(|task| task.ended_unasked && task.desired < TaskState::Shutdown) {
            draft.set_desired(task.id, TaskState::Shutdown);
        }
    }
}

/// A global service's task has no other place to go.
fn may_be_replaced(slot: Slot) -> bool {
    matches!(slot, Slot::Replica(_))
}

/// A task with a volume is not told to stop: it may still run when its node is back, and only there can it run.
fn give_up(draft: &mut Draft, task: &Task) {
    let gone = task.node.is_none_or(|node| !draft.state.nodes.contains_key(&node));
    if task.template.volumes().next().is_none() || gone {
        draft.set_desired(task.id, TaskState::Shutdown);
    }
}

/// Puts a new task into a slot in which none stands, unless the last one is to be the last, or is still stopping.
fn refill(draft: &mut Draft, service: &Service, slot: &SlotTasks) {
    let last = slot.newest();
    if last.ended_unasked {
        return restart(draft, service, slot.slot, last);
    }
    let stopping = !last.is_live() && last.occupies_node() && !is_lost(&draft.state, last);
    if !(stopping && stops_first(service)) {
        draft.create(service, slot.slot);
    }
}

/// Follows up a task that ended by itself, when its service wants that. The old one is told to stop in any case: it
/// is over, and `service ps` shows it so.
fn restart(draft: &mut Draft, service: &Service, slot: Slot, last: &Arc<Task>) {
    let again = if is_outdated(service, last) { Some(Backoff::default()) } else { backoff(last, &service.spec.task.restart, draft.now) };
    let created = again.is_none_or(|backoff| draft.create_after(service, slot, backoff));
    if created && last.desired < TaskState::Shutdown {
        draft.set_desired(last.id, TaskState::Shutdown);
    }
}

/// Whether a task that ended by itself is followed by another, once its delay has passed.
pub fn is_followed(last: &Task, policy: &RestartPolicy) -> bool {
    backoff(last, policy, last.ended_at.unwrap_or_default()).is_some()
}

/// When a task that ended by itself is followed by another; `None`: never.
pub(super) fn backoff(last: &Task, policy: &RestartPolicy, now: Timestamp) -> Option<Backoff> {
    let wanted = match policy.condition {
        RestartCondition::Any => true,
        RestartCondition::OnFailure => last.status.state != TaskState::Complete,
        RestartCondition::None => false,
    };
    let ended_at = last.ended_at.unwrap_or(now);
    let window = Duration::from_millis(policy.window_ms);
    let in_window = last.restarts_since.filter(|since| policy.window_ms == 0 || ended_at.since(*since) < window);
    let restarts = if in_window.is_some() { last.restarts } else { 0 };
    let allowed = policy.max_attempts == 0 || restarts < policy.max_attempts;
    let in_a_row = if last.ran_for() >= limits::RESTART_RESET_AFTER { 0 } else { last.failures };
    let failures = in_a_row.saturating_add(1);
    (wanted && allowed).then(|| Backoff {
        start_at: Some(now + policy.delay_ms.map_or_else(|| delay(failures), Duration::from_millis)),
        failures,
        restarts: restarts.saturating_add(1),
        restarts_since: Some(in_window.unwrap_or(ended_at)),
    })
}

/// 100 ms after the first failure, doubled with each further one, up to 30 s.
fn delay(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (limits::RESTART_DELAY_FIRST * (1 << doublings)).min(limits::RESTART_DELAY_MAX)
}
