//! Membership, scheduling and the network, on real nodes.
use std::collections::BTreeSet;

use crate::support::{Cluster, guest, wait_for};

#[test]
fn three_nodes_form_a_cluster_and_share_the_work() {
    let mut cluster = Cluster::of_managers(2);
    cluster.join("worker");
    let node = &cluster.nodes[0];
    let nodes = node.json(&["node", "ls"]).unwrap();
    let roles: Vec<&str> = nodes.as_array().unwrap().iter().map(|node| node["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["manager", "manager", "worker"]);
    node.ok(&["service", "create", "--name", "rng", "--replicas", "3", "-p", "8001:80", "rng"]);
    let hosts: BTreeSet<String> = node.running("rng").iter().map(|task| task["node"].to_string()).collect();
    assert_eq!(hosts.len(), 3, "{hosts:?}");
    for node in &cluster.nodes {
        let answer = wait_for("the port answers on every node", || node.http(8001, "/"));
        assert!(answer.1.starts_with("RNG running on rng-"), "{answer:?}");
    }
}

#[test]
fn a_drained_node_gives_its_tasks_away_and_a_dead_one_is_replaced() {
    let mut cluster = Cluster::found();
    cluster.join("worker");
    cluster.join("worker");
    let node = &cluster.nodes[0];
    node.ok(&["service", "create", "--name", "hasher", "--replicas", "3", "hasher"]);
    node.ok(&["node", "update", "--availability", "drain", "node2"]);
    wait_for("nothing runs on the drained node", || {
        let running = node.running("hasher");
        (running.len() == 3 && running.iter().all(|task| task["node"] != "node2")).then_some(())
    });
    node.ok(&["node", "update", "--availability", "active", "node2"]);
    cluster.nodes[2].kill();
    wait_for("the dead node's tasks run elsewhere", || {
        let running = node.running("hasher");
        (running.len() == 3 && running.iter().all(|task| task["node"] != "node3")).then_some(())
    });
    let listed = node.json(&["node", "ls"]).unwrap();
    assert_eq!(listed[2]["status"], "down");
}

#[test]
fn what_cannot_be_done_is_refused_with_what_to_do() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    assert!(node.refused(&["init", "--listen-addr", "127.0.0.1:0"]).contains("a node runs in"));
    assert!(node.refused(&["service", "create", "--network", "absent", "rng"]).contains("network create"));
    assert!(node.refused(&["service", "create", "/no/such/file.wasm"]).contains("/no/such/file.wasm"));
    assert!(node.refused(&["node", "demote", "node1"]).contains("last manager"));
    assert!(node.refused(&["node", "rm", "node1"]).contains("node1"));
    node.ok(&["service", "create", "--name", "one", "-p", "8080:80", "rng"]);
    let clash = node.refused(&["service", "create", "--name", "two", "-p", "8080:80", "rng"]);
    assert!(clash.contains("'one'"), "{clash}");
}

#[test]
fn a_component_file_travels_to_the_node_that_runs_it() {
    let mut cluster = Cluster::found();
    cluster.join("worker");
    let node = &cluster.nodes[0];
    let component = guest("test_http3");
    node.ok(&["service", "create", "--name", "web", "--constraint", "node.hostname==node2", "-p", "8080:80", component.to_str().unwrap()]);
    assert_eq!(node.running("web")[0]["node"], "node2");
    assert_eq!(wait_for("it answers", || node.http(8080, "/")).0, 200);
}

#[test]
fn a_volume_survives_a_restart_of_its_node() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    node.ok(&[
        "service",
        "create",
        "--name",
        "redis",
        "--mount",
        "type=volume,source=data,target=/data",
        "-p",
        "6379:6379",
        "redis",
        "--appendfsync",
        "always",
    ]);
    assert_eq!(redis(node, "SET coin 42\r\n"), "+OK\r\n");
    // As somebody types it: the process that was killed still holds its folder.
    node.kill_without_waiting();
    node.ok(&["start"]);
    wait_for("the value is there again", || (redis(node, "GET coin\r\n") == "$2\r\n42\r\n").then_some(()));
}

/// One inline command to the redis that is published on the node's port 6379.
fn redis(node: &crate::support::Node, command: &str) -> String {
    use std::io::{Read, Write};
    let mut answer = vec![0; 64];
    let read = std::net::TcpStream::connect((node.ip, 6379)).and_then(|mut stream| {
        stream.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
        stream.write_all(command.as_bytes())?;
        let mut length = stream.read(&mut answer)?;
        if answer.starts_with(b"$") && length < 6 {
            length += stream.read(&mut answer[length..])?;
        }
        Ok(length)
    });
    String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned()
}
