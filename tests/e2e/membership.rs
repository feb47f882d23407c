//! Managers that come and go while the cluster is written to, on real nodes.
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::support::{Cluster, Node, wait_for};

/// Creates one volume after the other through one node until it is stopped. A write that fails ends it.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<String>, String>>,
}

impl Writer {
    fn start(node: &Node, name: &'static str) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, data_dir) = (stop.clone(), node.data_dir.clone());
        let thread = std::thread::spawn(move || {
            let mut written = Vec::new();
            while !told.load(Ordering::Relaxed) {
                let volume = format!("{name}-{}", written.len());
                create_volume(&data_dir, &volume)?;
                written.push(volume);
            }
            Ok(written)
        });
        Writer { stop, thread }
    }

    /// What was acknowledged.
    fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let written = self.thread.join().unwrap().unwrap_or_else(|error| panic!("a write failed: {error}"));
        assert!(!written.is_empty());
        written
    }
}

fn create_volume(data_dir: &Path, name: &str) -> Result<(), String> {
    let command = Command::new(env!("CARGO_BIN_EXE_minicloud")).arg("--data-dir").arg(data_dir).args(["volume", "create", name]).output();
    let output = command.map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr))) }
}

/// The manager status of every node, as this one sees it.
fn managers(node: &Node) -> Option<Vec<String>> {
    let nodes = node.json(&["node", "ls"])?;
    let status = |node: &Value| node["manager_status"].as_str().unwrap_or("worker").to_owned();
    Some(nodes.as_array()?.iter().map(status).collect())
}

/// The task of a service that is bound to one node.
fn task_on(node: &Node, service: &str) -> Value {
    node.running(service)[0]["id"].clone()
}

#[test]
fn nodes_are_promoted_and_demoted_while_the_cluster_is_written_to() {
    let mut cluster = Cluster::found();
    cluster.join("worker");
    cluster.join("worker");
    let [first, second, third] = &cluster.nodes[..] else { panic!("three nodes") };
    for node in ["node2", "node3"] {
        first.ok(&["service", "create", "--name", node, "--constraint", &format!("node.hostname=={node}"), "hasher"]);
    }
    let tasks = (task_on(first, "node2"), task_on(first, "node3"));
    let mut written = Vec::new();

    let writer = Writer::start(first, "growing");
    assert!(first.ok(&["node", "promote", "node2", "node3"]).contains("node3 is a manager now"));
    wait_for_three_managers(first);
    written.extend(writer.stop());
    assert_eq!(task_on(second, "node2"), tasks.0, "its task ran on");

    let writer = Writer::start(second, "failover");
    first.kill();
    let leader = wait_for("another one leads", || cluster.leader(1).filter(|leader| *leader != 0));
    written.extend(writer.stop());

    // A node that was promoted comes back as what it is, and so does the first one.
    first.ok(&["start"]);
    let (follower, name) = if leader == 1 { (third, "node3") } else { (second, "node2") };
    let leader = &cluster.nodes[leader];
    follower.kill();
    follower.ok(&["start"]);
    wait_for_three_managers(leader);

    let writer = Writer::start(leader, "shrinking");
    leader.ok(&["node", "demote", "node1"]);
    follower.ok(&["node", "demote", name]);
    written.extend(writer.stop());
    assert!(leader.refused(&["node", "demote", "self"]).contains("last manager"));
    for node in [first, follower] {
        wait_for("it keeps no log", || (!node.data_dir.join("raft").exists()).then_some(()));
    }
    assert!(follower.refused(&["node", "ls"]).contains("run this on a manager"));
    let role = |node: &Node| node.json(&["info"]).map(|info| info["role"].clone());
    assert_eq!((role(first), role(leader)), (Some("worker".into()), Some("manager".into())));

    let listed = leader.json(&["volume", "ls"]).unwrap();
    let listed: Vec<&str> = listed.as_array().unwrap().iter().map(|volume| volume["name"].as_str().unwrap()).collect();
    let lost: Vec<&String> = written.iter().filter(|volume| !listed.contains(&volume.as_str())).collect();
    assert!(lost.is_empty(), "{lost:?} of {} were acknowledged and are not there", written.len());

    // A restart shows what is on disk, and the way back up is open.
    follower.kill();
    follower.ok(&["start"]);
    wait_for("it is ready", || leader.json(&["node", "ls"])?.as_array()?.iter().all(|node| node["status"] == "ready").then_some(()));
    leader.ok(&["node", "promote", name]);
    wait_for_managers_of(leader, 2);
}

/// One of them leads, whichever it is.
#[track_caller]
fn wait_for_three_managers(node: &Node) {
    wait_for("all three are managers", || {
        let mut all = managers(node)?;
        all.sort();
        (all == ["leader", "reachable", "reachable"]).then_some(())
    });
}

fn wait_for_managers_of(node: &Node, count: usize) {
    wait_for("so many managers", || (managers(node)?.iter().filter(|status| *status != "worker").count() == count).then_some(()));
}

#[test]
fn a_leader_that_is_demoted_hands_over_first() {
    let cluster = Cluster::of_managers(3);
    let node = &cluster.nodes[0];
    node.ok(&["service", "create", "--name", "hasher", "--constraint", "node.hostname==node1", "hasher"]);
    let task = task_on(node, "hasher");
    let writer = Writer::start(&cluster.nodes[1], "handover");
    node.ok(&["node", "demote", "self"]);
    writer.stop();
    let leader = wait_for("another one leads", || cluster.leader(1));
    assert_ne!(leader, 0);
    assert_eq!(managers(&cluster.nodes[1]).unwrap()[0], "worker");
    assert_eq!(task_on(&cluster.nodes[1], "hasher"), task, "its task ran on");
    node.kill();
    node.ok(&["start"]);
    wait_for("it is back", || {
        let nodes = cluster.nodes[1].json(&["node", "ls"])?;
        (nodes[0]["status"] == "ready" && nodes[0]["role"] == "worker").then_some(())
    });
}
