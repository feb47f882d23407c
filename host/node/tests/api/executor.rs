//! Tasks that say on which slot they run, and echo on port 80 what they are sent.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use minicloud_core::spec::Digest;
use minicloud_core::task::{Exit, LogStream, TaskUsage};
use minicloud_net::TaskNet;
use minicloud_node::executor::{Executor, LogFn, RunTask, RunningTask, TaskError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, watch};

/// See the module. A component that contains `broken` cannot be prepared.
pub struct EchoExecutor;

/// A request after which a task listens no longer, though it runs on.
pub const CLOSE: &[u8] = b"close";
/// First argument of tasks that fail soon after they run.
pub const FAILS: &str = "fails";
/// First argument of tasks that soon write many lines, the last without an end, and return.
pub const ENDS: &str = "ends";
/// Lines that those write.
pub const LAST_LINES: usize = 200;
const ENDS_AFTER: Duration = Duration::from_millis(50);

#[async_trait]
impl Executor for EchoExecutor {
    async fn prepare(&self, _: Digest, component: &Path) -> Result<(), TaskError> {
        let bytes = std::fs::read(component).map_err(|error| TaskError::new(error.to_string()))?;
        let broken = bytes.windows(6).any(|window| window == b"broken");
        if broken { Err(TaskError::new("the component imports what is not offered: wasi:nn")) } else { Ok(()) }
    }

    async fn start(&self, run: RunTask, net: TaskNet, log: LogFn) -> Result<Arc<dyn RunningTask>, TaskError> {
        let listener = net.listen(([0, 0, 0, 0], run.http_port).into(), 64).map_err(|error| TaskError::new(error.to_string()))?;
        log(LogStream::Stdout, format!("slot {} is up\n", run.slot).as_bytes());
        let last_words = Arc::clone(&log);
        let serving = tokio::spawn(async move {
            let close = Arc::new(Notify::new());
            loop {
                let mut connection = tokio::select! {
                    connection = listener.accept() => match connection {
                        Ok(connection) => connection,
                        Err(_) => return,
                    },
                    () = close.notified() => return,
                };
                log(LogStream::Stderr, format!("{} came\n", connection.remote.ip()).as_bytes());
                let close = Arc::clone(&close);
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    let _ = connection.read_to_end(&mut request).await;
                    if request == CLOSE {
                        close.notify_one();
                    }
                    let _ = connection.write_all(&request).await;
                });
            }
        });
        let task = Arc::new(EchoTask { exit: watch::Sender::default(), serving: serving.abort_handle(), _net: net });
        let end = match run.args.first().map(String::as_str) {
            Some(FAILS) => Some(Exit::Failed { code: 3 }),
            Some(ENDS) => Some(Exit::Completed),
            _ => None,
        };
        if let Some(end) = end {
            let task = Arc::clone(&task);
            tokio::spawn(async move {
                tokio::time::sleep(ENDS_AFTER).await;
                if end == Exit::Completed {
                    (1..LAST_LINES).for_each(|number| last_words(LogStream::Stdout, format!("line {number}\n").as_bytes()));
                    last_words(LogStream::Stdout, format!("line {LAST_LINES}").as_bytes());
                }
                drop(last_words);
                task.exit.send_replace(Some(end));
            });
        }
        Ok(task)
    }
}

struct EchoTask {
    exit: watch::Sender<Option<Exit>>,
    serving: tokio::task::AbortHandle,
    _net: TaskNet,
}

#[async_trait]
impl RunningTask for EchoTask {
    async fn wait(&self) -> Exit {
        self.exit.subscribe().wait_for(Option::is_some).await.unwrap().clone().unwrap()
    }

    async fn stop(&self, _: Duration) {
        self.kill();
    }

    fn kill(&self) {
        self.serving.abort();
        self.exit.send_replace(Some(Exit::Stopped));
    }

    fn usage(&self) -> TaskUsage {
        TaskUsage { memory_bytes: 1_000, concurrency: 1, ..TaskUsage::default() }
    }
}
