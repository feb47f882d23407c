//! What one looks on with: `stats`, `top`, `events`, on real nodes, also while nodes die.
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::programs::Background;
use crate::support::{Cluster, Node, deploy, http, wait_for};

/// A bound on one look at a cluster in which a node does not answer: a second of measuring, two waits for it, and slack.
const LOOK_MAX: Duration = Duration::from_secs(8);

/// The rows of `stats --no-stream`.
fn stats(node: &Node, of: &[&str]) -> Vec<Value> {
    let rows = node.json(&[&["stats", "--no-stream"], of].concat()).expect("an answer");
    rows.as_array().unwrap().clone()
}

#[test]
fn tasks_and_nodes_show_what_they_use() {
    let cluster = Cluster::with_workers(1);
    let (node, other) = (&cluster.nodes[0], &cluster.nodes[1]);
    deploy(node);
    // Every task has its share: rng and hasher by requests, worker and redis by bytes on raw connections.
    let rows = wait_for("DockerCoins mines", || {
        let rows = stats(node, &[]);
        let number = |name: &str, key: &str| rows.iter().find(|row| row["name"] == name).and_then(|row| row[key].as_f64());
        let mining = number("rng.1", "requests_per_second")? > 0.5
            && number("hasher.1", "requests_per_second")? > 0.5
            && number("redis.1", "received_bytes_per_second")? > 1.0
            && number("worker.1", "sent_bytes_per_second")? > 1.0;
        mining.then_some(rows)
    });
    assert_eq!(rows.len(), 5, "{rows:#?}");
    for row in &rows {
        assert!(["node1", "node2"].contains(&row["node"].as_str().unwrap()), "{row:#}");
        assert!(row["cpu_percent"].as_f64().unwrap() >= 0.0 && row["cpu_us"].as_u64() > Some(0), "{row:#}");
        assert!(row["memory_bytes"].as_u64() > Some(64 << 10) && row["memory_limit_bytes"] == 256 << 20, "{row:#}");
        assert!(row["received_bytes"].as_u64().unwrap() + row["sent_bytes"].as_u64().unwrap() > 0 || row["name"] == "webui.1", "{row:#}");
    }
    let connections = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap()["connections"].as_u64();
    assert!(connections("redis.1") > Some(0), "{rows:#?}");

    // A request from outside is one too.
    let before = stats(node, &["webui"])[0].clone();
    for _ in 0..5 {
        assert_eq!(http((other.ip, 8000).into(), "/json").unwrap().0, 200);
    }
    let after = stats(node, &["webui.1"])[0].clone();
    assert_eq!(after["requests"].as_u64().unwrap() - before["requests"].as_u64().unwrap(), 5);
    assert!(after["sent_bytes"].as_u64().unwrap() > before["sent_bytes"].as_u64().unwrap() + 5 * 40);

    let table = node.ok(&["stats", "--no-stream", "rng"]);
    assert!(table.starts_with("NAME ") && table.lines().count() == 2 && table.contains("rng.1"), "{table}");
    assert!(node.refused(&["stats", "nobody"]).contains("no service 'nobody'"));
    assert!(other.refused(&["stats"]).contains("run this on a manager"));

    let top = node.ok(&["top", "--sort", "requests"]);
    let lines: Vec<&str> = top.lines().collect();
    assert!(lines[0].starts_with("NODE ") && lines[1].starts_with("node1 *") && lines[2].starts_with("node2 "), "{top}");
    let json = node.json(&["top", "--no-stream", "--node", "node2"]).unwrap();
    assert_eq!(json["nodes"].as_array().unwrap().len(), 1);
    let process = &json["nodes"][0];
    assert!(process["usage"]["memory_bytes"].as_u64() > Some(1 << 20) && process["cpu_percent"].as_f64() > Some(0.0), "{process:#}");
    assert!(json["tasks"].as_array().unwrap().iter().all(|task| task["node"] == "node2"), "{json:#}");
    assert!(node.refused(&["top", "--node", "nowhere"]).contains("nowhere"));

    // A node that dies holds no look up, neither before its death is known nor after it.
    other.kill();
    let down = |json: &Value| json["nodes"][1]["status"] == "down";
    wait_for("its death is known", || {
        let began = Instant::now();
        let json = node.json(&["top", "--no-stream"]).expect("an answer all the same");
        assert!(began.elapsed() < LOOK_MAX, "it took {:?}", began.elapsed());
        assert!(json["nodes"][1]["usage"].is_null() && json["nodes"][0]["usage"].is_object(), "{json:#}");
        down(&json).then_some(())
    });
}

/// Follows events as JSON; each line is one.
fn follow(node: &Node, more: &[&str]) -> Background {
    Background::start(node.command(&[&["events", "--format", "json"], more].concat()))
}

#[track_caller]
fn event(stream: &Background, action: &str, name: &str) -> Value {
    loop {
        let line = stream.line_with(&format!("\"action\":\"{action}\""));
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["name"] == name {
            return event;
        }
    }
}

#[test]
fn events_tell_what_happens_as_it_happens_and_afterwards() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    let all = follow(node, &["--since", "1h"]);
    assert_eq!(event(&all, "ready", "node2")["type"], "node");
    let of_web = follow(node, &["--since", "1h", "--filter", "service=web", "--filter", "type=service"]);
    node.ok(&["network", "create", "front"]);
    assert_eq!(event(&all, "created", "front")["type"], "network");
    node.ok(&["service", "create", "--network", "front", "--name", "web", "rng"]);
    node.ok(&["service", "scale", "web=3"]);
    let scaled = event(&all, "scaled", "web");
    assert_eq!((scaled["detail"].as_str(), scaled["service"].as_str()), (Some("3 replicas, was 1"), Some("web")));
    let running = event(&all, "running", "web.3");
    assert!(running["node"].as_str().unwrap().starts_with("node") && running["index"].as_u64() > scaled["index"].as_u64());
    node.ok(&["service", "update", "--env-add", "A=b", "web"]);
    event(&all, "update_started", "web");
    event(&all, "update_completed", "web");
    assert!(
        node.cli(&["service", "create", "-d", "--name", "bad", "--args", "--no-such-flag", "--restart-condition", "none", "redis"])
            .status
            .success()
    );
    node.ok(&["node", "update", "--availability", "drain", "node2"]);
    event(&all, "drained", "node2");
    node.ok(&["service", "rm", "web"]);
    event(&all, "removing", "web");
    event(&all, "removed", "web");
    for action in ["created", "scaled", "updated", "update_started", "update_completed", "removing", "removed"] {
        let line = of_web.line_with("");
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((event["action"].as_str(), event["type"].as_str()), (Some(action), Some("service")), "in this order, and nothing else");
    }

    // Looked up afterwards: as a table, until now, by kind.
    let past = node.ok(&["events", "--since", "1h", "--until", "0s", "--filter", "event=scaled", "--filter", "event=drained"]);
    let past: Vec<&str> = past.lines().collect();
    assert!(
        past.len() == 2 && past[0].contains("scaled") && past[0].ends_with("web: 3 replicas, was 1") && past[1].contains("drained"),
        "{past:?}"
    );
    assert_eq!(node.ok(&["events", "--since", "1h", "--until", "30m"]), "", "nothing was there half an hour ago");
    assert!(node.refused(&["events", "--filter", "type=planet"]).contains("there is no such type of event; use one of cluster, node"));
    assert!(node.refused(&["events", "--filter", "colour=red"]).contains("use one of type, event, service, node"));

    cluster.nodes[1].kill();
    event(&all, "down", "node2");
}

#[test]
fn events_go_on_when_the_leader_dies_and_when_their_own_node_is_started_anew() {
    let cluster = Cluster::of_managers(3);
    let leader = wait_for("a leader", || cluster.leader(0));
    let witness = &cluster.nodes[(leader + 1) % 3];
    let other = &cluster.nodes[(leader + 2) % 3];
    wait_for("all three vote", || {
        let nodes = witness.json(&["node", "ls"])?;
        nodes.as_array()?.iter().all(|node| node["manager_status"].is_string() && node["status"] == "ready").then_some(())
    });
    // From before: the command may come to its node after what happens next.
    let all = follow(witness, &["--since", "1h"]);
    other.ok(&["network", "create", "first"]);
    let first = event(&all, "created", "first");
    cluster.nodes[leader].kill();
    let changed = event(
        &all,
        "leader_changed",
        &wait_for("another leader", || {
            let at = cluster.leader((leader + 1) % 3).filter(|at| *at != leader)?;
            Some(format!("node{}", at + 1))
        }),
    );
    assert!(changed["type"] == "cluster" && changed["index"].as_u64() > first["index"].as_u64(), "{changed:#}");
    event(&all, "down", &format!("node{}", leader + 1));
    other.ok(&["network", "create", "second"]);
    event(&all, "created", "second");
    cluster.nodes[leader].ok(&["start"]);
    event(&all, "ready", &format!("node{}", leader + 1));

    // The node that is asked itself: the command waits for it, and tells nothing twice.
    witness.ok(&["stop"]);
    other.ok(&["network", "create", "third"]);
    witness.ok(&["start"]);
    wait_for("it serves again", || witness.json(&["network", "ls"]));
    event(&all, "created", "third");
    other.ok(&["network", "create", "fourth"]);
    let line = all.line_with("\"network\"");
    assert!(line.contains("\"fourth\""), "nothing between them, and nothing again: {line}");
}
