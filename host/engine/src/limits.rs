//! Every bound of the engine, with its unit.
use std::time::Duration;

/// Length of an epoch: how often a running guest is asked whether its turn is over.
pub const TICK: Duration = Duration::from_millis(1);
/// A guest that has run for less than this is not interrupted by a tick; it has only just been woken.
pub const TURN_MIN: Duration = Duration::from_micros(300);
/// Ticks without a running guest after which the ticker sleeps until a guest runs again.
pub const TICKS_IDLE_MAX: u32 = 3;
/// How far ahead of its CPU cap a task may run, as time on the clock.
pub const CPU_BURST: Duration = Duration::from_millis(20);

/// Elements of all tables of one store together; each costs the host 8 bytes.
pub const TABLE_ELEMENTS_MAX: usize = 100_000;
/// Elements of one table.
pub const TABLE_ELEMENTS_PER_TABLE_MAX: usize = 32_768;
/// Handles (sockets, streams, requests, files) of one store.
pub const HANDLES_MAX: usize = 65_536;
/// Core instances of one component.
pub const CORE_INSTANCES_PER_COMPONENT_MAX: u32 = 40;
/// Bytes of random data a guest may ask for at once.
pub const RANDOM_BYTES_MAX: u64 = 16 << 20;

/// Bytes of the largest component that is compiled.
pub const COMPONENT_BYTES_MAX: usize = 256 << 20;
/// Components kept loaded in one process.
pub const COMPONENTS_LOADED_MAX: usize = 128;
/// Files kept in the cache folder of one engine configuration.
pub const CACHE_FILES_MAX: usize = 512;

/// Bytes of a file that a guest reads at a time; wasmtime-wasi gives no more.
pub const FILE_READ_BYTES: usize = 64 << 10;
/// Bytes of a guest's stream that are written to a file at a time.
pub const FILE_WRITE_BYTES: usize = 256 << 10;

/// Bytes of one log line; a longer line is cut into lines of this length.
pub const LOG_LINE_BYTES_MAX: usize = 16 << 10;

/// Instance slots of the pool at least, whatever the host's memory.
pub const POOL_SLOTS_MIN: u32 = 64;
/// Instance slots of the pool at most.
pub const POOL_SLOTS_MAX: u32 = 16_000;
/// Host memory per instance slot, in bytes: an idle task needs a tenth of it.
pub const POOL_BYTES_PER_SLOT: u64 = 1 << 20;
/// Memory maps of the process per instance slot (see `vm.max_map_count`): five quarters of four for a memory (zeros, image,
/// zeros, guard) and of two for a stack (guard, stack) make 7.5, and the rest is for everything else in the process.
pub const POOL_MAPS_PER_SLOT: u32 = 8;
/// Slots of ended instances that are kept warm.
pub const POOL_WARM_SLOTS: u32 = 100;

/// Threads for the guests' file-system calls and for compiling.
pub const BLOCKING_THREADS_MAX: usize = 64;
/// Longest time from `start` until the component is instantiated.
pub const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests that wait for admission to one HTTP task; beyond, 503.
pub const REQUESTS_QUEUED_MAX: usize = 1_024;
/// Requests at once in a WASI 0.3 HTTP task whose service names no concurrency.
pub const REQUESTS_ACTIVE_MAX: u32 = 4_096;
/// Requests at once, and so instances, in a WASI 0.2 HTTP task whose service names no concurrency.
pub const INSTANCES_PER_TASK_MAX: u32 = 256;
/// Open connections of one HTTP task; further ones wait in its accept queue.
pub const CONNECTIONS_PER_TASK_MAX: usize = 8_192;
/// Connections that wait to be accepted by an HTTP task.
pub const HTTP_BACKLOG: usize = 1_024;
/// An HTTP connection that sends no complete request head for this long is closed.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// A draining server keeps idle connections open for this long, so that a request on its way is still answered.
pub const DRAIN_LINGER: Duration = Duration::from_millis(250);
/// Default and upper bound of the timeouts of an outgoing HTTP request.
pub const HTTP_CLIENT_TIMEOUT: Duration = Duration::from_secs(600);
