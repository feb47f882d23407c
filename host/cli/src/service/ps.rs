//! `service ps`
use clap::Args;
use minicloud_node::client::Client;

use crate::each::each;
use crate::tasks::TaskListing;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  minicloud service ps worker
  minicloud service ps --filter desired-state=running worker rng
  minicloud service ps --no-trunc worker   errors in full, with backtraces")]
pub struct Ps {
    #[command(flatten)]
    listing: TaskListing,
    /// Names or ids
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

impl Ps {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        self.listing.check()?;
        let mut tasks = Vec::new();
        let outcome = each(&self.services, async |service| {
            tasks.extend(client.service_tasks(service).await?);
            Ok(())
        })
        .await;
        if outcome.is_ok() || !tasks.is_empty() {
            self.listing.print(tasks)?;
        }
        outcome
    }
}
