//! `run`: a task in the foreground, its output, its exit code, and what is left of it.
use rustix::process::Signal;

use crate::support::programs::Background;
use crate::support::{Cluster, Node, guest, wait_for};

/// The exit code, and both outputs.
fn ran(node: &Node, args: &[&str]) -> (Option<i32>, String, String) {
    let output = node.cli(&[&["run"], args].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn services(node: &Node) -> Vec<String> {
    let services = node.json(&["service", "ls"]).unwrap();
    services.as_array().unwrap().iter().map(|service| service["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_task_gives_its_output_and_its_exit_code() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    let (cli2, cli3) = (guest("test-cli2"), guest("test_cli3"));
    let (cli2, cli3) = (cli2.to_str().unwrap(), cli3.to_str().unwrap());
    let (nothing, hello) = (String::new(), "hello\n".to_owned());
    assert_eq!(ran(node, &["--rm", cli3, "hello"]), (Some(0), hello, nothing.clone()));
    assert_eq!(ran(node, &["--rm", cli2, "stderr"]), (Some(0), nothing.clone(), "to stderr\n".into()));
    assert_eq!(ran(node, &["--rm", cli3, "exit", "3"]), (Some(3), nothing.clone(), nothing.clone()));
    let (code, out, err) = ran(node, &["--rm", cli3, "trap"]);
    assert!(code == Some(134) && out.is_empty() && err.contains("error: ") && err.contains("trap"), "{code:?} {err}");
    let (code, out, err) = ran(node, &["--rm", "absent"]);
    assert!(code == Some(125) && out.is_empty() && err.contains("absent"), "{code:?} {err}");
    let (_, out, _) = ran(node, &["--rm", "-e", "LEVEL=debug", "--hostname", "here", cli2, "env"]);
    assert!(out.contains("LEVEL=debug\n") && out.contains("HOSTNAME=here\n"), "{out}");
    assert!(services(node).is_empty(), "with --rm nothing is left, however it ended");

    assert_eq!(ran(node, &["--name", "kept", cli3, "exit", "3"]).0, Some(3));
    assert_eq!(services(node), ["kept"]);
    let tasks = node.json(&["service", "ps", "kept"]).unwrap();
    assert_eq!((&tasks[0]["current_state"], &tasks[0]["exit_code"]), (&"failed".into(), &3.into()));
    assert_eq!(tasks.as_array().unwrap().len(), 1, "it is never restarted");
    let (code, _, err) = ran(node, &["--name", "kept", cli3]);
    assert!(code == Some(125) && err.contains("already exists"), "{code:?} {err}");
    let (code, out, _) = ran(node, &["-d", "--name", "apart", cli3, "hello"]);
    assert_eq!((code, out.trim().len()), (Some(0), 12), "detached it prints the id alone: {out}");
    wait_for("it runs all the same", || (node.ok(&["service", "logs", "--raw", "apart"]) == "hello\n").then_some(()));
}

#[test]
fn every_line_arrives_wherever_the_task_runs() {
    let cluster = Cluster::with_workers(1);
    let image = guest("test-cli2");
    let expected: String = (1..=1_000).map(|number| format!("line {number}\n")).collect();
    for host in ["node1", "node2"] {
        for _ in 0..5 {
            let constraint = format!("node.hostname=={host}");
            let (code, out, err) = ran(&cluster.nodes[0], &["--rm", "--constraint", &constraint, image.to_str().unwrap(), "lines", "1000"]);
            assert_eq!((code, out.as_str(), err.as_str()), (Some(0), expected.as_str(), ""), "on {host}");
        }
    }
}

/// More than a task's log holds: what is not there is said, whoever wrote too fast or read too slowly.
#[test]
fn no_line_is_lost_unannounced() {
    const LINES: usize = 200_000;
    let cluster = Cluster::with_workers(1);
    let image = guest("test-cli2");
    for host in ["node1", "node2"] {
        let constraint = format!("node.hostname=={host}");
        let count = LINES.to_string();
        let (code, out, err) = ran(&cluster.nodes[0], &["--rm", "--constraint", &constraint, image.to_str().unwrap(), "lines", &count]);
        assert_eq!(code, Some(0), "{err}");
        let numbers: Vec<usize> = out.lines().map(|line| line.strip_prefix("line ").unwrap().parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "on {host} lines come twice or in disorder");
        let dropped = err.lines().filter_map(|line| line.strip_prefix("[minicloud] ")?.split_once(" lines were dropped"));
        let dropped: usize = dropped.map(|(count, _)| count.parse::<usize>().unwrap()).sum();
        let is_said = err.contains("are missing here") || err.contains("are not kept");
        assert!(numbers.len() + dropped == LINES || is_said, "on {host}: {} lines, {dropped} dropped: {err}", numbers.len());
    }
}

#[test]
fn a_task_reaches_services_on_attachable_networks() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    node.ok(&["network", "create", "--attachable", "back"]);
    node.ok(&["network", "create", "closed"]);
    node.ok(&["service", "create", "--name", "redis", "--network", "back", "--network", "closed", "redis"]);
    let image = guest("test-cli2");
    let connect = [image.to_str().unwrap(), "connect", "redis", "6379"];
    let (code, out, err) = ran(node, &[&["--rm", "--network", "back"], &connect[..]].concat());
    assert!(code == Some(0) && out.starts_with("connected to ") && out.ends_with(":6379\n"), "{code:?} {out} {err}");
    let (code, _, err) = ran(node, &[&["--rm", "--network", "closed"], &connect[..]].concat());
    assert!(code == Some(125) && err.contains("network 'closed' is not attachable"), "{code:?} {err}");
    assert_eq!(services(node), ["redis"]);
}

#[test]
fn a_signal_stops_the_task() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    let image = guest("test-cli2");
    let start = |flags: &[&str]| {
        let run = Background::start(node.command(&[&["run"], flags, &[image.to_str().unwrap(), "spin"]].concat()));
        run.line_with("spinning");
        run
    };
    let mut run = start(&["--rm", "--name", "gone"]);
    assert_eq!(services(node), ["gone"]);
    run.signal(Signal::INT);
    assert_eq!(run.code(), Some(130));
    assert!(services(node).is_empty());
    let mut run = start(&["--name", "stays"]);
    run.signal(Signal::TERM);
    assert_eq!(run.code(), Some(143));
    let tasks = node.json(&["service", "ps", "stays"]).unwrap();
    assert_eq!((&tasks[0]["current_state"], &tasks[0]["desired_state"]), (&"shutdown".into(), &"shutdown".into()));
    assert_eq!(node.ok(&["service", "logs", "--raw", "stays"]), "spinning\n");
}
