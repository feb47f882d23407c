//! `node inspect`
use clap::Args;
use minicloud_node::api::types::NodeDetail;
use minicloud_node::client::Client;

use super::{availability_text, status_text};
use crate::inspect::{Inspecting, labels};
use crate::render::{ago, bytes, cores, facts, milliseconds_now};

#[derive(Args, Debug)]
pub struct Inspect {
    #[command(flatten)]
    inspecting: Inspecting,
    /// Ids or hostnames; 'self' is this one
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
}

impl Inspect {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let now_ms = milliseconds_now();
        self.inspecting.run(&self.nodes, async |name| Ok(client.node(name).await?), |node| pretty(node, now_ms)).await
    }
}

fn pretty(node: &NodeDetail, now_ms: u64) -> String {
    let (summary, machine) = (&node.summary, &node.description);
    facts(&[
        ("ID", summary.id.to_string()),
        ("Hostname", summary.hostname.clone()),
        ("Labels", labels(&node.labels)),
        ("Joined", ago(node.created_at_ms, now_ms)),
        ("Role", summary.role.to_string()),
        ("Status", format!("{}, since {}", status_text(summary.status), ago(node.status_at_ms, now_ms))),
        ("Availability", availability_text(summary.availability).to_owned()),
        ("Manager status", summary.manager_status.map_or_else(String::new, |status| status.to_string().to_lowercase())),
        ("Address", summary.address.to_string()),
        ("Published ports at", machine.ingress.map_or_else(String::new, |address| address.to_string())),
        ("Tasks running", node.tasks_running.to_string()),
        ("Platform", format!("{} {}", machine.os, machine.arch)),
        ("Memory", bytes(machine.memory_bytes)),
        ("CPUs", cores(machine.cpu_millis)),
        ("Version", machine.version.clone()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_for_people() {
        let node: NodeDetail = serde_json::from_value(serde_json::json!({
            "id": "n1", "hostname": "node1", "self": true, "status": "ready", "availability": "active", "role": "manager", "manager_status": "leader",
            "address": "127.0.0.1:2377", "labels": {"disk": "ssd", "rack": ""},
            "description": {"version": "0.1.0", "os": "linux", "arch": "x86_64", "memory_bytes": 8_u64 << 30, "cpu_millis": 2000},
            "status_at_ms": 90_000, "created_at_ms": 40_000, "tasks_running": 3, "version": 7,
        }))
        .unwrap();
        let expected = "\
ID:              n1
Hostname:        node1
Labels:          disk=ssd, rack
Joined:          about a minute ago
Role:            manager
Status:          ready, since 10 seconds ago
Availability:    active
Manager status:  leader
Address:         127.0.0.1:2377
Tasks running:   3
Platform:        linux x86_64
Memory:          8 GiB
CPUs:            2
Version:         0.1.0";
        assert_eq!(pretty(&node, 100_000), expected);
    }
}
