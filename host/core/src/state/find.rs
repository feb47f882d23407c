//! What a user calls things: by name, by id, or by the start of an id.
use std::sync::Arc;

use crate::command::Rejection;
use crate::id::NodeId;
use crate::spec::FileKind;

use super::{ClusterState, File, Network, Node, Service, Slot, Task, Volume};

impl ClusterState {
    /// A service by name, id, or unique start of its id.
    pub fn find_service(&self, text: &str) -> Result<&Arc<Service>, Rejection> {
        let named = self.service_named(text);
        let rows = || self.services.iter().map(|(id, row)| (id.to_string(), row));
        named.map_or_else(|| by_id(text, "service", rows()), Ok)
    }

    /// A node by id (`n7`) or by hostname, when only one has it.
    pub fn find_node(&self, text: &str) -> Result<&Arc<Node>, Rejection> {
        if let Some(node) = text.parse().ok().and_then(|id: NodeId| self.nodes.get(&id)) {
            return Ok(node);
        }
        let named: Vec<&Arc<Node>> = self.nodes.values().filter(|node| node.hostname.eq_ignore_ascii_case(text)).collect();
        match named.as_slice() {
            [node] => Ok(node),
            [] => Err(missing(text, "node")),
            several => {
                let ids: Vec<String> = several.iter().map(|node| node.id.to_string()).collect();
                Err(Rejection::Conflict(format!("{} nodes are called '{text}'; name one by its id: {}", ids.len(), ids.join(", "))))
            }
        }
    }

    /// A network by name, id, or unique start of its id.
    pub fn find_network(&self, text: &str) -> Result<&Arc<Network>, Rejection> {
        let named = self.networks.values().find(|network| network.spec.name == text);
        let rows = || self.networks.iter().map(|(id, row)| (id.to_string(), row));
        named.map_or_else(|| by_id(text, "network", rows()), Ok)
    }

    /// A volume by name, id, or unique start of its id.
    pub fn find_volume(&self, text: &str) -> Result<&Arc<Volume>, Rejection> {
        let named = self.volume_named(text);
        let rows = || self.volumes.iter().filter(|(_, row)| !row.removing).map(|(id, row)| (id.to_string(), row));
        named.map_or_else(|| by_id(text, "volume", rows()), Ok)
    }

    /// A secret or config by name, id, or unique start of its id.
    pub fn find_file(&self, kind: FileKind, text: &str) -> Result<&Arc<File>, Rejection> {
        let named = self.file_named(kind, text);
        let rows = || self.files.iter().filter(|(_, row)| row.spec.kind == kind).map(|(id, row)| (id.to_string(), row));
        named.map_or_else(|| by_id(text, &kind.to_string(), rows()), Ok)
    }

    /// A task by `service.slot` (the one that is wanted there, else the last), by id, or by the unique start of its id.
    pub fn find_task(&self, text: &str) -> Result<&Arc<Task>, Rejection> {
        if let Some((service, slot)) = text.rsplit_once('.')
            && let Some(service) = self.service_named(service)
            && let Some(slot) = self.slot_of(slot)
        {
            let task = self.tasks_of_slot(service.id, slot).max_by_key(|task| (task.is_live(), task.created, task.id));
            return task.ok_or_else(|| missing(text, "task"));
        }
        by_id(text, "task", self.tasks.iter().map(|(id, row)| (id.to_string(), row)))
    }

    /// A slot by its number, or by the id or hostname of its node.
    fn slot_of(&self, text: &str) -> Option<Slot> {
        match text.parse() {
            Ok(number) => Some(Slot::Replica(number)),
            Err(_) => self.find_node(text).ok().map(|node| Slot::Node(node.id)),
        }
    }

    /// How users call a task: `worker.3`, or `rng.n2` for a global service.
    pub fn task_name(&self, task: &Task) -> String {
        match self.services.get(&task.service) {
            Some(service) => format!("{}.{}", service.spec.name, task.slot),
            None => format!("{}.{}", task.service, task.slot),
        }
    }
}

fn by_id<'a, T>(text: &str, noun: &str, rows: impl Iterator<Item = (String, &'a T)>) -> Result<&'a T, Rejection> {
    if text.is_empty() {
        return Err(Rejection::Invalid(format!("the name of the {noun} is empty")));
    }
    let mut fitting = rows.filter(|(id, _)| id.starts_with(text));
    match (fitting.next(), fitting.next()) {
        (Some((_, row)), None) => Ok(row),
        (None, _) => Err(missing(text, noun)),
        (Some((first, _)), Some((second, _))) => Err(Rejection::Conflict(format!(
            "'{text}' is the start of several {noun} ids, {first} and {second} among them; give more of it"
        ))),
    }
}

fn missing(text: &str, noun: &str) -> Rejection {
    let list = match noun {
        "task" => "service ps SERVICE".to_owned(),
        noun => format!("{noun} ls"),
    };
    Rejection::NotFound(format!("no {noun} '{text}'; see 'minicloud {list}'"))
}
