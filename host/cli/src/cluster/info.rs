//! `info`
use clap::Args;
use minicloud_node::api::types::Info;
use minicloud_node::client::Client;

use crate::output::say;
use crate::render::{Format, facts, print_json};

#[derive(Args, Debug)]
pub struct ShowInfo {
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl ShowInfo {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let info = client.info().await?;
        match self.format {
            Format::Json => print_json(&info)?,
            Format::Table => say!("{}", text(&info)),
        }
        Ok(())
    }
}

fn text(info: &Info) -> String {
    let leader = match &info.leader {
        Some(leader) => format!("{} ({}) at {}, term {}", leader.id, leader.hostname, leader.address, leader.term),
        None => "none at the moment".to_owned(),
    };
    let manager =
        |manager: &minicloud_node::api::types::ManagerSummary| format!("{} ({}) at {}", manager.id, manager.hostname, manager.address);
    let managers: Vec<String> = info.managers.iter().map(manager).collect();
    let count = |count: Option<usize>| count.map_or_else(String::new, |count| count.to_string());
    facts(&[
        ("Cluster", info.cluster_id.to_string()),
        ("Leader", leader),
        ("Managers", managers.join(", ")),
        ("Nodes", format!("{}, {} ready", info.nodes, info.nodes_ready)),
        ("Services", count(info.services)),
        ("Tasks running", count(info.tasks_running)),
        ("This node", format!("{} ({}), {}", info.node_id, info.hostname, info.role)),
        ("Address", info.address.to_string()),
        ("Listens on", info.listen_address.to_string()),
        ("Published ports", info.ingress_address.to_string()),
        ("DNS server", dns(info)),
        ("Data directory", info.data_dir.display().to_string()),
        ("Process", info.pid.to_string()),
        ("Version", info.version.clone()),
    ])
}

fn dns(info: &Info) -> String {
    match (info.dns_address, &info.dns_problem) {
        (Some(address), _) => address.to_string(),
        (None, Some(problem)) => format!("off ({problem}); choose another address with --dns-addr"),
        (None, None) => "off".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_cannot_know_is_left_out() {
        let info: Info = serde_json::from_value(serde_json::json!({
            "node_id": "n5", "hostname": "node2", "role": "worker", "cluster_id": "000000000001", "leader": null,
            "managers": [{"id": "n1", "hostname": "node1", "address": "127.0.0.1:2377", "status": null}],
            "nodes": 2, "nodes_ready": 2, "services": null, "tasks_running": null, "address": "127.0.0.2:2377", "listen_address": "127.0.0.2:2377",
            "ingress_address": "127.0.0.2", "dns_address": null, "data_dir": "/tmp/n2", "pid": 7, "version": "0.1.0",
        }))
        .unwrap();
        let expected = "\
Cluster:          000000000001
Leader:           none at the moment
Managers:         n1 (node1) at 127.0.0.1:2377
Nodes:            2, 2 ready
This node:        n5 (node2), worker
Address:          127.0.0.2:2377
Listens on:       127.0.0.2:2377
Published ports:  127.0.0.2
DNS server:       off
Data directory:   /tmp/n2
Process:          7
Version:          0.1.0";
        assert_eq!(text(&info), expected);
    }
}
