//! The reference application's components, and that rng is the bottleneck it has to be.
use std::time::{Duration, Instant};

use minicloud_engine::{ComponentKind, WasiVersion};

use crate::support::{HttpClient, NETWORK, Node, eventually, get, guest, load, patiently};

#[tokio::test(flavor = "multi_thread")]
async fn rng_answers_under_its_name() {
    let node = Node::new();
    let rng = node.run("rng", "rng", &[]).await;
    let client = node.client(NETWORK);
    let (status, body) = get(&client, "rng", "/").await;
    assert_eq!((status, &body[..]), (200, &b"RNG running on rng\n"[..]));
    let (status, body) = get(&client, "rng", "/32").await;
    assert_eq!((status, body.len()), (200, 32));
    eventually("two lines in the access log", || rng.log.lines().len() >= 2).await;
    assert_eq!(rng.task.usage().requests, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_concurrency_of_one_rng_serves_strictly_one_at_a_time() {
    let node = Node::new();
    let rng = node.run_with("rng", "rng", &[], |spec| spec.concurrency = Some(1)).await;
    let client = node.client(NETWORK);
    // A connection that is kept alive holds nothing.
    let mut idle = HttpClient::connect(&client, "rng").await;
    idle.get("/").await;
    let began = Instant::now();
    let requests = (0..5).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { get(&client, "rng", "/32").await.0 })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert!(began.elapsed() >= Duration::from_millis(500), "five requests of 0.1 s took {:?}", began.elapsed());
    eventually("all to be done", || rng.task.usage().active == 0).await;
    let usage = rng.task.usage();
    assert_eq!((usage.requests, usage.concurrency, usage.active, usage.queued), (6, 1, 0, 0));
    assert!(usage.saturated_us >= 490_000, "{usage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hasher_serves_many_at_once() {
    let node = Node::new();
    let hasher = node.run("hasher", "hasher", &[]).await;
    let client = node.client(NETWORK);
    let began = Instant::now();
    let requests = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { HttpClient::connect(&client, "hasher").await.send("POST", "/", "abc").await.status() })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap(), 200);
    }
    // One after the other they would take two seconds.
    assert!(began.elapsed() < Duration::from_millis(1_900), "twenty requests of 0.1 s at once took {:?}", began.elapsed());
    assert_eq!(hasher.task.usage().requests, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_application_mines() {
    let node = Node::new();
    let _rng = node.run_with("rng", "rng", &[], |spec| spec.concurrency = Some(1)).await;
    let _hasher = node.run("hasher", "hasher", &[]).await;
    let _redis = node.run("redis", "redis", &[]).await;
    let webui = node.run("webui", "webui", &[]).await;
    let worker = node.run("worker", "worker", &[]).await;
    let client = node.client(NETWORK);
    let mined = async {
        loop {
            let (status, body) = get(&client, "webui", "/json").await;
            let body = String::from_utf8_lossy(&body).into_owned();
            assert_eq!(status, 200, "{body}\n{}\n{}", webui.log.text(), worker.log.text());
            if body.contains("\"hashes\": \"") && !body.contains("\"hashes\": \"0\"") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    patiently("hashes", mined).await;
    assert!(worker.log.text().contains("units of work done"), "{}", worker.log.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kind_of_each_component_is_known() {
    let node = Node::new();
    let kinds = [
        ("rng", ComponentKind::Http(WasiVersion::P3)),
        ("worker", ComponentKind::Command(WasiVersion::P3)),
        ("redis", ComponentKind::Command(WasiVersion::P3)),
    ];
    for (name, kind) in kinds {
        assert_eq!(load(&node.engine, guest(name)).await.unwrap().kind(), kind, "{name}");
    }
}
