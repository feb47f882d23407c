//! The way to the node that a command means.
use std::path::Path;

use anyhow::bail;
use minicloud_node::client::{Client, ClientError};
use minicloud_node::data_dir;

use crate::data_dir::{Choice, program};

/// A client of the chosen node; where none runs, the error says how to get one.
pub async fn client(choice: &Choice) -> anyhow::Result<Client> {
    let folder = choice.for_running()?;
    match Client::connect_data_dir(&folder).await {
        Ok(client) => Ok(client),
        Err(ClientError::NotRunning(_)) => bail!(not_running(&folder, &choice.flag(&folder))),
        Err(error) => Err(error.into()),
    }
}

/// What to do where no node runs.
pub fn not_running(folder: &Path, flag: &str) -> String {
    let (program, shown) = (program(), folder.display());
    if holds_node(folder) {
        return format!("the node in {shown} does not run; start it with '{program}{flag} start'");
    }
    format!(
        "there is no node in {shown}; found a cluster with '{program}{flag} init', join one with '{program}{flag} join', or name another node with --data-dir"
    )
}

/// Folder of the volumes in a data directory; it stays when the node leaves its cluster.
pub const VOLUMES: &str = "volumes";

/// Whether a node was made in `folder`.
pub fn holds_node(folder: &Path) -> bool {
    folder.join(data_dir::NODE).is_file()
}
