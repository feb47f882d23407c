//! `network`: overlay networks. Services see one another where they share one.
use clap::{Args, Subcommand};
use ipnet::Ipv4Net;
use minicloud_node::api::types::{CreateNetwork, NetworkDetail, NetworkSummary};
use minicloud_node::client::Client;

use crate::each::Rm;
use crate::inspect::{Inspect, labels};
use crate::output::{say, warn};
use crate::parse::{self, KeyValue};
use crate::render::{Listed, Listing, ago, facts};

#[derive(Subcommand)]
pub enum Network {
    /// Create a network
    Create(Create),
    /// Show one or more networks in full
    Inspect(Inspect),
    /// List networks
    #[command(alias = "list")]
    Ls(Ls),
    /// Remove networks that no service uses
    #[command(alias = "remove")]
    Rm(Rm),
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  minicloud network create --driver overlay front")]
pub struct Create {
    /// Kind of network
    #[arg(short, long, default_value = "overlay")]
    driver: String,
    /// Addresses of the network, for example 10.9.0.0/16 [default: a free part of the cluster's pool]
    #[arg(long, value_name = "CIDR", value_parser = parse::subnet)]
    subnet: Option<Ipv4Net>,
    /// No way out of the cluster from this network
    #[arg(long)]
    internal: bool,
    /// Let 'minicloud proxy' attach
    #[arg(long)]
    attachable: bool,
    /// Label of the network
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse::key_value)]
    label: Vec<KeyValue>,
    /// Name of the network
    name: String,
}

#[derive(Args, Debug)]
pub struct Ls {
    #[command(flatten)]
    listing: Listing,
}

impl Network {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Network::Create(create) => create.run(client).await,
            Network::Inspect(inspect) => inspect.run(async |name| client.network(name).await, pretty).await,
            Network::Ls(ls) => ls.listing.print(client.networks().await?),
            Network::Rm(rm) => rm.run(async |name| client.remove_network(name).await).await,
        }
    }
}

impl Create {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let created = client.create_network(&self.request()).await?;
        warn(&created.warnings);
        say!("{}", created.id);
        Ok(())
    }

    fn request(self) -> CreateNetwork {
        CreateNetwork {
            name: self.name,
            driver: Some(self.driver),
            subnet: self.subnet,
            internal: self.internal,
            attachable: self.attachable,
            labels: self.label.into_iter().map(|label| (label.key, label.value)).collect(),
        }
    }
}

fn pretty(network: &NetworkDetail, now_ms: u64) -> String {
    let summary = &network.summary;
    facts(&[
        ("ID", summary.id.to_string()),
        ("Name", summary.name.clone()),
        ("Labels", labels(&summary.labels)),
        ("Driver", summary.driver.clone()),
        ("Scope", summary.scope.clone()),
        ("Subnet", subnet_text(summary)),
        ("Internal", summary.internal.to_string()),
        ("Attachable", summary.attachable.to_string()),
        ("Services", network.services.join(", ")),
        ("Tasks", network.tasks.to_string()),
        ("Created", ago(network.created_at_ms, now_ms)),
    ])
}

fn subnet_text(network: &NetworkSummary) -> String {
    network.subnet.map_or_else(String::new, |subnet| subnet.to_string())
}

impl Listed for NetworkSummary {
    const COLUMNS: &'static [&'static str] = &["NETWORK ID", "NAME", "DRIVER", "SCOPE", "SUBNET"];
    const FILTERS: &'static [&'static str] = &["id", "name", "driver", "scope"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.to_string(), self.name.clone(), self.driver.clone(), self.scope.clone(), subnet_text(self)]
    }

    fn handle(&self) -> String {
        self.id.to_string()
    }

    fn fits(&self, key: &str, value: &str) -> bool {
        match key {
            "id" => self.id.to_string().starts_with(value),
            "name" => self.name.contains(value),
            "driver" => self.driver == value,
            _ => self.scope == value,
        }
    }
}

#[cfg(test)]
mod tests {
    use minicloud_core::id::NetworkId;

    use super::*;
    use crate::render::table;

    #[test]
    fn the_table_is_docker_s() {
        let network = NetworkSummary {
            id: NetworkId(1),
            name: "front".into(),
            driver: "overlay".into(),
            scope: "cluster".into(),
            subnet: Some("10.1.0.0/16".parse().unwrap()),
            internal: false,
            attachable: false,
            labels: Default::default(),
        };
        let expected = "\
NETWORK ID     NAME    DRIVER    SCOPE     SUBNET
000000000001   front   overlay   cluster   10.1.0.0/16";
        assert_eq!(table(NetworkSummary::COLUMNS, vec![network.cells()]), expected);
    }
}
