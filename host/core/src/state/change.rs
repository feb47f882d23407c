//! The changes of a plan: each is applied while its precondition holds, else skipped.
//!
//! `plan` sends its own working copy through the same door, so what it decided is what happens.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;

use crate::command::{Change, NewTask};
use crate::id::{Index, NetworkId, NodeId, ServiceId, TaskId, VolumeId};
use crate::spec::{PublishMode, PublishedPort};
use crate::task::{TaskState, TaskStatus};

use super::{Availability, Holder, Row, RowKey, Service, Task, UpdateProgress, Writer};

/// Why a change was passed over: what it relied on no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skip(pub(crate) &'static str);

impl Writer<'_> {
    /// Applies what still holds; returns how many changes did not.
    pub(super) fn apply_plan(&mut self, changes: &[Change]) -> u32 {
        let skipped = changes.iter().filter(|change| self.change(change).is_err()).count();
        u32::try_from(skipped).unwrap_or(u32::MAX)
    }

    pub(crate) fn change(&mut self, change: &Change) -> Result<(), Skip> {
        match change {
            Change::SetSubnet { network, subnet } => self.set_subnet(*network, *subnet),
            Change::SetEndpoint { service, version, vips, ports } => self.set_endpoint(*service, *version, vips, ports),
            Change::CreateTask(task) => self.create_task(task),
            Change::SetAddresses { task, addresses } => self.set_addresses(*task, addresses),
            Change::AssignTask { task, node } => self.assign_task(*task, *node),
            Change::SetDesired { task, desired } => self.set_desired(*task, *desired),
            Change::SetObserved { task, status } => self.set_observed(*task, status),
            Change::SetWaiting { task, reason } => self.set_waiting(*task, reason),
            Change::RemoveTask { task } => self.remove_task(*task),
            Change::RemoveService { service } => self.forget_service(*service),
            Change::BindVolume { volume, node } => self.bind_volume(*volume, *node),
            Change::CreateVolume { volume, spec } => {
                self.create_volume(*volume, spec).map_err(|_| Skip("the volume exists, or its node is gone"))
            }
            Change::SetUpdate { service, version, update } => self.set_update(*service, *version, update),
            Change::UndoUpdate { service, version, message } => {
                let service = self.service_at(*service, *version)?.clone();
                self.undo_update(&service, message).map_err(|_| Skip("the previous version fits no longer"))
            }
        }
    }

    fn set_subnet(&mut self, id: NetworkId, subnet: Ipv4Net) -> Result<(), Skip> {
        let network = self.state.networks.get(&id).ok_or(Skip("the network is gone"))?;
        ensure(network.subnet.is_none(), "the network has a subnet")?;
        ensure(self.state.network_overlapping(subnet).is_none(), "the subnet is taken")?;
        self.edit_network(id, |network| network.subnet = Some(subnet));
        Ok(())
    }

    fn set_endpoint(
        &mut self,
        id: ServiceId,
        version: Index,
        vips: &BTreeMap<NetworkId, Ipv4Addr>,
        ports: &[PublishedPort],
    ) -> Result<(), Skip> {
        self.service_at(id, version)?;
        self.free_for(Holder::Service(id), vips)?;
        let clash = |port: &PublishedPort| port.mode == PublishMode::Ingress && self.state.publisher(*port, id).is_some();
        ensure(!ports.iter().any(clash), "a port is taken")?;
        self.advance_cursors(vips);
        self.edit_service(id, |service| {
            service.vips = vips.clone();
            service.ports = ports.to_vec();
            service.allocated = version;
        });
        Ok(())
    }

    fn create_task(&mut self, new: &NewTask) -> Result<(), Skip> {
        let service = self.service_at(new.service, new.version)?;
        ensure(!self.state.tasks.contains_key(&new.id), "the task exists")?;
        let twin = self.state.tasks_of_service(new.service).next().filter(|twin| twin.template == new.template);
        let template = Arc::clone(twin.map_or(&new.template, |twin| &twin.template));
        let task = Task {
            id: new.id,
            service: new.service,
            slot: new.slot,
            template,
            template_version: service.template_version,
            node: None,
            desired: new.desired,
            status: TaskStatus { at: self.at, ..TaskStatus::default() },
            addresses: BTreeMap::new(),
            start_at: new.start_at,
            failures: new.failures,
            restarts: new.restarts,
            restarts_since: new.restarts_since,
            running_at: None,
            ended_at: None,
            ended_unasked: false,
            created_at: self.at,
            created: self.index,
            desired_at: self.index,
            version: self.index,
        };
        self.put(Row::Task(Arc::new(task)));
        Ok(())
    }

    fn set_addresses(&mut self, id: TaskId, addresses: &BTreeMap<NetworkId, Ipv4Addr>) -> Result<(), Skip> {
        let task = self.state.tasks.get(&id).ok_or(Skip("the task is gone"))?;
        ensure(task.status.state == TaskState::New, "the task has its addresses")?;
        self.free_for(Holder::Task(id), addresses)?;
        self.advance_cursors(addresses);
        let at = self.at;
        self.edit_task(id, |task| {
            task.addresses = addresses.clone();
            task.status = TaskStatus { state: TaskState::Pending, at, ..TaskStatus::default() };
        });
        Ok(())
    }

    fn assign_task(&mut self, id: TaskId, node: NodeId) -> Result<(), Skip> {
        let task = self.state.tasks.get(&id).ok_or(Skip("the task is gone"))?;
        ensure(task.status.state == TaskState::Pending && task.is_wanted(), "the task is not pending")?;
        let row = self.state.nodes.get(&node).filter(|node| node.is_ready() && node.availability == Availability::Active);
        let template = row.ok_or(Skip("the node takes no tasks"))?.names_in(&task.template);
        for name in template.volumes() {
            let volume = self.state.volume_named(name).ok_or(Skip("a volume is gone"))?;
            ensure(volume.node.is_none_or(|held_by| held_by == node), "a volume is elsewhere")?;
        }
        ensure(self.state.missing_file(&template).is_none(), "a secret or config is gone")?;
        let at = self.at;
        self.edit_task(id, |task| {
            task.node = Some(node);
            task.template = template;
            task.status = TaskStatus { state: TaskState::Assigned, at, ..TaskStatus::default() };
        });
        Ok(())
    }

    fn set_desired(&mut self, id: TaskId, desired: TaskState) -> Result<(), Skip> {
        let task = self.state.tasks.get(&id).ok_or(Skip("the task is gone"))?;
        ensure(desired > task.desired, "as much is wanted already")?;
        let index = self.index;
        self.edit_task(id, |task| {
            task.desired = desired;
            task.desired_at = index;
        });
        Ok(())
    }

    fn set_observed(&mut self, id: TaskId, status: &TaskStatus) -> Result<(), Skip> {
        let task = self.state.tasks.get(&id).ok_or(Skip("the task is gone"))?;
        let unreachable = task.node.is_none_or(|node| !self.state.nodes.contains_key(&node));
        ensure(unreachable, "an agent speaks for the task")?;
        ensure(self.observe(id, status), "the task is further already")
    }

    fn set_waiting(&mut self, id: TaskId, reason: &str) -> Result<(), Skip> {
        let task = self.state.tasks.get(&id).ok_or(Skip("the task is gone"))?;
        ensure(task.status.state < TaskState::Assigned, "the task waits no longer")?;
        ensure(task.status.message != reason, "the reason is known")?;
        self.edit_task(id, |task| task.status.message = reason.to_owned());
        Ok(())
    }

    fn remove_task(&mut self, id: TaskId) -> Result<(), Skip> {
        let task = self.state.tasks.get(&id).ok_or(Skip("the task is gone"))?;
        ensure(!task.occupies_node() && !task.is_live(), "the task may run")?;
        self.remove(RowKey::Task(id));
        Ok(())
    }

    fn forget_service(&mut self, id: ServiceId) -> Result<(), Skip> {
        let service = self.state.services.get(&id).ok_or(Skip("the service is gone"))?;
        ensure(service.removing, "the service is to stay")?;
        ensure(self.state.tasks_of_service(id).next().is_none(), "the service has tasks")?;
        self.remove(RowKey::Service(id));
        Ok(())
    }

    fn bind_volume(&mut self, id: VolumeId, node: NodeId) -> Result<(), Skip> {
        let volume = self.state.volumes.get(&id).ok_or(Skip("the volume is gone"))?;
        ensure(volume.node.is_none(), "the volume is bound")?;
        ensure(self.state.nodes.contains_key(&node), "the node is gone")?;
        self.edit_volume(id, |volume| volume.node = Some(node));
        Ok(())
    }

    fn set_update(&mut self, id: ServiceId, version: Index, update: &UpdateProgress) -> Result<(), Skip> {
        self.service_at(id, version)?;
        self.edit_service(id, |service| service.update = Some(update.clone()));
        Ok(())
    }

    /// The service, unless it changed since or is being removed.
    fn service_at(&self, id: ServiceId, version: Index) -> Result<&Service, Skip> {
        let service = self.state.services.get(&id).ok_or(Skip("the service is gone"))?;
        ensure(service.version == version && !service.removing, "the service was changed meanwhile")?;
        Ok(service)
    }

    /// Whether each address lies in its network and nobody else has it.
    fn free_for(&self, holder: Holder, addresses: &BTreeMap<NetworkId, Ipv4Addr>) -> Result<(), Skip> {
        for (network, address) in addresses {
            let inside = self.state.networks.get(network).and_then(|network| network.subnet).is_some_and(|at| at.contains(address));
            ensure(inside, "the network is gone")?;
            let free = self.state.holder(*network, *address).is_none_or(|other| other == holder);
            ensure(free, "an address is taken")?;
        }
        Ok(())
    }

    fn advance_cursors(&mut self, addresses: &BTreeMap<NetworkId, Ipv4Addr>) {
        for (network, address) in addresses {
            self.edit_network(*network, |network| network.cursor = Some(*address));
        }
    }
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<(), Skip> {
    if holds { Ok(()) } else { Err(Skip(otherwise)) }
}
