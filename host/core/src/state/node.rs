//! Nodes: who is a member, in which role, and whether it gets tasks.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::{NodeChange, Rejection};
use crate::id::{Index, NodeId};
use crate::spec::{Availability, Constraint, ConstraintKey, Labels, NodeDescription, NodeStatus, Placeholder, Role, TaskTemplate};
use crate::time::Timestamp;

use super::{ClusterState, Row, RowKey, Writer, validate};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub id: NodeId,
    pub hostname: String,
    pub role: Role,
    pub availability: Availability,
    pub status: NodeStatus,
    /// When the status last changed.
    pub status_at: Timestamp,
    /// Where other nodes reach it.
    pub address: SocketAddr,
    #[serde(default)]
    pub labels: Labels,
    #[serde(default)]
    pub description: NodeDescription,
    pub created_at: Timestamp,
    pub version: Index,
}

impl Node {
    /// The template of a task on this node, with the node's names put in.
    pub(crate) fn names_in(&self, template: &Arc<TaskTemplate>) -> Arc<TaskTemplate> {
        if !template.has_placeholders() {
            return Arc::clone(template);
        }
        Arc::new(template.expanded(|placeholder| match placeholder {
            Placeholder::NodeId => Some(self.id.to_string()),
            Placeholder::NodeHostname => Some(self.hostname.clone()),
            // Nothing is put in after this.
            Placeholder::Text(text) => Some(text.clone()),
            _ => None,
        }))
    }

    pub fn is_ready(&self) -> bool {
        self.status == NodeStatus::Ready
    }

    /// Whether the node is what every one of the constraints asks for.
    pub fn satisfies(&self, constraints: &[Constraint]) -> bool {
        constraints.iter().all(|constraint| self.has(constraint) == constraint.equal)
    }

    fn has(&self, constraint: &Constraint) -> bool {
        let wanted = constraint.value.as_str();
        match &constraint.key {
            ConstraintKey::NodeId => self.id.to_string() == wanted,
            ConstraintKey::Hostname => self.hostname.eq_ignore_ascii_case(wanted),
            ConstraintKey::Role => self.role.to_string().eq_ignore_ascii_case(wanted),
            ConstraintKey::Os => self.description.os.eq_ignore_ascii_case(wanted),
            ConstraintKey::Arch => self.description.arch.eq_ignore_ascii_case(wanted),
            ConstraintKey::Label(name) => self.labels.get(name).is_some_and(|value| value == wanted),
        }
    }
}

impl Writer<'_> {
    pub(super) fn add_node(
        &mut self,
        hostname: &str,
        role: Role,
        availability: Availability,
        address: SocketAddr,
    ) -> Result<NodeId, Rejection> {
        validate::hostname_of_node(hostname)?;
        if let Some(other) = self.state.nodes.values().find(|node| node.address == address && node.is_ready()) {
            return Err(Rejection::Conflict(format!(
                "address {address} belongs to node {} ({}), which is ready; give this node another with --advertise-addr",
                other.hostname, other.id
            )));
        }
        let id = NodeId(self.index.0);
        let node = Node {
            id,
            hostname: hostname.to_owned(),
            role,
            availability,
            status: NodeStatus::Unknown,
            status_at: self.at,
            address,
            labels: Labels::new(),
            description: NodeDescription::default(),
            created_at: self.at,
            version: self.index,
        };
        self.put(Row::Node(Arc::new(node)));
        Ok(id)
    }

    pub(super) fn update_node(&mut self, id: NodeId, change: &NodeChange) -> Result<(), Rejection> {
        let node = self.state.member(id)?;
        if change.role == Some(Role::Worker) && node.role == Role::Manager && self.state.managers() == 1 {
            return Err(Rejection::Conflict(format!(
                "node {} is the last manager; promote another with 'minicloud node promote NODE' first",
                node.hostname
            )));
        }
        validate::labels(&change.labels_add)?;
        self.edit_node(id, |node| {
            node.availability = change.availability.unwrap_or(node.availability);
            node.role = change.role.unwrap_or(node.role);
            node.labels.retain(|name, _| !change.labels_remove.contains(name));
            node.labels.extend(change.labels_add.clone());
        });
        Ok(())
    }

    pub(super) fn describe_node(
        &mut self,
        id: NodeId,
        hostname: &str,
        address: SocketAddr,
        description: &NodeDescription,
    ) -> Result<(), Rejection> {
        validate::hostname_of_node(hostname)?;
        let node = self.state.member(id)?;
        if node.hostname == hostname && node.address == address && node.description == *description {
            return Ok(());
        }
        self.edit_node(id, |node| {
            node.hostname = hostname.to_owned();
            node.address = address;
            node.description = description.clone();
        });
        Ok(())
    }

    /// Nodes that are gone meanwhile are passed over.
    pub(super) fn set_node_status(&mut self, nodes: &BTreeMap<NodeId, NodeStatus>) {
        let at = self.at;
        for (id, status) in nodes {
            if self.state.nodes.get(id).is_some_and(|node| node.status != *status) {
                self.edit_node(*id, |node| {
                    node.status = *status;
                    node.status_at = at;
                });
            }
        }
    }

    pub(super) fn remove_node(&mut self, id: NodeId, force: bool) -> Result<(), Rejection> {
        let node = self.state.member(id)?;
        let name = &node.hostname;
        if node.role == Role::Manager {
            return Err(Rejection::Conflict(format!("node {name} is a manager; demote it first with 'minicloud node demote {name}'")));
        }
        if node.is_ready() && !force {
            return Err(Rejection::Conflict(format!(
                "node {name} is ready; stop it first with 'minicloud leave' on that node, or use --force"
            )));
        }
        // Data on a node that is gone is nobody's to remove.
        let leaving = self.state.volumes_leaving(id);
        self.forget_volumes(id, &leaving);
        self.remove(RowKey::Node(id));
        Ok(())
    }
}

impl ClusterState {
    /// How many managers there are.
    pub fn managers(&self) -> usize {
        self.nodes.values().filter(|node| node.role == Role::Manager).count()
    }

    fn member(&self, id: NodeId) -> Result<Arc<Node>, Rejection> {
        let missing = || Rejection::NotFound(format!("node {id} is not a member of this cluster; see 'minicloud node ls'"));
        self.nodes.get(&id).cloned().ok_or_else(missing)
    }
}
