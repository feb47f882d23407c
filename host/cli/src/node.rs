//! `node`: the members of the cluster.
mod drain;
mod inspect;

use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use minicloud_core::command::NodeChange;
use minicloud_core::state::{Availability, NodeStatus};
use minicloud_node::api::types::NodeSummary;
use minicloud_node::client::Client;

use crate::each::each;
use crate::output::{say, warn};
use crate::parse::{self, KeyValue};
use crate::render::{Listed, Listing, capitalised};
use crate::tasks::TaskListing;

#[derive(Subcommand)]
pub enum Node {
    /// Make managers workers again
    Demote(Names),
    /// Show one or more nodes in full
    Inspect(inspect::Inspect),
    /// List nodes
    #[command(alias = "list")]
    Ls(Ls),
    /// Make workers managers
    Promote(Names),
    /// List the tasks of one or more nodes [default: of this one]
    Ps(Ps),
    /// Remove nodes that are down from the cluster
    #[command(alias = "remove")]
    Rm(Rm),
    /// Change whether a node gets tasks, and its labels
    Update(Update),
}

#[derive(Args, Debug)]
pub struct Names {
    /// Ids or hostnames
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
}

#[derive(Args, Debug)]
pub struct Ls {
    #[command(flatten)]
    listing: Listing,
}

#[derive(Args, Debug)]
pub struct Ps {
    #[command(flatten)]
    listing: TaskListing,
    /// Ids or hostnames; 'self' is this one
    #[arg(value_name = "NODE", default_value = "self")]
    nodes: Vec<String>,
}

#[derive(Args, Debug)]
pub struct Rm {
    /// Remove a node though it is not down
    #[arg(short, long)]
    force: bool,
    /// Ids or hostnames
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  minicloud node update --availability drain node2      its tasks move elsewhere
  minicloud node update --label-add disk=ssd node2
                            for services with --constraint node.labels.disk==ssd")]
pub struct Update {
    /// active: gets tasks; pause: keeps its tasks, gets no new ones; drain: its tasks move elsewhere
    #[arg(long, value_name = "STATE", value_parser = availability())]
    availability: Option<Availability>,
    /// Add or change a label
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse::key_value)]
    label_add: Vec<KeyValue>,
    /// Remove a label
    #[arg(long, value_name = "KEY")]
    label_rm: Vec<String>,
    /// Return at once instead of waiting until a drained node is empty
    #[arg(short, long)]
    detach: bool,
    /// Id or hostname; 'self' is this one
    node: String,
}

pub fn availability() -> impl TypedValueParser<Value = Availability> {
    PossibleValuesParser::new(["active", "pause", "drain"]).map(|text| match text.as_str() {
        "pause" => Availability::Pause,
        "drain" => Availability::Drain,
        _ => Availability::Active,
    })
}

impl Node {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Node::Demote(names) => names.demote(client).await,
            Node::Inspect(inspect) => inspect.run(client).await,
            Node::Ls(ls) => ls.listing.print(client.nodes().await?),
            Node::Promote(names) => names.promote(client).await,
            Node::Ps(ps) => ps.run(client).await,
            Node::Rm(rm) => rm.run(client).await,
            Node::Update(update) => update.run(client).await,
        }
    }
}

impl Names {
    async fn promote(self, client: &Client) -> anyhow::Result<()> {
        each(&self.nodes, async |node| {
            warn(&client.promote_node(node).await?.warnings);
            say!("Node {node} is a manager now.");
            Ok(())
        })
        .await
    }

    async fn demote(self, client: &Client) -> anyhow::Result<()> {
        each(&self.nodes, async |node| {
            warn(&client.demote_node(node).await?.warnings);
            say!("Node {node} is a worker now.");
            Ok(())
        })
        .await
    }
}

impl Ps {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        self.listing.check()?;
        let mut tasks = Vec::new();
        let outcome = each(&self.nodes, async |node| {
            tasks.extend(client.node_tasks(node).await?);
            Ok(())
        })
        .await;
        if outcome.is_ok() || !tasks.is_empty() {
            self.listing.print(tasks)?;
        }
        outcome
    }
}

impl Rm {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        each(&self.nodes, async |node| {
            warn(&client.remove_node(node, self.force).await?.warnings);
            say!("{node}");
            Ok(())
        })
        .await
    }
}

impl Update {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        if self.availability.is_none() && self.label_add.is_empty() && self.label_rm.is_empty() {
            bail!("nothing to change; give --availability, --label-add or --label-rm");
        }
        let change = NodeChange {
            availability: self.availability,
            role: None,
            labels_add: self.label_add.into_iter().map(|label| (label.key, label.value)).collect(),
            labels_remove: self.label_rm,
        };
        warn(&client.update_node(&self.node, &change).await?.warnings);
        say!("{}", self.node);
        if self.availability == Some(Availability::Drain) && !self.detach {
            drain::wait(client, &self.node).await?;
        }
        Ok(())
    }
}

impl Listed for NodeSummary {
    const COLUMNS: &'static [&'static str] = &["ID", "HOSTNAME", "STATUS", "AVAILABILITY", "MANAGER STATUS", "ADDRESS"];
    const FILTERS: &'static [&'static str] = &["id", "name", "role"];

    fn cells(&self) -> Vec<String> {
        let mark = if self.is_self { " *" } else { "" };
        let manager = self.manager_status.map_or_else(String::new, |status| status.to_string());
        let (status, availability) = (status_text(self.status), availability_text(self.availability));
        vec![
            format!("{}{mark}", self.id),
            self.hostname.clone(),
            capitalised(status),
            capitalised(availability),
            manager,
            self.address.to_string(),
        ]
    }

    fn handle(&self) -> String {
        self.id.to_string()
    }

    fn fits(&self, key: &str, value: &str) -> bool {
        match key {
            "id" => self.id.to_string() == value,
            "name" => self.hostname.starts_with(value),
            _ => self.role.to_string() == value,
        }
    }
}

fn status_text(status: NodeStatus) -> &'static str {
    match status {
        NodeStatus::Unknown => "unknown",
        NodeStatus::Ready => "ready",
        NodeStatus::Down => "down",
    }
}

fn availability_text(availability: Availability) -> &'static str {
    match availability {
        Availability::Active => "active",
        Availability::Pause => "pause",
        Availability::Drain => "drain",
    }
}

#[cfg(test)]
mod tests {
    use minicloud_core::id::NodeId;
    use minicloud_core::state::Role;
    use minicloud_node::api::types::ManagerStatus;

    use super::*;
    use crate::render::table;

    #[test]
    fn the_table_is_docker_s() {
        let first = NodeSummary {
            id: NodeId(1),
            hostname: "node1".into(),
            is_self: true,
            status: NodeStatus::Ready,
            availability: Availability::Active,
            role: Role::Manager,
            manager_status: Some(ManagerStatus::Leader),
            address: "127.0.0.1:2377".parse().unwrap(),
        };
        let second = NodeSummary {
            id: NodeId(12),
            hostname: "node2".into(),
            is_self: false,
            status: NodeStatus::Down,
            availability: Availability::Drain,
            role: Role::Worker,
            manager_status: None,
            address: "127.0.0.2:2377".parse().unwrap(),
        };
        let expected = "\
ID     HOSTNAME   STATUS   AVAILABILITY   MANAGER STATUS   ADDRESS
n1 *   node1      Ready    Active         Leader           127.0.0.1:2377
n12    node2      Down     Drain                           127.0.0.2:2377";
        assert_eq!(table(NodeSummary::COLUMNS, vec![first.cells(), second.cells()]), expected);
        assert!(second.fits("role", "worker") && !second.fits("id", "n1") && second.fits("name", "node"));
    }
}
