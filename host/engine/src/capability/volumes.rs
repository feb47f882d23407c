//! Volumes, folders and single files of the host that a task sees at paths of its own. Everything else of the host's files
//! is out of reach.
//!
//! wasmtime-wasi resolves every path inside a folder, so `..` and symbolic links cannot lead out of it. It knows no single
//! files: those stand in the task's tree of files.
use std::sync::Arc;

use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::files::{HostFile, parts};
use crate::error::EngineError;
use crate::spec::{GuestFile, HostMount};

/// The mounts of a task, folders and single files told apart.
pub struct Mounts {
    pub folders: Vec<HostMount>,
    /// By their paths in the task.
    pub files: Vec<(String, Arc<HostFile>)>,
}

impl Mounts {
    /// Opens the files. What a task sees at one path must not hide what it sees at another.
    pub fn new(mounts: &[HostMount], given: &[GuestFile]) -> Result<Mounts, EngineError> {
        let (folders, single): (Vec<_>, Vec<_>) = mounts.iter().cloned().partition(|mount| !is_file(mount));
        let mut files = Vec::new();
        for mount in &single {
            apart(mount, mounts, given)?;
            let file = HostFile::open(&mount.host, mount.read_only).map_err(|error| failed(mount, error.to_string()))?;
            files.push((format!("/{}", parts(&mount.guest).join("/")), Arc::new(file)));
        }
        Ok(Mounts { folders, files })
    }
}

/// Give the task its folders.
pub fn mount(builder: &mut WasiCtxBuilder, folders: &[HostMount]) -> Result<(), EngineError> {
    for mount in folders {
        let permissions = if mount.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
        builder.preopened_dir(&mount.host, &mount.guest, permissions).map_err(|error| failed(mount, format!("{error:#}")))?;
    }
    Ok(())
}

/// What is not there counts as a folder, and fails as one.
fn is_file(mount: &HostMount) -> bool {
    std::fs::metadata(&mount.host).is_ok_and(|found| !found.is_dir())
}

/// A file is in a folder of the tree, which stands before a volume at the same path; and nothing is below a file.
fn apart(file: &HostMount, mounts: &[HostMount], given: &[GuestFile]) -> Result<(), EngineError> {
    let path = parts(&file.guest);
    let Some((_, folder)) = path.split_last() else {
        return Err(failed(file, "it is a file, and / is a folder; give it a path such as /etc/app.conf".to_owned()));
    };
    let others = mounts.iter().filter(|mount| *mount != file).map(|mount| (mount.guest.as_str(), !is_file(mount)));
    for (other, is_folder) in others.chain(given.iter().map(|file| (file.path.as_str(), false))) {
        let parts = parts(other);
        if parts.starts_with(&path) {
            return Err(failed(file, format!("{other} is at or below it, and it is a file; give one of them another target")));
        }
        if is_folder && parts == folder {
            let why = format!("{other} is a volume or folder, and would be hidden; give the file a target in another folder");
            return Err(failed(file, why));
        }
    }
    Ok(())
}

fn failed(mount: &HostMount, reason: String) -> EngineError {
    EngineError::Volume { guest: mount.guest.clone(), host: mount.host.clone(), reason }
}
