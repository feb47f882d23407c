//! Nodes that die while they are used: nothing acknowledged is lost, and the service goes on.
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::{Cluster, Node, http, wait_for};

#[test]
fn a_worker_node_dies_under_load_and_its_tasks_run_elsewhere() {
    let cluster = Cluster::with_workers(2);
    let manager = &cluster.nodes[0];
    manager.ok(&["service", "create", "--name", "hasher", "--replicas", "3", "-p", "8002:80", "hasher"]);
    let load = Load::on(manager);
    wait_for("requests are answered", || (load.answered() >= 20).then_some(()));
    cluster.nodes[2].kill();
    wait_for("the dead node's task runs elsewhere", || all_run_on(manager, 3, &["node1", "node2"]).then_some(()));
    // What was under way when the node died may hang until its connection is given up: that is no failure after the move.
    let moved = load.answered();
    wait_for("a request after the move is answered", || (load.answered() > moved).then_some(()));
    load.forget_failures();
    let before = load.answered();
    wait_for("requests are answered again", || (load.answered() >= before + 50).then_some(()));
    assert_eq!(load.failed(), 0, "after the move every request is answered");
    cluster.nodes[2].ok(&["start"]);
    wait_for("the node is back", || (manager.json(&["node", "ls"])?[2]["status"] == "ready").then_some(()));
    wait_for("what it still ran has stopped", || {
        let tasks = manager.json(&["node", "ps", "node3"])?;
        tasks.as_array()?.iter().all(|task| task["current_state"] != "running").then_some(())
    });
    assert!(all_run_on(manager, 3, &["node1", "node2"]), "a node that returns takes nothing from the others");
    assert!(wait_for("its published port answers", || cluster.nodes[2].http(8002, "/")).1.starts_with("HASHER"));
}

#[test]
fn a_service_is_removed_though_a_node_with_its_tasks_is_lost() {
    let cluster = Cluster::with_workers(1);
    let (manager, lost) = (&cluster.nodes[0], &cluster.nodes[1]);
    manager.ok(&["service", "create", "--name", "rng", "--mode", "global", "rng"]);
    lost.kill();
    wait_for("the node is down", || (manager.json(&["node", "ls"])?[1]["status"] == "down").then_some(()));
    let removed = manager.cli(&["service", "rm", "rng"]);
    let said = String::from_utf8_lossy(&removed.stderr).into_owned();
    assert!(removed.status.success() && said.contains("rng: 1 task on a node that is down ends when it is back"), "{said}");
    manager.ok(&["service", "create", "--name", "rng", "rng"]);
}

fn all_run_on(manager: &Node, count: usize, hosts: &[&str]) -> bool {
    let running = manager.running("hasher");
    running.len() == count && running.iter().all(|task| hosts.iter().any(|host| task["node"] == *host))
}

/// One client that asks again and again until dropped.
struct Load {
    shared: Arc<(AtomicUsize, AtomicUsize, AtomicBool)>,
    client: Option<std::thread::JoinHandle<()>>,
}

impl Load {
    fn on(node: &Node) -> Load {
        let shared: Arc<(AtomicUsize, AtomicUsize, AtomicBool)> = Arc::default();
        let address = std::net::SocketAddr::new(node.ip, 8002);
        let counts = shared.clone();
        let client = std::thread::spawn(move || {
            while !counts.2.load(Ordering::Relaxed) {
                let answered = http(address, "/").is_some_and(|(status, _)| status == 200);
                if answered { &counts.0 } else { &counts.1 }.fetch_add(1, Ordering::Relaxed);
            }
        });
        Load { shared, client: Some(client) }
    }

    fn answered(&self) -> usize {
        self.shared.0.load(Ordering::Relaxed)
    }

    fn failed(&self) -> usize {
        self.shared.1.load(Ordering::Relaxed)
    }

    fn forget_failures(&self) {
        self.shared.1.store(0, Ordering::Relaxed);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.2.store(true, Ordering::Relaxed);
        let _ = self.client.take().map(std::thread::JoinHandle::join);
    }
}

#[test]
fn what_was_acknowledged_survives_the_death_of_each_leader() {
    let cluster = Cluster::of_managers(3);
    let acknowledged = Mutex::new(BTreeSet::new());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (number, node) in cluster.nodes.iter().enumerate() {
            let (acknowledged, done) = (&acknowledged, &done);
            scope.spawn(move || write_volumes(number, node, acknowledged, done));
        }
        let enough = |more: usize| {
            let before = acknowledged.lock().unwrap().len();
            wait_for("writes are accepted", || (acknowledged.lock().unwrap().len() >= before + more).then_some(()));
        };
        for _ in 0..2 {
            enough(20);
            let leader = wait_for("a leader", || (0..3).find_map(|witness| cluster.leader(witness)));
            cluster.nodes[leader].kill();
            enough(20);
            cluster.nodes[leader].ok(&["start"]);
        }
        done.store(true, Ordering::Relaxed);
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    for node in &cluster.nodes {
        let listed = wait_for("every manager answers", || node.json(&["volume", "ls"]));
        let listed: BTreeSet<String> =
            listed.as_array().unwrap().iter().map(|volume| volume["name"].as_str().unwrap().to_owned()).collect();
        let lost: Vec<&String> = acknowledged.difference(&listed).collect();
        assert!(lost.is_empty(), "{}: acknowledged and lost: {lost:?}", node.ip);
    }
    let states = wait_for("all are ready", || {
        let nodes = cluster.nodes[0].json(&["node", "ls"])?;
        nodes.as_array()?.iter().all(|node| node["status"] == "ready" && node["manager_status"] != "unreachable").then_some(nodes)
    });
    assert_eq!(states.as_array().unwrap().len(), 3);
}

/// Creates volumes through this node until told to end; what it acknowledged goes into the set.
fn write_volumes(number: usize, node: &Node, acknowledged: &Mutex<BTreeSet<String>>, done: &AtomicBool) {
    for count in 0.. {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("v{number}-{count}");
        if node.cli(&["volume", "create", &name]).status.success() {
            acknowledged.lock().unwrap().insert(name);
        }
    }
}

#[test]
fn a_daemon_that_starts_again_takes_up_its_tasks() {
    let cluster = Cluster::with_workers(1);
    let manager = &cluster.nodes[0];
    manager.ok(&["service", "create", "--name", "rng", "--replicas", "4", "-p", "8001:80", "rng"]);
    let ids = || manager.running("rng").iter().map(|task| task["id"].to_string()).collect::<BTreeSet<_>>();
    let before = ids();
    assert_eq!(before.len(), 4);
    for node in &cluster.nodes {
        node.kill();
    }
    for node in &cluster.nodes {
        node.ok(&["start"]);
    }
    wait_for("the tasks run again", || (ids().len() == 4).then_some(()));
    for node in &cluster.nodes {
        assert!(wait_for("the port answers", || node.http(8001, "/")).1.starts_with("RNG"));
    }
    manager.ok(&["stop"]);
    manager.ok(&["start"]);
    wait_for("the tasks run after an orderly stop too", || (ids().len() == 4).then_some(()));
    assert!(wait_for("the port answers", || manager.http(8001, "/")).1.starts_with("RNG"));
}
