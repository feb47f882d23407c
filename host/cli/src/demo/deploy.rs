//! The five services of DockerCoins, created as a user would.
use anyhow::bail;
use minicloud_core::spec::{Protocol, PublishMode, PublishedPort};
use minicloud_node::api::types::{CreateNetwork, CreateService};
use minicloud_node::client::Client;

use super::nodes::DemoNodes;
use super::{HASHER_PORT, PAGE_PORT, RNG_PORT};

const NETWORK: &str = "dockercoins";
/// Service, and the port it publishes.
const SERVICES: [(&str, Option<u16>); 5] =
    [("redis", None), ("rng", Some(RNG_PORT)), ("hasher", Some(HASHER_PORT)), ("worker", None), ("webui", Some(PAGE_PORT))];

/// Where redis does not run: on the first leader. Whoever ends that one, to see that nobody notices, keeps the counters,
/// which redis has in memory here.
const NOT_THE_FIRST: &str = "node.hostname!=node1";

/// Deploys DockerCoins and returns once every task runs.
pub async fn dockercoins(nodes: &DemoNodes, workers: u32) -> anyhow::Result<()> {
    let client = nodes.client().await?;
    client.create_network(&CreateNetwork { name: NETWORK.to_owned(), attachable: true, ..CreateNetwork::default() }).await?;
    for (name, port) in SERVICES {
        let replicas = if name == "worker" { workers } else { 1 };
        let ports = port.map(|published| PublishedPort {
            published,
            target: 80,
            protocol: Protocol::Tcp,
            mode: PublishMode::Ingress,
            address: None,
        });
        let constraints = if name == "redis" && nodes.count() > 1 { vec![NOT_THE_FIRST.to_owned()] } else { Vec::new() };
        client
            .create_service(&CreateService {
                name: Some(name.to_owned()),
                image: name.to_owned(),
                replicas: Some(replicas),
                networks: vec![NETWORK.to_owned()],
                ports: ports.into_iter().collect(),
                constraints,
                ..CreateService::default()
            })
            .await?;
    }
    for (name, _) in SERVICES {
        converged(&client, name).await?;
    }
    Ok(())
}

async fn converged(client: &Client, service: &str) -> anyhow::Result<()> {
    let mut lines = client.watch_service(service).await?;
    let mut reason = String::new();
    while let Some(line) = lines.next().await {
        let progress = line?;
        if progress.converged {
            return Ok(());
        }
        reason = progress.tasks.iter().map(|task| task.error.clone()).find(|error| !error.is_empty()).unwrap_or_default();
        if progress.tasks.iter().any(|task| task.state == minicloud_core::task::TaskState::Rejected) {
            break;
        }
    }
    bail!("service {service} does not run: {reason}")
}
