//! Secrets and configs: their rows, who uses them, and the key that seals the secrets.
//!
//! Nothing here seals or reads what is sealed: the state knows the key's fingerprint, managers keep the key.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::Rejection;
use crate::id::{FileId, Index};
use crate::limits;
use crate::spec::{FileKind, FileSpec, Fingerprint, Labels, TaskTemplate};
use crate::time::Timestamp;

use super::{ClusterState, Row, RowKey, Writer, validate};

/// A secret or config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    pub id: FileId,
    pub spec: FileSpec,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: Index,
}

impl Writer<'_> {
    /// Secrets are sealed with this key from now on. The managers that must have it do before this is proposed.
    pub(super) fn set_seal_key(&mut self, fingerprint: &Fingerprint, replaces: Option<Fingerprint>) -> Result<(), Rejection> {
        let Some(mut row) = self.state.cluster.clone() else {
            return Err(Rejection::NotFound("there is no cluster yet; found one with 'minicloud init'".to_owned()));
        };
        let cluster = Arc::make_mut(&mut row);
        let secret = self.state.files.values().find(|file| file.spec.kind == FileKind::Secret);
        match (cluster.seal_key, secret) {
            (Some(known), _) if known == *fingerprint => return Ok(()),
            (known, _) if known != replaces => {
                return Err(Rejection::Stale("the cluster has chosen another key that seals secrets meanwhile; try again".to_owned()));
            }
            (Some(_), Some(secret)) => {
                let name = &secret.spec.name;
                return Err(Rejection::Conflict(format!("the cluster has a key that seals its secrets, '{name}' among them")));
            }
            _ => cluster.seal_key = Some(*fingerprint),
        }
        cluster.version = self.index;
        self.put(Row::Cluster(row));
        Ok(())
    }

    pub(super) fn create_file(&mut self, id: FileId, spec: &FileSpec) -> Result<(), Rejection> {
        validate::file(spec)?;
        let (kind, name) = (spec.kind, &spec.name);
        if self.state.file_named(kind, name).is_some() {
            return Err(Rejection::Conflict(format!(
                "{kind} '{name}' already exists, and what it holds never changes; choose another name, or remove it with 'minicloud {kind} rm {name}'"
            )));
        }
        validate::fresh_id(&kind.to_string(), self.state.files.contains_key(&id))?;
        let key = self.state.cluster.as_ref().and_then(|cluster| cluster.seal_key);
        if kind == FileKind::Secret && (spec.sealed_with.is_none() || spec.sealed_with != key) {
            return Err(Rejection::Stale("the key that seals secrets was changed meanwhile; try again".to_owned()));
        }
        self.has_room(spec)?;
        let file = File { id, spec: spec.clone(), created_at: self.at, updated_at: self.at, version: self.index };
        self.put(Row::File(Arc::new(file)));
        Ok(())
    }

    /// Every manager holds all of them in memory.
    fn has_room(&self, spec: &FileSpec) -> Result<(), Rejection> {
        let files = &self.state.files;
        let bytes: u64 = files.values().map(|file| file.spec.data.len() as u64).sum();
        if files.len() >= limits::FILES_MAX || bytes + spec.data.len() as u64 > limits::FILES_BYTES_MAX {
            return Err(Rejection::Conflict(format!(
                "the cluster keeps at most {} secrets and configs with {} MiB together; remove some that nobody uses",
                limits::FILES_MAX,
                limits::FILES_BYTES_MAX >> 20
            )));
        }
        Ok(())
    }

    /// The labels become these; nothing else of a file may change.
    pub(super) fn label_file(&mut self, id: FileId, labels: &Labels) -> Result<(), Rejection> {
        validate::labels(labels)?;
        if !self.state.files.contains_key(&id) {
            return Err(gone(id));
        }
        let at = self.at;
        self.edit_file(id, |file| {
            file.spec.labels.clone_from(labels);
            file.updated_at = at;
        });
        Ok(())
    }

    pub(super) fn remove_file(&mut self, id: FileId) -> Result<(), Rejection> {
        let file = self.state.files.get(&id).ok_or_else(|| gone(id))?;
        let users = self.state.users_of_file(id);
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        if let Some(users) = validate::users(&users) {
            let FileSpec { kind, name, .. } = &file.spec;
            return Err(Rejection::Conflict(format!(
                "{kind} '{name}' is used by {users}; take it from them with 'minicloud service update --{kind}-rm {name}' first"
            )));
        }
        self.remove(RowKey::File(id));
        Ok(())
    }
}

impl ClusterState {
    pub fn file_named(&self, kind: FileKind, name: &str) -> Option<&Arc<File>> {
        self.files.values().find(|file| file.spec.kind == kind && file.spec.name == name)
    }

    /// Names of the services that declare the file, or of which a task that has not ended has it.
    pub fn users_of_file(&self, id: FileId) -> Vec<String> {
        let has = |template: &TaskTemplate| template.files().any(|(_, file)| file.id == id);
        let holds = |service| self.tasks_of_service(service).any(|task| !task.status.state.is_final() && has(&task.template));
        let users = self.services.values().filter(|service| (!service.removing && has(&service.spec.task)) || holds(service.id));
        let mut names: Vec<String> = users.map(|service| service.spec.name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// The first file of the template that is not there.
    pub(crate) fn missing_file(&self, template: &TaskTemplate) -> Option<String> {
        let there = |kind, id| self.files.get(&id).is_some_and(|file| file.spec.kind == kind);
        let missing = template.files().find(|(kind, file)| !there(*kind, file.id));
        missing.map(|(kind, file)| format!("{kind} '{}' does not exist", file.name))
    }
}

fn gone(id: FileId) -> Rejection {
    Rejection::NotFound(format!("there is no secret or config {id} any more; see 'minicloud secret ls' and 'minicloud config ls'"))
}
