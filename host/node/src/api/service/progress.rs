//! How far the cluster is with what a service asks for, as a function of the state; and a stream of it.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use minicloud_core::id::ServiceId;
use minicloud_core::plan::is_followed;
use minicloud_core::spec::{RestartCondition, ServiceMode};
use minicloud_core::state::{Availability, ClusterState, NodeStatus, Service, Slot, Task, UpdateState};
use minicloud_core::task::TaskState;
use minicloud_core::time::Timestamp;
use tokio::time::{Instant, sleep};

use super::super::error::ApiError;
use super::super::types::{JobCount, Progress, ProgressTask};
use super::super::{State, lines, task};
use super::{find_any, jobs};
use crate::limits::PROGRESS_INTERVAL_MIN;

/// Tells the progress of a service at once and then on each change of it, until there is nothing more to wait for.
pub async fn watch(api: State, name: &str) -> Result<Response, ApiError> {
    let cluster = api.cluster()?;
    let service = find_any(&cluster.read().await?, name)?.id;
    let ending = api.ending.clone();
    let mut clock = Watch { at: api.clock.now(), since: Instant::now() };
    let watching = lines::response(move |told| async move {
        let mut changes = cluster.changes();
        let mut last = None;
        loop {
            changes.borrow_and_update();
            let state = cluster.state();
            let now = progress(&state, service, clock.now(&state, service));
            if last.as_ref() != Some(&now) {
                if told.send(lines::line(&now)).await.is_err() {
                    return;
                }
                if is_last(&now) {
                    return;
                }
                last = Some(now);
                sleep(PROGRESS_INTERVAL_MIN).await;
            }
            let verify = last.as_ref().map(|last| last.verify_ms).filter(|ms| *ms > 0);
            tokio::select! {
                () = sleep(Duration::from_millis(verify.unwrap_or_default())), if verify.is_some() => {}
                changed = changes.changed() => if changed.is_err() { return },
                () = told.closed() => return,
                () = ending.cancelled() => return,
                () = cluster.ended() => return,
            }
        }
    });
    Ok(watching)
}

fn is_last(progress: &Progress) -> bool {
    progress.removed || progress.converged || progress.update_state.is_some_and(UpdateState::is_paused) || progress.is_hopeless()
}

/// The time since tasks run, told by this node's own clock once it has seen them: the clock that dated their start may
/// be another's, and ahead.
struct Watch {
    at: Timestamp,
    since: Instant,
}

impl Watch {
    fn now(&mut self, state: &ClusterState, service: ServiceId) -> Timestamp {
        let now = self.at + self.since.elapsed();
        let latest = state.tasks_of_service(service).filter_map(|task| task.running_at).max().unwrap_or_default();
        if latest > now {
            *self = Watch { at: latest, since: Instant::now() };
        }
        now.max(latest)
    }
}

/// How many tasks a service wants.
pub fn desired_tasks(state: &ClusterState, service: &Service) -> u32 {
    let count = match service.spec.mode {
        _ if service.removing => 0,
        ServiceMode::Replicated { replicas } => return replicas,
        ServiceMode::Global => {
            let has_task = |node| state.tasks_of_slot(service.id, Slot::Node(node)).any(|task| task.is_live());
            let keeps = state.nodes.values().filter(|node| node.satisfies(&service.spec.task.constraints));
            keeps
                .filter(|node| match node.availability {
                    Availability::Active => node.is_ready() || has_task(node.id),
                    Availability::Pause => has_task(node.id),
                    Availability::Drain => false,
                })
                .count()
        }
        ServiceMode::ReplicatedJob { total, max_concurrent: 0 } => return total,
        ServiceMode::ReplicatedJob { total, max_concurrent } => return total.min(max_concurrent),
        ServiceMode::GlobalJob => return jobs::count(state, service).total - jobs::count(state, service).completed,
    };
    u32::try_from(count).unwrap_or(u32::MAX)
}

pub fn progress(state: &ClusterState, service: ServiceId, now: Timestamp) -> Progress {
    let Some(service) = state.services.get(&service) else {
        return Progress { removed: true, converged: true, ..Progress::default() };
    };
    if service.spec.mode.is_job() {
        return jobs::progress(state, service);
    }
    let slots = newest_by_slot(state, service);
    let tasks: Vec<&Arc<Task>> = state.tasks_of_service(service.id).collect();
    let current = |task: &Task| task.template_version == service.template_version;
    let running = slots.values().filter(|task| task.is_running() && current(task)).count();
    let done = slots.values().filter(|task| current(task) && ended_for_good(service, task)).count();
    let outdated = tasks.iter().any(|task| task.is_live() && !current(task));
    let surplus = tasks.iter().filter(|task| task.is_live()).count() > running;
    let (stopping, unreachable) = stopping(state, &tasks);
    let desired = desired_tasks(state, service);
    let update = service.update.as_ref();
    let updating = update.is_some_and(|update| update.completed_at.is_none());
    let given_up: Vec<ProgressTask> = given_up(state, service).into_iter().map(|task| progress_task(state, task)).collect();
    let settled = service.allocated == service.version && !updating && !outdated && !surplus;
    let complete = !service.removing && settled && count(running + done) == desired;
    let verify = if complete { unproven(service, slots.values().filter(|task| task.is_running()), now) } else { Duration::ZERO };
    Progress {
        running: count(running),
        desired,
        job: None,
        converged: complete && verify.is_zero(),
        verify_ms: u64::try_from(verify.as_millis()).unwrap_or(u64::MAX),
        tasks: slots.values().map(|task| progress_task(state, task)).chain(given_up.iter().cloned()).collect(),
        update_state: update.map(|update| update.state),
        update_message: update.map(|update| update.message.clone()).unwrap_or_default(),
        removed: false,
        stopping,
        unreachable,
        given_up,
    }
}

/// How far the service is with what it has to do, when it is a job.
pub fn job_count(state: &ClusterState, service: &Service) -> Option<JobCount> {
    service.spec.mode.is_job().then(|| jobs::count(state, service))
}

/// Nothing of the service runs or stops any more, and nothing of it is to start by itself.
pub fn is_over(state: &ClusterState, service: ServiceId) -> bool {
    let under_way = |task: &Arc<Task>| task.is_live() || (task.occupies_node() && !is_lost(state, task));
    if state.tasks_of_service(service).any(under_way) {
        return false;
    }
    let progress = progress(state, service, Timestamp::default());
    progress.converged || progress.is_hopeless()
}

/// How many tasks still have to stop, and how many of them are lost.
pub(super) fn stopping(state: &ClusterState, tasks: &[&Arc<Task>]) -> (u32, u32) {
    let stopping = || tasks.iter().filter(|task| !task.is_wanted() && task.occupies_node());
    (count(stopping().count()), count(stopping().filter(|task| is_lost(state, task)).count()))
}

/// Its node is down, so that nobody can say what it does.
fn is_lost(state: &ClusterState, task: &Task) -> bool {
    task.node.and_then(|node| state.nodes.get(&node)).is_none_or(|node| node.status == NodeStatus::Down)
}

/// How long the tasks that run must go on until they count as stable.
///
/// A task must survive the monitor's time, as in an update. Once one of the service's template has, or an update to it
/// was completed, further tasks of that template are taken to be as good, unless they had failed before: so scaling a
/// service that runs waits for nothing but the start of its tasks.
fn unproven<'a>(service: &Service, running: impl Iterator<Item = &'a &'a Arc<Task>> + Clone, now: Timestamp) -> Duration {
    let monitor = service.spec.update.monitor();
    let left = |task: &Task| task.running_at.map_or(monitor, |since| monitor.saturating_sub(now.since(since)));
    let updated = service.update.as_ref().is_some_and(|update| update.completed_at.is_some());
    let proven = updated || running.clone().any(|task| left(task).is_zero());
    let counts = |task: &&&Arc<Task>| !proven || task.failures > 0;
    running.filter(counts).map(|task| left(task)).max().unwrap_or_default()
}

/// Of each slot in which nothing runs or will run the task that failed last.
fn given_up<'a>(state: &'a ClusterState, service: &Service) -> Vec<&'a Arc<Task>> {
    let mut slots: BTreeMap<Slot, &Arc<Task>> = BTreeMap::new();
    for task in state.tasks_of_service(service.id) {
        let newest = slots.entry(task.slot).or_insert(task);
        if (task.created, task.id) > (newest.created, newest.id) {
            *newest = task;
        }
    }
    let current = |task: &Task| task.template_version == service.template_version;
    let over = |task: &Task| task.ended_unasked && !task.is_live() && !ended_for_good(service, task);
    let policy = &service.spec.task.restart;
    slots.into_values().filter(|task| current(task) && over(task) && !is_followed(task, policy)).collect()
}

/// The last task of each slot that is still to be filled.
fn newest_by_slot<'a>(state: &'a ClusterState, service: &Service) -> BTreeMap<Slot, &'a Arc<Task>> {
    let mut slots: BTreeMap<Slot, &Arc<Task>> = BTreeMap::new();
    for task in state.tasks_of_service(service.id).filter(|task| task.is_live() || ended_for_good(service, task)) {
        let newest = slots.entry(task.slot).or_insert(task);
        if (task.created, task.id) > (newest.created, newest.id) {
            *newest = task;
        }
    }
    slots
}

/// It ended by itself, as its service allows.
fn ended_for_good(service: &Service, task: &Task) -> bool {
    let wanted_again = match service.spec.task.restart.condition {
        RestartCondition::Any => true,
        RestartCondition::OnFailure => task.has_failed(),
        RestartCondition::None => false,
    };
    task.ended_unasked && task.status.state == TaskState::Complete && task.desired <= TaskState::Shutdown && !wanted_again
}

pub(super) fn progress_task(state: &ClusterState, newest: &Task) -> ProgressTask {
    ProgressTask {
        id: newest.id,
        slot: task::slot_number(newest.slot),
        name: state.task_name(newest),
        state: newest.status.state,
        node: task::node_name(state, newest.node),
        error: error_of(state, newest),
    }
}

/// What is wrong with a task; failing that, what was wrong with the one before it, as long as it does not run.
fn error_of(state: &ClusterState, newest: &Task) -> String {
    if !newest.status.message.is_empty() || newest.is_running() {
        return newest.status.message.clone();
    }
    let earlier = state.tasks_of_slot(newest.service, newest.slot).filter(|task| task.created < newest.created);
    earlier.max_by_key(|task| task.created).map(|task| task.status.message.clone()).unwrap_or_default()
}

pub(super) fn count(tasks: usize) -> u32 {
    u32::try_from(tasks).unwrap_or(u32::MAX)
}
