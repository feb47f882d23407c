//! How fast two tasks of one node talk: `cargo run --release -p minicloud-net --example throughput`.
//!
//! Both ends are as guests use them: bytes are copied in by the writer and out by the reader.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]
#![expect(clippy::unwrap_used, reason = "a program of its own, where a failure may end everything")]
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use minicloud_core::id::{NetworkId, NodeId, TaskId};
use minicloud_core::view::{NetworkRoute, Routes};
use minicloud_net::{Connection, NoUplink, Switch, TaskNet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const NETWORK: NetworkId = NetworkId(7);
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 80);
const TOTAL_BYTES: usize = 8 << 30;
const ROUND_TRIPS: usize = 200_000;
const CONNECTIONS: usize = 200_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (client, server) = tasks();
    for size in [64, 1 << 10, 16 << 10, 64 << 10] {
        let total = TOTAL_BYTES.min(size * 2_000_000);
        let took = stream(&client, &server, size, total).await;
        println!("{size:>6} B writes   {:>8.2} GiB/s", total as f64 / took.as_secs_f64() / f64::from(1 << 30));
    }
    println!("round trip        {:>8.2} µs", round_trip(&client, &server).await);
    println!("connect + accept  {:>8.2} µs", connect(&client, &server).await);
    println!("idle connection   {:>8} B resident", idle_bytes(&client, &server).await);
}

fn tasks() -> (TaskNet, TaskNet) {
    let route = NetworkRoute {
        id: NETWORK,
        name: "bench".into(),
        subnet: "10.0.0.0/24".parse().unwrap(),
        internal: false,
        attachable: false,
        ingress: false,
        egress: false,
    };
    let switch = Switch::new(NodeId(1), Arc::new(NoUplink));
    switch.set_routes(Routes { networks: [(NETWORK, Arc::new(route))].into_iter().collect(), ..Routes::default() });
    let attach = |host: u8| {
        let addresses = BTreeMap::from([(NETWORK, Ipv4Addr::new(10, 0, 0, host))]);
        switch.attach(TaskId(u64::from(host)), None, addresses)
    };
    (attach(1), attach(2))
}

async fn pair(client: &TaskNet, server: &TaskNet) -> (Connection, Connection) {
    let listener = server.listen(SERVER, 8).unwrap();
    (client.connect(None, SERVER).await.unwrap(), listener.accept().await.unwrap())
}

async fn stream(client: &TaskNet, server: &TaskNet, size: usize, total: usize) -> Duration {
    let (mut near, mut far) = pair(client, server).await;
    let started = Instant::now();
    let writing = tokio::spawn(async move {
        let bytes = vec![1; size];
        for _ in 0..total / size {
            near.write_all(&bytes).await.unwrap();
        }
    });
    let reading = tokio::spawn(async move {
        let mut buffer = vec![0; 16 << 10];
        while far.read(&mut buffer).await.unwrap() > 0 {}
    });
    writing.await.unwrap();
    reading.await.unwrap();
    started.elapsed()
}

async fn round_trip(client: &TaskNet, server: &TaskNet) -> f64 {
    let (mut near, mut far) = pair(client, server).await;
    tokio::spawn(async move {
        let mut byte = [0];
        while far.read_exact(&mut byte).await.is_ok() {
            far.write_all(&byte).await.unwrap();
        }
    });
    let asking = tokio::spawn(async move {
        let started = Instant::now();
        for _ in 0..ROUND_TRIPS {
            near.write_all(&[1]).await.unwrap();
            near.read_u8().await.unwrap();
        }
        started.elapsed()
    });
    asking.await.unwrap().as_secs_f64() * 1e6 / ROUND_TRIPS as f64
}

async fn connect(client: &TaskNet, server: &TaskNet) -> f64 {
    let listener = server.listen(SERVER, 8).unwrap();
    let started = Instant::now();
    for _ in 0..CONNECTIONS {
        let near = client.connect(None, SERVER).await.unwrap();
        drop((near, listener.accept().await.unwrap()));
    }
    started.elapsed().as_secs_f64() * 1e6 / CONNECTIONS as f64
}

async fn idle_bytes(client: &TaskNet, server: &TaskNet) -> usize {
    const COUNT: usize = 10_000;
    let listener = server.listen(SERVER, 8).unwrap();
    let mut held = Vec::with_capacity(COUNT);
    let before = resident_bytes();
    for _ in 0..COUNT {
        held.push((client.connect(None, SERVER).await.unwrap(), listener.accept().await.unwrap()));
    }
    (resident_bytes() - before) / COUNT
}

/// From `/proc/self/statm`, in pages of 4 KiB; 0 where there is none.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4096
}
