//! The network namespace of one local task: its addresses, bound ports and live connections.
//!
//! Inside the crate only; guests and agents hold it through [`crate::TaskNet`]. Detaching is final.
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use minicloud_core::id::{NetworkId, ServiceId, TaskId};
use tokio::sync::watch;

use crate::error::NetError;
use crate::limits;
use crate::pipe::Pipe;
use crate::ports::{Ports, Transport};
use crate::wakers::lock;

/// What a task's connections have carried since it was attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Open now, those that wait to be accepted included.
    pub connections: usize,
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) service: Option<ServiceId>,
    pub(crate) addresses: BTreeMap<NetworkId, Ipv4Addr>,
    pub(crate) hostname: OnceLock<String>,
    pub(crate) ports: Ports,
    pub(crate) registry: Arc<Registry>,
    detached: watch::Sender<bool>,
}

impl Task {
    pub(crate) fn new(id: TaskId, service: Option<ServiceId>, addresses: BTreeMap<NetworkId, Ipv4Addr>) -> Self {
        Task {
            id,
            service,
            addresses,
            hostname: OnceLock::new(),
            ports: Ports::default(),
            registry: Arc::default(),
            detached: watch::Sender::new(false),
        }
    }

    /// Closes every listener and socket, resets every connection, and wakes all who wait. Once.
    pub(crate) fn detach(&self) {
        if self.detached.send_replace(true) {
            return;
        }
        self.ports.close();
        self.registry.close();
    }

    pub(crate) fn is_detached(&self) -> bool {
        *self.detached.borrow()
    }

    pub(crate) fn detached(&self) -> watch::Receiver<bool> {
        self.detached.subscribe()
    }

    /// Whether a socket of this task may be bound to `ip`.
    pub(crate) fn may_bind(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => ip.is_unspecified() || ip.is_loopback() || self.owns(ip),
            IpAddr::V6(ip) => ip.is_unspecified() || ip == Ipv6Addr::LOCALHOST,
        }
    }

    pub(crate) fn owns(&self, ip: Ipv4Addr) -> bool {
        self.addresses.values().any(|own| *own == ip)
    }

    /// A port for a connection whose socket was bound to none.
    pub(crate) fn ephemeral_port(&self) -> u16 {
        self.ports.next_free(Transport::Tcp)
    }
}

/// The live connections of a task, and what they carried.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    live: Mutex<Live>,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Live {
    closed: bool,
    next: u64,
    connections: HashMap<u64, Halves>,
}

/// The directions that one end reads from and writes to. The ends own them; this only finds them.
#[derive(Debug)]
struct Halves {
    incoming: Weak<Pipe>,
    outgoing: Weak<Pipe>,
}

/// The place of one end in its task's registry, given up when dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    registry: Arc<Registry>,
    key: u64,
}

impl Registry {
    pub(crate) fn enter(self: &Arc<Self>, incoming: &Arc<Pipe>, outgoing: &Arc<Pipe>) -> Result<Membership, NetError> {
        let mut live = lock(&self.live);
        if live.closed {
            return Err(NetError::Aborted);
        }
        if live.connections.len() >= limits::CONNECTIONS_PER_TASK_MAX {
            return Err(NetError::TooManySockets);
        }
        let key = live.next;
        live.next += 1;
        live.connections.insert(key, Halves { incoming: Arc::downgrade(incoming), outgoing: Arc::downgrade(outgoing) });
        Ok(Membership { registry: self.clone(), key })
    }

    /// Bytes that each direction of one more connection may hold: the more there are, the fewer.
    pub(crate) fn pipe_capacity_bytes(&self) -> usize {
        let count = lock(&self.live).connections.len() + 1;
        (limits::TASK_BUFFER_BYTES / count).clamp(limits::PIPE_BYTES_MIN, limits::PIPE_BYTES_DEFAULT)
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            connections: lock(&self.live).connections.len(),
            received_bytes: self.received_bytes.load(Ordering::Relaxed),
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn count_received(&self, bytes: usize) {
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn close(&self) {
        let mut live = lock(&self.live);
        live.closed = true;
        let connections = std::mem::take(&mut live.connections);
        drop(live);
        for halves in connections.into_values() {
            if let Some(pipe) = halves.outgoing.upgrade() {
                pipe.abort_writer();
            }
            if let Some(pipe) = halves.incoming.upgrade() {
                pipe.abort_reader();
            }
        }
    }
}

impl Membership {
    pub(crate) fn count_received(&self, bytes: usize) {
        self.registry.count_received(bytes);
    }

    pub(crate) fn count_sent(&self, bytes: usize) {
        self.registry.count_sent(bytes);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let removed = lock(&self.registry.live).connections.remove(&self.key);
        drop(removed);
    }
}
