//! What a name means to a task: a pure function of the routes and of the networks it is on.
//!
//! Called by `net` for `resolve` and by the DNS server of `node`. Names and routes are one table, so a name never
//! leads to an address that does not route.
use std::net::Ipv4Addr;

use crate::id::NetworkId;
use crate::spec::EndpointMode;
use crate::view::{NetworkRoute, Routes, ServiceRoute};

/// The zone that may end a name.
pub const ZONE: &str = "minicloud";
const ALL_TASKS: &str = "tasks";

/// The addresses behind `name` for a task on `networks`, tried in their order; the first that knows it answers.
///
/// Forms: `service`, an alias, `tasks.service`, each also as `form.network` and `form.network.minicloud`; upper
/// case and a final dot make no difference. `None`: no such name here. An empty list: the name is right, but no
/// task runs behind it.
pub fn resolve(routes: &Routes, networks: &[NetworkId], name: &str) -> Option<Vec<Ipv4Addr>> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let labels: Vec<&str> = name.split('.').collect();
    let known = networks.iter().filter_map(|id| routes.networks.get(id)).filter(|network| !network.ingress);
    let mut answers = known.filter_map(|network| resolve_on(routes, network, &labels));
    answers.next()
}

fn resolve_on(routes: &Routes, network: &NetworkRoute, labels: &[&str]) -> Option<Vec<Ipv4Addr>> {
    match labels {
        [service] => addresses(routes, network, service),
        [ALL_TASKS, service] => tasks(routes, network, service),
        [service, at] if *at == network.name => addresses(routes, network, service),
        [service, at, ZONE] if *at == network.name => addresses(routes, network, service),
        [ALL_TASKS, service, at] if *at == network.name => tasks(routes, network, service),
        [ALL_TASKS, service, at, ZONE] if *at == network.name => tasks(routes, network, service),
        _ => None,
    }
}

fn addresses(routes: &Routes, network: &NetworkRoute, name: &str) -> Option<Vec<Ipv4Addr>> {
    let found = called(routes, network, name);
    if found.is_empty() {
        return None;
    }
    Some(found.into_iter().flat_map(|service| service_addresses(service, network)).collect())
}

fn service_addresses(service: &ServiceRoute, network: &NetworkRoute) -> Vec<Ipv4Addr> {
    match service.endpoint_mode {
        EndpointMode::Vip => service.vips.get(&network.id).copied().into_iter().collect(),
        EndpointMode::Dnsrr => task_addresses(service, network),
    }
}

fn tasks(routes: &Routes, network: &NetworkRoute, name: &str) -> Option<Vec<Ipv4Addr>> {
    let found = called(routes, network, name);
    if found.is_empty() {
        return None;
    }
    Some(found.into_iter().flat_map(|service| task_addresses(service, network)).collect())
}

fn task_addresses(service: &ServiceRoute, network: &NetworkRoute) -> Vec<Ipv4Addr> {
    service.backends.iter().filter_map(|backend| backend.addresses.get(&network.id).copied()).collect()
}

/// The service of this name on the network; failing that, every service that has it as an alias.
fn called<'a>(routes: &'a Routes, network: &NetworkRoute, name: &str) -> Vec<&'a ServiceRoute> {
    let here = || routes.services.values().filter(|service| service.aliases.contains_key(&network.id));
    if let Some(service) = here().find(|service| service.name == name) {
        return vec![service];
    }
    let has_alias = |service: &&std::sync::Arc<ServiceRoute>| service.aliases[&network.id].iter().any(|alias| alias == name);
    here().filter(has_alias).map(|service| &**service).collect()
}
