//! `service scale` from the shell, until it returns because the service has converged.
use std::thread::sleep;
use std::time::Duration;

use crate::cluster::{Cluster, wait_for};
use crate::figure::{Figure, Unit};

/// Rest after a scale-down, so that the next scale-up does not pay for it.
const SETTLE: Duration = Duration::from_millis(500);

/// DockerCoins' workers from 1 to 10, on three nodes.
pub fn ten() -> anyhow::Result<Vec<Figure>> {
    const RUNS: usize = 20;
    let cluster = Cluster::of(3)?;
    let node = &cluster.nodes[0];
    cluster.deploy_dockercoins()?;
    wait_for("DockerCoins runs", || node.http(8000, "/json"))?;
    let mut took = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        sleep(SETTLE);
        took.push(node.timed(&["service", "scale", "worker=10"])?);
        node.ok(&["service", "scale", "worker=1"])?;
    }
    Ok(vec![Figure::of_durations("scale", "service scale worker=10 to converged, from the shell, p50", 100.0, Unit::Millis, took)])
}

/// An idle service from 1 to 1,000, on one node.
pub fn thousand() -> anyhow::Result<Vec<Figure>> {
    const RUNS: usize = 5;
    let cluster = Cluster::of(1)?;
    let node = &cluster.nodes[0];
    node.ok(&["service", "create", "--quiet", "--name", "hasher", "hasher"])?;
    let mut took = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        sleep(SETTLE);
        took.push(node.timed(&["service", "scale", "hasher=1000"])?);
        node.ok(&["service", "scale", "hasher=1"])?;
    }
    Ok(vec![Figure::of_durations("thousand", "1 to 1,000 replicas on one node", 0.5, Unit::Seconds, took)])
}
