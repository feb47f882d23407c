//! The command line as scripts use it: what each command changes, prints and answers with.
use crate::support::programs::Background;
use crate::support::{Cluster, Node, guest, wait_for};

/// The exit code, and both outputs.
fn ran(node: &Node, args: &[&str]) -> (Option<i32>, String, String) {
    let output = node.cli(args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn running(node: &Node, service: &str, count: usize) {
    wait_for("so many tasks run", || (node.running(service).len() == count).then_some(()));
}

#[test]
fn services_are_created_scaled_followed_and_removed() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    let (code, out, _) = ran(node, &["service", "create", "-d", "--name", "rng", "-p", "8001:80", "rng"]);
    assert_eq!((code, out.lines().count()), (Some(0), 1), "detached it prints the id alone: {out}");
    running(node, "rng", 1);
    let (_, out, _) = ran(node, &["service", "create", "--name", "hasher", "--replicas", "2", "hasher"]);
    assert!(out.contains("overall progress: 2 out of 2 tasks") && out.contains("verify: Service hasher converged"), "{out}");
    node.ok(&["service", "scale", "rng=3", "hasher=1"]);
    assert_eq!((node.running("rng").len(), node.running("hasher").len()), (3, 1), "converged means that they run");
    let (code, _, err) = ran(node, &["service", "scale", "rng=1", "absent=1"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("absent"), "{err}");
    assert_eq!(node.running("rng").len(), 3, "all of a scale happens, or nothing");
    node.ok(&["service", "create", "--name", "everywhere", "--mode", "global", "-p", "8002:80", "rng"]);
    let mut hosts: Vec<_> = node.running("everywhere").iter().map(|task| task["node"].as_str().unwrap().to_owned()).collect();
    hosts.sort();
    assert_eq!(hosts, ["node1", "node2"]);
    let (code, _, err) = ran(node, &["service", "scale", "everywhere=2"]);
    assert!(code == Some(1) && err.contains("global"), "{err}");
    node.ok(&["service", "rm", "rng", "hasher"]);
    assert_eq!(node.json(&["service", "ls"]).unwrap().as_array().unwrap().len(), 1);
    for (args, expected) in [
        (&["service", "rm", "rng"][..], 1),
        (&["service", "inspect", "rng"], 1),
        (&["service", "scale", "everywhere=many"], 2),
        (&["service", "create"], 2),
        (&["nonsense"], 2),
        (&["node", "ls", "--format", "yaml"], 2),
        (&["service", "--help"], 0),
    ] {
        assert_eq!(ran(node, args).0, Some(expected), "{args:?}");
    }
}

#[test]
fn logs_follow_and_begin_where_they_are_asked_to() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    let image = guest("test-cli2");
    let image = image.to_str().unwrap();
    node.ok(&["service", "create", "--name", "lines", "--restart-condition", "none", image, "lines", "30"]);
    wait_for("all is written", || node.ok(&["service", "logs", "lines"]).contains("line 30").then_some(()));
    let last = node.ok(&["service", "logs", "--tail", "2", "--raw", "lines"]);
    assert_eq!(last, "line 29\nline 30\n");
    assert!(node.ok(&["service", "logs", "lines"]).contains("lines.1@node"));
    assert_eq!(node.ok(&["service", "logs", "--since", "2099-01-01T00:00:00Z", "lines"]), "");
    assert_eq!(node.ok(&["service", "logs", "--since", "1h", "--raw", "lines"]).lines().count(), 30);
    node.ok(&["service", "create", "--name", "web", "--replicas", "2", "-p", "8001:80", "rng"]);
    wait_for("it answers", || node.http(8001, "/?round=before"));
    wait_for("that is logged", || node.ok(&["service", "logs", "web"]).contains("round=before").then_some(()));
    let followed = Background::start(node.command(&["service", "logs", "-f", "--tail", "0", "web"]));
    // Asked until it follows, and told from then on.
    let line = wait_for("it is told", || {
        node.http(8001, "/?round=now")?;
        followed.line()
    });
    assert!(line.contains("web.") && line.contains("GET /?round=now"), "{line}");
    assert!(node.refused(&["service", "logs", "absent"]).contains("absent"));
}

#[test]
fn service_ps_says_why_a_task_does_not_run() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    let reason = |service: &str, state: &str| {
        wait_for("the reason is told", || {
            let tasks = node.json(&["service", "ps", service])?;
            let task = tasks.as_array()?.iter().find(|task| task["current_state"] == state && task["error"] != "")?;
            Some(task["error"].as_str()?.to_owned())
        })
    };
    for (service, flags, expected) in [
        ("label", ["--constraint", "node.labels.disk==ssd"], "no suitable node (2 excluded by constraints)"),
        ("memory", ["--reserve-memory", "900g"], "no suitable node (2 short of memory)"),
        ("cpu", ["--reserve-cpu", "900"], "no suitable node (2 short of CPU)"),
    ] {
        node.ok(&[&["service", "create", "-d", "--name", service], &flags[..], &["rng"]].concat());
        assert_eq!(reason(service, "pending"), expected);
    }
    node.ok(&["node", "update", "--label-add", "disk=ssd", "node2"]);
    running(node, "label", 1);
}

#[test]
fn a_task_that_traps_or_fails_leaves_its_last_words() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    let (cli2, cli3) = (guest("test-cli2"), guest("test_cli3"));
    let (cli2, cli3) = (cli2.to_str().unwrap(), cli3.to_str().unwrap());
    let create = |name: &str, image: &str, args: &[&str]| {
        ran(node, &[&["service", "create", "--name", name, "--restart-condition", "none", image], args].concat())
    };
    let (code, _, err) = create("trap", cli2, &["trap"]);
    assert_eq!(code, Some(1), "a service that can never converge is not waited for: {err}");
    assert!(err.contains("trap.1 ended and is not restarted"), "{err}");
    let task = node.json(&["service", "ps", "trap"]).unwrap()[0].clone();
    assert_eq!(task["current_state"], "failed");
    assert!(task["error"].as_str().unwrap().contains("unreachable"), "{task}");
    assert!(task["backtrace"].as_str().unwrap().contains("wasm backtrace"), "where it trapped is told: {task}");
    assert!(node.ok(&["service", "ps", "--no-trunc", "trap"]).contains(task["backtrace"].as_str().unwrap().lines().next().unwrap()));
    create("panic", cli2, &["panic"]);
    assert!(node.ok(&["service", "logs", "panic"]).contains("as asked"), "what a panic says stands in the log");
    assert!(create("exit", cli3, &["exit", "7"]).2.contains("exit code 7"));
    assert_eq!(node.json(&["service", "ps", "exit"]).unwrap()[0]["exit_code"], 7);
    assert_eq!(create("done", cli3, &["hello"]).0, Some(0), "a task that completes has done what it should");
    node.ok(&["service", "create", "-d", "--name", "twice", "--restart-max-attempts", "2", cli3, "exit", "3"]);
    wait_for("the first and two more have failed, and no other comes", || {
        let tasks = node.json(&["service", "ps", "twice"])?;
        let tasks = tasks.as_array()?;
        (tasks.len() == 3 && tasks.iter().all(|task| task["current_state"] == "failed")).then_some(())
    });
    let (code, _, err) = ran(node, &["service", "update", "--label-add", "x=y", "twice"]);
    assert!(code == Some(1) && err.contains("twice.1 ended and is not restarted: exit code 3"), "{err}");
}

#[test]
fn a_volume_s_tasks_wait_for_its_node() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    let mount = ["--mount", "type=volume,source=data,target=/data", "--constraint", "node.hostname==node2"];
    node.ok(&[&["service", "create", "--name", "db"], &mount[..], &["redis"]].concat());
    assert_eq!(node.json(&["volume", "inspect", "data"]).unwrap()[0]["node"], "node2");
    node.ok(&["service", "update", "--constraint-rm", "node.hostname==node2", "db"]);
    cluster.nodes[1].kill();
    wait_for("the node is down", || (node.json(&["node", "ls"])?[1]["status"] == "down").then_some(()));
    let told = wait_for("its task says what it waits for", || {
        let tasks = node.json(&["service", "ps", "db"])?;
        let errors: Vec<&str> = tasks.as_array()?.iter().filter_map(|task| task["error"].as_str()).collect();
        errors.iter().find(|error| error.contains("volume")).map(|error| (*error).to_owned())
    });
    assert!(told.contains("data") && told.contains("node2"), "{told}");
    assert!(node.running("db").iter().all(|task| task["node"] != "node1"), "nothing starts empty elsewhere");
    cluster.nodes[1].ok(&["start"]);
    running(node, "db", 1);
}

#[test]
fn drain_tells_what_has_nowhere_to_go() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    node.ok(&["service", "create", "--name", "free", "--replicas", "2", "rng"]);
    node.ok(&["service", "create", "--name", "pinned", "--constraint", "node.hostname==node2", "rng"]);
    let (code, _, err) = ran(node, &["node", "update", "--availability", "drain", "node2"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("pinned.1") && err.contains("no suitable node (1 drained, 1 excluded by constraints)"), "{err}");
    assert!(node.running("free").iter().all(|task| task["node"] == "node1"));
    node.ok(&["service", "rm", "pinned"]);
    let (code, out, _) = ran(node, &["node", "update", "--availability", "drain", "node2"]);
    assert!(code == Some(0) && out.contains("verify: Node node2 is drained"), "{out}");
}

#[test]
fn nodes_leave_are_removed_and_begin_anew() {
    let mut cluster = Cluster::found();
    cluster.join("worker");
    cluster.join("worker");
    let node = &cluster.nodes[0];
    node.ok(&["service", "create", "--name", "rng", "--replicas", "3", "rng"]);
    assert!(node.refused(&["leave"]).contains("--force"), "the last manager does not leave by accident");
    cluster.nodes[2].ok(&["leave"]);
    assert!(!cluster.nodes[2].data_dir.exists(), "nothing is left of it");
    running(node, "rng", 3);
    wait_for("it is down", || (node.json(&["node", "ls"])?[2]["status"] == "down").then_some(()));
    node.ok(&["node", "rm", "node3"]);
    assert_eq!(node.json(&["node", "ls"]).unwrap().as_array().unwrap().len(), 2);
    let listen = format!("{}:2377", cluster.nodes[2].ip);
    cluster.nodes[2].ok(&["init", "--listen-addr", &listen, "--hostname", "other"]);
    assert_eq!(cluster.nodes[2].json(&["node", "ls"]).unwrap()[0]["hostname"], "other");
    assert!(cluster.nodes[2].json(&["service", "ls"]).unwrap().as_array().unwrap().is_empty(), "it is a new cluster");
    cluster.nodes[1].kill();
    wait_for("it is down", || (node.json(&["node", "ls"])?[1]["status"] == "down").then_some(()));
    node.ok(&["node", "rm", "node2"]);
    running(node, "rng", 3);
    cluster.nodes[0].ok(&["leave", "--force"]);
    assert!(!cluster.nodes[0].data_dir.exists());
    let listen = format!("{}:2377", cluster.nodes[0].ip);
    cluster.nodes[0].ok(&["init", "--listen-addr", &listen]);
    assert!(cluster.nodes[0].json(&["service", "ls"]).unwrap().as_array().unwrap().is_empty());
}
