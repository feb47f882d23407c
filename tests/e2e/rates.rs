//! The speeds that DockerCoins is known for, within 3 %: what adding workers and spreading rng does to them.
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Cluster, Node, deploy, wait_for};

/// How long the speed is measured; the workers count in steps of a second, so it must be long.
const WINDOW: Duration = Duration::from_secs(40);
/// The page is asked this often.
const SAMPLE: Duration = Duration::from_millis(100);
/// After a change the counters still tell of the time before it.
const SETTLE: Duration = Duration::from_secs(4);
const TOLERANCE: f64 = 0.03;

#[test]
#[ignore = "measures for minutes on an idle machine; cargo xtask test --full runs it"]
fn dockercoins_mines_as_fast_as_it_is_known_for() {
    let cluster = Cluster::with_workers(2);
    let node = &cluster.nodes[0];
    deploy(node);
    let mut wrong = Vec::new();
    let mut measure = |set_up: &str, expected: f64| {
        let speed = speed(node);
        let line = format!("{set_up}: {speed:.2} hashes/second, {expected:.2} expected");
        eprintln!("{line}");
        if (speed / expected - 1.0).abs() > TOLERANCE {
            wrong.push(line);
        }
    };
    for (workers, expected) in [(1, 10.0 / 3.0), (2, 20.0 / 3.0), (3, 10.0), (10, 10.0)] {
        node.ok(&["service", "scale", &format!("worker={workers}")]);
        measure(&format!("{workers} workers"), expected);
    }
    node.ok(&["service", "update", "--mode", "global", "rng"]);
    measure("10 workers, rng on each of 3 nodes", 30.0);
    node.ok(&["service", "update", "--mode", "replicated", "--replicas", "4", "rng"]);
    measure("10 workers, 4 rng", 100.0 / 3.0);
    assert!(wrong.is_empty(), "off by more than {TOLERANCE}: {wrong:#?}");
}

/// Hashes per second: the slope of the line that fits the page's counter best, so that its steps do not matter.
fn speed(node: &Node) -> f64 {
    wait_for("the page answers", || sample(node));
    std::thread::sleep(SETTLE);
    let (end, mut samples) = (Instant::now() + WINDOW, Vec::new());
    while Instant::now() < end {
        samples.extend(sample(node));
        std::thread::sleep(SAMPLE);
    }
    let count = samples.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (time, hashes) = (mean(|sample| sample.0), mean(|sample| sample.1));
    let covariance: f64 = samples.iter().map(|sample| (sample.0 - time) * (sample.1 - hashes)).sum();
    let variance: f64 = samples.iter().map(|sample| (sample.0 - time).powi(2)).sum();
    covariance / variance
}

/// The page's clock in seconds, and its hashes.
fn sample(node: &Node) -> Option<(f64, f64)> {
    let (_, body) = node.http(8000, "/json")?;
    let answer: Value = serde_json::from_str(&body).ok()?;
    Some((answer["now"].as_f64()?, answer["hashes"].as_str()?.parse().ok()?))
}
