//! The one routing point of a node: every connection and datagram of its tasks passes here.
//!
//! Holds the routes of the newest view and the tasks attached here. How a connection finds its target is in
//! `connect.rs`, datagrams in `datagram.rs`. Called by `engine` through [`TaskNet`], and by `node`'s overlay,
//! ingress, DNS and proxy.
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arc_swap::ArcSwap;
use minicloud_core::id::{NetworkId, NodeId, ServiceId, TaskId};
use minicloud_core::names;
use minicloud_core::view::Routes;
use tokio::sync::Notify;

use crate::error::NetError;
use crate::open_count::Counters;
use crate::route_table::RouteTable;
use crate::task::{Task, Usage};
use crate::task_net::TaskNet;
use crate::udp_door::{Door, DoorId};
use crate::uplink::Uplink;

/// The virtual network of one node. Clones are the same switch.
#[derive(Clone)]
pub struct Switch(Arc<Inner>);

struct Inner {
    node: NodeId,
    uplink: Arc<dyn Uplink>,
    table: ArcSwap<RouteTable>,
    counters: Counters,
    local: RwLock<LocalTasks>,
    doors: RwLock<HashMap<DoorId, Arc<Door>>>,
    next_door: AtomicU64,
    /// Something changed for which a connection may wait: routes, a listener, room in a backlog.
    changed: Arc<Notify>,
}

#[derive(Default)]
struct LocalTasks {
    by_id: HashMap<TaskId, Arc<Task>>,
    by_address: HashMap<(NetworkId, Ipv4Addr), TaskId>,
}

impl Switch {
    pub fn new(node: NodeId, uplink: Arc<dyn Uplink>) -> Switch {
        Switch(Arc::new(Inner {
            node,
            uplink,
            table: ArcSwap::default(),
            counters: Counters::default(),
            local: RwLock::default(),
            doors: RwLock::default(),
            next_door: AtomicU64::default(),
            changed: Arc::default(),
        }))
    }

    /// Takes the routes of a newer view. Connections that wait for a ready task look again.
    pub fn set_routes(&self, routes: Routes) {
        let table = RouteTable::new(routes, &self.0.table.load(), &self.0.counters);
        self.0.table.store(Arc::new(table));
        self.0.changed.notify_waiters();
    }

    pub fn routes(&self) -> Arc<RouteTable> {
        self.0.table.load_full()
    }

    /// Opens the network namespace of a local task. A task that is attached already is detached first.
    pub fn attach(&self, task: TaskId, service: Option<ServiceId>, addresses: BTreeMap<NetworkId, Ipv4Addr>) -> TaskNet {
        let task = Arc::new(Task::new(task, service, addresses));
        let mut local = self.local_mut();
        let replaced = local.by_id.insert(task.id, task.clone());
        if let Some(replaced) = &replaced {
            local.forget_addresses(replaced);
        }
        local.by_address.extend(task.addresses.iter().map(|(network, ip)| ((*network, *ip), task.id)));
        drop(local);
        if let Some(replaced) = replaced {
            replaced.detach();
        }
        TaskNet::new(self.clone(), task)
    }

    pub(crate) fn detach(&self, task: &Arc<Task>) {
        let mut local = self.local_mut();
        if local.by_id.get(&task.id).is_some_and(|present| Arc::ptr_eq(present, task)) {
            local.by_id.remove(&task.id);
            local.forget_addresses(task);
        }
        drop(local);
        task.detach();
        self.0.changed.notify_waiters();
    }

    /// What the connections of a local task carry; all zero when it is not attached here.
    pub fn usage(&self, task: TaskId) -> Usage {
        self.local_task(task).map(|task| task.registry.usage()).unwrap_or_default()
    }

    /// The addresses of a service or its tasks by name, as seen from these networks, in their order.
    pub fn resolve(&self, networks: &[NetworkId], name: &str) -> Result<Vec<Ipv4Addr>, NetError> {
        let table = self.routes();
        let networks: Vec<NetworkId> = networks.iter().copied().filter(|network| table.dialable(*network)).collect();
        names::resolve(&table, &networks, name).filter(|addresses| !addresses.is_empty()).ok_or(NetError::NameNotFound)
    }

    /// As [`Self::resolve`], from one network: for proxies and DNS.
    pub fn resolve_on(&self, network: NetworkId, name: &str) -> Result<Vec<Ipv4Addr>, NetError> {
        self.resolve(&[network], name)
    }

    pub(crate) fn node(&self) -> NodeId {
        self.0.node
    }

    pub(crate) fn uplink(&self) -> &Arc<dyn Uplink> {
        &self.0.uplink
    }

    pub(crate) fn changed(&self) -> &Arc<Notify> {
        &self.0.changed
    }

    pub(crate) fn local_task(&self, task: TaskId) -> Option<Arc<Task>> {
        self.local().by_id.get(&task).cloned()
    }

    pub(crate) fn local_task_at(&self, network: NetworkId, ip: Ipv4Addr) -> Option<TaskId> {
        self.local().by_address.get(&(network, ip)).copied()
    }

    pub(crate) fn add_door(&self, door: impl FnOnce(DoorId) -> Door) -> Arc<Door> {
        let id = DoorId(self.0.next_door.fetch_add(1, Ordering::Relaxed));
        let door = Arc::new(door(id));
        self.0.doors.write().unwrap_or_else(PoisonError::into_inner).insert(id, door.clone());
        door
    }

    pub(crate) fn door(&self, id: DoorId) -> Option<Arc<Door>> {
        self.0.doors.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    pub(crate) fn close_door(&self, id: DoorId) {
        let closed = self.0.doors.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        drop(closed);
    }

    fn local(&self) -> RwLockReadGuard<'_, LocalTasks> {
        self.0.local.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn local_mut(&self) -> RwLockWriteGuard<'_, LocalTasks> {
        self.0.local.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalTasks {
    fn forget_addresses(&mut self, task: &Task) {
        for (network, ip) in &task.addresses {
            if self.by_address.get(&(*network, *ip)) == Some(&task.id) {
                self.by_address.remove(&(*network, *ip));
            }
        }
    }
}

impl std::fmt::Debug for Switch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Switch({}, {} tasks)", self.0.node, self.local().by_id.len())
    }
}
