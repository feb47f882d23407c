//! What rests costs: a node without tasks in a cluster of three, and a task that waits for requests.
use std::thread::sleep;
use std::time::Duration;

use anyhow::ensure;

use crate::cluster::Cluster;
use crate::figure::{Figure, Unit};
use crate::process::{cpu_seconds, resident_bytes};

/// Until what a start left behind has settled.
const SETTLE: Duration = Duration::from_secs(5);

/// The most that any of three managers uses, the leader among them.
pub fn daemon() -> anyhow::Result<Vec<Figure>> {
    const WATCH: Duration = Duration::from_secs(30);
    let cluster = Cluster::of(3)?;
    sleep(SETTLE);
    let pids = cluster.nodes.iter().map(|node| node.pid()).collect::<Result<Vec<_>, _>>()?;
    let before = pids.iter().map(|pid| cpu_seconds(*pid)).collect::<Result<Vec<_>, _>>()?;
    sleep(WATCH);
    let (mut most_cpu, mut most_bytes) = (0.0_f64, 0);
    for (pid, before) in pids.iter().zip(before) {
        most_cpu = most_cpu.max((cpu_seconds(*pid)? - before) / WATCH.as_secs_f64());
        most_bytes = most_bytes.max(resident_bytes(*pid)?);
    }
    Ok(vec![
        Figure::new("idle-daemon-memory", "idle daemon, resident", 60.0, Unit::Megabytes, vec![most_bytes as f64 / 1e6]),
        Figure::new("idle-daemon-cpu", "idle daemon, processor", 1.0, Unit::PercentOfCore, vec![most_cpu * 100.0]),
    ])
}

/// What the node's process grows by for each of a thousand HTTP tasks, all that the node keeps for them included.
pub fn task() -> anyhow::Result<Vec<Figure>> {
    const TASKS: usize = 1_000;
    let cluster = Cluster::of(1)?;
    let node = &cluster.nodes[0];
    node.ok(&["service", "create", "--quiet", "--name", "hasher", "hasher"])?;
    sleep(SETTLE);
    let before = resident_bytes(node.pid()?)?;
    node.ok(&["service", "scale", "--quiet", &format!("hasher={}", TASKS + 1)])?;
    sleep(SETTLE);
    let after = resident_bytes(node.pid()?)?;
    ensure!(node.running("hasher")? == TASKS + 1, "not all tasks run");
    let each = after.saturating_sub(before) as f64 / TASKS as f64 / 1024.0;
    Ok(vec![Figure::new("idle-task", "idle task, resident", 120.0, Unit::Kibibytes, vec![each])])
}
