//! Services: what is declared, and how a change of it is taken in.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::Rejection;
use crate::id::{Index, NetworkId, ServiceId};
use crate::limits;
use crate::spec::{PublishMode, PublishedPort, ServiceMode, ServiceSpec, UpdateConfig, UpdateProgress, UpdateState};
use crate::task::TaskState;
use crate::time::Timestamp;

use super::{ClusterState, Row, Task, Writer, validate};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    pub id: ServiceId,
    pub spec: Arc<ServiceSpec>,
    #[serde(default)]
    pub previous_spec: Option<Arc<ServiceSpec>>,
    /// Index at which the task template came to be: tasks of another one are replaced.
    pub template_version: Index,
    /// The template version of `previous_spec`: a rollback keeps the tasks that still run it.
    #[serde(default)]
    pub previous_template_version: Option<Index>,
    /// Virtual address on each of its networks.
    #[serde(default)]
    pub vips: BTreeMap<NetworkId, Ipv4Addr>,
    /// The ports of the spec, with those chosen that were left open.
    #[serde(default)]
    pub ports: Vec<PublishedPort>,
    /// The version for which `vips` and `ports` were allocated; behind `version` until the allocator has run.
    #[serde(default)]
    pub allocated: Index,
    #[serde(default)]
    pub update: Option<UpdateProgress>,
    /// `service rm` was said: its tasks stop, then the row goes.
    #[serde(default)]
    pub removing: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Index at which the spec last changed; what the cluster does for the service by itself leaves it.
    pub version: Index,
}

impl Service {
    /// Ports as they are, or as they are asked for while none are allocated.
    pub fn ports_wanted(&self) -> &[PublishedPort] {
        if self.allocated == self.version { &self.ports } else { &self.spec.ports }
    }

    /// By what settings tasks are replaced now: those for rollbacks while one is under way.
    pub fn update_config(&self) -> &UpdateConfig {
        let back = self.update.as_ref().is_some_and(|update| update.state.is_rollback());
        if back { &self.spec.rollback } else { &self.spec.update }
    }

    /// Whether the task has done its part of this job: it ran to its end, and nothing has asked for that anew since.
    pub fn is_done(&self, task: &Task) -> bool {
        let current = task.template_version == self.template_version && task.desired < TaskState::Remove;
        self.spec.mode.is_job() && current && task.status.state == TaskState::Complete
    }
}

impl Writer<'_> {
    pub(super) fn create_service(&mut self, id: ServiceId, spec: &ServiceSpec) -> Result<(), Rejection> {
        validate::service(spec)?;
        self.state.fits(id, spec)?;
        let name = &spec.name;
        if self.state.service_named(name).is_some() {
            return Err(Rejection::Conflict(format!("service '{name}' already exists; use 'minicloud service update {name}'")));
        }
        validate::fresh_id("service", self.state.services.contains_key(&id))?;
        let service = Service {
            id,
            spec: Arc::new(spec.clone()),
            previous_spec: None,
            template_version: self.index,
            previous_template_version: None,
            vips: BTreeMap::new(),
            ports: Vec::new(),
            allocated: Index(0),
            update: None,
            removing: false,
            created_at: self.at,
            updated_at: self.at,
            version: self.index,
        };
        self.put(Row::Service(Arc::new(service)));
        Ok(())
    }

    pub(super) fn update_service(&mut self, id: ServiceId, version: Index, spec: &ServiceSpec) -> Result<(), Rejection> {
        let service = self.state.service_to_change(id)?;
        let name = &service.spec.name;
        if spec.name != *name {
            return Err(Rejection::Invalid(format!(
                "service '{name}' cannot be renamed to '{}'; create a new service, then remove this one",
                spec.name
            )));
        }
        if service.version != version {
            return Err(changed_meanwhile(name));
        }
        validate::service(spec)?;
        self.state.fits(id, spec)?;
        self.put_spec(&service, spec.clone());
        Ok(())
    }

    pub(super) fn scale_services(&mut self, replicas: &BTreeMap<ServiceId, u32>) -> Result<(), Rejection> {
        for (id, replicas) in replicas {
            let service = self.state.service_to_change(*id)?;
            let name = &service.spec.name;
            if service.spec.mode.is_per_node() {
                return Err(Rejection::Invalid(format!("service '{name}' is global: it has one task per node and cannot be scaled")));
            }
            validate::replicas(name, *replicas)?;
        }
        for (id, replicas) in replicas {
            let service = self.state.service_to_change(*id)?;
            let mode = match service.spec.mode {
                ServiceMode::ReplicatedJob { max_concurrent, .. } => ServiceMode::ReplicatedJob { total: *replicas, max_concurrent },
                _ => ServiceMode::Replicated { replicas: *replicas },
            };
            if service.spec.mode != mode {
                let spec = ServiceSpec { mode, ..ServiceSpec::clone(&service.spec) };
                self.put_spec(&service, spec);
            }
        }
        Ok(())
    }

    /// A spec replaces another. An update that was paused goes on, and what is over is forgotten, unless the service is
    /// only scaled.
    fn put_spec(&mut self, service: &Service, spec: ServiceSpec) {
        let index = self.index;
        let new_template = tasks_differ(&service.spec, &spec);
        let only_scaled = ServiceSpec { mode: service.spec.mode, ..spec.clone() } == *service.spec;
        let update = match &service.update {
            // Its tasks are not replaced one by one: it is begun anew.
            _ if spec.mode.is_job() => None,
            _ if new_template => Some(self.update_begins(UpdateState::Updating, String::new())),
            Some(update) if update.state.is_paused() && !only_scaled => Some(self.update_begins(UpdateState::Updating, String::new())),
            Some(update) if !update.state.is_under_way() && !only_scaled => None,
            update => update.clone(),
        };
        self.replace_spec(service, Arc::new(spec), |row| {
            row.previous_spec = Some(Arc::clone(&service.spec));
            row.previous_template_version = Some(service.template_version);
            if new_template {
                row.template_version = index;
            }
            row.update = update;
        });
    }

    /// Goes back to the previous spec, which the present one becomes: the next rollback undoes this one.
    pub(super) fn rollback_service(&mut self, id: ServiceId, version: Index) -> Result<(), Rejection> {
        let service = self.state.service_to_change(id)?;
        let name = &service.spec.name;
        if service.version != version {
            return Err(changed_meanwhile(name));
        }
        let Some(previous) = service.previous_spec.clone() else {
            return Err(Rejection::Conflict(format!("service '{name}' has no previous version to go back to")));
        };
        self.state.fits(id, &previous)?;
        let update = self.update_begins(UpdateState::RollbackStarted, String::new());
        self.put_previous(&service, previous, update);
        self.edit_service(id, |row| {
            row.previous_spec = Some(Arc::clone(&service.spec));
            row.previous_template_version = Some(service.template_version);
        });
        Ok(())
    }

    /// A failed update goes back by itself. What failed is no version to return to, so there is no previous one then.
    pub(super) fn undo_update(&mut self, service: &Service, message: &str) -> Result<(), Rejection> {
        let missing = || Rejection::Conflict("there is no previous version".to_owned());
        let previous = service.previous_spec.clone().ok_or_else(missing)?;
        self.state.fits(service.id, &previous)?;
        let update = self.update_begins(UpdateState::RollbackStarted, message.to_owned());
        self.put_previous(service, previous, update);
        Ok(())
    }

    /// Puts the previous spec in place, with the version of its template, so that tasks which still run it stay. A job is
    /// begun anew instead.
    fn put_previous(&mut self, service: &Service, previous: Arc<ServiceSpec>, update: UpdateProgress) {
        let differ = tasks_differ(&service.spec, &previous);
        let unknown = if differ { self.index } else { service.template_version };
        let (template_version, update) = match previous.mode.is_job() {
            true => (self.index, UpdateProgress { state: UpdateState::RollbackCompleted, completed_at: Some(self.at), ..update }),
            false => (service.previous_template_version.unwrap_or(unknown), update),
        };
        self.replace_spec(service, previous, |row| {
            row.previous_spec = None;
            row.previous_template_version = None;
            row.template_version = template_version;
            row.update = Some(update);
        });
    }

    fn update_begins(&self, state: UpdateState, message: String) -> UpdateProgress {
        UpdateProgress { state, started_at: self.at, completed_at: None, message }
    }

    /// The one place where a spec takes another's place.
    fn replace_spec(&mut self, service: &Service, spec: Arc<ServiceSpec>, edit: impl FnOnce(&mut Service)) {
        let (index, at) = (self.index, self.at);
        let same_endpoint = service.allocated == service.version && !endpoint_differs(&service.spec, &spec);
        self.edit_service(service.id, |row| {
            row.spec = spec;
            row.version = index;
            row.updated_at = at;
            if same_endpoint {
                row.allocated = index;
            }
            edit(row);
        });
    }

    pub(super) fn remove_service(&mut self, id: ServiceId) -> Result<(), Rejection> {
        if !self.state.services.contains_key(&id) {
            return Err(no_service(id));
        }
        let (index, at) = (self.index, self.at);
        self.edit_service(id, |service| {
            service.removing = true;
            service.version = index;
            service.updated_at = at;
        });
        Ok(())
    }
}

/// Whether running tasks must be replaced to be as the new spec says.
fn tasks_differ(old: &ServiceSpec, new: &ServiceSpec) -> bool {
    let networks = |spec: &ServiceSpec| spec.networks.iter().map(|at| at.network).collect::<Vec<_>>();
    let host_ports = |spec: &ServiceSpec| {
        let ports = spec.ports.iter().filter(|port| port.mode == PublishMode::Host);
        ports.copied().collect::<Vec<_>>()
    };
    let becomes_published = old.ports.is_empty() && !new.ports.is_empty();
    let other_kind = old.mode.is_job() != new.mode.is_job();
    other_kind || old.task != new.task || networks(old) != networks(new) || host_ports(old) != host_ports(new) || becomes_published
}

fn endpoint_differs(old: &ServiceSpec, new: &ServiceSpec) -> bool {
    old.networks != new.networks || old.endpoint_mode != new.endpoint_mode || old.ports != new.ports
}

fn changed_meanwhile(name: &str) -> Rejection {
    Rejection::Stale(format!("service '{name}' was changed meanwhile; read it again and retry"))
}

fn no_service(id: ServiceId) -> Rejection {
    Rejection::NotFound(format!("no service {id}; see 'minicloud service ls'"))
}

impl ClusterState {
    /// The service of this name; one that is being removed has lost its name already.
    pub(crate) fn service_named(&self, name: &str) -> Option<&Arc<Service>> {
        self.services.values().find(|service| service.spec.name == name && !service.removing)
    }

    fn service_to_change(&self, id: ServiceId) -> Result<Arc<Service>, Rejection> {
        let service = self.services.get(&id).ok_or_else(|| no_service(id))?;
        if service.removing {
            return Err(Rejection::Conflict(format!("service '{}' is being removed; create it anew", service.spec.name)));
        }
        Ok(Arc::clone(service))
    }

    /// Whether the spec fits the rest of the cluster: its networks, secrets and configs exist, its ports are free.
    fn fits(&self, id: ServiceId, spec: &ServiceSpec) -> Result<(), Rejection> {
        for attachment in &spec.networks {
            match self.networks.get(&attachment.network) {
                None => {
                    let network = attachment.network;
                    return Err(Rejection::NotFound(format!("no network {network}; create it with 'minicloud network create'")));
                }
                Some(network) if network.is_ingress() => {
                    return Err(Rejection::Invalid(
                        "network 'ingress' carries published ports and takes no services; use --publish".to_owned(),
                    ));
                }
                Some(_) => {}
            }
        }
        if let Some(missing) = self.missing_file(&spec.task) {
            return Err(Rejection::NotFound(format!("{missing} any more; give the service another one")));
        }
        for port in spec.ports.iter().filter(|port| port.published != 0) {
            if let Some(other) = self.publisher(*port, id) {
                return Err(Rejection::Conflict(format!(
                    "port {}/{} is already published by service '{}'; choose another with --publish",
                    port.published, port.protocol, other.spec.name
                )));
            }
        }
        Ok(())
    }

    /// Whether any task is wanted at all, so that a connection may wait for one: of a job only while it has one under way.
    pub(crate) fn expects_tasks(&self, service: &Service) -> bool {
        match service.spec.mode {
            _ if service.removing => false,
            ServiceMode::Replicated { replicas } => replicas > 0,
            ServiceMode::Global => true,
            ServiceMode::ReplicatedJob { .. } | ServiceMode::GlobalJob => self.tasks_of_service(service.id).any(|task| task.is_live()),
        }
    }

    /// Another service that has this port on nodes where `port` would be bound too.
    ///
    /// Two services may both publish a port of mode host: the scheduler keeps them on different nodes.
    pub(crate) fn publisher(&self, port: PublishedPort, but: ServiceId) -> Option<&Arc<Service>> {
        let clashes =
            |other: &PublishedPort| port.clashes(other) && (port.mode == PublishMode::Ingress || other.mode == PublishMode::Ingress);
        let others = self.services.values().filter(|service| service.id != but && !service.removing);
        let mut others = others.filter(|service| service.ports_wanted().iter().any(clashes));
        others.next()
    }

    /// A port of the automatic range that nobody publishes, nor `taken` names.
    pub(crate) fn free_port(&self, port: PublishedPort, taken: &[PublishedPort], of: ServiceId) -> Option<u16> {
        let free = |published: &u16| {
            let port = PublishedPort { published: *published, ..port };
            self.publisher(PublishedPort { mode: PublishMode::Ingress, ..port }, of).is_none()
                && !taken.iter().any(|other| port.clashes(other))
        };
        limits::PUBLISH_PORTS_AUTOMATIC.into_iter().find(free)
    }
}
