//! `stack rm`
use clap::Args;
use futures::future::try_join_all;
use minicloud_node::client::Client;

use super::{existing, is_of, services};
use crate::compose::files::{self, Names};
use crate::each::each;
use crate::output::say;
use crate::service::{Waiting, progress};

#[derive(Args, Debug)]
pub struct Rm {
    /// Names of stacks
    #[arg(required = true, value_name = "STACK")]
    stacks: Vec<String>,
}

impl Rm {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        each(&self.stacks, async |stack| remove(client, stack).await).await
    }
}

/// Volumes stay: they hold what the stack made. A deployment that failed may have left networks and no service.
async fn remove(client: &Client, stack: &str) -> anyhow::Result<()> {
    let networks = client.networks().await?.into_iter().filter(|network| is_of(&network.labels, stack)).collect::<Vec<_>>();
    let services = if networks.is_empty() { existing(client, stack).await? } else { services(client, stack).await? };
    let removed = services.iter().map(async |service| {
        client.remove_service(&service.name).await?;
        progress::wait_for_removal(client, &service.name, Waiting { detach: false, quiet: true }).await?;
        say!("Removing service {}", service.name);
        anyhow::Ok(())
    });
    try_join_all(removed).await?;
    for file in files::prune(client, |labels| is_of(labels, stack), &Names::default()).await? {
        say!("Removing {} {}", file.kind, file.name);
    }
    for network in networks {
        client.remove_network(&network.name).await?;
        say!("Removing network {}", network.name);
    }
    Ok(())
}
