//! `service scale worker=10 rng=3`
use std::collections::BTreeMap;

use anyhow::bail;
use clap::Args;
use minicloud_node::api::types::ScaleServices;
use minicloud_node::client::Client;

use super::flags::Waiting;
use super::progress::{self, Goal};
use crate::output::{say, warn};
use crate::parse;

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  minicloud service scale worker=10 rng=3")]
pub struct Scale {
    #[command(flatten)]
    waiting: Waiting,
    /// Services and their numbers of tasks, of jobs those that are to complete: all are set, or none
    #[arg(required = true, value_name = "SERVICE=REPLICAS", value_parser = parse::scale)]
    services: Vec<(String, u32)>,
}

impl Scale {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let services = once(&self.services)?;
        let changed = client.scale_services(&ScaleServices { services }).await?;
        warn(&changed.warnings);
        for (service, replicas) in &self.services {
            say!("{service} scaled to {replicas}");
        }
        for (service, _) in &self.services {
            progress::wait_for(client, service, self.waiting, Goal::Number).await?;
        }
        Ok(())
    }
}

fn once(services: &[(String, u32)]) -> anyhow::Result<BTreeMap<String, u32>> {
    let map: BTreeMap<String, u32> = services.iter().cloned().collect();
    if map.len() < services.len() {
        bail!("a service is named twice; give each service one number");
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_one_number() {
        assert_eq!(once(&[("a".into(), 1), ("b".into(), 2)]).unwrap().len(), 2);
        assert!(once(&[("a".into(), 1), ("a".into(), 2)]).unwrap_err().to_string().contains("named twice"));
    }
}
