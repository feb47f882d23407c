//! The store of an instance: a task's state behind every host call, its memory limiter, its turns.
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use minicloud_core::task::LogStream;
use minicloud_net::TaskNet;
use tokio::sync::watch;
use wasmtime::Store;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::alarm::Queue;
use crate::capability::clocks::{Clock, ClockView};
use crate::capability::files::{FilesView, Shown, Tree};
use crate::capability::http::HttpClient;
use crate::capability::logs::LogWriter;
use crate::capability::settings::{Settings, settings};
use crate::capability::sockets::SocketsView;
use crate::capability::task::Lifecycle;
use crate::capability::volumes::{self, Mounts};
use crate::capacity::Capacity;
use crate::error::EngineError;
use crate::limits::{HANDLES_MAX, RANDOM_BYTES_MAX};
use crate::memory::{MemoryBudget, StoreMemory};
use crate::meter::{CpuMeter, Metered, Turn};
use crate::spec::{HostMount, RunSpec};
use crate::ticker::Pulse;

/// What host calls of one instance work on.
pub struct GuestState {
    wasi: WasiCtx,
    table: ResourceTable,
    clock: Clock,
    http: WasiHttpCtx,
    http_client: HttpClient,
    net: TaskNet,
    files: Tree,
    shown: Shown,
    settings: Arc<Settings>,
    lifecycle: Arc<Lifecycle>,
    memory: StoreMemory,
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.http_client }
    }
}

impl GuestState {
    pub fn sockets(&mut self) -> SocketsView<'_> {
        SocketsView { net: &self.net, table: &mut self.table }
    }

    pub fn files(&mut self) -> FilesView<'_> {
        let volumes = WasiFilesystemCtxView { ctx: self.wasi.filesystem(), table: &mut self.table };
        FilesView { volumes, tree: &self.files, shown: &mut self.shown }
    }

    pub fn clock(&mut self) -> ClockView<'_> {
        ClockView { clock: &self.clock, table: &mut self.table }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }
}

/// One task, as all of its instances share it.
pub struct TaskContext {
    pub spec: RunSpec,
    pub net: TaskNet,
    pub cpu: Arc<CpuMeter>,
    pub memory: Arc<MemoryBudget>,
    pub capacity: Capacity,
    pub lifecycle: Arc<Lifecycle>,
    folders: Vec<HostMount>,
    files: Tree,
    settings: Arc<Settings>,
    pub instantiation: Arc<OnceLock<Duration>>,
    engine: wasmtime::Engine,
    pulse: Arc<Pulse>,
    alarms: Arc<Queue>,
}

/// What all tasks of an engine share.
#[derive(Clone)]
pub struct Host {
    pub engine: wasmtime::Engine,
    pub capacity: Capacity,
    pub pulse: Arc<Pulse>,
    pub alarms: Arc<Queue>,
}

impl TaskContext {
    /// `stopping` turns true once the task is told to stop. An error: what it mounts cannot be shown to it.
    pub fn new(spec: RunSpec, net: TaskNet, host: &Host, stopping: watch::Receiver<bool>) -> Result<Arc<TaskContext>, EngineError> {
        let Host { engine, capacity, pulse, alarms } = host.clone();
        let cpu = Arc::new(CpuMeter::new(spec.cpu_millis));
        let memory = Arc::new(MemoryBudget::new(spec.memory_limit_bytes()));
        let lifecycle = Arc::new(Lifecycle::new(&spec, stopping));
        let instantiation = Arc::default();
        let Mounts { folders, files } = Mounts::new(&spec.mounts, &spec.files)?;
        let (files, settings) = (Tree::new(&spec.files, files), Arc::new(settings(&spec.files)));
        Ok(Arc::new(TaskContext {
            spec,
            folders,
            files,
            settings,
            net,
            cpu,
            memory,
            capacity,
            lifecycle,
            instantiation,
            engine,
            pulse,
            alarms,
        }))
    }

    /// A store for one more instance. `turn` belongs to the `Metered` future that will run it.
    pub fn store(&self, turn: &Arc<Turn>) -> Result<Store<GuestState>, EngineError> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let state = GuestState {
            wasi: self.wasi()?,
            table,
            clock: Clock::new(self.alarms.clone()),
            http: WasiHttpCtx::new(),
            http_client: HttpClient::new(self.net.clone()),
            net: self.net.clone(),
            files: self.files.clone(),
            shown: Shown::default(),
            settings: self.settings.clone(),
            lifecycle: self.lifecycle.clone(),
            memory: StoreMemory::new(self.memory.clone()),
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.memory);
        let turn = turn.clone();
        store.epoch_deadline_callback(move |_| Ok(turn.at_tick()));
        store.set_epoch_deadline(1);
        Ok(store)
    }

    /// An instance is there whose making `began` then; the first one counts.
    pub fn instantiated(&self, began: Instant) {
        self.instantiation.get_or_init(|| began.elapsed());
    }

    /// Wrap what runs guest code of this task.
    pub fn metered<T>(&self, turn: Arc<Turn>, future: impl Future<Output = T> + Send + 'static) -> Metered<T> {
        Metered::new(future, self.cpu.clone(), turn, self.pulse.clone())
    }

    /// A line from the host in the task's own log.
    pub fn log_error(&self, text: &str) {
        text.lines().for_each(|line| (self.spec.log)(LogStream::Stderr, line.as_bytes()));
    }

    fn wasi(&self) -> Result<WasiCtx, EngineError> {
        let spec = &self.spec;
        let mut builder = WasiCtx::builder();
        builder
            .stdout(LogWriter::new(LogStream::Stdout, spec.log.clone()))
            .stderr(LogWriter::new(LogStream::Stderr, spec.log.clone()))
            .max_random_size(RANDOM_BYTES_MAX)
            .arg(&spec.service)
            .args(&spec.args);
        if !spec.env.contains_key("HOSTNAME") {
            builder.env("HOSTNAME", &spec.hostname);
        }
        spec.env.iter().for_each(|(name, value)| {
            builder.env(name, value);
        });
        volumes::mount(&mut builder, &self.folders)?;
        Ok(builder.build())
    }
}
