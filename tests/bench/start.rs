//! From the view that assigns a task to its running, on one node, as the node's own log tells it.
use crate::cluster::{Cache, Cluster};
use crate::figure::{Figure, Unit};

/// Tasks that are started one by one.
const TASKS: usize = 100;

pub fn run() -> anyhow::Result<Vec<Figure>> {
    let cluster = Cluster::found(1, Cache::Warm, "warn,minicloud_node::agent=debug")?;
    let node = &cluster.nodes[0];
    node.ok(&["service", "create", "--quiet", "--name", "hasher", "hasher"])?;
    for count in 2..=TASKS + 1 {
        node.ok(&["service", "scale", "--quiet", &format!("hasher={count}")])?;
    }
    let log = std::fs::read_to_string(node.data_dir.join("minicloud.log"))?;
    // The first one found nothing prepared.
    let samples = log.lines().filter_map(took_us).skip(1).map(|took_us| took_us as f64 / 1e3).collect();
    Ok(vec![Figure::new("start", "assignment to running p50, warm cache", 1.0, Unit::Millis, samples)])
}

fn took_us(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once(" took_us=")?;
    rest.split(' ').next()?.parse().ok()
}
