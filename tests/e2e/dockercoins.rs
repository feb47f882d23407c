//! The reference application on a real cluster.
use serde_json::Value;

use crate::support::{Cluster, Node, deploy, wait_for};

/// Hashes counted so far, as the page asks for them.
pub fn hashes(node: &Node) -> Option<u64> {
    let (status, body) = node.http(8000, "/json")?;
    let answer: Value = serde_json::from_str(&body).ok()?;
    if status != 200 {
        return None;
    }
    answer["hashes"].as_str()?.parse().ok()
}

#[test]
fn coins_are_mined_on_one_node() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    deploy(node);
    let first = wait_for("hashes are counted", || hashes(node));
    wait_for("the count rises", || hashes(node).filter(|later| *later > first));
    let (status, page) = wait_for("the page", || node.http(8000, "/index.html"));
    assert_eq!(status, 200);
    assert!(page.contains("DockerCoins"), "{page}");
    assert_eq!(node.http(8001, "/").unwrap().1, "RNG running on rng-1\n");
    wait_for("the worker's log", || {
        node.ok(&["service", "logs", "worker"]).contains("units of work done, updating hash counter").then_some(())
    });
}

#[test]
fn the_leader_dies_and_mining_goes_on() {
    let cluster = Cluster::of_managers(3);
    deploy(&cluster.nodes[0]);
    cluster.nodes[0].ok(&["service", "scale", "worker=10"]);
    let before = wait_for("hashes are counted", || hashes(&cluster.nodes[0]));
    let leader = wait_for("a leader", || cluster.leader(0));
    cluster.nodes[leader].kill();
    let witness = (0..3).find(|node| *node != leader).unwrap();
    wait_for("another leader", || cluster.leader(witness).filter(|other| *other != leader));
    let node = &cluster.nodes[witness];
    wait_for("every worker runs again", || (node.running("worker").len() == 10).then_some(()));
    // redis keeps its counter in memory here, so the count may start anew when it stood on the dead node.
    let restarted = wait_for("the page answers", || hashes(node));
    wait_for("the count rises", || hashes(node).filter(|later| *later > restarted && (*later > before || restarted < before)));
    node.ok(&["service", "scale", "worker=3"]);
    wait_for("three workers stay", || (node.running("worker").len() == 3).then_some(()));
}
