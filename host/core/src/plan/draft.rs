//! A plan in the making: the working copy of the state, and the changes so far.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::command::{Change, NewTask};
use crate::id::{IdSource, Index, ServiceId, TaskId};
use crate::limits;
use crate::spec::{Placeholder, TaskTemplate};
use crate::state::{ClusterState, Service, Slot, Writer};
use crate::task::TaskState;
use crate::time::Timestamp;

use super::{Plan, Report};

pub(super) struct Draft<'a> {
    /// The state with the changes so far applied.
    pub(super) state: ClusterState,
    pub(super) now: Timestamp,
    pub(super) report: Report,
    ids: &'a mut dyn IdSource,
    index: Index,
    changes: Vec<Change>,
    creates: usize,
    wake_at: Option<Timestamp>,
    /// One template for all new tasks of a service.
    templates: BTreeMap<ServiceId, Arc<TaskTemplate>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(state: &ClusterState, now: Timestamp, ids: &'a mut dyn IdSource) -> Self {
        Draft {
            state: state.clone(),
            now,
            report: Report::default(),
            ids,
            index: Index(state.index.0.saturating_add(1)),
            changes: Vec::new(),
            creates: 0,
            wake_at: None,
            templates: BTreeMap::new(),
        }
    }

    pub(super) fn finish(self) -> Plan {
        Plan { changes: self.changes, report: self.report, wake_at: self.wake_at }
    }

    /// Decides a change. False when the plan is full, or when the working copy refuses it.
    pub(super) fn push(&mut self, change: Change) -> bool {
        if self.changes.len() >= limits::PLAN_CHANGES_MAX {
            self.wake(self.now);
            return false;
        }
        let done = Writer::new(&mut self.state, self.index, self.now).change(&change).is_ok();
        if done {
            self.changes.push(change);
        }
        done
    }

    /// Plans again no later than this.
    pub(super) fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.ids.next_id()
    }

    /// The services that stay and whose tasks do, in order.
    pub(super) fn services_that_run(&self) -> Vec<Arc<Service>> {
        let mut services = self.services();
        services.retain(|service| !service.spec.mode.is_job());
        services
    }

    /// The services that stay, in order.
    pub(super) fn services(&self) -> Vec<Arc<Service>> {
        self.state.services.values().filter(|service| !service.removing).cloned().collect()
    }

    pub(super) fn set_desired(&mut self, task: TaskId, desired: TaskState) -> bool {
        self.push(Change::SetDesired { task, desired })
    }

    /// Creates a task that may start now. False when the plan is full.
    pub(super) fn create(&mut self, service: &Service, slot: Slot) -> bool {
        self.create_after(service, slot, Backoff::default())
    }

    /// Creates a task, to be started after its slot's backoff. False when the plan is full.
    pub(super) fn create_after(&mut self, service: &Service, slot: Slot, backoff: Backoff) -> bool {
        if self.creates >= limits::PLAN_CREATES_MAX {
            self.wake(self.now);
            return false;
        }
        self.creates += 1;
        let id = TaskId(self.next_id());
        let template = self.template(service, slot, id);
        let task = NewTask {
            id,
            service: service.id,
            version: service.version,
            slot,
            template,
            desired: if service.spec.mode.is_job() { TaskState::Complete } else { TaskState::Running },
            start_at: backoff.start_at,
            failures: backoff.failures,
            restarts: backoff.restarts,
            restarts_since: backoff.restarts_since,
        };
        self.push(Change::CreateTask(Box::new(task)))
    }

    /// One template for all, unless each gets its own names.
    fn template(&mut self, service: &Service, slot: Slot, task: TaskId) -> Arc<TaskTemplate> {
        if !service.spec.task.has_placeholders() {
            let template = self.templates.entry(service.id).or_insert_with(|| Arc::new(service.spec.task.clone()));
            return Arc::clone(template);
        }
        let name = &service.spec.name;
        Arc::new(service.spec.task.expanded(|placeholder| match placeholder {
            Placeholder::ServiceName => Some(name.clone()),
            Placeholder::ServiceId => Some(service.id.to_string()),
            Placeholder::ServiceLabel(label) => Some(service.spec.labels.get(label).cloned().unwrap_or_default()),
            Placeholder::TaskId => Some(task.to_string()),
            Placeholder::TaskName => Some(format!("{name}.{slot}.{task}")),
            Placeholder::TaskSlot => Some(slot.to_string()),
            Placeholder::NodeId | Placeholder::NodeHostname | Placeholder::Text(_) => None,
        }))
    }
}

/// What a task inherits from those before it in its slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    pub(super) start_at: Option<Timestamp>,
    pub(super) failures: u32,
    pub(super) restarts: u32,
    pub(super) restarts_since: Option<Timestamp>,
}
