//! An executor that runs nothing, as scripted, and remembers what was asked of it.
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use minicloud_core::id::TaskId;
use minicloud_core::spec::Digest;
use minicloud_core::task::{Exit, TaskUsage};
use minicloud_net::TaskNet;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::lock;
use crate::executor::{Executor, LogFn, RunTask, RunningTask, TaskError};

/// How the tasks of a service behave.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    pub start_delay: Duration,
    pub start_error: Option<String>,
    /// Ends by itself after this long.
    pub exit: Option<(Duration, Exit)>,
    /// How long it takes to drain; more than the grace period, and it is cut off.
    pub drain: Duration,
    /// Takes no notice of a stop, nor of its grace period.
    pub deaf: bool,
}

/// See the module.
#[derive(Default)]
pub struct FakeExecutor {
    script: Mutex<Script>,
    asked: Arc<Mutex<Vec<String>>>,
    running: Mutex<BTreeMap<TaskId, Arc<FakeTask>>>,
    preparing: AtomicUsize,
    preparing_most: AtomicUsize,
}

#[derive(Default)]
struct Script {
    behaviours: BTreeMap<String, Behaviour>,
    prepare_delay: Duration,
    prepare_error: Option<String>,
}

impl FakeExecutor {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// From now on tasks of this service behave so.
    pub fn script(&self, service: &str, behaviour: Behaviour) {
        lock(&self.script).behaviours.insert(service.to_owned(), behaviour);
    }

    /// From now on a component takes this long to prepare, and then fails if there is an error.
    pub fn script_prepare(&self, delay: Duration, error: Option<&str>) {
        let mut script = lock(&self.script);
        script.prepare_delay = delay;
        script.prepare_error = error.map(str::to_owned);
    }

    /// What was asked of it, in order: `prepare`, `start web.1`, `stop web.1`, `kill web.1`.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }

    /// Most preparations that were under way at once.
    pub fn preparing_most(&self) -> usize {
        self.preparing_most.load(Ordering::Relaxed)
    }

    /// Tasks that run, as `service.slot`.
    pub fn running(&self) -> Vec<String> {
        lock(&self.running).values().filter(|task| task.exit.borrow().is_none()).map(|task| task.name.clone()).collect()
    }

    pub fn running_ids(&self) -> Vec<TaskId> {
        lock(&self.running).iter().filter(|(_, task)| task.exit.borrow().is_none()).map(|(id, _)| *id).collect()
    }

    /// The last start of a task, as it was asked for.
    pub fn run_of(&self, task: TaskId) -> Option<RunTask> {
        lock(&self.running).get(&task).map(|task| task.run.clone())
    }

    /// Ends a task from within.
    pub fn end(&self, task: TaskId, exit: Exit) {
        if let Some(task) = lock(&self.running).get(&task) {
            task.end(exit);
        }
    }
}

#[async_trait]
impl Executor for FakeExecutor {
    async fn prepare(&self, _digest: Digest, _component: &Path) -> Result<(), TaskError> {
        let (delay, error) = {
            let script = lock(&self.script);
            (script.prepare_delay, script.prepare_error.clone())
        };
        lock(&self.asked).push("prepare".into());
        let preparing = self.preparing.fetch_add(1, Ordering::Relaxed) + 1;
        self.preparing_most.fetch_max(preparing, Ordering::Relaxed);
        sleep(delay).await;
        self.preparing.fetch_sub(1, Ordering::Relaxed);
        error.map_or(Ok(()), |error| Err(TaskError::new(error)))
    }

    async fn start(&self, run: RunTask, _net: TaskNet, _log: LogFn) -> Result<Arc<dyn RunningTask>, TaskError> {
        let behaviour = lock(&self.script).behaviours.get(&run.service).cloned().unwrap_or_default();
        let name = format!("{}.{}", run.service, run.slot);
        lock(&self.asked).push(format!("start {name}"));
        if !behaviour.start_delay.is_zero() {
            sleep(behaviour.start_delay).await;
        }
        if let Some(error) = behaviour.start_error {
            return Err(TaskError::new(error));
        }
        let task = Arc::new(FakeTask { name, run, behaviour, exit: watch::Sender::default(), asked: Arc::clone(&self.asked) });
        if let Some((after, exit)) = task.behaviour.exit.clone() {
            let task = Arc::clone(&task);
            tokio::spawn(async move {
                sleep(after).await;
                task.end(exit);
            });
        }
        lock(&self.running).insert(task.run.id, Arc::clone(&task));
        Ok(task)
    }
}

struct FakeTask {
    name: String,
    run: RunTask,
    behaviour: Behaviour,
    exit: watch::Sender<Option<Exit>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakeTask {
    /// The first end stands.
    fn end(&self, exit: Exit) -> bool {
        self.exit.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(exit);
            first
        })
    }
}

#[async_trait]
impl RunningTask for FakeTask {
    async fn wait(&self) -> Exit {
        let mut exit = self.exit.subscribe();
        let ended = exit.wait_for(Option::is_some).await.ok().and_then(|exit| exit.clone());
        ended.unwrap_or(Exit::Stopped)
    }

    async fn stop(&self, grace: Duration) {
        lock(&self.asked).push(format!("stop {}", self.name));
        if self.behaviour.deaf {
            std::future::pending::<()>().await;
        }
        let _ = timeout(grace, sleep(self.behaviour.drain)).await;
        self.end(Exit::Stopped);
    }

    fn kill(&self) {
        if self.end(Exit::Stopped) {
            lock(&self.asked).push(format!("kill {}", self.name));
        }
    }

    fn usage(&self) -> TaskUsage {
        TaskUsage::default()
    }
}
