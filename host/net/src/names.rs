//! Names of services and tasks, as seen from some networks.
use std::net::Ipv4Addr;

use minicloud_core::id::NetworkId;
use minicloud_core::spec::EndpointMode;
use minicloud_core::view::{NetworkRoute, ServiceRoute};

use crate::route_table::RouteTable;

const DOMAIN_SUFFIX: &str = ".minicloud";
const TASKS_PREFIX: &str = "tasks.";

/// The addresses behind a name, on the first of the networks that knows it; `None` when none does.
pub(crate) fn resolve(table: &RouteTable, networks: &[NetworkId], name: &str) -> Option<Vec<Ipv4Addr>> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let networks = networks.iter().filter(|network| table.dialable(**network));
    networks.filter_map(|network| table.networks.get(network)).find_map(|network| resolve_on(table, network, &name))
}

fn resolve_on(table: &RouteTable, network: &NetworkRoute, name: &str) -> Option<Vec<Ipv4Addr>> {
    if let Some(addresses) = lookup(table, network, name) {
        return Some(addresses);
    }
    let name = name.strip_suffix(DOMAIN_SUFFIX).unwrap_or(name);
    let name = name.strip_suffix(&network.name.to_ascii_lowercase())?.strip_suffix('.')?;
    lookup(table, network, name)
}

fn lookup(table: &RouteTable, network: &NetworkRoute, name: &str) -> Option<Vec<Ipv4Addr>> {
    if let Some(service) = find(table, network, name) {
        return Some(service_addresses(service, network.id));
    }
    let service = find(table, network, name.strip_prefix(TASKS_PREFIX)?)?;
    Some(task_addresses(service, network.id))
}

fn find<'a>(table: &'a RouteTable, network: &NetworkRoute, name: &str) -> Option<&'a ServiceRoute> {
    let known_as = |service: &ServiceRoute| {
        let attached = service.vips.contains_key(&network.id) || !task_addresses(service, network.id).is_empty();
        let mut aliases = service.aliases.get(&network.id).into_iter().flatten();
        attached && (service.name.eq_ignore_ascii_case(name) || aliases.any(|alias| alias.eq_ignore_ascii_case(name)))
    };
    table.services.values().map(|service| &**service).find(|service| known_as(service))
}

fn service_addresses(service: &ServiceRoute, network: NetworkId) -> Vec<Ipv4Addr> {
    match (service.endpoint_mode, service.vips.get(&network)) {
        (EndpointMode::Vip, Some(vip)) => vec![*vip],
        _ => task_addresses(service, network),
    }
}

fn task_addresses(service: &ServiceRoute, network: NetworkId) -> Vec<Ipv4Addr> {
    service.backends.iter().filter_map(|backend| backend.addresses.get(&network)).copied().collect()
}
