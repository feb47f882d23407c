//! Addresses, ports and volumes: what a task must have before a node is sought for it.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;

use crate::command::Change;
use crate::id::{NetworkId, VolumeId};
use crate::limits;
use crate::spec::{EndpointMode, Labels, PublishedPort, VolumeSpec, has_placeholder};
use crate::state::{ClusterState, Service, Task};
use crate::task::TaskState;

use super::draft::Draft;

pub(super) fn run(draft: &mut Draft) {
    subnets(draft);
    for service in draft.services() {
        endpoint(draft, &service);
    }
    let new = draft.state.tasks.values().filter(|task| task.status.state == TaskState::New && task.is_live());
    for task in new.cloned().collect::<Vec<_>>() {
        addresses(draft, &task);
    }
}

/// Networks without a subnet get one from the cluster's pool.
fn subnets(draft: &mut Draft) {
    let Some(pool) = draft.state.cluster.as_ref().map(|cluster| cluster.founding.address_pool) else { return };
    let without: Vec<NetworkId> =
        draft.state.networks.values().filter(|network| network.subnet.is_none()).map(|network| network.id).collect();
    for network in without {
        match free_subnet(&draft.state, pool) {
            Some(subnet) => drop(draft.push(Change::SetSubnet { network, subnet })),
            None => {
                let reason = format!("the address pool {pool} has no free subnet; remove a network, or give this one a --subnet");
                draft.report.networks.insert(network, reason);
            }
        }
    }
}

fn free_subnet(state: &ClusterState, pool: Ipv4Net) -> Option<Ipv4Net> {
    let sixteenth = (pool.prefix_len() + 4).min(limits::SUBNET_PREFIX_MAX);
    let prefix = limits::SUBNET_PREFIX.max(sixteenth);
    let mut subnets = pool.subnets(prefix).ok()?;
    subnets.find(|subnet| state.network_overlapping(*subnet).is_none())
}

/// Virtual addresses and chosen ports of a service that changed.
fn endpoint(draft: &mut Draft, service: &Service) {
    if service.allocated == service.version {
        return;
    }
    let Some(vips) = vips(draft, service) else {
        draft.report.services.insert(service.id, "one of its networks has no free address".to_owned());
        return;
    };
    let Some(ports) = ports(draft, service) else {
        draft.report.services.insert(service.id, "no port is free in the range that is given out; name one with --publish".to_owned());
        return;
    };
    draft.push(Change::SetEndpoint { service: service.id, version: service.version, vips, ports });
}

/// One address on each network; those it has already stay.
fn vips(draft: &Draft, service: &Service) -> Option<BTreeMap<NetworkId, Ipv4Addr>> {
    if service.spec.endpoint_mode == EndpointMode::Dnsrr {
        return Some(BTreeMap::new());
    }
    let address = |network| match service.vips.get(&network) {
        Some(address) => Some(*address),
        None => free_address(&draft.state, network),
    };
    service.spec.networks.iter().map(|at| Some((at.network, address(at.network)?))).collect()
}

/// The ports of the spec with those chosen that are open; a port that was chosen before stays.
fn ports(draft: &Draft, service: &Service) -> Option<Vec<PublishedPort>> {
    let mut chosen: Vec<PublishedPort> = service.spec.ports.iter().filter(|port| port.published != 0).copied().collect();
    let mut ports = Vec::with_capacity(service.spec.ports.len());
    for port in &service.spec.ports {
        let before = |old: &&PublishedPort| PublishedPort { published: 0, ..**old } == *port && !chosen.iter().any(|new| new.clashes(old));
        let published = match service.ports.iter().find(before) {
            _ if port.published != 0 => port.published,
            Some(old) => old.published,
            None => draft.state.free_port(*port, &chosen, service.id)?,
        };
        let port = PublishedPort { published, ..*port };
        chosen.push(port);
        ports.push(port);
    }
    Some(ports)
}

/// A new task's addresses: on each network of its service, and on `ingress` when the service publishes ports.
fn addresses(draft: &mut Draft, task: &Task) {
    let Some(service) = draft.state.services.get(&task.service).cloned() else { return };
    volumes(draft, task);
    let ingress = draft.state.ingress_network().filter(|_| !service.spec.ports.is_empty());
    let networks = service.spec.networks.iter().map(|at| at.network).chain(ingress);
    let addresses: Option<BTreeMap<_, _>> = networks.map(|network| Some((network, free_address(&draft.state, network)?))).collect();
    match addresses {
        Some(addresses) if service.allocated == service.version => drop(draft.push(Change::SetAddresses { task: task.id, addresses })),
        Some(_) => {
            let reason = draft.report.services.get(&service.id).map_or("its service has no address yet", String::as_str);
            let reason = reason.to_owned();
            waits(draft, task, reason);
        }
        None => waits(draft, task, "one of its networks has no free address".to_owned()),
    }
}

fn waits(draft: &mut Draft, task: &Task, reason: String) {
    draft.report.tasks.insert(task.id, reason.clone());
    draft.push(Change::SetWaiting { task: task.id, reason });
}

/// Volumes that are mounted but do not exist are created. One that is named after its node is, when that is known.
fn volumes(draft: &mut Draft, task: &Task) {
    for name in task.template.volumes().filter(|name| !has_placeholder(name)) {
        if draft.state.volume_named(name).is_none() {
            let spec = VolumeSpec { name: name.clone(), labels: Labels::new(), node: None };
            let volume = VolumeId(draft.next_id());
            draft.push(Change::CreateVolume { volume, spec });
        }
    }
}

/// The next free address after the last one given out, so that none is used again soon. The first host address stays
/// unused, as a gateway's would.
fn free_address(state: &ClusterState, network: NetworkId) -> Option<Ipv4Addr> {
    let row: &Arc<_> = state.networks.get(&network)?;
    let subnet = row.subnet?;
    let (first, last) = (u32::from(subnet.network()).saturating_add(2), u32::from(subnet.broadcast()).saturating_sub(1));
    let after = row.cursor.map_or(first, |cursor| u32::from(cursor).saturating_add(1)).clamp(first, last.saturating_add(1));
    let mut candidates = (after..=last).chain(first..after).map(Ipv4Addr::from);
    candidates.find(|address| state.holder(network, *address).is_none())
}
