//! Folders and files of this machine that services mount: folders are made where they are missing, and on this node alone.
use std::path::Path;

use anyhow::{Context, bail};
use minicloud_compose::{MountSource, Place, Project};
use minicloud_node::client::Client;

/// Makes the folders that are not there, as docker compose does; an error where one cannot be mounted.
pub fn make(project: &Project) -> anyhow::Result<()> {
    for mount in project.services.iter().flat_map(|service| &service.mounts) {
        if let MountSource::Host { path, make } = &mount.source {
            ensure(path, *make, &mount.at)?;
        }
    }
    Ok(())
}

fn ensure(path: &Path, make: bool, at: &Place) -> anyhow::Result<()> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() || found.is_file() => Ok(()),
        Ok(_) => bail!("{at}: {shown} is neither a folder nor a file; mount the folder that it is in"),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).with_context(|| format!("{at}: {shown}")),
        Err(_) if !make => bail!("{at}: there is no folder or file {shown}"),
        Err(_) => {
            std::fs::create_dir_all(path).with_context(|| format!("{at}: the folder {shown} cannot be made"))?;
            eprintln!("Folder {shown}  created");
            Ok(())
        }
    }
}

/// Keeps the services that mount them to the node of `client`, which is on this machine.
pub async fn pin(client: &Client, project: &mut Project) -> anyhow::Result<()> {
    let mounts_any =
        |service: &minicloud_compose::Service| service.mounts.iter().any(|mount| matches!(mount.source, MountSource::Host { .. }));
    if !project.services.iter().any(mounts_any) {
        return Ok(());
    }
    let own = client.nodes().await?.into_iter().find(|node| node.is_self).context("the node does not know itself yet; try again")?;
    let constraint: minicloud_core::spec::Constraint = format!("node.id=={}", own.id).parse()?;
    for service in project.services.iter_mut().filter(|service| mounts_any(service)) {
        service.constraints.push(constraint.clone());
    }
    Ok(())
}
