//! Volumes: folders of the host that a task sees at a path of its own. Everything else of the host's files is out of reach.
//!
//! wasmtime-wasi resolves every path inside the folder, so `..` and symbolic links cannot lead out of it.
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::error::EngineError;
use crate::spec::HostMount;

/// Give the task its volumes.
pub fn mount(builder: &mut WasiCtxBuilder, mounts: &[HostMount]) -> Result<(), EngineError> {
    for mount in mounts {
        let permissions = if mount.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
        builder.preopened_dir(&mount.host, &mount.guest, permissions).map_err(|error| EngineError::Volume {
            guest: mount.guest.clone(),
            host: mount.host.clone(),
            reason: format!("{error:#}"),
        })?;
    }
    Ok(())
}
