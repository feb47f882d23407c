//! `leave`
use std::path::Path;

use anyhow::Context;
use clap::Args;
use minicloud_node::data_dir::NODE;

use super::{block_on, entries, remove, wait_for_end};
use crate::connect::{self, VOLUMES};
use crate::data_dir::{Choice, process_id};
use crate::output::say;

#[derive(Args, Debug)]
#[command(after_help = "What the node's volumes hold stays in its data directory, everything else there is removed.
A manager is demoted first ('minicloud node demote'), or leaves with --force.")]
pub struct Leave {
    /// Leave though this is a manager, or though the cluster cannot be told
    #[arg(short, long)]
    force: bool,
}

impl Leave {
    pub fn run(self, choice: &Choice) -> anyhow::Result<()> {
        let folder = choice.for_running()?;
        let pid = process_id(&folder);
        block_on(async { Ok::<_, anyhow::Error>(connect::client(choice).await?.leave(self.force).await?) })?;
        if let Some(pid) = pid {
            wait_for_end(pid, &folder)?;
        }
        let kept = forget(&folder)?;
        say!("This node left the cluster.");
        if kept {
            say!("What its volumes held is still in {}.", folder.join(VOLUMES).display());
        }
        Ok(())
    }
}

/// Removes what belonged to the membership; answers whether volumes are kept. First what makes it a node: should this be cut
/// short, the rest is in nobody's way.
fn forget(folder: &Path) -> anyhow::Result<bool> {
    let volumes = folder.join(VOLUMES);
    let kept = !entries(&volumes).is_empty();
    let _ = std::fs::remove_file(folder.join(NODE));
    for entry in entries(folder).iter().filter(|entry| !(kept && **entry == volumes)) {
        remove(entry).with_context(|| format!("this node left the cluster, but {} cannot be removed", entry.display()))?;
    }
    if !kept {
        let _ = std::fs::remove_dir(folder);
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::holds_node;

    #[test]
    fn volumes_outlive_the_membership() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("n1");
        std::fs::create_dir_all(data.join("volumes/db")).unwrap();
        std::fs::create_dir(data.join("logs")).unwrap();
        std::fs::write(data.join(NODE), "").unwrap();
        assert!(holds_node(&data));
        assert!(forget(&data).unwrap());
        assert!(data.join("volumes/db").is_dir() && !holds_node(&data));
        std::fs::remove_dir(data.join("volumes/db")).unwrap();
        assert!(!forget(&data).unwrap());
        assert!(!data.exists());
    }
}
