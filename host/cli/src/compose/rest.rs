//! What is left on a node when a project goes from it: it decides whether a node that was started for a project ends.
use minicloud_core::spec::{FileKind, Labels};
use minicloud_core::state::{EGRESS, INGRESS};
use minicloud_node::client::Client;

use super::labels::is_of;

/// What a node holds, as one project sees it. Images are no reason to keep a node: they are built or fetched again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    Nothing,
    /// Services or volumes of the project, and of nobody else.
    Own,
    /// What others made, for example `service shop_web`.
    Others(String),
}

impl Rest {
    pub async fn of(client: &Client, project: &str) -> anyhow::Result<Rest> {
        let (services, volumes, networks, nodes) =
            tokio::try_join!(client.services(), client.volumes(), client.networks(), client.nodes())?;
        let (secrets, configs) = tokio::try_join!(client.files(FileKind::Secret), client.files(FileKind::Config))?;
        let foreign = |labels: &Labels| !is_of(labels, project);
        let mut others: Vec<String> = Vec::new();
        others.extend(nodes.iter().filter(|node| !node.is_self).map(|node| format!("node {}", node.hostname)));
        others.extend(services.iter().filter(|row| foreign(&row.labels)).map(|row| format!("service {}", row.name)));
        others.extend(volumes.iter().filter(|row| foreign(&row.labels)).map(|row| format!("volume {}", row.name)));
        others.extend(secrets.iter().filter(|row| foreign(&row.labels)).map(|row| format!("secret {}", row.name)));
        others.extend(configs.iter().filter(|row| foreign(&row.labels)).map(|row| format!("config {}", row.name)));
        let own_networks = networks.iter().filter(|row| ![INGRESS, EGRESS].contains(&row.name.as_str()) && foreign(&row.labels));
        others.extend(own_networks.map(|row| format!("network {}", row.name)));
        Ok(match (others.as_slice(), services.is_empty() && volumes.is_empty()) {
            ([], true) => Rest::Nothing,
            ([], false) => Rest::Own,
            ([only], _) => Rest::Others(only.clone()),
            ([first, further @ ..], _) => Rest::Others(format!("{first} and {} more", further.len())),
        })
    }
}
