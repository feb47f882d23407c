//! `compose down`
use clap::Args;
use futures::future::try_join_all;
use minicloud_core::spec::Labels;
use minicloud_node::client::Client;

use super::files::{self, Names, title};
use super::labels;
use super::node::ProjectNode;
use super::project::ProjectArgs;
use super::rest::Rest;
use crate::cluster::block_on;
use crate::data_dir::Choice;
use crate::service::{Waiting, progress};

#[derive(Args, Debug)]
pub struct Down {
    /// Remove the project's volumes too, with their data
    #[arg(short, long)]
    volumes: bool,
    /// Accepted: services that the file does not have go in any case
    #[arg(long, hide = true)]
    remove_orphans: bool,
    #[command(flatten)]
    project: ProjectArgs,
}

impl Down {
    pub fn run(self, choice: &Choice, outer: &ProjectArgs) -> anyhow::Result<()> {
        let name = self.project.within(outer).name()?;
        let node = ProjectNode::find(choice, &name)?;
        if !node.is_made() || !(node.runs() || node.is_own()) {
            return Ok(());
        }
        // What is in a node of the project's own can only be removed by it.
        let (node, client) = ProjectNode::ensure(choice, &name, None)?;
        block_on(self.remove(&client, &name))?;
        if !node.is_own() {
            return Ok(());
        }
        let rest = block_on(Rest::of(&client, &name))?;
        node.leave(&rest)
    }

    /// Removes what the project has.
    async fn remove(&self, client: &Client, name: &str) -> anyhow::Result<()> {
        let services = labels::services(client, name).await?;
        let removed = services.iter().map(async |service| {
            client.remove_service(&service.name).await?;
            progress::wait_for_removal(client, &service.name, Waiting { detach: false, quiet: true }).await?;
            eprintln!("Service {}  removed", labels::key(service));
            anyhow::Ok(())
        });
        try_join_all(removed).await?;
        let is_own = |labels: &Labels| labels::is_of(labels, name);
        for file in files::prune(client, is_own, &Names::default()).await? {
            eprintln!("{} {}  removed", title(file.kind), file.name);
        }
        for network in client.networks().await?.into_iter().filter(|network| is_own(&network.labels)) {
            client.remove_network(&network.name).await?;
            eprintln!("Network {}  removed", network.name);
        }
        if !self.volumes {
            return Ok(());
        }
        for volume in client.volumes().await?.into_iter().filter(|volume| is_own(&volume.labels)) {
            client.remove_volume(&volume.name).await?;
            eprintln!("Volume {}  removed", volume.name);
        }
        Ok(())
    }
}
