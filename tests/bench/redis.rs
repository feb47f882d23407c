//! The redis guest beside the real server: the same `redis-benchmark`, command by command, in turn.
//!
//! Ours is asked at a published port of a node that does not run the task, so each request crosses the routing mesh
//! and the overlay. Both keep their keys in the same way, in memory or in an append-only file.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cluster::{Cluster, wait_for};
use crate::figure::{Figure, Unit};
use crate::peer::{Peer, program};

const PORT: u16 = 6379;
const RUNS: usize = 3;
const AIM: f64 = 0.25;

/// What `-t` takes, the name that it has in the output, and those of its figures.
const TESTS: &[Test] = &[
    Test { name: "ping", shown: "PING_MBULK", figure: "redis-ping", text: "redis-benchmark -t ping across the mesh, beside redis-server" },
    Test { name: "set", shown: "SET", figure: "redis-set", text: "the same with -t set" },
    Test { name: "get", shown: "GET", figure: "redis-get", text: "the same with -t get" },
    Test { name: "incr", shown: "INCR", figure: "redis-incr", text: "the same with -t incr" },
    Test { name: "lpush", shown: "LPUSH", figure: "redis-lpush", text: "the same with -t lpush" },
    Test { name: "hset", shown: "HSET", figure: "redis-hset", text: "the same with -t hset" },
];

struct Test {
    name: &'static str,
    shown: &'static str,
    figure: &'static str,
    text: &'static str,
}

/// Requests per second of one command, and those of the real server in the same runs.
#[derive(Default)]
struct Rates {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

/// How the benchmark is run.
#[derive(Clone, Copy)]
struct Load {
    requests: u32,
    pipeline: u32,
}

pub fn run() -> anyhow::Result<Vec<Figure>> {
    let benchmark = program("redis-benchmark", "redis-tools")?;
    let server = program("redis-server", "redis-server")?;
    let cluster = Cluster::of(3)?;
    cluster.nodes[0].ok(&["service", "create", "--quiet", "--name", "redis", "--publish", "6379:6379", "redis"])?;
    let other = (cluster.node_of("redis")? + 1) % cluster.nodes.len();
    let ours = SocketAddr::new(cluster.nodes[other].ip, PORT);
    let append_only = wait_for("redis answers", || keeps_file(ours))?;
    let theirs = Peer::start(&server, |folder, address| Ok(redis_server(folder, address, append_only)))?;

    let single = measure(&benchmark, ours, theirs.address, Load { requests: 20_000, pipeline: 1 })?;
    let piped = measure(&benchmark, ours, theirs.address, Load { requests: 100_000, pipeline: 16 })?;
    let mut figures: Vec<Figure> = TESTS
        .iter()
        .zip(&single)
        .map(|(test, rates)| Figure::at_least(test.figure, test.text, AIM, Unit::OfTheirs, rates.ratios()))
        .collect();
    let all = |rates: &[Rates], of: fn(&Rates) -> Vec<f64>| rates.iter().flat_map(of).collect();
    figures.extend([
        Figure::told("redis-rate", "the same: requests, median of all commands", Unit::PerSecond, all(&single, |rates| rates.ours.clone())),
        Figure::told(
            "redis-server-rate",
            "redis-server: requests, median of all commands",
            Unit::PerSecond,
            all(&single, |rates| rates.theirs.clone()),
        ),
        Figure::told("redis-pipelined", "the same with -P 16, median of all commands", Unit::OfTheirs, all(&piped, Rates::ratios)),
        Figure::told(
            "redis-pipelined-rate",
            "the same with -P 16: requests, median of all commands",
            Unit::PerSecond,
            all(&piped, |rates| rates.ours.clone()),
        ),
    ]);
    Ok(figures)
}

/// All tests, one after the other, each against both servers before the next one begins.
fn measure(benchmark: &Path, ours: SocketAddr, theirs: SocketAddr, load: Load) -> anyhow::Result<Vec<Rates>> {
    let mut all: Vec<Rates> = TESTS.iter().map(|_| Rates::default()).collect();
    for _ in 0..RUNS {
        for (test, rates) in TESTS.iter().zip(&mut all) {
            rates.ours.push(requests_per_second(benchmark, ours, test, load)?);
            rates.theirs.push(requests_per_second(benchmark, theirs, test, load)?);
        }
    }
    Ok(all)
}

impl Rates {
    fn ratios(&self) -> Vec<f64> {
        self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours / theirs).collect()
    }
}

fn requests_per_second(benchmark: &Path, server: SocketAddr, test: &Test, load: Load) -> anyhow::Result<f64> {
    let (host, port) = (server.ip().to_string(), server.port().to_string());
    let (requests, pipeline) = (load.requests.to_string(), load.pipeline.to_string());
    let arguments = ["-h", &host, "-p", &port, "-t", test.name, "-n", &requests, "-P", &pipeline, "--csv"];
    let output = Command::new(benchmark).args(arguments).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("redis-benchmark: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    rate(&text, test.shown).with_context(|| format!("redis-benchmark told no {}: {text}", test.shown))
}

/// The second column of a line like `"SET","104712.04","0.251"`.
fn rate(csv: &str, test: &str) -> Option<f64> {
    let mut lines = csv.lines().map(|line| line.split(',').map(|word| word.trim_matches('"')));
    lines.find_map(|mut words| words.next().filter(|name| *name == test).and_then(|_| words.next()?.parse().ok()))
}

/// Whether the server has an append-only file; `None` while there is none that answers.
fn keeps_file(server: SocketAddr) -> Option<bool> {
    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"CONFIG GET appendonly\r\nQUIT\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.contains("appendonly").then(|| answer.contains("yes"))
}

fn redis_server(folder: &Path, address: SocketAddr, append_only: bool) -> Vec<String> {
    let (host, port, folder) = (address.ip().to_string(), address.port().to_string(), PathBuf::from(folder).display().to_string());
    let append_only = if append_only { "yes" } else { "no" };
    ["--bind", &host, "--port", &port, "--dir", &folder, "--save", "", "--appendonly", append_only].map(str::to_owned).into()
}
