//! Jobs: tasks that run to their end once, in turns, on every node, and again where they failed.
use serde_json::Value;

use crate::support::{Cluster, Node, guest, wait_for};

fn guest3() -> String {
    guest("test_cli3").to_str().unwrap().to_owned()
}

fn create(node: &Node, flags: &str, args: &str) -> String {
    let flags = ["service", "create"].into_iter().chain(flags.split_whitespace());
    let image = guest3();
    let words: Vec<&str> = flags.chain([image.as_str()]).chain(args.split_whitespace()).collect();
    node.ok(&words)
}

/// The row of a service in `service ls`.
fn row(node: &Node, service: &str) -> Value {
    let services = node.json(&["service", "ls"]).unwrap();
    services.as_array().unwrap().iter().find(|row| row["name"] == service).unwrap_or(&Value::Null).clone()
}

/// Tasks of a service in that state, past ones too.
fn in_state(node: &Node, service: &str, state: &str) -> Vec<Value> {
    let tasks = node.json(&["service", "ps", service]).unwrap();
    tasks.as_array().unwrap().iter().filter(|task| task["current_state"] == state).cloned().collect()
}

#[test]
fn a_job_runs_in_turns_until_all_is_done() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    create(node, "-d --name batch --mode replicated-job --replicas 10 --max-concurrent 2", "sleep 200");
    wait_for("all of it is done", || {
        let row = row(node, "batch");
        let (running, job) = (row["replicas_running"].as_u64().unwrap(), &row["job"]);
        assert!(running <= 2, "{row}");
        assert_eq!((&row["mode"], &row["replicas_desired"], &job["total"]), (&"replicated-job".into(), &2.into(), &10.into()));
        (job["completed"] == 10).then_some(())
    });
    assert!(node.ok(&["service", "ls"]).contains("replicated job   0/2 (10/10 completed)"));
    let done = in_state(node, "batch", "complete");
    assert_eq!(done.len(), 10);
    assert!(done.iter().all(|task| task["desired_state"] == "complete"), "{done:?}");
    let hosts: std::collections::BTreeSet<&str> = done.iter().filter_map(|task| task["node"].as_str()).collect();
    assert_eq!(hosts.len(), 2, "both nodes had their share");

    let out = node.ok(&["service", "scale", "batch=12"]);
    assert!(out.contains("job progress: 12 out of 12 complete") && out.ends_with("job complete\n"), "{out}");
    assert_eq!(in_state(node, "batch", "complete").len(), 12, "what was done is not done again");
    node.ok(&["service", "update", "--force", "batch"]);
    assert_eq!(in_state(node, "batch", "complete").len(), 24, "all is done anew, and the first round stays readable");
    assert_eq!(row(node, "batch")["job"], serde_json::json!({"completed": 12, "total": 12}));
}

#[test]
fn a_job_that_fails_is_tried_again_and_then_given_up() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    let image = guest3();
    let flags = "--name flaky --mode replicated-job --restart-max-attempts 1 --restart-delay 50ms";
    let words: Vec<&str> = ["service", "create"].into_iter().chain(flags.split(' ')).chain([image.as_str(), "exit", "3"]).collect();
    let refused = node.refused(&words);
    assert!(refused.contains("flaky.1 ended and is not restarted: exit code 3"), "{refused}");
    assert_eq!(in_state(node, "flaky", "failed").len(), 2);
    assert_eq!(row(node, "flaky")["job"], serde_json::json!({"completed": 0, "total": 1}));
    node.ok(&["service", "update", "--args", "hello", "flaky"]);
    assert_eq!(row(node, "flaky")["job"], serde_json::json!({"completed": 1, "total": 1}));

    for (flags, expected) in [
        (&["--mode", "replicated-job", "--update-parallelism", "2"][..], "leave the --update and --rollback flags out"),
        (&["--mode", "global-job", "--replicas", "2"], "one task on every node"),
        (&["--mode", "replicated", "--max-concurrent", "2"], "--mode replicated-job"),
    ] {
        let refused = node.refused(&[&["service", "create"], flags, &[image.as_str()]].concat());
        assert!(refused.contains(expected), "{flags:?}: {refused}");
    }
}

#[test]
fn a_global_job_runs_on_every_node_and_on_those_that_come_later() {
    let mut cluster = Cluster::with_workers(1);
    create(&cluster.nodes[0], "--name clean --mode global-job", "hello");
    assert_eq!(row(&cluster.nodes[0], "clean")["job"], serde_json::json!({"completed": 2, "total": 2}));
    cluster.join("worker");
    let node = &cluster.nodes[0];
    wait_for("the new node does its part", || (row(node, "clean")["job"]["completed"] == 3).then_some(()));
    let mut hosts: Vec<String> = in_state(node, "clean", "complete").iter().map(|task| task["node"].as_str().unwrap().to_owned()).collect();
    hosts.sort();
    assert_eq!(hosts, ["node1", "node2", "node3"], "once on each");
    let refused = node.refused(&["service", "scale", "clean=2"]);
    assert!(refused.contains("one task per node"), "{refused}");
}

#[test]
fn a_node_that_dies_loses_its_part_of_a_job_to_another() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    create(node, "-d --name long --mode replicated-job --replicas 2", "sleep 600000");
    let on = |host: &str| {
        in_state(node, "long", "running").iter().filter(|task| task["node"] == host && task["desired_state"] == "complete").count()
    };
    wait_for("both nodes have their part", || (on("node1") == 1 && on("node2") == 1).then_some(()));
    cluster.nodes[1].kill();
    wait_for("the dead node's part runs elsewhere", || (on("node1") == 2).then_some(()));
}
