//! From the kill -9 of the leader to the next write that a survivor accepts.
use std::time::Instant;

use anyhow::Context;

use crate::cluster::{Cluster, wait_for, wait_gone};
use crate::figure::{Figure, Unit};

const RUNS: usize = 10;

pub fn run() -> anyhow::Result<Vec<Figure>> {
    let cluster = Cluster::of(3)?;
    let mut took = Vec::with_capacity(RUNS);
    for run in 0..RUNS {
        let leader = wait_for("a leader", || cluster.leader(0))?;
        let survivor = &cluster.nodes[(0..cluster.nodes.len()).find(|node| *node != leader).context("a cluster of one")?];
        let began = Instant::now();
        let killed = cluster.nodes[leader].kill()?;
        let network = format!("after{run}");
        wait_for("a write is accepted", || survivor.ok(&["network", "create", "--driver", "overlay", &network]).ok())?;
        took.push(began.elapsed());
        wait_gone(killed)?;
        cluster.nodes[leader].ok(&["start"])?;
        wait_for("all managers are reachable again", || all_reachable(&cluster).then_some(()))?;
    }
    Ok(vec![Figure::of_durations("failover", "kill -9 of the leader to the next accepted write, p50", 1.0, Unit::Seconds, took)])
}

/// Every node sees a leader and nobody unreachable.
fn all_reachable(cluster: &Cluster) -> bool {
    cluster.nodes.iter().all(|node| {
        let Ok(nodes) = node.json(&["node", "ls"]) else { return false };
        let Some(nodes) = nodes.as_array() else { return false };
        nodes.iter().all(|node| node["status"] == "ready" && node["manager_status"] != "unreachable")
            && nodes.iter().any(|node| node["manager_status"] == "leader")
    })
}
