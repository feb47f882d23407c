//! `service rollback`
use clap::Args;
use minicloud_node::api::types::RollbackService;
use minicloud_node::client::Client;

use super::flags::Waiting;
use super::progress::{self, Goal};
use crate::output::{say, warn};

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  minicloud service rollback web      a second time goes forward again")]
pub struct Rollback {
    #[command(flatten)]
    waiting: Waiting,
    /// Name or id
    service: String,
}

impl Rollback {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        back(client, &self.service, self.waiting).await
    }
}

/// Goes back to the version of the service before the present one, and waits for it.
pub async fn back(client: &Client, service: &str, waiting: Waiting) -> anyhow::Result<()> {
    let changed = client.rollback_service(service, &RollbackService::default()).await?;
    warn(&changed.warnings);
    say!("{service}");
    progress::wait_for(client, service, waiting, Goal::Rollback).await
}
