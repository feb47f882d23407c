//! Measures what a task costs on this machine: `cargo run --release -p minicloud-engine --example measure`.
//!
//! Needs the guests: `cd guests && cargo build --release --target wasm32-wasip2`. Words choose what is measured (`load`,
//! `start`, `http`, `trip`, `idle`); with `--json`, `start` tells each of its times in a line of JSON.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

#[path = "../tests/engine/support.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
mod support;

use std::time::{Duration, Instant};

use minicloud_engine::{Component, EngineOptions};
use support::{CLI2, CLI3, HTTP2, HTTP3, HttpClient, NETWORK, Node, Running, eventually, guest, load};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (flags, wanted): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let json = flags.iter().any(|flag| flag == "--json");
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    if runs("load") {
        loading().await;
    }
    if runs("start") {
        starting(json).await;
    }
    if runs("http") {
        http().await;
    }
    if runs("trip") {
        round_trips().await;
    }
    if runs("idle") {
        idle().await;
    }
}

fn node() -> Node {
    Node::with(EngineOptions { memory_bytes: 4 << 30, ..support::options() })
}

async fn loading() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in [CLI2, CLI3, HTTP2, HTTP3] {
        let options = || EngineOptions { cache_dir: folder.path().to_owned(), ..support::options() };
        let (cold, warm) = (Node::with(options()), Node::with(options()));
        let bytes = guest(name);
        let took = |began: Instant| began.elapsed();
        let began = Instant::now();
        load(&cold.engine, bytes.clone()).await.expect(name);
        let compiling = took(began);
        let began = Instant::now();
        load(&warm.engine, bytes).await.expect(name);
        println!("load {name}: compiled in {compiling:?}, from the cache in {:?}", took(began));
    }
}

async fn starting(json: bool) {
    const COUNT: usize = 2_000;
    for name in [CLI2, CLI3] {
        let node = node();
        let component = load(&node.engine, guest(name)).await.expect(name);
        let (mut instantiated, mut started, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..COUNT {
            let began = Instant::now();
            let task = start(&node, "task", &component, &["hello"]).await;
            started.push(began.elapsed());
            instantiated.push(task.task.instantiation().expect("it was started"));
            task.task.wait().await;
            ended.push(began.elapsed());
        }
        if json {
            println!(r#"{{"component":"{name}","instantiate_us":{},"start_us":{}}}"#, micros(&instantiated), micros(&started));
            continue;
        }
        println!(
            "start {name}: instantiation p50 {:?} p99 {:?}; until it runs, as its caller sees it, p50 {:?} p99 {:?}; whole run of hello p50 {:?}",
            at(&mut instantiated, 50),
            at(&mut instantiated, 99),
            at(&mut started, 50),
            at(&mut started, 99),
            at(&mut ended, 50)
        );
    }
}

fn micros(times: &[Duration]) -> String {
    let times: Vec<String> = times.iter().map(|time| format!("{:.1}", time.as_secs_f64() * 1e6)).collect();
    format!("[{}]", times.join(","))
}

async fn start(node: &Node, service: &str, component: &Component, args: &[&str]) -> Running {
    node.start(service, component, NETWORK, args, |_| {}).await.expect("a start")
}

async fn http() {
    for (name, per_connection) in [(HTTP3, 3_000), (HTTP2, 1_000)] {
        let node = node();
        let component = load(&node.engine, guest(name)).await.expect(name);
        let front = start(&node, "front", &component, &[]).await;
        let _back = start(&node, "back", &component, &[]).await;
        for (path, connections) in [("/", 8), ("/", 32), ("/get?url=http://back/", 8)] {
            let count = if path == "/" { per_connection } else { per_connection / 4 };
            let net = node.client(NETWORK);
            let began = Instant::now();
            let clients: Vec<_> = (0..connections).map(|_| tokio::spawn(requests(net.clone(), path, count))).collect();
            let mut latencies = Vec::new();
            for client in clients {
                latencies.extend(client.await.expect("a client"));
            }
            let rate = latencies.len() as f64 / began.elapsed().as_secs_f64();
            println!(
                "http {name} {path} with {connections} connections: {rate:.0} req/s, p50 {:?} p99 {:?}",
                at(&mut latencies, 50),
                at(&mut latencies, 99)
            );
        }
        println!("  {:?}", front.task.usage());
    }
}

async fn requests(net: minicloud_net::TaskNet, path: &'static str, count: usize) -> Vec<Duration> {
    let mut client = HttpClient::connect(&net, "front").await;
    let mut latencies = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        assert_eq!(client.get(path).await.0, 200);
        latencies.push(began.elapsed());
    }
    latencies
}

async fn round_trips() {
    let node = node();
    for name in [CLI2, CLI3] {
        let component = load(&node.engine, guest(name)).await.expect(name);
        let echo = start(&node, name, &component, &["echo-server", "7000"]).await;
        eventually("the server", || echo.log.text().contains("listening")).await;
        println!("trip {name}: alone {}", trips(&node, &echo, 2_000).await);
        let mut spinning = Vec::new();
        for number in 0..4 {
            spinning.push(start(&node, &format!("spin{number}"), &component, &["spin"]).await);
        }
        for task in &spinning {
            eventually("it to spin", || task.log.text().contains("spinning")).await;
        }
        println!("trip {name}: beside 4 spinning tasks {}", trips(&node, &echo, 300).await);
    }
}

async fn trips(node: &Node, echo: &Running, count: usize) -> String {
    let client = node.client(NETWORK);
    let mut connection = client.connect(None, (echo.address, 7000).into()).await.expect("a connection");
    let mut trips = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        connection.write_all(b"x").await.expect("a write");
        connection.read_exact(&mut [0; 1]).await.expect("a read");
        trips.push(began.elapsed());
    }
    format!("p50 {:?} p99 {:?}", at(&mut trips, 50), at(&mut trips, 99))
}

async fn idle() {
    const COUNT: usize = 1_000;
    const SERVICES: usize = 200;
    for (name, args) in [(CLI2, &["sleep", "3600000"][..]), (CLI3, &["sleep", "3600000"]), (HTTP2, &[]), (HTTP3, &[])] {
        let node = node();
        let component = load(&node.engine, guest(name)).await.expect(name);
        let _first = start(&node, "warm", &component, args).await;
        let before = resident_kib();
        let mut tasks = Vec::with_capacity(COUNT);
        for number in 0..COUNT {
            let slot = (number / SERVICES) as u8 + 1;
            let service = format!("task{}", number % SERVICES);
            tasks.push(node.start_slot(&service, slot, &component, NETWORK, args, |_| {}).await.expect("a start"));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after = resident_kib();
        let cpu = cpu_ticks();
        tokio::time::sleep(Duration::from_secs(3)).await;
        println!(
            "idle {name}: {:.1} KiB each of {COUNT} tasks; {:.2} % of a core while idle; {} memory maps",
            (after as f64 - before as f64) / COUNT as f64,
            (cpu_ticks() - cpu) as f64 / 3.0,
            std::fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count()),
        );
    }
}

fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4
}

/// Hundredths of a second.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields[11..=12].iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

fn at(durations: &mut [Duration], percent: usize) -> Duration {
    durations.sort();
    durations[(durations.len() - 1) * percent / 100]
}
