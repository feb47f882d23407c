//! Runs this node's part of the cluster: takes each view, keeps its routes, and drives every assigned task.
//!
//! One small tokio task per assigned task (`driver`), which carries out what a pure machine decides (`machine`).
//! Tasks that run when the daemon ends are started again under the same ids when it is back, because the view still
//! has them. What should run is decided by the leader; what is told to it goes through `session`.
//!
//! ```text
//! let (agent, running) = Agent::new(options);
//! tokio::spawn(agent.run(shutdown));    // returns once every task has ended
//! ```
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use minicloud_core::id::{Index, NodeId, TaskId};
use minicloud_core::task::{TaskState, TaskStatus};
use minicloud_core::view::{AssignedTask, NodeView};
use minicloud_net::Switch;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::env::Clock;
use crate::executor::{Executor, LogFn};
use crate::files::FileSource;
use crate::session::SessionHandle;
use crate::volumes::Volumes;

mod driver;
mod health;
mod machine;
mod mounts;
mod prepare;
mod running;

pub use prepare::ImageSource;
pub use running::RunningTasks;

use driver::{Driver, Order, Tools};
use prepare::Preparer;

pub struct AgentOptions {
    pub node: NodeId,
    pub clock: Arc<dyn Clock>,
    pub session: SessionHandle,
    pub executor: Arc<dyn Executor>,
    pub images: Arc<dyn ImageSource>,
    pub files: Arc<dyn FileSource>,
    pub logs: Arc<dyn LogSink>,
    pub volumes: Arc<dyn Volumes>,
    /// Gets the routes of every view before the view is acknowledged.
    pub switch: Switch,
    /// Called with every view before it is acknowledged: for `Peers::set_endpoints`.
    pub on_view: Box<dyn Fn(&NodeView) + Send + Sync>,
}

/// Where tasks' output goes.
pub trait LogSink: Send + Sync + 'static {
    fn open(&self, task: TaskId) -> LogFn;
    /// All that the task wrote was taken; called before its end is reported, also of one that never started.
    fn ended(&self, task: TaskId);
}

/// See the module. Consumed by [`Agent::run`].
pub struct Agent {
    tools: Arc<Tools>,
    on_view: Box<dyn Fn(&NodeView) + Send + Sync>,
    view: Arc<NodeView>,
    orders: BTreeMap<TaskId, watch::Sender<Order>>,
    drivers: JoinSet<Ended>,
}

/// A driver that came to its end.
struct Ended {
    task: TaskId,
    panicked: bool,
}

impl Agent {
    pub fn new(options: AgentOptions) -> (Agent, RunningTasks) {
        let running = RunningTasks::default();
        let tools = Tools {
            node: options.node,
            clock: options.clock,
            session: options.session,
            preparer: Preparer::new(options.images, Arc::clone(&options.executor)),
            executor: options.executor,
            files: options.files,
            volumes: options.volumes,
            logs: options.logs,
            switch: options.switch,
            running: running.clone(),
        };
        let agent = Agent {
            tools: Arc::new(tools),
            on_view: options.on_view,
            view: Arc::default(),
            orders: BTreeMap::new(),
            drivers: JoinSet::new(),
        };
        (agent, running)
    }

    /// Follows the views until `shutdown`, then ends every task in order and returns. End the session first, or at the
    /// same time: the tasks are still wanted here, so their end is not reported.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut views = self.tools.session.view();
        views.mark_changed();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = self.drivers.join_next() => self.driver_ended(ended.ok()),
                changed = views.changed() => match changed {
                    Ok(()) => {
                        let view = Arc::clone(&views.borrow_and_update());
                        self.take(view);
                    }
                    Err(_) => break,
                },
            }
        }
        self.halt().await;
    }

    /// Routes first, then tasks, then the acknowledgement: what is acknowledged is in force.
    fn take(&mut self, view: Arc<NodeView>) {
        if view.index == Index(0) {
            return;
        }
        self.tools.switch.set_routes(view.routes.clone());
        (self.on_view)(&view);
        let before = std::mem::replace(&mut self.view, Arc::clone(&view));
        for task in before.tasks.keys().filter(|task| !view.tasks.contains_key(*task)) {
            self.order(*task, Order::Withdraw);
        }
        for (task, assigned) in &view.tasks {
            match before.tasks.get(task) {
                Some(same) if Arc::ptr_eq(same, assigned) || same == assigned => {}
                _ => self.keep(Arc::clone(assigned)),
            }
        }
        self.tools.session.acknowledge(view.index);
    }

    fn keep(&mut self, assigned: Arc<AssignedTask>) {
        let task = assigned.id;
        if self.orders.contains_key(&task) {
            return self.order(task, Order::Keep(assigned));
        }
        let (orders, receiver) = watch::channel(Order::Keep(assigned));
        self.orders.insert(task, orders);
        let driver = Driver::new(Arc::clone(&self.tools), task, receiver);
        self.drivers.spawn(async move {
            let outcome = AssertUnwindSafe(driver.run()).catch_unwind().await;
            Ended { task, panicked: outcome.is_err() }
        });
    }

    fn order(&self, task: TaskId, order: Order) {
        if let Some(orders) = self.orders.get(&task) {
            orders.send_replace(order);
        }
    }

    fn driver_ended(&mut self, ended: Option<Ended>) {
        let Some(Ended { task, panicked }) = ended else { return };
        self.orders.remove(&task);
        if panicked {
            self.confess(task);
        } else if let Some(assigned) = self.view.tasks.get(&task).cloned() {
            // Withdrawn and assigned again before its driver was done.
            self.keep(assigned);
        }
    }

    /// A driver panicked, which is our bug: the task fails, the node goes on.
    fn confess(&self, task: TaskId) {
        error!(%task, "the driver of a task panicked");
        let message = "the node failed to drive this task; see the node's log".to_owned();
        let at = self.tools.clock.now();
        self.tools.session.report(task, TaskStatus { state: TaskState::Failed, at, message, ..TaskStatus::default() });
    }

    async fn halt(mut self) {
        info!(tasks = self.orders.len(), "ending the tasks of this node");
        self.orders.values().for_each(|orders| _ = orders.send_replace(Order::Halt));
        while self.drivers.join_next().await.is_some() {}
    }
}
