//! `service rm A B`
use clap::Args;
use minicloud_node::client::Client;

use super::flags::Waiting;
use super::progress;
use crate::each::each;
use crate::output::{say, warn};

#[derive(Args, Debug)]
pub struct Rm {
    #[command(flatten)]
    waiting: Waiting,
    /// Names or ids
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

impl Rm {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let mut removed = Vec::new();
        let outcome = each(&self.services, async |service| {
            warn(&client.remove_service(service).await?.warnings);
            say!("{service}");
            removed.push(service.to_owned());
            Ok(())
        })
        .await;
        for service in &removed {
            progress::wait_for_removal(client, service, self.waiting).await?;
        }
        outcome
    }
}
