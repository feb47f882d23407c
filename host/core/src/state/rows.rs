//! The state as rows: what storage keeps and a snapshot carries.
use std::sync::Arc;

use super::{ClusterState, Row, RowKey};

impl Row {
    pub fn key(&self) -> RowKey {
        match self {
            Row::Cluster(_) => RowKey::Cluster,
            Row::Node(row) => RowKey::Node(row.id),
            Row::Service(row) => RowKey::Service(row.id),
            Row::Task(row) => RowKey::Task(row.id),
            Row::Network(row) => RowKey::Network(row.id),
            Row::Volume(row) => RowKey::Volume(row.id),
            Row::Answer(row) => RowKey::Answer(row.key),
            Row::File(row) => RowKey::File(row.id),
        }
    }
}

impl ClusterState {
    /// The row with this key; `None` when it was deleted or never was.
    pub fn row(&self, key: RowKey) -> Option<Row> {
        match key {
            RowKey::Cluster => self.cluster.clone().map(Row::Cluster),
            RowKey::Node(id) => self.nodes.get(&id).cloned().map(Row::Node),
            RowKey::Service(id) => self.services.get(&id).cloned().map(Row::Service),
            RowKey::Task(id) => self.tasks.get(&id).cloned().map(Row::Task),
            RowKey::Network(id) => self.networks.get(&id).cloned().map(Row::Network),
            RowKey::Volume(id) => self.volumes.get(&id).cloned().map(Row::Volume),
            RowKey::Answer(key) => self.answers.get(&key).cloned().map(Row::Answer),
            RowKey::File(id) => self.files.get(&id).cloned().map(Row::File),
        }
    }

    /// Every row, in the order of the keys.
    pub fn rows(&self) -> impl Iterator<Item = (RowKey, Row)> + '_ {
        let cluster = self.cluster.iter().cloned().map(Row::Cluster);
        let nodes = self.nodes.values().cloned().map(Row::Node);
        let services = self.services.values().cloned().map(Row::Service);
        let tasks = self.tasks.values().cloned().map(Row::Task);
        let networks = self.networks.values().cloned().map(Row::Network);
        let volumes = self.volumes.values().cloned().map(Row::Volume);
        let answers = self.answers.values().cloned().map(Row::Answer);
        let files = self.files.values().cloned().map(Row::File);
        let rows = cluster.chain(nodes).chain(services).chain(tasks).chain(networks).chain(volumes).chain(answers).chain(files);
        rows.map(|row| (row.key(), row))
    }

    /// Writes a row as it was stored. For loading; entries of the log go through `apply`.
    pub fn put_row(&mut self, row: Row) {
        match row {
            Row::Cluster(row) => self.cluster = Some(row),
            Row::Node(row) => drop(self.nodes.insert(row.id, row)),
            Row::Service(row) => {
                let old = self.services.insert(row.id, Arc::clone(&row));
                self.lookup.service(old.as_deref(), Some(&row));
            }
            Row::Task(row) => {
                let old = self.tasks.insert(row.id, Arc::clone(&row));
                self.lookup.task(old.as_deref(), Some(&row));
            }
            Row::Network(row) => drop(self.networks.insert(row.id, row)),
            Row::Volume(row) => drop(self.volumes.insert(row.id, row)),
            Row::File(row) => drop(self.files.insert(row.id, row)),
            Row::Answer(row) => {
                let old = self.answers.insert(row.key, Arc::clone(&row));
                self.lookup.answer(old.as_deref(), Some(&row));
            }
        }
    }

    /// Removes a row; nothing happens when there is none.
    pub fn remove_row(&mut self, key: RowKey) {
        match key {
            RowKey::Cluster => self.cluster = None,
            RowKey::Node(id) => drop(self.nodes.remove(&id)),
            RowKey::Service(id) => {
                let old = self.services.remove(&id);
                self.lookup.service(old.as_deref(), None);
            }
            RowKey::Task(id) => {
                let old = self.tasks.remove(&id);
                self.lookup.task(old.as_deref(), None);
            }
            RowKey::Network(id) => drop(self.networks.remove(&id)),
            RowKey::Volume(id) => drop(self.volumes.remove(&id)),
            RowKey::File(id) => drop(self.files.remove(&id)),
            RowKey::Answer(key) => {
                let old = self.answers.remove(&key);
                self.lookup.answer(old.as_deref(), None);
            }
        }
    }
}
