//! Every bound of the virtual network, with its unit.
use std::ops::RangeInclusive;
use std::time::Duration;

pub use minicloud_core::limits::CONNECT_READY_WAIT;

/// Bytes that wait in one direction of a connection, unless its task has many connections.
pub const PIPE_BYTES_DEFAULT: usize = 256 << 10;
/// Least bytes that wait in one direction, however many connections a task has.
pub const PIPE_BYTES_MIN: usize = 16 << 10;
/// A task's connections share about this many bytes per direction: the n-th one gets an n-th of it,
/// between [`PIPE_BYTES_MIN`] and [`PIPE_BYTES_DEFAULT`].
pub const TASK_BUFFER_BYTES: usize = 64 << 20;
/// Writes below this many bytes are copied into the last chunk rather than queued on their own.
pub const COALESCE_BELOW_BYTES: usize = 4 << 10;
/// The chunk that small writes are copied into is sealed before it grows past this many bytes.
pub const COALESCED_CHUNK_BYTES_MAX: usize = 16 << 10;
/// One call copies at most this many bytes in, so that memory is freed in pieces as the reader advances.
pub const WRITE_BYTES_MAX: usize = 64 << 10;
/// An emptied queue keeps room for this many chunks; a larger one is given back.
pub const IDLE_QUEUE_CHUNKS_MAX: usize = 32;

/// Bytes that may travel along with the opening of a connection; every pipe holds them.
pub const FIRST_BYTES_MAX: usize = 8 << 10;

/// Open connections of one task, both directions and queued ones included.
pub const CONNECTIONS_PER_TASK_MAX: usize = 16_384;
/// Ports that one task may hold at a time, TCP and UDP together.
pub const BOUND_PORTS_PER_TASK_MAX: usize = 16_384;
/// Ports that are chosen for sockets which name none.
pub const EPHEMERAL_PORTS: RangeInclusive<u16> = 49_152..=65_535;

/// Connections that wait to be accepted when the socket names no backlog.
pub const BACKLOG_DEFAULT: usize = 128;
/// Connections that wait to be accepted at most.
pub const BACKLOG_MAX: usize = 4_096;

/// A connection attempt to another node gives up after this long.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An attempt at one backend gives up after this long when there are others to try.
pub const BACKEND_TIMEOUT: Duration = Duration::from_millis(500);
/// A connection that waits for a ready backend looks again this often, though nothing seems to have changed.
pub const READY_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// However much changes on this node, two looks are at least this far apart: each may send packets to other nodes.
pub const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(2);
/// Backends tried in each further look; the first look tries every one.
pub const BACKENDS_PER_LOOK_MAX: usize = 4;

/// Bytes of one datagram: what UDP over IPv4 can carry.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;
/// Datagrams that wait at one socket; further ones are dropped.
pub const DATAGRAMS_QUEUED_MAX: usize = 256;
/// Bytes of datagrams that wait at one socket; further ones are dropped.
pub const DATAGRAM_BYTES_QUEUED_MAX: usize = 512 << 10;
/// Virtual addresses for which one UDP socket remembers its backend.
pub const STICKY_BACKENDS_MAX: usize = 256;

/// Clients outside the cluster that one published UDP port, or one socket behind it, remembers at a time.
pub const OUTSIDE_CLIENTS_MAX: usize = 16_384;
/// A client outside that is silent this long is forgotten: it may get another task, and no late answer.
pub const OUTSIDE_CLIENT_IDLE: Duration = Duration::from_secs(120);

/// Wakers kept by a queue that several tasks may wait on; the oldest is woken to make room.
pub const WAKERS_MAX: usize = 16;
