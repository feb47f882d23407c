//! `volume`: data that outlives tasks.
use clap::{Args, Subcommand};
use minicloud_node::api::types::{CreateVolume, VolumeDetail, VolumeSummary};
use minicloud_node::client::Client;

use crate::each::Rm;
use crate::inspect::{Inspect, labels};
use crate::output::{say, warn};
use crate::parse::{self, KeyValue};
use crate::render::{Listed, Listing, ago, facts};

#[derive(Subcommand)]
pub enum Volume {
    /// Create a volume; its data is kept by the node of the first task that mounts it
    Create(Create),
    /// Show one or more volumes in full
    Inspect(Inspect),
    /// List volumes
    #[command(alias = "list")]
    Ls(Ls),
    /// Remove volumes that no service mounts, with their data
    #[command(alias = "remove")]
    Rm(Rm),
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  minicloud volume create data
  minicloud service create --name db --mount source=data,target=/data redis")]
pub struct Create {
    /// Kind of volume
    #[arg(short, long, default_value = "local")]
    driver: String,
    /// Label of the volume
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse::key_value)]
    label: Vec<KeyValue>,
    /// Name of the volume
    name: String,
}

#[derive(Args, Debug)]
pub struct Ls {
    #[command(flatten)]
    listing: Listing,
}

impl Volume {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Volume::Create(create) => create.run(client).await,
            Volume::Inspect(inspect) => inspect.run(async |name| client.volume(name).await, pretty).await,
            Volume::Ls(ls) => ls.listing.print(client.volumes().await?),
            Volume::Rm(rm) => rm.run(async |name| client.remove_volume(name).await).await,
        }
    }
}

impl Create {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let labels = self.label.into_iter().map(|label| (label.key, label.value)).collect();
        let created = client.create_volume(&CreateVolume { name: self.name, driver: Some(self.driver), labels }).await?;
        warn(&created.warnings);
        say!("{}", created.name);
        Ok(())
    }
}

fn pretty(volume: &VolumeDetail, now_ms: u64) -> String {
    let summary = &volume.summary;
    facts(&[
        ("ID", summary.id.to_string()),
        ("Name", summary.name.clone()),
        ("Labels", labels(&summary.labels)),
        ("Driver", summary.driver.clone()),
        ("Node", summary.node.clone().unwrap_or_else(|| "none yet".to_owned())),
        ("Services", volume.services.join(", ")),
        ("Created", ago(volume.created_at_ms, now_ms)),
    ])
}

impl Listed for VolumeSummary {
    const COLUMNS: &'static [&'static str] = &["DRIVER", "VOLUME NAME", "NODE"];
    const FILTERS: &'static [&'static str] = &["name", "driver", "node"];

    fn cells(&self) -> Vec<String> {
        vec![self.driver.clone(), self.name.clone(), self.node.clone().unwrap_or_default()]
    }

    /// Volumes are named, as in Docker.
    fn handle(&self) -> String {
        self.name.clone()
    }

    fn fits(&self, key: &str, value: &str) -> bool {
        match key {
            "name" => self.name.contains(value),
            "driver" => self.driver == value,
            _ => self.node.as_deref() == Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use minicloud_core::id::VolumeId;

    use super::*;
    use crate::render::table;

    #[test]
    fn the_table_is_docker_s_with_the_node() {
        let data = VolumeSummary {
            id: VolumeId(1),
            name: "data".into(),
            driver: "local".into(),
            node: Some("node2".into()),
            labels: Default::default(),
        };
        let fresh = VolumeSummary { name: "fresh".into(), node: None, ..data.clone() };
        let expected = "\
DRIVER   VOLUME NAME   NODE
local    data          node2
local    fresh";
        assert_eq!(table(VolumeSummary::COLUMNS, vec![data.cells(), fresh.cells()]), expected);
        assert!(data.fits("node", "node2") && !fresh.fits("node", "node2"));
    }
}
