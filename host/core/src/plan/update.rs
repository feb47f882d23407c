//! Open slots whose task stands but should be another: its template is outdated, or its node is being drained.
//!
//! Both take one path. Start-first: the new task runs before the old one is told to stop. Stop-first: the other way
//! round, and `restart` fills the slot once the old task has ended. Drained tasks go at once; outdated ones by the
//! service's update settings, watched for failures. The first batch is watched for the monitor's time before the next
//! begins: a template that fails soon after its start never takes more than that batch.
use std::sync::Arc;
use std::time::Duration;

use crate::command::Change;
use crate::spec::{FailureAction, RestartCondition};
use crate::state::{Service, Slot, Task, UpdateProgress, UpdateState};
use crate::task::TaskState;
use crate::time::Timestamp;

use super::draft::{Backoff, Draft};
use super::restart;
use super::slots::{SlotTasks, is_good, is_lost, is_misplaced, is_outdated, own_slots, stops_first};

pub(super) fn run(draft: &mut Draft) {
    for service in draft.services_that_run() {
        let slots = own_slots(&draft.state, &service);
        let stages: Vec<(&SlotTasks, Stage)> = slots.iter().map(|slot| (slot, advance(draft, &service, slot))).collect();
        if supervise(draft, &service, &slots) == Verdict::GoOn {
            replace_outdated(draft, &service, &stages);
            complete(draft, &service, &stages);
        }
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
    if let Some(standing) = older.iter().find(|task| !newest_good && task.is_running() && good(task)) {
        older.iter().chain([&newest]).filter(|task| task.id != standing.id).for_each(|task| stop(draft, task));
        return settled(standing);
    }
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    GoOn,
    /// The update is paused, or just was, or goes back: outdated tasks stay as they are.
    Hold,
}

/// Watches a running update for failures, and acts on them as the service wants it.
fn supervise(draft: &mut Draft, service: &Service, slots: &[SlotTasks]) -> Verdict {
    let Some(update) = &service.update else { return Verdict::GoOn };
    let config = service.update_config();
    if update.state.is_paused() {
        return Verdict::Hold;
    }
    if !update.state.is_under_way() || config.failure_action == FailureAction::Continue {
        return Verdict::GoOn;
    }
    let failures: Vec<&Arc<Task>> = slots.iter().filter_map(|slot| early_failure(service, update, slot)).collect();
    let Some(failure) = failures.first() else { return Verdict::GoOn };
    if failures.len() * 1_000 <= config.max_failure_permille as usize * slots.len() {
        return Verdict::GoOn;
    }
    let reason = reason(draft, failure);
    let undone = config.failure_action == FailureAction::Rollback && update.state == UpdateState::Updating && undo(draft, service, &reason);
    if !undone {
        pause(draft, service, update, &reason);
    }
    Verdict::Hold
}

/// `task web.1 failed: trap: unreachable`
fn reason(draft: &Draft, failure: &Task) -> String {
    let status = &failure.status;
    let why = if status.message.is_empty() { "it ended early" } else { &status.message };
    format!("task {} {}: {why}", draft.state.task_name(failure), status.state)
}

fn pause(draft: &mut Draft, service: &Service, update: &UpdateProgress, reason: &str) {
    let (state, what) = match update.state {
        UpdateState::RollbackStarted => (UpdateState::RollbackPaused, "rollback"),
        _ => (UpdateState::Paused, "update"),
    };
    let update = UpdateProgress { state, message: format!("{what} paused: {reason}"), ..update.clone() };
    draft.push(Change::SetUpdate { service: service.id, version: service.version, update });
}

/// False when there is no previous version, or when it fits the cluster no longer.
fn undo(draft: &mut Draft, service: &Service, reason: &str) -> bool {
    let message = format!("update rolled back: {reason}");
    draft.push(Change::UndoUpdate { service: service.id, version: service.version, message })
}

/// A task of the new template that failed while it was watched, or ended by itself though it should go on.
fn early_failure<'a>(service: &Service, update: &UpdateProgress, slot: &'a SlotTasks) -> Option<&'a Arc<Task>> {
    let goes_on = service.spec.task.restart.condition == RestartCondition::Any;
    let ended_early = |task: &Task| task.has_failed() || (goes_on && task.ended_unasked && task.status.state == TaskState::Complete);
    slot.tasks.iter().find(|task| {
        let recent = task.ended_at.is_some_and(|at| at >= update.started_at);
        recent && ended_early(task) && !is_outdated(service, task) && task.ran_for() <= service.update_config().monitor()
    })
}

/// Begins as many replacements as the update settings allow.
fn replace_outdated(draft: &mut Draft, service: &Service, stages: &[(&SlotTasks, Stage)]) {
    let outdated = stages.iter().filter_map(|(slot, stage)| match stage {
        Stage::Outdated(task, backoff) => Some((*slot, task, *backoff)),
        _ => None,
    });
    let outdated: Vec<_> = outdated.collect();
    if outdated.is_empty() {
        return;
    }
    let budget = match service.update_config().parallelism as usize {
        0 => usize::MAX,
        parallelism => parallelism.saturating_sub(in_progress(draft, service, stages)),
    };
    for (slot, task, backoff) in outdated.into_iter().take(budget) {
        replace(draft, service, slot.slot, task, backoff);
    }
}

/// Slots that count against the parallelism: those on the move, and those within the delay after it, which is at least
/// the monitor's time until one task has survived that.
fn in_progress(draft: &mut Draft, service: &Service, stages: &[(&SlotTasks, Stage)]) -> usize {
    let config = *service.update_config();
    let goes_on = config.failure_action == FailureAction::Continue;
    let survived = |stage: &Stage| matches!(stage, Stage::Settled(running_at) if draft.now.since(*running_at) >= config.monitor());
    let proven = goes_on || stages.iter().any(|(_, stage)| survived(stage));
    let delay = if proven { config.delay() } else { config.delay().max(config.monitor()) };
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
    if !update.state.is_under_way() {
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
    if stages.is_empty() || !within(draft, last, service.update_config().monitor()) {
        let (state, message) = match update.state {
            // What was rolled back keeps its reason.
            UpdateState::RollbackStarted if !update.message.is_empty() => (UpdateState::RollbackCompleted, update.message.clone()),
            UpdateState::RollbackStarted => (UpdateState::RollbackCompleted, "rollback completed".to_owned()),
            _ => (UpdateState::Completed, "update completed".to_owned()),
        };
        let update = UpdateProgress { state, completed_at: Some(draft.now), message, ..update };
        draft.push(Change::SetUpdate { service: service.id, version: service.version, update });
    }
}
