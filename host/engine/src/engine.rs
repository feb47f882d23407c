//! The engine of a node: loads components, starts tasks, owns the guests' threads.
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use minicloud_core::spec::Digest;
use minicloud_core::task::Exit;
use minicloud_net::TaskNet;
use sha2::Digest as _;
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, oneshot, watch};

use crate::admission::Admission;
use crate::alarm::Alarms;
use crate::cache::{Cache, Origin};
use crate::capacity::Capacity;
use crate::command::{self, Ready};
use crate::component::{Component, ComponentKind, WasiVersion};
use crate::config;
use crate::error::EngineError;
use crate::limits::{
    BLOCKING_THREADS_MAX, COMPONENT_BYTES_MAX, COMPONENTS_LOADED_MAX, INSTANCES_PER_TASK_MAX, REQUESTS_ACTIVE_MAX, REQUESTS_QUEUED_MAX,
    START_TIMEOUT,
};
use crate::linker::GuestLinker;
use crate::meter::Turn;
use crate::server;
use crate::spec::{ComponentSource, RunSpec};
use crate::store::{Host, TaskContext};
use crate::task::{Gate, Task};
use crate::ticker::Ticker;
use crate::trap;

/// What an engine is set up with.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Folder of compiled components, shared by the nodes of a machine.
    pub cache_dir: PathBuf,
    /// Memory of the host, which the pool of instances is sized from.
    pub memory_bytes: u64,
    /// Threads that run guests.
    pub guest_threads: usize,
}

impl EngineOptions {
    /// Sized for this machine.
    pub fn new(cache_dir: impl Into<PathBuf>) -> EngineOptions {
        EngineOptions { cache_dir: cache_dir.into(), memory_bytes: host_memory_bytes(), guest_threads: host_threads() }
    }
}

/// Compiles, loads and runs components. Clones are the same engine; with the last one its tasks end.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    host: Host,
    linker: GuestLinker,
    cache: Cache,
    loaded: Mutex<Loaded>,
    _ticker: Ticker,
    _alarms: Alarms,
    /// `None` only while it is dropped.
    guests: Option<Runtime>,
    compiled: AtomicU64,
    from_cache: AtomicU64,
}

/// Loaded components by digest; a cell is filled once however many ask at once.
#[derive(Default)]
struct Loaded {
    components: HashMap<Digest, (u64, Arc<OnceCell<Component>>)>,
    uses: u64,
}

/// What an engine did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Components compiled.
    pub compiled: u64,
    /// Components loaded from the cache folder.
    pub from_cache: u64,
}

impl Engine {
    pub fn new(options: EngineOptions) -> Result<Engine, EngineError> {
        let capacity = Capacity::of_host(options.memory_bytes);
        let wasmtime = config::engine(capacity)?;
        let (ticker, alarms) = (Ticker::start(wasmtime.weak())?, Alarms::start()?);
        let inner = Inner {
            linker: GuestLinker::new(&wasmtime)?,
            cache: Cache::open(&options.cache_dir, &wasmtime)?,
            host: Host { engine: wasmtime, capacity, pulse: ticker.pulse().clone(), alarms: alarms.queue().clone() },
            _ticker: ticker,
            _alarms: alarms,
            guests: Some(guest_runtime(options.guest_threads)?),
            loaded: Mutex::default(),
            compiled: AtomicU64::new(0),
            from_cache: AtomicU64::new(0),
        };
        Ok(Engine { inner: Arc::new(inner) })
    }

    /// Most tasks that fit in this process.
    pub fn tasks_max(&self) -> u32 {
        self.inner.host.capacity.tasks_max()
    }

    /// The component with this digest: from memory, else from the cache folder, else compiled from `source`.
    pub async fn load(&self, digest: Digest, source: ComponentSource) -> Result<Component, EngineError> {
        let cell = self.inner.loaded.lock().unwrap_or_else(PoisonError::into_inner).cell(digest);
        cell.get_or_try_init(|| self.load_from_disk(digest, source)).await.cloned()
    }

    /// Instantiate a component and run it as a task on `net`. Returns once it is up: an HTTP component serves, a
    /// command's `run` was called. Dropping the future, or what it returns, kills the task.
    pub async fn start(&self, spec: RunSpec, component: &Component, net: TaskNet) -> Result<Task, EngineError> {
        let net = net.with_hostname(&spec.hostname);
        let gate = gate(&spec, component.kind());
        let (draining, is_draining) = watch::channel(false);
        let context = TaskContext::new(spec, net, &self.inner.host, is_draining.clone())?;
        let (cpu, memory, lifecycle) = (context.cpu.clone(), context.memory.clone(), context.lifecycle.clone());
        let instantiation = context.instantiation.clone();
        let (ready, is_ready) = oneshot::channel();
        let (exit_sender, exit) = watch::channel(None);
        let running = run(context, component.clone(), gate.as_ref().map(|gate| gate.admission.clone()), is_draining, ready);
        let abort = self.guests()?.spawn(until_end(running, exit_sender)).abort_handle();
        let task = Task { abort, exit, draining, cpu, memory, lifecycle, instantiation, gate };
        match tokio::time::timeout(START_TIMEOUT, is_ready).await {
            Ok(Ok(Ok(()))) => Ok(task),
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(_)) => Err(ended_early(task.wait().await)),
            Err(_) => Err(EngineError::StartTimeout { seconds: START_TIMEOUT.as_secs() }),
        }
    }

    pub fn stats(&self) -> EngineStats {
        EngineStats { compiled: self.inner.compiled.load(Ordering::Relaxed), from_cache: self.inner.from_cache.load(Ordering::Relaxed) }
    }

    async fn load_from_disk(&self, digest: Digest, source: ComponentSource) -> Result<Component, EngineError> {
        let engine = self.clone();
        let loading = self.guests()?.spawn_blocking(move || {
            let inner = &engine.inner;
            let (component, origin) = inner.cache.get_or_compile(digest, || read(digest, source))?;
            let counter = if origin == Origin::Compiled { &inner.compiled } else { &inner.from_cache };
            counter.fetch_add(1, Ordering::Relaxed);
            Component::link(digest, &inner.linker, &component)
        });
        loading.await.unwrap_or_else(|error| Err(EngineError::Setup { reason: format!("loading the component failed: {error}") }))
    }

    fn guests(&self) -> Result<&Runtime, EngineError> {
        self.inner.guests.as_ref().ok_or(EngineError::Closed)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    /// The last clone may go on a thread of another runtime, where waiting for this one is not allowed.
    fn drop(&mut self) {
        if let Some(guests) = self.guests.take() {
            guests.shutdown_background();
        }
    }
}

impl Loaded {
    /// The cell of a component, after making room for it.
    fn cell(&mut self, digest: Digest) -> Arc<OnceCell<Component>> {
        if self.components.len() >= COMPONENTS_LOADED_MAX && !self.components.contains_key(&digest) {
            let oldest = self.components.iter().min_by_key(|(_, (used, _))| *used).map(|(digest, _)| *digest);
            oldest.and_then(|oldest| self.components.remove(&oldest));
        }
        self.uses += 1;
        let (used, cell) = self.components.entry(digest).or_default();
        *used = self.uses;
        cell.clone()
    }
}

/// What a task's future is, by kind.
async fn run(
    context: Arc<TaskContext>,
    component: Component,
    admission: Option<Arc<Admission>>,
    draining: watch::Receiver<bool>,
    ready: Ready,
) -> Exit {
    match admission {
        Some(admission) => server::run(context, component, admission, draining, ready).await,
        None => {
            let turn = Turn::new();
            let running = command::run(context.clone(), component, turn.clone(), ready);
            context.metered(turn, running).await
        }
    }
}

/// Publish how a task ended, whichever way: returned, panicked, or aborted, which drops this future.
async fn until_end(running: impl Future<Output = Exit>, exit: watch::Sender<Option<Exit>>) {
    struct Publish(watch::Sender<Option<Exit>>);
    impl Drop for Publish {
        fn drop(&mut self) {
            self.0.send_if_modified(|exit| exit.is_none().then(|| *exit = Some(Exit::Stopped)).is_some());
        }
    }
    // Dropped last, after everything the task held.
    let publish = Publish(exit);
    let exit = std::panic::AssertUnwindSafe(running).catch_unwind().await;
    publish.0.send_replace(Some(exit.unwrap_or_else(|panic| trap::host_panicked(panic.as_ref()))));
}

fn ended_early(exit: Exit) -> EngineError {
    match exit {
        Exit::Trapped { message, backtrace } => EngineError::StartFailed { message, backtrace },
        Exit::Completed | Exit::Failed { .. } | Exit::Stopped => EngineError::Closed,
    }
}

/// The admission of an HTTP task.
fn gate(spec: &RunSpec, kind: ComponentKind) -> Option<Gate> {
    let host_max = match kind {
        ComponentKind::Http(WasiVersion::P3) => REQUESTS_ACTIVE_MAX,
        ComponentKind::Http(WasiVersion::P2) => INSTANCES_PER_TASK_MAX,
        ComponentKind::Command(_) => return None,
    };
    let concurrency = spec.concurrency.unwrap_or(0);
    let active_max = if concurrency == 0 { host_max } else { concurrency };
    Some(Gate { admission: Admission::new(active_max, REQUESTS_QUEUED_MAX), concurrency })
}

/// A component's bytes, checked against its digest.
fn read(digest: Digest, source: ComponentSource) -> Result<Vec<u8>, EngineError> {
    let bytes = match source {
        ComponentSource::Bytes(bytes) => bytes.into(),
        ComponentSource::File(path) => std::fs::read(&path).map_err(|error| EngineError::Unreadable { path, reason: error.to_string() })?,
    };
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Err(EngineError::TooLarge { bytes: bytes.len(), limit: COMPONENT_BYTES_MAX });
    }
    let found = Digest(sha2::Sha256::digest(&bytes).into());
    if found != digest {
        return Err(EngineError::WrongDigest { expected: digest, found });
    }
    Ok(bytes)
}

/// The guests' own threads, apart from Raft, QUIC and the API. It has timers but no I/O driver: on these threads
/// no socket of the operating system can be opened.
fn guest_runtime(threads: usize) -> Result<Runtime, EngineError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("guest")
        .enable_time()
        // Look at timers after every few turns, since a turn of a spinning guest lasts a millisecond.
        .event_interval(EVENT_INTERVAL_TURNS)
        .build()
        .map_err(|error| EngineError::Setup { reason: format!("no threads for guests: {error}") })
}

const EVENT_INTERVAL_TURNS: u32 = 4;

fn host_threads() -> usize {
    std::thread::available_parallelism().map(std::num::NonZero::get).unwrap_or(1)
}

fn host_memory_bytes() -> u64 {
    const ASSUMED: u64 = 1 << 30;
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    total.map_or(ASSUMED, |kib| kib << 10)
}
