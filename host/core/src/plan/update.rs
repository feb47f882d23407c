//! Open slots whose task stands but should be another: its template is outdated, or its node is being drained.
//!
//! Both take one path. Start-first: the new task runs before the old one is told to stop. Stop-first: the other way
//! round, and `restart` fills the slot once the old task has ended. Drained tasks go at once; outdated ones by the
//! service's update settings, watched for failures.
use std::sync::Arc;
use std::time::Duration;

use crate::command::Change;
use crate::spec::FailureAction;
use crate::state::{Service, Slot, Task, UpdateProgress, UpdateState};
use crate::task::TaskState;
use crate::time::Timestamp;

use super::draft::{Backoff, Draft};
use super::restart;
use super::slots::{SlotTasks, is_good, is_lost, is_misplaced, is_outdated, own_slots, stops_first};

pub(super) fn run(draft: &mut Draft) {
    for service in draft.services() {
        let slots = own_slots(&draft.state, &service);
        let stages: Vec<(&SlotTasks, Stage)> = slots.iter().map(|slot| (slot, advance(draft, &service, slot))).collect();
        let update = supervise(draft, &service, &slots);
        replace_outdated(draft, &service, &stages, update);
        complete(draft, &service, &stages);
    }
}

/// Where a slot stands in an update.
enum Stage {
    /// Its task is as it should be, and runs since then.
    Settled(Timestamp),
    /// Its task is on its way.
    Moving,
    /// Its task runs an older template; the next try waits that long.
    Outdated(Arc<Task>, Backoff),
    /// Nothing to do, or nothing that can be done now.
    Idle,
}

/// Moves one slot on as far as it can go by itself, and says where it stands.
fn advance(draft: &mut Draft, service: &Service, slot: &SlotTasks) -> Stage {
    let live = slot.live();
    match live.as_slice() {
        [] => vacant(draft, slot),
        [task] => single(draft, service, slot, task),
        [older @ .., newest] => several(draft, service, older, newest),
    }
}

fn vacant(draft: &Draft, slot: &SlotTasks) -> Stage {
    let last = slot.newest();
    let stopping = last.occupies_node() && !is_lost(&draft.state, last);
    if stopping { Stage::Moving } else { Stage::Idle }
}

fn single(draft: &mut Draft, service: &Service, slot: &SlotTasks, task: &Arc<Task>) -> Stage {
    if is_lost(&draft.state, task) {
        return Stage::Idle;
    }
    let misplaced = is_misplaced(&draft.state, service, task);
    if !misplaced && !is_outdated(service, task) {
        return settled(task);
    }
    match (outcome(service, slot, task, draft.now), misplaced) {
        (Outcome::Done, _) => {
            stop(draft, task);
            Stage::Moving
        }
        (Outcome::GivenUp, _) => Stage::Idle,
        (Outcome::Try(backoff), true) => {
            replace(draft, service, slot.slot, task, backoff);
            Stage::Moving
        }
        (Outcome::Try(backoff), false) => Stage::Outdated(Arc::clone(task), backoff),
    }
}

/// What came of the tasks that were to replace `old`.
enum Outcome {
    /// The last one did its work and ended: it has taken over.
    Done,
    /// It failed, and the restart policy wants no other.
    GivenUp,
    Try(Backoff),
}

fn outcome(service: &Service, slot: &SlotTasks, old: &Task, now: Timestamp) -> Outcome {
    let newest = slot.newest();
    if newest.created <= old.created || is_outdated(service, newest) || !newest.ended_unasked {
        return Outcome::Try(Backoff::default());
    }
    if !newest.has_failed() {
        return Outcome::Done;
    }
    restart::backoff(newest, &service.spec.task.restart, now).map_or(Outcome::GivenUp, Outcome::Try)
}

fn settled(task: &Task) -> Stage {
    match task.running_at {
        Some(running_at) if task.is_running() => Stage::Settled(running_at),
        _ => Stage::Moving,
    }
}

/// An old task and its replacement: the replacement takes over once it runs, or is given up when it is not needed.
fn several(draft: &mut Draft, service: &Service, older: &[&Arc<Task>], newest: &Arc<Task>) -> Stage {
    let good = |task: &Task| is_good(&draft.state, service, task);
    let still_good = older.iter().any(|task| task.node.is_some() && good(task));
    let newest_good = good(newest);
    if newest.is_running() {
        older.iter().for_each(|task| stop(draft, task));
        return settled(newest);
    }
    if !newest_good || (still_good && newest.node.is_none()) {
        stop(draft, newest);
        return Stage::Moving;
    }
    if stops_first(service) {
        let reachable: Vec<_> = older.iter().filter(|task| !is_lost(&draft.state, task) && !good(task)).collect();
        reachable.into_iter().for_each(|task| stop(draft, task));
    }
    Stage::Moving
}

fn stop(draft: &mut Draft, task: &Task) {
    draft.set_desired(task.id, TaskState::Shutdown);
}

/// Begins to replace a task that stands. One that does not run yet serves nobody, so it goes at once.
fn replace(draft: &mut Draft, service: &Service, slot: Slot, task: &Task, backoff: Backoff) {
    if !task.is_running() {
        if draft.create_after(service, slot, backoff) {
            stop(draft, task);
        }
    } else if stops_first(service) {
        stop(draft, task);
    } else {
        draft.create_after(service, slot, backoff);
    }
}

/// Watches a running update for failures; returns how it stands.
fn supervise(draft: &mut Draft, service: &Service, slots: &[SlotTasks]) -> Option<UpdateState> {
    let update = service.update.as_ref()?;
    if update.state != UpdateState::Updating || service.spec.update.failure_action == FailureAction::Continue {
        return Some(update.state);
    }
    let failures: Vec<&Arc<Task>> = slots.iter().filter_map(|slot| early_failure(service, update, slot)).collect();
    let Some(failure) = failures.first() else { return Some(update.state) };
    if failures.len() * 1_000 <= service.spec.update.max_failure_permille as usize * slots.len() {
        return Some(update.state);
    }
    let name = draft.state.task_name(failure);
    let message = format!("update paused: task {name} {}: {}", failure.status.state, failure.status.message);
    let update = UpdateProgress { state: UpdateState::Paused, message, ..update.clone() };
    draft.push(Change::SetUpdate { service: service.id, version: service.version, update });
    Some(UpdateState::Paused)
}

/// A task of the new template that failed while it was watched.
fn early_failure<'a>(service: &Service, update: &UpdateProgress, slot: &'a SlotTasks) -> Option<&'a Arc<Task>> {
    let monitor = Duration::from_millis(service.spec.update.monitor_ms);
    slot.tasks.iter().find(|task| {
        let recent = task.ended_at.is_some_and(|at| at >= update.started_at);
        task.has_failed() && recent && !is_outdated(service, task) && task.ran_for() <= monitor
    })
}

/// Begins as many replacements as the update settings allow.
fn replace_outdated(draft: &mut Draft, service: &Service, stages: &[(&SlotTasks, Stage)], update: Option<UpdateState>) {
    if update == Some(UpdateState::Paused) {
        return;
    }
    let outdated = stages.iter().filter_map(|(slot, stage)| match stage {
        Stage::Outdated(task, backoff) => Some((*slot, task, *backoff)),
        _ => None,
    });
    let outdated: Vec<_> = outdated.collect();
    if outdated.is_empty() {
        return;
    }
    let budget = match service.spec.update.parallelism as usize {
        0 => usize::MAX,
        parallelism => parallelism.saturating_sub(in_progress(draft, service, stages)),
    };
    for (slot, task, backoff) in outdated.into_iter().take(budget) {
        replace(draft, service, slot.slot, task, backoff);
    }
}

/// Slots that count against the parallelism: those on the move, and those within the delay after it.
fn in_progress(draft: &mut Draft, service: &Service, stages: &[(&SlotTasks, Stage)]) -> usize {
    let goes_on = service.spec.update.failure_action == FailureAction::Continue;
    let delay = service.spec.update.delay();
    let mut count = 0;
    for (slot, stage) in stages {
        let busy = match stage {
            Stage::Moving => !(goes_on && slot.newest().failures > 0),
            Stage::Settled(running_at) => within(draft, *running_at, delay),
            Stage::Outdated(..) | Stage::Idle => false,
        };
        count += usize::from(busy);
    }
    count
}

/// Whether that time has not passed yet; then the plan is made again when it has.
fn within(draft: &mut Draft, since: Timestamp, duration: Duration) -> bool {
    let waits = draft.now < since + duration;
    if waits {
        draft.wake(since + duration);
    }
    waits
}

/// An update is complete when every slot has settled and was watched for the monitor's time.
fn complete(draft: &mut Draft, service: &Service, stages: &[(&SlotTasks, Stage)]) {
    let Some(update) = draft.state.services.get(&service.id).and_then(|service| service.update.clone()) else { return };
    if update.state != UpdateState::Updating {
        return;
    }
    let mut last = update.started_at;
    for (_, stage) in stages {
        match stage {
            Stage::Settled(running_at) => last = last.max(*running_at),
            Stage::Moving | Stage::Outdated(..) => return,
            Stage::Idle => {}
        }
    }
    if stages.is_empty() || !within(draft, last, Duration::from_millis(service.spec.update.monitor_ms)) {
        let completed_at = Some(draft.now);
        let update = UpdateProgress { state: UpdateState::Completed, completed_at, message: "update completed".to_owned(), ..update };
        draft.push(Change::SetUpdate { service: service.id, version: service.version, update });
    }
}
