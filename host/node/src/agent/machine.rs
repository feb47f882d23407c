//! One task's life as a pure decision: events in, actions out. No clock, no I/O, no await.
//!
//! Owns the order of a start (prepare, wait until due, mount, start) and of a stop (leave the routes, drain, drop),
//! what its health check means, and what is reported meanwhile. `driver` carries the actions out and feeds the events back.
use std::sync::Arc;
use std::time::Duration;

use minicloud_core::id::Index;
use minicloud_core::spec::HealthCheck;
use minicloud_core::task::{Exit, Health, Step, TaskState, TaskStatus, next_step};
use minicloud_core::time::Timestamp;
use minicloud_core::view::AssignedTask;

use crate::executor::TaskError;
use crate::limits::{HEALTH_START_INTERVAL_MAX, STATUS_BACKTRACE_BYTES_MAX, STATUS_MESSAGE_BYTES_MAX, UNHEALTHY_GRACE_MAX};

/// What happened to the task.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A view assigns it like this; the first event of every task.
    Assigned(Arc<AssignedTask>),
    /// The view no longer has it.
    Withdrawn,
    /// The step under way ended.
    Prepared(Result<(), TaskError>),
    StartDue,
    /// A volume is still held by another task.
    MountWaits(String),
    Mounted(Result<(), TaskError>),
    Started(Result<(), TaskError>),
    /// Every live node has dropped it from its routes, or the bound of that wait passed.
    RoutesLeft,
    /// Its health was asked for.
    Probed(Result<(), String>),
    /// It ran, and ended.
    Exited(Exit),
}

/// What the driver does next, in the order given. At most one of the steps is under way at a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    Report(TaskStatus),
    /// Step: fetch and compile; answers `Prepared`.
    Prepare,
    /// Step: answers `StartDue`.
    WaitUntil(Timestamp),
    /// Step: take the volumes; answers `MountWaits` any number of times, then `Mounted`.
    Mount,
    /// Step: attach to the networks and run; answers `Started`, later `Exited`.
    Start,
    /// Step: wait until all live nodes acknowledged this index; answers `RoutesLeft`.
    LeaveRoutes(Index),
    /// Step: wait until no view has it as a backend any more, here and on all live nodes; answers `RoutesLeft`.
    LeaveRoutesUnhealthy,
    /// Beside any step: ask for its health after this long; answers `Probed`.
    Probe(Duration),
    /// Step: tell it to stop and let it drain this long. `Exited` is the answer.
    Stop(Duration),
    /// Drops the step under way.
    Cancel,
    /// Gives back what the task holds: its instance, addresses, volumes.
    Release,
    /// The driver ends.
    Forget,
}

/// What is under way beyond what the observed state tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Busy {
    No,
    Mounting,
    Leaving,
    Draining,
}

pub(super) struct Machine {
    assigned: Option<Arc<AssignedTask>>,
    withdrawn: bool,
    observed: TaskState,
    busy: Busy,
    /// Version of the first assignment that said to stop.
    stop_version: Index,
    /// Its instance runs, since then; it may still be `starting` until it is healthy.
    started_at: Option<Timestamp>,
    /// Health checks that failed in a row.
    unanswered: u32,
    /// Why it is ended: its health check failed too often.
    unhealthy: Option<String>,
}

impl Machine {
    pub(super) fn new() -> Self {
        Machine {
            assigned: None,
            withdrawn: false,
            observed: TaskState::Assigned,
            busy: Busy::No,
            stop_version: Index(0),
            started_at: None,
            unanswered: 0,
            unhealthy: None,
        }
    }

    /// The latest assignment. There is one before any step is asked for.
    pub(super) fn assigned(&self) -> Option<&Arc<AssignedTask>> {
        self.assigned.as_ref()
    }

    /// Decides what to do about `event`.
    pub(super) fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Assigned(assigned) => self.take(assigned),
            Event::Withdrawn => self.withdrawn = true,
            Event::Prepared(Ok(())) => self.report(TaskState::Ready, String::new(), now, &mut actions),
            Event::StartDue => {}
            Event::MountWaits(message) => self.report(TaskState::Ready, message, now, &mut actions),
            Event::Mounted(Ok(())) => self.start(now, &mut actions),
            Event::Started(Ok(())) => self.started(now, &mut actions),
            Event::Prepared(Err(error)) | Event::Mounted(Err(error)) | Event::Started(Err(error)) => {
                self.refuse(error, now, &mut actions);
            }
            Event::RoutesLeft if self.busy == Busy::Leaving => self.drain(&mut actions),
            Event::RoutesLeft => {}
            Event::Probed(answer) => self.probed(answer, now, &mut actions),
            Event::Exited(exit) => self.exited(exit, now, &mut actions),
        }
        self.advance(now, &mut actions);
        actions
    }

    /// A wish only ever rises: an older view must not wake a task that was told to stop.
    fn take(&mut self, assigned: Arc<AssignedTask>) {
        let before = self.assigned.as_ref().map_or(TaskState::New, |assigned| assigned.desired);
        if assigned.desired >= TaskState::Shutdown && before < TaskState::Shutdown {
            self.stop_version = assigned.version;
        }
        if assigned.desired >= before {
            self.assigned = Some(assigned);
        }
    }

    fn desired(&self) -> TaskState {
        match &self.assigned {
            _ if self.withdrawn => TaskState::Remove,
            Some(assigned) => assigned.desired,
            None => TaskState::New,
        }
    }

    /// Goes on as far as nothing has to be awaited.
    fn advance(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        loop {
            match next_step(self.desired(), self.observed, self.start_at(), now) {
                Step::Accept => self.report(TaskState::Accepted, String::new(), now, actions),
                Step::Prepare => {
                    self.report(TaskState::Preparing, String::new(), now, actions);
                    return actions.push(Action::Prepare);
                }
                Step::StartAt(due) => return actions.push(Action::WaitUntil(due)),
                Step::Start => return self.mount(actions),
                Step::Stop => return self.stop(actions),
                Step::Report(state) => {
                    actions.push(Action::Cancel);
                    self.end(TaskStatus { state, at: now, ..TaskStatus::default() }, actions);
                }
                Step::Forget if self.withdrawn => return actions.push(Action::Forget),
                Step::Forget | Step::Keep => return,
            }
        }
    }

    fn start_at(&self) -> Option<Timestamp> {
        self.assigned.as_ref().and_then(|assigned| assigned.start_at_ms).map(Timestamp)
    }

    fn mount(&mut self, actions: &mut Vec<Action>) {
        if self.busy == Busy::No {
            self.busy = Busy::Mounting;
            actions.push(Action::Mount);
        }
    }

    fn start(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        self.busy = Busy::No;
        self.report(TaskState::Starting, String::new(), now, actions);
        actions.push(Action::Start);
    }

    /// It runs. One that was told to stop meanwhile was never in a route, so it drains at once; one with a health check
    /// is still starting until that succeeds.
    fn started(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        self.started_at = Some(now);
        if self.desired() >= TaskState::Shutdown {
            self.drain(actions);
        } else if self.health().is_some() {
            self.report_health(TaskState::Starting, Health::Starting, String::new(), now, actions);
            actions.push(Action::Probe(Duration::ZERO));
        } else {
            self.report(TaskState::Running, String::new(), now, actions);
        }
    }

    fn health(&self) -> Option<&HealthCheck> {
        self.assigned.as_ref()?.template.health.as_ref()
    }

    fn probed(&mut self, answer: Result<(), String>, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(check) = self.health().cloned() else { return };
        if self.busy != Busy::No || self.observed.is_final() {
            return;
        }
        let interval = Duration::from_millis(check.interval_ms);
        let starting = self.observed == TaskState::Starting;
        match answer {
            Ok(()) if starting => {
                self.unanswered = 0;
                self.report_health(TaskState::Running, Health::Healthy, String::new(), now, actions);
                actions.push(Action::Probe(interval));
            }
            Ok(()) => {
                self.unanswered = 0;
                actions.push(Action::Probe(interval));
            }
            Err(why) if starting => self.not_ready(&check, why, now, actions),
            Err(why) => self.missed(&check, why, now, actions),
        }
    }

    /// It is asked often while it starts, and given up when it had the time of all its tries.
    fn not_ready(&mut self, check: &HealthCheck, why: String, now: Timestamp, actions: &mut Vec<Action>) {
        let since = self.started_at.unwrap_or(now);
        if now.since(since) >= Duration::from_millis(check.patience_ms()) {
            self.unhealthy = Some(format!("health check never succeeded: {why}"));
            return self.drain(actions);
        }
        let first = self.unanswered == 0;
        self.unanswered = self.unanswered.saturating_add(1);
        if first {
            self.report_health(TaskState::Starting, Health::Starting, format!("health check: {why}"), now, actions);
        }
        actions.push(Action::Probe(Duration::from_millis(check.interval_ms).min(HEALTH_START_INTERVAL_MAX)));
    }

    /// The check of a running task failed. In its start period that counts for nothing.
    fn missed(&mut self, check: &HealthCheck, why: String, now: Timestamp, actions: &mut Vec<Action>) {
        let young = now.since(self.started_at.unwrap_or(now)) < Duration::from_millis(check.start_period_ms);
        self.unanswered = if young { 0 } else { self.unanswered.saturating_add(1) };
        if self.unanswered < check.retries {
            return actions.push(Action::Probe(Duration::from_millis(check.interval_ms)));
        }
        let why = format!("health check failed {} times: {why}", self.unanswered);
        self.unhealthy = Some(why.clone());
        self.report_health(TaskState::Running, Health::Unhealthy, why, now, actions);
        self.busy = Busy::Leaving;
        actions.push(Action::LeaveRoutesUnhealthy);
    }

    fn stop(&mut self, actions: &mut Vec<Action>) {
        match self.busy {
            // The start is short, and is awaited to its end.
            _ if self.observed == TaskState::Starting && self.started_at.is_none() => {}
            // It runs, but is not known to be healthy: no route ever led to it.
            Busy::No if self.observed == TaskState::Starting => self.drain(actions),
            // Withdrawn: the view that did so left it out of the routes as well, and nobody acknowledges for it.
            Busy::No | Busy::Leaving if self.withdrawn => {
                actions.push(Action::Cancel);
                self.drain(actions);
            }
            Busy::No => {
                self.busy = Busy::Leaving;
                actions.push(Action::LeaveRoutes(self.stop_version));
            }
            Busy::Mounting | Busy::Leaving | Busy::Draining => {}
        }
    }

    fn drain(&mut self, actions: &mut Vec<Action>) {
        self.busy = Busy::Draining;
        let grace_ms = self.assigned.as_ref().map_or(0, |assigned| assigned.template.stop_grace_ms);
        let grace = Duration::from_millis(grace_ms);
        actions.push(Action::Stop(if self.unhealthy.is_some() { grace.min(UNHEALTHY_GRACE_MAX) } else { grace }));
    }

    /// An error before `starting` is a rejection, later a failure.
    fn refuse(&mut self, error: TaskError, now: Timestamp, actions: &mut Vec<Action>) {
        let state = if self.observed < TaskState::Starting { TaskState::Rejected } else { TaskState::Failed };
        let message = shorten(error.message, STATUS_MESSAGE_BYTES_MAX);
        self.end(TaskStatus { state, at: now, message, ..TaskStatus::default() }, actions);
    }

    fn exited(&mut self, exit: Exit, now: Timestamp, actions: &mut Vec<Action>) {
        if self.observed.is_final() {
            return;
        }
        let mut status = TaskStatus { state: TaskState::Complete, at: now, ..TaskStatus::default() };
        match exit {
            Exit::Completed => status.exit_code = Some(0),
            Exit::Failed { code } => {
                status.state = TaskState::Failed;
                status.exit_code = Some(code);
                status.message = format!("exit code {code}");
            }
            Exit::Trapped { message, backtrace } => {
                status.state = TaskState::Failed;
                status.message = shorten(message, STATUS_MESSAGE_BYTES_MAX);
                status.backtrace = shorten(backtrace, STATUS_BACKTRACE_BYTES_MAX);
            }
            Exit::Stopped => status.state = TaskState::Shutdown,
        }
        // However it ends after it was told to: it is shut down. What went wrong stays readable.
        if self.busy == Busy::Draining {
            status.state = TaskState::Shutdown;
        }
        if let Some(why) = self.unhealthy.take() {
            status.message = why;
            status.health = Some(Health::Unhealthy);
            if self.desired() < TaskState::Shutdown {
                status.state = TaskState::Failed;
            }
        }
        actions.push(Action::Cancel);
        self.end(status, actions);
    }

    fn end(&mut self, status: TaskStatus, actions: &mut Vec<Action>) {
        self.busy = Busy::No;
        self.observed = status.state;
        actions.push(Action::Release);
        actions.push(Action::Report(status));
    }

    fn report_health(&mut self, state: TaskState, health: Health, message: String, now: Timestamp, actions: &mut Vec<Action>) {
        self.observed = state;
        let message = shorten(message, STATUS_MESSAGE_BYTES_MAX);
        actions.push(Action::Report(TaskStatus { state, at: now, message, health: Some(health), ..TaskStatus::default() }));
    }

    fn report(&mut self, state: TaskState, message: String, now: Timestamp, actions: &mut Vec<Action>) {
        self.observed = state;
        let message = shorten(message, STATUS_MESSAGE_BYTES_MAX);
        actions.push(Action::Report(TaskStatus { state, at: now, message, ..TaskStatus::default() }));
    }
}

/// Cuts at a character's boundary, and says so.
fn shorten(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let cut = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push_str(" …");
    }
    text
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
