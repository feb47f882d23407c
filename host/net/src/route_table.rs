//! The cluster's routes, indexed for one node: by virtual address, by task address, and by service.
//!
//! Built anew from each view, so nothing in it outlives that view but the counts of connections that do.
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use minicloud_core::balance;
use minicloud_core::id::{NetworkId, NodeId, ServiceId, TaskId};
use minicloud_core::view::{Backend, Routes, ServiceRoute};

use crate::open_count::{Counter, Counters, OpenCount};
use crate::wakers::lock;

/// The routes of one view, as [`crate::Switch::set_routes`] took them.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Routes,
    services: HashMap<(NetworkId, Ipv4Addr), ServiceId>,
    tasks: HashMap<(NetworkId, Ipv4Addr), (TaskId, NodeId)>,
    groups: HashMap<(NetworkId, ServiceId), Arc<Group>>,
    ingress: Option<NetworkId>,
}

impl Deref for RouteTable {
    type Target = Routes;
    fn deref(&self) -> &Routes {
        &self.routes
    }
}

impl RouteTable {
    pub(crate) fn new(routes: Routes, previous: &RouteTable, counters: &Counters) -> Self {
        let mut table = RouteTable {
            ingress: routes.networks.values().find(|network| network.ingress).map(|network| network.id),
            ..RouteTable::default()
        };
        for service in routes.services.values() {
            table.index(service, previous, counters);
        }
        table.routes = routes;
        counters.retain(&table.tasks.values().map(|(task, _)| *task).collect::<HashSet<_>>());
        table
    }

    fn index(&mut self, service: &ServiceRoute, previous: &RouteTable, counters: &Counters) {
        for (network, vip) in &service.vips {
            self.services.insert((*network, *vip), service.id);
        }
        for backend in &service.backends {
            for (network, address) in &backend.addresses {
                self.tasks.insert((*network, *address), (backend.task, backend.node));
            }
        }
        for network in self.networks_of(service) {
            let key = (network, service.id);
            let turn = previous.groups.get(&key).map(|group| group.turn.clone()).unwrap_or_default();
            self.groups.insert(key, Arc::new(Group::new(service, network, turn, counters)));
        }
    }

    fn networks_of(&self, service: &ServiceRoute) -> BTreeSet<NetworkId> {
        let published = self.ingress.filter(|_| !service.ports.is_empty());
        let of_backends = service.backends.iter().flat_map(|backend| backend.addresses.keys());
        service.vips.keys().chain(of_backends).copied().chain(published).collect()
    }

    pub(crate) fn ingress(&self) -> Option<NetworkId> {
        self.ingress
    }

    /// Whether tasks and proxies may dial on this network: not on those that lead in and out of the cluster, and not
    /// before the network is known.
    pub(crate) fn dialable(&self, network: NetworkId) -> bool {
        self.routes.networks.get(&network).is_some_and(|network| !network.ingress && !network.egress)
    }

    pub(crate) fn service_at(&self, network: NetworkId, ip: Ipv4Addr) -> Option<ServiceId> {
        self.services.get(&(network, ip)).copied()
    }

    pub(crate) fn task_at(&self, network: NetworkId, ip: Ipv4Addr) -> Option<(TaskId, NodeId)> {
        self.tasks.get(&(network, ip)).copied()
    }

    pub(crate) fn group(&self, network: NetworkId, service: ServiceId) -> Option<&Arc<Group>> {
        self.groups.get(&(network, service))
    }
}

/// The backends of one service on one network.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) expects_tasks: bool,
    /// Whose turn it is among equals. Held while choosing, so that two connections never count on the same backend.
    turn: Arc<Mutex<usize>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) task: TaskId,
    pub(crate) node: NodeId,
    pub(crate) ip: Ipv4Addr,
    open: Counter,
}

impl Group {
    fn new(service: &ServiceRoute, network: NetworkId, turn: Arc<Mutex<usize>>, counters: &Counters) -> Self {
        let on_network = |backend: &Backend| {
            let ip = *backend.addresses.get(&network)?;
            Some(Candidate { task: backend.task, node: backend.node, ip, open: counters.of(backend.task) })
        };
        let candidates = service.backends.iter().filter_map(on_network).collect();
        Group { candidates, expects_tasks: service.expects_tasks, turn }
    }

    /// The best backend that is not among those tried, already counted as one connection more.
    pub(crate) fn choose(&self, tried: &HashSet<usize>) -> Option<(usize, OpenCount)> {
        let mut turn = lock(&self.turn);
        let mut next = *turn;
        // Those tried stay in the list, as the fullest, so that the rotation keeps its places.
        let open = |(at, candidate): (usize, &Candidate)| match tried.contains(&at) {
            true => usize::MAX,
            false => candidate.open.load(Ordering::Relaxed),
        };
        let open: Vec<usize> = self.candidates.iter().enumerate().map(open).collect();
        let chosen = balance::pick(&open, &mut next).filter(|chosen| !tried.contains(chosen))?;
        *turn = next;
        Some((chosen, OpenCount::new(&self.candidates[chosen].open)))
    }

    pub(crate) fn candidate(&self, task: TaskId) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.task == task)
    }
}
