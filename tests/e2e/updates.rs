//! `service update`, flag by flag, as the tasks see it.
use serde_json::Value;

use crate::support::{Cluster, Node, guest, wait_for};

fn spec(node: &Node, service: &str) -> Value {
    node.json(&["service", "inspect", service]).unwrap()[0]["spec"].clone()
}

#[test]
fn each_flag_of_update_does_what_it_says() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    node.ok(&["network", "create", "one"]);
    node.ok(&["network", "create", "two"]);
    let image = guest("test_http3");
    let image = image.to_str().unwrap();
    let create = ["service", "create", "--name", "web", "--replicas", "2", "--network", "one", "-e", "A=1", "-l", "x=y", "-p", "8001:80"];
    node.ok(&[&create[..], &[image]].concat());
    let update = |flags: &[&str]| node.ok(&[&["service", "update"], flags, &["web"]].concat());
    update(&["--env-add", "B=2", "--env-rm", "A"]);
    assert_eq!(spec(node, "web")["task"]["env"], serde_json::json!({"B": "2"}));
    update(&["--label-add", "tier=front", "--label-rm", "x"]);
    assert_eq!(spec(node, "web")["labels"], serde_json::json!({"tier": "front"}));
    update(&["--publish-add", "8002:80"]);
    for node in &cluster.nodes {
        assert_eq!(wait_for("the new port answers", || node.http(8002, "/")).0, 200);
    }
    update(&["--publish-rm", "80"]);
    for node in &cluster.nodes {
        wait_for("the port is closed", || node.http(8002, "/").is_none().then_some(()));
    }
    update(&["--publish-add", "8003:80"]);
    update(&["--network-add", "two", "--network-rm", "one"]);
    let networks = node.running("web")[0]["networks"].clone();
    assert!(networks.get("two").is_some() && networks.get("one").is_none(), "{networks}");
    update(&["--replicas", "3"]);
    assert_eq!(node.running("web").len(), 3);
    let ids = || node.running("web").iter().map(|task| task["id"].to_string()).collect::<Vec<_>>();
    let before = ids();
    update(&["--force", "--update-parallelism", "2", "--update-delay", "10ms", "--update-order", "stop-first"]);
    assert!(ids().iter().all(|id| !before.contains(id)) && ids().len() == 3, "every task is new");
    assert_eq!(spec(node, "web")["update"]["order"], "stop-first");
    update(&["--image", "rng", "--hostname", "renamed"]);
    assert_eq!(wait_for("the new image answers", || node.http(8003, "/")).1, "RNG running on renamed\n");
    assert!(node.refused(&["service", "update", "--network-add", "absent", "web"]).contains("absent"));
    assert!(node.refused(&["service", "update", "--env-add", "C=3", "absent"]).contains("absent"));
}

#[test]
fn a_rolling_update_drops_no_request() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    node.ok(&["service", "create", "--name", "web", "--replicas", "3", "-p", "8001:80", "hasher"]);
    wait_for("it answers", || node.http(8001, "/"));
    let done = std::sync::atomic::AtomicBool::new(false);
    let (answered, failed) = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let (mut answered, mut failed) = (0, Vec::new());
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                match node.http(8001, "/") {
                    Some((200, _)) => answered += 1,
                    other => failed.push(other),
                }
            }
            (answered, failed)
        });
        node.ok(&["service", "update", "--force", "web"]);
        node.ok(&["service", "update", "--env-add", "VERSION=2", "--update-parallelism", "0", "web"]);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        client.join().unwrap()
    });
    assert!(failed.is_empty() && answered > 0, "{answered} answered, {failed:?}");
}

/// Requests to a published port, one after the other, while `work` goes on: how many were answered, and what failed.
fn under_load(node: &Node, port: u16, work: impl FnOnce()) -> (usize, Vec<Option<(u16, String)>>) {
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let (mut answered, mut failed) = (0, Vec::new());
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                match node.http(port, "/") {
                    Some((200, _)) => answered += 1,
                    other => failed.push(other),
                }
            }
            (answered, failed)
        });
        work();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        client.join().unwrap()
    })
}

#[test]
fn a_bad_version_is_rolled_back_and_drops_no_request() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    let create = ["service", "create", "--name", "web", "--replicas", "3", "-p", "8001:80", "--update-failure-action", "rollback"];
    node.ok(&[&create[..], &["--health-http", "/", "--health-interval", "200ms", "hasher"]].concat());
    wait_for("it answers", || node.http(8001, "/"));
    let bad = guest("test_cli3");
    let (answered, failed) = under_load(node, 8001, || {
        let update = ["service", "update", "--image", bad.to_str().unwrap(), "--args", "exit 3", "--no-healthcheck", "web"];
        let refused = node.refused(&update);
        assert!(refused.contains("update rolled back: task web.1 failed: exit code 3"), "{refused}");
        let web = node.json(&["service", "inspect", "web"]).unwrap()[0].clone();
        assert_eq!((&web["update"]["state"], &web["image"]), (&"rollback_completed".into(), &"hasher".into()));
        // A version that never becomes healthy: no task of it is ever asked by a client.
        let refused = node.refused(&["service", "update", "--health-http", "/absent", "--health-retries", "1", "web"]);
        assert!(refused.contains("health check never succeeded: GET :80/absent: status 404"), "{refused}");
        node.ok(&["service", "update", "--env-add", "VERSION=3", "web"]);
        node.ok(&["service", "rollback", "web"]);
    });
    assert!(failed.is_empty() && answered > 0, "{answered} answered, {failed:?}");
    assert!(spec(node, "web")["task"]["env"].as_object().unwrap().is_empty());
    node.ok(&["service", "update", "--rollback", "web"]);
    assert_eq!(spec(node, "web")["task"]["env"]["VERSION"], "3", "a second time goes forward again");
    assert_eq!(node.running("web")[0]["health"], "healthy");
}

#[test]
fn dnsrr_and_host_mode_are_kept() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    node.ok(&["network", "create", "--attachable", "net"]);
    node.ok(&["service", "create", "--name", "rr", "--endpoint-mode", "dnsrr", "--replicas", "2", "--network", "net", "rng"]);
    let probe = guest("test_cli3");
    let flags = ["service", "create", "--name", "probe", "--network", "net", "--restart-condition", "none"];
    node.ok(&[&flags[..], &[probe.to_str().unwrap(), "resolve", "rr"]].concat());
    let log = wait_for("it resolved", || Some(node.ok(&["service", "logs", "--raw", "probe"])).filter(|log| !log.is_empty()));
    let mut resolved: Vec<&str> = log.lines().collect();
    resolved.sort();
    let tasks = node.running("rr");
    let mut addresses: Vec<&str> = tasks.iter().map(|task| task["networks"]["net"].as_str().unwrap()).collect();
    addresses.sort();
    assert_eq!(resolved, addresses, "the name means the tasks");
    let port = "published=8005,target=80,mode=host";
    node.ok(&["service", "create", "--name", "host", "--constraint", "node.hostname==node2", "-p", port, "rng"]);
    assert_eq!(wait_for("it answers where it runs", || cluster.nodes[1].http(8005, "/")).0, 200);
    assert!(node.http(8005, "/").is_none(), "and nowhere else");
}
