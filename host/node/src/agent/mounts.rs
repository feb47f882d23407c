//! What a task mounts, taken before its start: volumes of this node, each held by one task at a time, and folders and
//! files of this machine, which are only looked at. What is missing rejects the task.
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use minicloud_core::id::VolumeId;
use minicloud_core::spec::{Mount, MountKind};
use minicloud_core::view::AssignedTask;

use crate::executor::{RunMount, TaskError};
use crate::volumes::{VolumeHold, Volumes};

#[derive(Default)]
pub(super) struct Mounts {
    pub(super) run: Vec<RunMount>,
    /// Kept for its drop.
    _holds: Vec<VolumeHold>,
}

/// All mounts of a task. Its volumes are taken in the order of their ids so that two tasks never wait for each other.
pub(super) async fn take(volumes: &dyn Volumes, assigned: &AssignedTask) -> Result<Mounts, TaskError> {
    let mut holds = BTreeMap::<VolumeId, Option<VolumeHold>>::new();
    for name in assigned.template.volumes() {
        holds.insert(volume_id(assigned, name)?, None);
    }
    let mut run = Vec::new();
    for mount in assigned.template.mounts.iter().filter(|mount| mount.kind == MountKind::Bind) {
        bound(Path::new(&mount.source)).await.map_err(TaskError::new)?;
        run.push(run_mount(mount, mount.source.clone().into()));
    }
    for (volume, hold) in &mut holds {
        let taken = volumes.hold(*volume, assigned.id).await;
        *hold = Some(taken.map_err(|error| TaskError::new(error.to_string()))?);
    }
    for mount in assigned.template.mounts.iter().filter(|mount| mount.kind == MountKind::Volume) {
        if let Some(Some(hold)) = holds.get(&volume_id(assigned, &mount.source)?) {
            run.push(run_mount(mount, hold.path().to_owned()));
        }
    }
    Ok(Mounts { run, _holds: holds.into_values().flatten().collect() })
}

fn run_mount(mount: &Mount, host: PathBuf) -> RunMount {
    RunMount { host, guest: mount.target.clone(), read_only: mount.read_only }
}

fn volume_id(assigned: &AssignedTask, name: &str) -> Result<VolumeId, TaskError> {
    assigned.volumes.get(name).copied().ok_or_else(|| TaskError::new(format!("volume '{name}' does not exist")))
}

/// Whether there is such a folder or file on this machine; it is never made, as a misspelt path would make an empty one.
async fn bound(path: &Path) -> Result<(), String> {
    let shown = path.display();
    match tokio::fs::metadata(path).await {
        Ok(found) if found.is_dir() || found.is_file() => Ok(()),
        Ok(_) => Err(format!("{shown} on this node is neither a folder nor a file; mount the folder that it is in")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!(
            "there is no folder or file {shown} on this node; create it, or keep the service to nodes that have it with --constraint"
        )),
        Err(error) => Err(format!("{shown} of this node cannot be mounted: {error}")),
    }
}
