//! Carries out what `machine` decides for one task: one small tokio task each.
//!
//! Owns what a run holds (its instance, its network namespace, its volumes) and the one step under way. It decides
//! nothing: every result goes back to the machine as an event.
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use minicloud_core::id::{Index, NodeId, TaskId};
use minicloud_core::limits::{ROUTE_ACK_WAIT, TASK_MEMORY_DEFAULT_BYTES};
use minicloud_core::task::Exit;
use minicloud_core::time::Timestamp;
use minicloud_core::view::{AssignedTask, NodeView};
use minicloud_net::{Switch, TaskNet};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::LogSink;
use super::health::{self, Check};
use super::machine::{Action, Event, Machine};
use super::mounts::{self, Mounts};
use super::prepare::Preparer;
use super::running::RunningTasks;
use crate::env::Clock;
use crate::executor::{Executor, RunFile, RunTask, RunningTask, TaskError};
use crate::files::FileSource;
use crate::limits::{HALT_GRACE_MAX, KILL_WAIT};
use crate::session::SessionHandle;
use crate::volumes::Volumes;

/// What a driver is told from outside; only the last word counts.
#[derive(Clone, Debug)]
pub(super) enum Order {
    Keep(Arc<AssignedTask>),
    /// The view has it no longer.
    Withdraw,
    /// The node goes down: end it, and say nothing, because the task is still wanted here.
    Halt,
}

/// What all drivers of a node share.
pub(super) struct Tools {
    pub(super) node: NodeId,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) session: SessionHandle,
    pub(super) preparer: Arc<Preparer>,
    pub(super) executor: Arc<dyn Executor>,
    pub(super) files: Arc<dyn FileSource>,
    pub(super) volumes: Arc<dyn Volumes>,
    pub(super) logs: Arc<dyn LogSink>,
    pub(super) switch: Switch,
    pub(super) running: RunningTasks,
}

/// How a step ended, with what it made.
enum StepEnd {
    Prepared(Result<(PathBuf, Vec<RunFile>), TaskError>),
    StartDue,
    Mounted(Result<Mounts, TaskError>),
    Started(Result<Arc<dyn RunningTask>, TaskError>),
    RoutesLeft,
    /// It did not end though it was killed.
    Stuck,
    Stopped,
}

/// What one run of a task holds.
#[derive(Default)]
struct Held {
    component: Option<PathBuf>,
    /// Kept while the task runs, so that others of this node which have them need not ask.
    files: Vec<RunFile>,
    mounts: Mounts,
    net: Option<TaskNet>,
    running: Option<Arc<dyn RunningTask>>,
}

pub(super) struct Driver {
    tools: Arc<Tools>,
    task: TaskId,
    orders: watch::Receiver<Order>,
    machine: Machine,
    held: Held,
    step: Option<BoxFuture<'static, StepEnd>>,
    exit: Option<BoxFuture<'static, Exit>>,
    probe: Option<BoxFuture<'static, Result<(), String>>>,
    halting: bool,
    assigned_at: Instant,
}

impl Driver {
    pub(super) fn new(tools: Arc<Tools>, task: TaskId, mut orders: watch::Receiver<Order>) -> Self {
        orders.mark_changed();
        Driver {
            tools,
            task,
            orders,
            machine: Machine::new(),
            held: Held::default(),
            step: None,
            exit: None,
            probe: None,
            halting: false,
            assigned_at: Instant::now(),
        }
    }

    /// Runs until the task is withdrawn and ended.
    pub(super) async fn run(mut self) {
        let mut events = VecDeque::new();
        loop {
            let event = match events.pop_front() {
                Some(event) => event,
                None => self.next_event().await,
            };
            for action in self.machine.handle(event, self.tools.clock.now()) {
                if action == Action::Forget {
                    return self.tools.session.forget(self.task);
                }
                events.extend(self.perform(action));
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        loop {
            tokio::select! {
                biased;
                changed = self.orders.changed() => return self.order(changed.is_ok()),
                exit = wait_for(&mut self.exit) => {
                    self.exit = None;
                    return Event::Exited(exit);
                }
                answer = wait_for(&mut self.probe) => {
                    self.probe = None;
                    return Event::Probed(answer);
                }
                end = wait_for(&mut self.step) => {
                    self.step = None;
                    if let Some(event) = self.step_ended(end) {
                        return event;
                    }
                }
            }
        }
    }

    /// An agent that is gone withdraws everything.
    fn order(&mut self, agent_lives: bool) -> Event {
        match self.orders.borrow_and_update().clone() {
            Order::Keep(assigned) if agent_lives => Event::Assigned(assigned),
            Order::Withdraw => Event::Withdrawn,
            Order::Keep(_) | Order::Halt => {
                self.halting = true;
                Event::Withdrawn
            }
        }
    }

    fn step_ended(&mut self, end: StepEnd) -> Option<Event> {
        Some(match end {
            StepEnd::Prepared(prepared) => Event::Prepared(prepared.map(|(path, files)| {
                self.held.component = Some(path);
                self.held.files = files;
            })),
            StepEnd::StartDue => Event::StartDue,
            StepEnd::Mounted(mounts) => Event::Mounted(mounts.map(|mounts| self.held.mounts = mounts)),
            StepEnd::Started(running) => Event::Started(running.map(|running| self.keep(running))),
            StepEnd::RoutesLeft => Event::RoutesLeft,
            StepEnd::Stuck => Event::Exited(Exit::Stopped),
            StepEnd::Stopped => return None,
        })
    }

    fn keep(&mut self, running: Arc<dyn RunningTask>) {
        debug!(task = %self.task, took_us = self.assigned_at.elapsed().as_micros(), "running");
        if let (Some(assigned), Some(net)) = (self.machine.assigned(), &self.held.net) {
            self.tools.running.insert(Arc::clone(assigned), Arc::clone(&running), net.clone());
        }
        self.held.running = Some(Arc::clone(&running));
        self.exit = Some(Box::pin(async move { running.wait().await }));
    }

    /// Does one thing, or begins the step; what is known at once comes back as an event.
    fn perform(&mut self, action: Action) -> Option<Event> {
        let assigned = self.machine.assigned().cloned()?;
        match action {
            Action::Report(status) => {
                if status.state.is_final() {
                    self.tools.logs.ended(self.task);
                }
                if !self.halting {
                    self.tools.session.report(self.task, status);
                }
            }
            Action::Prepare => return self.prepare(assigned),
            Action::WaitUntil(due) => self.step = Some(wait_until(due, self.tools.clock.now())),
            Action::Mount => return self.mount(&assigned),
            Action::Start => self.start(&assigned),
            Action::LeaveRoutes(index) => self.step = Some(leave_routes(&self.tools.session, index)),
            Action::LeaveRoutesUnhealthy => self.step = Some(leave_routes_unhealthy(&self.tools.session, &assigned)),
            Action::Probe(after) => self.probe(&assigned, after),
            Action::Stop(grace) => self.stop(grace),
            Action::Cancel => self.step = None,
            Action::Release => self.release(),
            Action::Forget => {}
        }
        None
    }

    fn prepare(&mut self, assigned: Arc<AssignedTask>) -> Option<Event> {
        let digest = assigned.template.image.digest;
        let ready = self.tools.preparer.ready(digest);
        if let Some(path) = ready.clone().filter(|_| assigned.template.files().next().is_none()) {
            self.held.component = Some(path);
            return Some(Event::Prepared(Ok(())));
        }
        let (preparer, files) = (Arc::clone(&self.tools.preparer), Arc::clone(&self.tools.files));
        self.step = Some(Box::pin(async move {
            let component = async {
                match ready {
                    Some(path) => Ok(path),
                    None => preparer.prepare(digest).await,
                }
            };
            let files = async {
                match assigned.template.files().next() {
                    None => Ok(Vec::new()),
                    Some(_) => files.files(&assigned).await.map_err(TaskError::new),
                }
            };
            StepEnd::Prepared(tokio::try_join!(component, files))
        }));
        None
    }

    fn mount(&mut self, assigned: &Arc<AssignedTask>) -> Option<Event> {
        if assigned.template.mounts.is_empty() {
            return Some(Event::Mounted(Ok(())));
        }
        let (volumes, assigned) = (Arc::clone(&self.tools.volumes), Arc::clone(assigned));
        let held = assigned.volumes.iter().find_map(|(name, volume)| Some((name, volumes.holder(*volume)?)));
        let waits = held.map(|(name, holder)| Event::MountWaits(format!("waits for volume '{name}', which task {holder} holds")));
        self.step = Some(Box::pin(async move { StepEnd::Mounted(mounts::take(&*volumes, &assigned).await) }));
        waits
    }

    fn start(&mut self, assigned: &AssignedTask) {
        let net = self.tools.switch.attach(assigned.id, Some(assigned.service), assigned.addresses.clone());
        self.held.net = Some(net.clone());
        let run = self.run_task(assigned);
        let log = self.tools.logs.open(assigned.id);
        let executor = Arc::clone(&self.tools.executor);
        self.step = Some(Box::pin(async move { StepEnd::Started(executor.start(run, net, log).await) }));
    }

    fn run_task(&mut self, assigned: &AssignedTask) -> RunTask {
        let template = &assigned.template;
        RunTask {
            id: assigned.id,
            service: assigned.service_name.clone(),
            slot: assigned.slot.to_string(),
            node: self.tools.node.to_string(),
            hostname: assigned.hostname.clone(),
            digest: template.image.digest,
            component: self.held.component.clone().unwrap_or_default(),
            args: template.args.clone(),
            env: template.env.clone(),
            memory_bytes: match template.resources.limit_memory_bytes {
                0 => TASK_MEMORY_DEFAULT_BYTES,
                bytes => bytes,
            },
            cpu_millis: template.resources.limit_cpu_millis,
            http_port: template.http_port,
            concurrency: template.concurrency,
            mounts: std::mem::take(&mut self.held.mounts.run),
            files: self.held.files.clone(),
        }
    }

    fn probe(&mut self, assigned: &AssignedTask, after: Duration) {
        if let Some(check) = Check::of(assigned) {
            self.probe = Some(Box::pin(health::ask(self.tools.switch.clone(), self.task, check, after)));
        }
    }

    fn stop(&mut self, grace: Duration) {
        let grace = if self.halting { grace.min(HALT_GRACE_MAX) } else { grace };
        if let Some(running) = self.held.running.clone() {
            self.step = Some(Box::pin(end_run(running, grace)));
        }
    }

    fn release(&mut self) {
        self.tools.running.remove(self.task);
        self.exit = None;
        self.probe = None;
        let held = std::mem::take(&mut self.held);
        if let Some(running) = held.running {
            running.kill();
        }
        if let Some(net) = held.net {
            net.close();
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.release();
    }
}

/// Pending for ever while there is nothing to wait for.
async fn wait_for<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

fn wait_until(due: Timestamp, now: Timestamp) -> BoxFuture<'static, StepEnd> {
    let wait = due.since(now);
    Box::pin(async move {
        sleep(wait).await;
        StepEnd::StartDue
    })
}

fn leave_routes(session: &SessionHandle, index: Index) -> BoxFuture<'static, StepEnd> {
    let mut acknowledged = session.acknowledged();
    Box::pin(async move {
        // Past the bound a node that does not answer keeps nobody from stopping; its connections are then cut.
        let _ = timeout(ROUTE_ACK_WAIT, acknowledged.wait_for(|least| *least >= index)).await;
        StepEnd::RoutesLeft
    })
}

/// Nobody told it to stop, so no index is known: the first view without it says which.
fn leave_routes_unhealthy(session: &SessionHandle, assigned: &AssignedTask) -> BoxFuture<'static, StepEnd> {
    let (mut views, mut acknowledged) = (session.view(), session.acknowledged());
    let (service, task) = (assigned.service, assigned.id);
    Box::pin(async move {
        let left = async {
            let routed =
                |view: &NodeView| view.routes.services.get(&service).is_some_and(|route| route.backends.iter().any(|at| at.task == task));
            let index = views.wait_for(|view| !routed(view)).await.map(|view| view.index);
            if let Ok(index) = index {
                let _ = acknowledged.wait_for(|least| *least >= index).await;
            }
        };
        let _ = timeout(ROUTE_ACK_WAIT, left).await;
        StepEnd::RoutesLeft
    })
}

/// Stops in order; what does not end is killed; what does not even end then is given up.
async fn end_run(running: Arc<dyn RunningTask>, grace: Duration) -> StepEnd {
    let in_order = async {
        running.stop(grace).await;
        running.wait().await
    };
    if timeout(grace + KILL_WAIT, in_order).await.is_ok() {
        return StepEnd::Stopped;
    }
    running.kill();
    match timeout(KILL_WAIT, running.wait()).await {
        Ok(_) => StepEnd::Stopped,
        Err(_) => StepEnd::Stuck,
    }
}
