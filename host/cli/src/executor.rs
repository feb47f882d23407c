//! Introduces the engine to the node: the node's executor, over `minicloud-engine`.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use minicloud_core::spec::{Digest, FileKind};
use minicloud_core::task::{Exit, TaskUsage};
use minicloud_engine::{ComponentSource, Engine, EngineError, EngineOptions, GuestFile, GuestFileKind, HostMount, RunSpec, Task};
use minicloud_net::TaskNet;
use minicloud_node::executor::{Executor, LogFn, RunFile, RunTask, RunningTask, TaskError};

/// Runs the node's tasks on an engine of its own.
pub struct EngineExecutor {
    engine: Engine,
}

impl EngineExecutor {
    /// An engine sized for this machine, with the machine's cache of compiled components.
    pub fn new(data_dir: &Path) -> Result<EngineExecutor, EngineError> {
        Ok(EngineExecutor { engine: Engine::new(EngineOptions::new(cache_folder(data_dir)))? })
    }
}

/// Compiled components are shared by all nodes of a user on this machine; without a cache folder a node has its own.
pub fn cache_folder(data_dir: &Path) -> std::path::PathBuf {
    if let Some(folder) = std::env::var_os("MINICLOUD_CACHE_DIR").filter(|folder| !folder.is_empty()) {
        return folder.into();
    }
    if rustix::process::geteuid().is_root() {
        return "/var/cache/minicloud".into();
    }
    match (std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) {
        (Some(cache), _) if !cache.is_empty() => Path::new(&cache).join("minicloud"),
        (_, Some(home)) if !home.is_empty() => Path::new(&home).join(".cache/minicloud"),
        _ => data_dir.join("cache"),
    }
}

#[async_trait]
impl Executor for EngineExecutor {
    async fn prepare(&self, digest: Digest, component: &Path) -> Result<(), TaskError> {
        self.engine.load(digest, ComponentSource::File(component.to_owned())).await.map(|_| ()).map_err(task_error)
    }

    async fn start(&self, run: RunTask, net: TaskNet, log: LogFn) -> Result<Arc<dyn RunningTask>, TaskError> {
        let component = self.engine.load(run.digest, ComponentSource::File(run.component.clone())).await.map_err(task_error)?;
        let spec = RunSpec {
            task: run.id,
            service: run.service,
            slot: run.slot,
            node: run.node,
            hostname: run.hostname,
            args: run.args,
            env: run.env,
            memory_bytes: run.memory_bytes,
            cpu_millis: run.cpu_millis,
            http_port: run.http_port,
            concurrency: run.concurrency,
            mounts: run
                .mounts
                .into_iter()
                .map(|mount| HostMount { host: mount.host, guest: mount.guest, read_only: mount.read_only })
                .collect(),
            files: run.files.into_iter().map(guest_file).collect(),
            log: whole_lines(log),
        };
        let task = self.engine.start(spec, &component, net).await.map_err(task_error)?;
        Ok(Arc::new(EngineTask(task)))
    }

    fn tasks_max(&self) -> u32 {
        self.engine.tasks_max()
    }
}

fn guest_file(file: RunFile) -> GuestFile {
    let kind = match file.kind {
        FileKind::Secret => GuestFileKind::Secret,
        FileKind::Config => GuestFileKind::Config,
    };
    GuestFile { kind, path: file.target, content: file.content.bytes().clone() }
}

/// The engine hands over whole lines without their end; the node's logs take bytes as they were written.
fn whole_lines(log: LogFn) -> LogFn {
    Arc::new(move |stream, line| log(stream, &[line, b"\n"].concat()))
}

fn task_error(error: EngineError) -> TaskError {
    TaskError::new(error.to_string())
}

struct EngineTask(Task);

#[async_trait]
impl RunningTask for EngineTask {
    async fn wait(&self) -> Exit {
        self.0.wait().await
    }

    async fn stop(&self, grace: Duration) {
        self.0.stop(grace).await;
    }

    fn kill(&self) {
        self.0.abort();
    }

    fn usage(&self) -> TaskUsage {
        self.0.usage()
    }
}
