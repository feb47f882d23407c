//! `leave`
use anyhow::bail;
use clap::Args;

use super::{block_on, wait_for_end};
use crate::connect;
use crate::data_dir::{self, Choice, process_id};
use crate::output::say;

#[derive(Args, Debug)]
pub struct Leave {
    /// Leave though this is a manager, or though the cluster cannot be told
    #[arg(short, long)]
    force: bool,
}

impl Leave {
    pub fn run(self, choice: &Choice) -> anyhow::Result<()> {
        let folder = choice.for_running()?;
        block_on(async { Ok::<_, anyhow::Error>(connect::client(choice).await?.leave(self.force).await?) })?;
        if let Some(pid) = process_id(&folder) {
            wait_for_end(pid, &folder)?;
        }
        if data_dir::process_lives(&folder) {
            bail!("the node in {} left the cluster but still runs", folder.display());
        }
        say!("Node left the cluster.");
        Ok(())
    }
}
