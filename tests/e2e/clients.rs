//! Programs that know nothing of minicloud, against real nodes: curl, dig, redis-cli, redis-benchmark, httping.
use std::collections::BTreeSet;

use crate::support::programs::{Background, installed, output, run, run_with_input};
use crate::support::{Cluster, DNS_PORT, Node, deploy, wait_for};

#[test]
fn curl_and_httping_reach_every_node_and_names_through_the_proxy() {
    if !installed(&["curl", "httping"]) {
        return;
    }
    let cluster = Cluster::with_workers(2);
    let manager = &cluster.nodes[0];
    deploy(manager);
    for node in &cluster.nodes {
        wait_for("the page answers", || node.http(8000, "/json"));
        assert!(curl(&[&format!("http://{}:8001/", node.ip)]).starts_with("RNG running on rng-1"));
        assert_eq!(curl(&["--data-binary", "", &format!("http://{}:8002/", node.ip)]), EMPTY_SHA256);
        let redirect =
            curl(&["--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}", &format!("http://{}:8000/", node.ip)]);
        assert_eq!(redirect, format!("302 http://{}:8000/index.html", node.ip));
        let json: serde_json::Value = serde_json::from_str(&curl(&[&format!("http://{}:8000/json", node.ip)])).unwrap();
        assert!(json["now"].is_f64() && json["coins"].is_u64(), "{json}");
    }
    for port in [8001, 8002] {
        let pinged = output("httping", &["-c", "3", &format!("http://{}:{port}/", cluster.nodes[2].ip)]);
        assert!(pinged.contains("3 connects, 3 ok, 0.00% failed"), "{pinged}");
    }
    let door = format!("{}:1080", cluster.address(100));
    for node in [manager, &cluster.nodes[1]] {
        names_through_the_proxy(node, &door);
    }
    let closed = manager.refused(&["proxy", "--listen", &door, "--network", "absent"]);
    assert!(closed.contains("absent"), "{closed}");
}

const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn curl(args: &[&str]) -> String {
    output("curl", &[&["--silent", "--show-error", "--fail", "--max-time", "30"], args].concat())
}

fn names_through_the_proxy(node: &Node, door: &str) {
    let proxy = Background::start(node.command(&["proxy", "--listen", door, "--network", "dockercoins"]));
    proxy.line_with(door);
    let through = |rest: &[&str]| curl(&[&["--socks5-hostname", door], rest].concat());
    assert!(through(&["http://rng/"]).starts_with("RNG running on rng-1"));
    assert_eq!(through(&["--output", "/dev/null", "--write-out", "%{size_download}", "http://rng/32"]), "32");
    assert_eq!(through(&["--data-binary", "", "http://hasher.dockercoins.minicloud/"]), EMPTY_SHA256);
    assert!(through(&["http://webui/index.html"]).contains("DockerCoins"));
    let absent = run("curl", &["--silent", "--show-error", "--socks5-hostname", door, "http://absent/"]);
    assert_eq!(absent.code, Some(97), "the proxy says that the name is not there: {absent:?}");
    let refused = run("curl", &["--silent", "--show-error", "--socks5-hostname", door, "http://rng:81/"]);
    assert_eq!(refused.code, Some(97), "the proxy says that nobody listens there: {refused:?}");
}

#[test]
fn dig_gets_the_names_of_services_from_every_node() {
    if !installed(&["dig"]) {
        return;
    }
    let cluster = Cluster::with_workers(1);
    let manager = &cluster.nodes[0];
    deploy(manager);
    manager.ok(&["service", "scale", "hasher=3"]);
    let vip = manager.json(&["service", "inspect", "rng"]).unwrap()[0]["vips"][0]["address"].as_str().unwrap().to_owned();
    let tasks: BTreeSet<String> =
        manager.running("hasher").iter().map(|task| task["networks"]["dockercoins"].as_str().unwrap().to_owned()).collect();
    assert_eq!(tasks.len(), 3);
    for node in &cluster.nodes {
        wait_for("the name is known", || dig(node, &["+short", "tasks.hasher.dockercoins.minicloud"]).lines().nth(2).map(drop));
        for transport in ["+notcp", "+tcp"] {
            assert_eq!(dig(node, &[transport, "+short", "rng.dockercoins.minicloud"]).trim(), vip);
            assert_eq!(dig(node, &[transport, "+short", "RNG.DockerCoins.minicloud."]).trim(), vip);
            let answer = dig(node, &[transport, "+short", "tasks.hasher.dockercoins.minicloud"]);
            assert_eq!(answer.lines().map(str::to_owned).collect::<BTreeSet<_>>(), tasks);
            for (name, status) in [
                ("absent.dockercoins.minicloud", "NXDOMAIN"),
                ("rng.absent.minicloud", "NXDOMAIN"),
                ("example.com", "REFUSED"),
                ("rng.dockercoins.minicloud", "NOERROR"),
            ] {
                let answer = dig(node, &[transport, name]);
                assert!(answer.contains(&format!("status: {status}")), "{name}: {answer}");
            }
        }
        let other = dig(node, &["AAAA", "rng.dockercoins.minicloud"]);
        assert!(other.contains("status: NOERROR") && other.contains("ANSWER: 0"), "{other}");
    }
    manager.ok(&["service", "rm", "hasher"]);
    for node in &cluster.nodes {
        wait_for("a removed service has no name", || {
            dig(node, &["hasher.dockercoins.minicloud"]).contains("status: NXDOMAIN").then_some(())
        });
    }
}

fn dig(node: &Node, args: &[&str]) -> String {
    let (server, port) = (format!("@{}", node.ip), DNS_PORT.to_string());
    output("dig", &[&[server.as_str(), "-p", &port, "+tries=1", "+time=5"], args].concat())
}

#[test]
fn redis_s_own_clients_work_with_ours() {
    if !installed(&["redis-cli", "redis-benchmark"]) {
        return;
    }
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    node.ok(&["service", "create", "--name", "redis", "--constraint", "node.hostname==node2", "-p", "6379:6379", "redis"]);
    for node in &cluster.nodes {
        wait_for("redis answers", || (run("redis-cli", &to(node, &["PING"])).out == "PONG\n").then_some(()));
    }
    redis_cli(&cluster.nodes[0]);
    let far = to(&cluster.nodes[0], &["-t", "ping,set,get,incr,lpush,hset", "-n", "2000", "-q"]);
    let benchmark = run("redis-benchmark", &far);
    assert_eq!(benchmark.code, Some(0), "{benchmark:?}");
    for name in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "HSET"] {
        assert!(benchmark.out.contains(&format!("{name}: ")), "{name} is missing: {benchmark:?}");
    }
    assert!(!(benchmark.out + &benchmark.err).to_lowercase().contains("warning"), "it wants to know something of ours");
    assert_eq!(output("redis-cli", &to(&cluster.nodes[1], &["GET", "counter:__rand_int__"])), "2000\n");
}

fn redis_cli(node: &Node) {
    for (command, answer) in [
        ("SET greeting hello", "OK\n"),
        ("GET greeting", "hello\n"),
        ("INCR count", "1\n"),
        ("INCRBY count 41", "42\n"),
        ("LPUSH list a b c", "3\n"),
        ("LRANGE list 0 -1", "c\nb\na\n"),
        ("HSET wallet field value", "1\n"),
        ("HLEN wallet", "1\n"),
        ("TYPE wallet", "hash\n"),
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(output("redis-cli", &to(node, &words)), answer, "{command}");
    }
    let info = output("redis-cli", &to(node, &["INFO"]));
    assert!(info.contains("redis_version:") && info.contains("db0:keys=4"), "{info}");
    let wrong = output("redis-cli", &to(node, &["NOSUCH", "x"]));
    assert!(wrong.starts_with("ERR unknown command 'NOSUCH'"), "{wrong}");
    let resp3 = output("redis-cli", &to(node, &["-3", "HGETALL", "wallet"]));
    assert_eq!(resp3, "field value\n", "a map of RESP3");
    let many: String = (0..1_000).map(|number| format!("SET key{number} value{number}\r\n")).collect();
    let piped = run_with_input("redis-cli", &to(node, &["--pipe"]), many.as_bytes());
    assert!(piped.out.contains("errors: 0, replies: 1000"), "{piped:?}");
    assert_eq!(output("redis-cli", &to(node, &["GET", "key999"])), "value999\n");
}

/// The arguments with which a Redis client reaches this node's published port.
fn to(node: &Node, args: &[&str]) -> Vec<String> {
    let ip = node.ip.to_string();
    ["-h", &ip, "-p", "6379"].iter().chain(args).map(ToString::to_string).collect()
}
