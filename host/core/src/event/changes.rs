//! Which difference of a row is which event.
//!
//! | type | actions |
//! |---|---|
//! | cluster | `founded`, `token_rotated`; the node adds `leader_changed` |
//! | node | `joined`, `ready`, `down`, `active`, `paused`, `drained`, `promoted`, `demoted`, `updated`, `removed` |
//! | service | `created`, `updated`, `scaled`, `update_started`, `update_paused`, `update_completed`, `rollback_started`, `rollback_paused`, `rollback_completed`, `removing`, `removed` |
//! | task | the states, from `pending` to `orphaned`, and `healthy`, `unhealthy` |
//! | network | `created`, `removed` |
//! | volume | `created`, `bound`, `removing`, `removed` |
//! | secret, config | `created`, `updated`, `removed` |
use crate::id::NodeId;
use crate::spec::{Availability, FileKind, Labels, NodeStatus, Role, ServiceMode, UpdateProgress, UpdateState};
use crate::state::{Cluster, ClusterState, File, Network, Node, RowKey, Service, Task, Volume};
use crate::task::{Health, TaskState};

use super::{Event, Subject, Told};

impl Told<'_> {
    pub(super) fn row(&mut self, key: RowKey) {
        let (before, after) = (self.before, self.after);
        match key {
            RowKey::Cluster => self.cluster(before.cluster.as_deref(), after.cluster.as_deref()),
            RowKey::Node(id) => self.node(before.nodes.get(&id).map(|row| &**row), after.nodes.get(&id).map(|row| &**row)),
            RowKey::Service(id) => self.service(before.services.get(&id).map(|row| &**row), after.services.get(&id).map(|row| &**row)),
            RowKey::Task(id) => self.task(before.tasks.get(&id).map(|row| &**row), after.tasks.get(&id).map(|row| &**row)),
            RowKey::Network(id) => self.network(before.networks.get(&id).map(|row| &**row), after.networks.get(&id).map(|row| &**row)),
            RowKey::Volume(id) => self.volume(before.volumes.get(&id).map(|row| &**row), after.volumes.get(&id).map(|row| &**row)),
            RowKey::File(id) => self.file(before.files.get(&id).map(|row| &**row), after.files.get(&id).map(|row| &**row)),
            RowKey::Answer(_) => {}
        }
    }

    fn cluster(&mut self, old: Option<&Cluster>, new: Option<&Cluster>) {
        let Some(new) = new else { return };
        let (now, id) = (&new.founding, new.founding.id);
        let Some(old) = old.map(|old| &old.founding) else {
            self.tell(Subject::Cluster, "founded", id, &id.to_string());
            return;
        };
        for (role, rotated) in [
            (Role::Manager, old.manager_secret_hash != now.manager_secret_hash),
            (Role::Worker, old.worker_secret_hash != now.worker_secret_hash),
        ] {
            if rotated {
                self.tell(Subject::Cluster, "token_rotated", id, &id.to_string()).detail = format!("join token of {role}s");
            }
        }
    }

    fn node(&mut self, old: Option<&Node>, new: Option<&Node>) {
        match (old, new) {
            (None, Some(new)) => self.on_node("joined", new, format!("{}, {}", new.role, new.address)),
            (Some(old), None) => self.on_node("removed", old, String::new()),
            (Some(old), Some(new)) => self.node_changed(old, new),
            (None, None) => {}
        }
    }

    fn node_changed(&mut self, old: &Node, new: &Node) {
        if old.role != new.role {
            let action = if new.role == Role::Manager { "promoted" } else { "demoted" };
            self.on_node(action, new, format!("now a {}", new.role));
        }
        if old.availability != new.availability {
            let action = match new.availability {
                Availability::Active => "active",
                Availability::Pause => "paused",
                Availability::Drain => "drained",
            };
            self.on_node(action, new, String::new());
        }
        match new.status {
            NodeStatus::Ready if old.status != NodeStatus::Ready => self.on_node("ready", new, String::new()),
            NodeStatus::Down if old.status != NodeStatus::Down => self.on_node("down", new, String::new()),
            _ => {}
        }
        if old.hostname != new.hostname {
            self.on_node("updated", new, format!("was called {}", old.hostname));
        }
        if old.address != new.address {
            self.on_node("updated", new, format!("address {}, was {}", new.address, old.address));
        }
        if old.labels != new.labels {
            self.on_node("updated", new, labels(&new.labels));
        }
    }

    fn on_node(&mut self, action: &'static str, node: &Node, detail: String) {
        let event = self.tell(Subject::Node, action, node.id, &node.hostname);
        (event.node, event.detail) = (Some(node.hostname.clone()), detail);
    }

    fn service(&mut self, old: Option<&Service>, new: Option<&Service>) {
        match (old, new) {
            (None, Some(new)) => self.on_service("created", new, format!("image {}, {}", new.spec.task.image.name, mode(new.spec.mode))),
            (Some(old), None) => self.on_service("removed", old, String::new()),
            (Some(old), Some(new)) => self.service_changed(old, new),
            (None, None) => {}
        }
    }

    fn service_changed(&mut self, old: &Service, new: &Service) {
        if new.removing && !old.removing {
            return self.on_service("removing", new, String::new());
        }
        let began = |update: &Option<UpdateProgress>| update.as_ref().map(|update| (update.state, update.started_at));
        let update = new.update.as_ref().filter(|_| began(&new.update) != began(&old.update));
        let goes_back = update.is_some_and(|update| update.state == UpdateState::RollbackStarted);
        // A rollback puts a spec in place too; that it does is said below.
        if old.spec != new.spec && !goes_back {
            self.spec_changed(old, new);
        }
        if let Some(update) = update {
            self.on_service(progress(update.state), new, update.message.clone());
        }
    }

    fn spec_changed(&mut self, old: &Service, new: &Service) {
        let (was, now) = (&old.spec, &new.spec);
        let scaled = was.mode != now.mode;
        if scaled {
            self.on_service("scaled", new, format!("{}, was {}", mode(now.mode), count(was.mode)));
        }
        let mut alike = (**was).clone();
        alike.mode = now.mode;
        if alike == **now {
            return;
        }
        let image = (was.task.image != now.task.image).then(|| format!("image {}, was {}", now.task.image.name, was.task.image.name));
        self.on_service("updated", new, image.unwrap_or_default());
    }

    fn on_service(&mut self, action: &'static str, service: &Service, detail: String) {
        let name = &service.spec.name;
        let event = self.tell(Subject::Service, action, service.id, name);
        (event.service, event.detail) = (Some(name.clone()), detail);
    }

    fn task(&mut self, old: Option<&Task>, new: Option<&Task>) {
        // Ended tasks are forgotten in the end; that is nobody's news.
        let Some(new) = new else { return };
        let status = &new.status;
        let was = old.map(|old| &old.status);
        let health = Some(status.health).filter(|health| was.map(|was| was.health) != Some(*health)).flatten();
        let moved = was.is_none_or(|was| was.state != status.state);
        let told_more = was.is_some_and(|was| was.message != status.message) && !status.message.is_empty();
        if (moved || told_more && health != Some(Health::Unhealthy)) && status.state > TaskState::New {
            let code = status.exit_code.filter(|code| *code != 0).map(|code| format!("exit code {code}"));
            let detail = if status.message.is_empty() { code.unwrap_or_default() } else { status.message.clone() };
            self.on_task(status.state.to_string(), new, detail);
        }
        match health {
            Some(Health::Healthy) => self.on_task("healthy".to_owned(), new, String::new()),
            Some(Health::Unhealthy) => self.on_task("unhealthy".to_owned(), new, status.message.clone()),
            Some(Health::Starting) | None => {}
        }
    }

    fn on_task(&mut self, action: String, task: &Task, detail: String) {
        let known = |state: &ClusterState| state.services.get(&task.service).map(|service| service.spec.name.clone());
        let service = known(self.after).or_else(|| known(self.before));
        let state = if self.after.services.contains_key(&task.service) { self.after } else { self.before };
        let (name, node) = (state.task_name(task), self.hostname(task.node));
        let event = self.tell(Subject::Task, action, task.id, &name);
        (event.service, event.node, event.detail) = (service, node, detail);
    }

    fn network(&mut self, old: Option<&Network>, new: Option<&Network>) {
        match (old, new) {
            (None, Some(new)) => _ = self.tell(Subject::Network, "created", new.id, &new.spec.name),
            (Some(old), None) => _ = self.tell(Subject::Network, "removed", old.id, &old.spec.name),
            _ => {}
        }
    }

    fn volume(&mut self, old: Option<&Volume>, new: Option<&Volume>) {
        match (old, new) {
            (None, Some(new)) => self.on_volume("created", new),
            (Some(old), None) => self.on_volume("removed", old),
            (Some(old), Some(new)) => {
                if old.node != new.node {
                    self.on_volume("bound", new);
                }
                if new.removing && !old.removing {
                    self.on_volume("removing", new);
                }
            }
            (None, None) => {}
        }
    }

    fn on_volume(&mut self, action: &'static str, volume: &Volume) {
        let node = self.hostname(volume.node);
        self.tell(Subject::Volume, action, volume.id, &volume.spec.name).node = node;
    }

    fn file(&mut self, old: Option<&File>, new: Option<&File>) {
        match (old, new) {
            (None, Some(new)) => _ = self.on_file("created", new),
            (Some(old), None) => _ = self.on_file("removed", old),
            (Some(old), Some(new)) if old.spec.labels != new.spec.labels => {
                self.on_file("updated", new).detail = labels(&new.spec.labels);
            }
            _ => {}
        }
    }

    fn on_file(&mut self, action: &'static str, file: &File) -> &mut Event {
        let subject = match file.spec.kind {
            FileKind::Secret => Subject::Secret,
            FileKind::Config => Subject::Config,
        };
        self.tell(subject, action, file.id, &file.spec.name)
    }

    /// Of a node that is, or was; its id when it is long gone.
    fn hostname(&self, node: Option<NodeId>) -> Option<String> {
        let id = node?;
        let row = self.after.nodes.get(&id).or_else(|| self.before.nodes.get(&id));
        Some(row.map_or_else(|| id.to_string(), |row| row.hostname.clone()))
    }
}

fn mode(mode: ServiceMode) -> String {
    match mode {
        ServiceMode::Replicated { replicas: 1 } => "1 replica".to_owned(),
        ServiceMode::Replicated { replicas } => format!("{replicas} replicas"),
        ServiceMode::Global => "global".to_owned(),
        ServiceMode::ReplicatedJob { total: 1, .. } => "a job of 1 task".to_owned(),
        ServiceMode::ReplicatedJob { total, max_concurrent: 0 } => format!("a job of {total} tasks"),
        ServiceMode::ReplicatedJob { total, max_concurrent } => format!("a job of {total} tasks, {max_concurrent} at once"),
        ServiceMode::GlobalJob => "a global job".to_owned(),
    }
}

/// As it stands behind another one.
fn count(was: ServiceMode) -> String {
    match was {
        ServiceMode::Replicated { replicas } => replicas.to_string(),
        other => mode(other),
    }
}

fn progress(state: UpdateState) -> &'static str {
    match state {
        UpdateState::Updating => "update_started",
        UpdateState::Paused => "update_paused",
        UpdateState::Completed => "update_completed",
        UpdateState::RollbackStarted => "rollback_started",
        UpdateState::RollbackPaused => "rollback_paused",
        UpdateState::RollbackCompleted => "rollback_completed",
    }
}

fn labels(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() { "no labels".to_owned() } else { format!("labels {}", pairs.join(", ")) }
}
