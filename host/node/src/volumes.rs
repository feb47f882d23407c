//! The volumes that this node holds: `<data-dir>/volumes/<id>/`, created on first use, held by one task at a time.
//!
//! Owns the folders and who holds which. What a volume is and where it lives is the state's business; volumes that
//! follow their task would be a second implementation of [`Volumes`]. Called by `agent` before a start.
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use minicloud_core::id::{TaskId, VolumeId};
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::limits::VOLUME_RETRY_DELAY;
use crate::session::SessionHandle;

/// The one interface to volumes.
#[async_trait]
pub trait Volumes: Send + Sync + 'static {
    /// Takes the volume for one run of a task; waits while another task holds it. Cancel-safe.
    async fn hold(&self, volume: VolumeId, task: TaskId) -> Result<VolumeHold, VolumeError>;
    /// The task that holds the volume now.
    fn holder(&self, volume: VolumeId) -> Option<TaskId>;
    /// Deletes the volume's data. Refused while it is held; nothing to do when it has none.
    async fn remove(&self, volume: VolumeId) -> Result<(), VolumeError>;
    /// Volumes that have data here.
    async fn list(&self) -> Result<Vec<VolumeId>, VolumeError>;
}

#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    #[error("volume {volume} is in use by task {task}: stop it first")]
    Held { volume: VolumeId, task: TaskId },
    #[error("cannot {doing} {path}: {source}")]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

/// The right to use a volume; given back when dropped.
pub struct VolumeHold {
    path: PathBuf,
    volume: VolumeId,
    holders: Arc<Holders>,
}

impl VolumeHold {
    /// The folder with the volume's data.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for VolumeHold {
    fn drop(&mut self) {
        self.holders.lock().remove(&self.volume);
        self.holders.released.notify_waiters();
    }
}

/// Volumes as folders of this node.
pub struct LocalVolumes {
    folder: PathBuf,
    holders: Arc<Holders>,
}

#[derive(Default)]
struct Holders {
    by_volume: Mutex<BTreeMap<VolumeId, TaskId>>,
    released: Notify,
}

impl Holders {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<VolumeId, TaskId>> {
        self.by_volume.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the volume unless another task has it.
    fn take(self: &Arc<Self>, volume: VolumeId, task: TaskId, path: PathBuf) -> Option<VolumeHold> {
        let mut by_volume = self.lock();
        if by_volume.contains_key(&volume) {
            return None;
        }
        by_volume.insert(volume, task);
        Some(VolumeHold { path, volume, holders: Arc::clone(self) })
    }
}

impl LocalVolumes {
    /// `folder`: where the volumes' folders are, `<data-dir>/volumes`. The caller holds the data directory's lock, so
    /// no other process uses it.
    pub fn new(folder: PathBuf) -> Self {
        LocalVolumes { folder, holders: Arc::default() }
    }

    fn path(&self, volume: VolumeId) -> PathBuf {
        self.folder.join(volume.to_string())
    }

    async fn take(&self, volume: VolumeId, task: TaskId, path: &Path) -> VolumeHold {
        loop {
            let released = self.holders.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            if let Some(hold) = self.holders.take(volume, task, path.to_owned()) {
                return hold;
            }
            released.await;
        }
    }
}

#[async_trait]
impl Volumes for LocalVolumes {
    async fn hold(&self, volume: VolumeId, task: TaskId) -> Result<VolumeHold, VolumeError> {
        let path = self.path(volume);
        let hold = self.take(volume, task, &path).await;
        tokio::fs::create_dir_all(&path).await.map_err(|source| VolumeError::Io { doing: "create", path, source })?;
        Ok(hold)
    }

    fn holder(&self, volume: VolumeId) -> Option<TaskId> {
        self.holders.lock().get(&volume).copied()
    }

    async fn remove(&self, volume: VolumeId) -> Result<(), VolumeError> {
        let path = self.path(volume);
        // Held while it is deleted, so that no task starts on half of it.
        let Some(hold) = self.holders.take(volume, TaskId(0), path.clone()) else {
            let task = self.holder(volume).unwrap_or_default();
            return Err(VolumeError::Held { volume, task });
        };
        let removed = tokio::fs::remove_dir_all(&path).await;
        drop(hold);
        match removed {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(VolumeError::Io { doing: "remove", path, source }),
            _ => Ok(()),
        }
    }

    async fn list(&self) -> Result<Vec<VolumeId>, VolumeError> {
        let failed = |source| VolumeError::Io { doing: "read", path: self.folder.clone(), source };
        let mut entries = match tokio::fs::read_dir(&self.folder).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut volumes = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            volumes.extend(entry.file_name().to_str().and_then(|name| name.parse::<VolumeId>().ok()));
        }
        volumes.sort();
        Ok(volumes)
    }
}

/// Removes the data of volumes as the leader says, for ever. Volumes in use by a task that is about to end are tried
/// again.
pub async fn remove_leaving(volumes: Arc<dyn Volumes>, session: SessionHandle) {
    let mut leaving = session.volumes_leaving();
    loop {
        let wanted = leaving.borrow_and_update().clone();
        let mut gone = Vec::with_capacity(wanted.len());
        for volume in &wanted {
            match volumes.remove(*volume).await {
                Ok(()) => {
                    info!(%volume, "removed the data of a volume");
                    gone.push(*volume);
                }
                Err(error) => warn!(%error, "cannot remove the data of a volume; trying again"),
            }
        }
        let retry = gone.len() < wanted.len();
        if !gone.is_empty() {
            session.volumes_gone(gone);
        }
        let changed = match retry {
            true => timeout(VOLUME_RETRY_DELAY, leaving.changed()).await.unwrap_or(Ok(())),
            false => leaving.changed().await,
        };
        if changed.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: VolumeId = VolumeId(7);

    #[tokio::test]
    async fn one_task_at_a_time_holds_a_volume_and_finds_what_the_last_one_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let volumes = Arc::new(LocalVolumes::new(folder.path().join("volumes")));
        let first = volumes.hold(DATA, TaskId(1)).await.unwrap();
        std::fs::write(first.path().join("file"), "kept").unwrap();
        assert_eq!(volumes.holder(DATA), Some(TaskId(1)));

        let second = tokio::spawn({
            let volumes = Arc::clone(&volumes);
            async move { volumes.hold(DATA, TaskId(2)).await.unwrap() }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        let second = second.await.unwrap();
        assert_eq!(std::fs::read_to_string(second.path().join("file")).unwrap(), "kept");
    }

    #[tokio::test]
    async fn removal_is_refused_while_held_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let volumes = LocalVolumes::new(folder.path().join("volumes"));
        let hold = volumes.hold(DATA, TaskId(1)).await.unwrap();
        assert_eq!(volumes.list().await.unwrap(), [DATA]);
        assert!(matches!(volumes.remove(DATA).await, Err(VolumeError::Held { task: TaskId(1), .. })));
        drop(hold);
        volumes.remove(DATA).await.unwrap();
        volumes.remove(DATA).await.unwrap();
        assert_eq!(volumes.list().await.unwrap(), []);
    }
}
