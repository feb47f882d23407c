//! HTTP services: both versions, each other by name, admission, draining, traps.
use std::time::{Duration, Instant};

use minicloud_core::task::Exit;
use minicloud_engine::{EngineError, Task};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{HTTP2, HTTP3, HttpClient, NETWORK, Node, PATIENCE, eventually, get, guest, load};

#[tokio::test(flavor = "multi_thread")]
async fn a_0_3_service_keeps_one_instance_and_a_0_2_service_gets_one_for_each_request() {
    let node = Node::new();
    let (_kept, _fresh) = (node.run("kept", HTTP3, &[]).await, node.run("fresh", HTTP2, &[]).await);
    let client = node.client(NETWORK);
    for number in 1..=3 {
        let (status, body) = get(&client, "kept", "/?x=1").await;
        assert_eq!((status, text(&body)), (200, format!("GET /?x=1 on kept request {number}\n")));
        let (status, body) = get(&client, "fresh", "/").await;
        assert_eq!((status, text(&body)), (200, "GET / on fresh request 1\n".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_status_and_head_pass_through() {
    let node = Node::new();
    let _services = (node.run("http2", HTTP2, &[]).await, node.run("http3", HTTP3, &[]).await);
    let client = node.client(NETWORK);
    for name in ["http2", "http3"] {
        let body: Vec<u8> = (0..3_000_000_u32).map(|at| at as u8).collect();
        let mut connection = HttpClient::connect(&client, name).await;
        let answer = connection.send("POST", "/body", body.clone()).await;
        let echoed = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
        assert!(echoed == body, "{name}: {} bytes came back", echoed.len());
        assert_eq!(connection.get("/status?code=418").await.0, 418, "{name}");
        let answer = connection.send("HEAD", "/", "").await;
        assert_eq!(answer.status(), 200, "{name}");
        drop(answer);
        assert_eq!(connection.get("/nowhere").await.0, 404, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sees_whom_the_client_asked_for() {
    let node = Node::new();
    let _services = (node.run("http2", HTTP2, &[]).await, node.run("http3", HTTP3, &[]).await);
    let client = node.client(NETWORK);
    for name in ["http2", "http3"] {
        let (_, body) = get(&client, name, "/headers").await;
        assert!(text(&body).starts_with(&format!("authority: {name}\n")), "{}", text(&body));
        let own = client.addresses().values().next().expect("the client is on a network");
        assert!(text(&body).contains(&format!("x-forwarded-for: {own}\n")), "{}", text(&body));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_reach_each_other_by_name_and_nobody_else() {
    let node = Node::new();
    let _services = (node.run("http2", HTTP2, &[]).await, node.run("http3", HTTP3, &[]).await);
    let client = node.client(NETWORK);
    for (from, to) in [("http2", "http3"), ("http3", "http2"), ("http3", "http3"), ("http2", "http2")] {
        let (status, body) = get(&client, from, &format!("/get?url=http://{to}/")).await;
        assert_eq!(status, 200, "{from} -> {to}: {}", text(&body));
        assert!(text(&body).starts_with(&format!("GET / on {to}")), "{}", text(&body));
    }
    for from in ["http2", "http3"] {
        for url in ["http://example.com/", "http://nobody/", "http://192.0.2.1/", "https://http2/"] {
            let (status, body) = get(&client, from, &format!("/get?url={url}")).await;
            assert_eq!(status, 502, "{from} -> {url}: {}", text(&body));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_port_can_be_chosen() {
    let node = Node::new();
    let _service = node.run_with("http3", HTTP3, &[], |spec| spec.http_port = 8080).await;
    assert_eq!(get(&node.client(NETWORK), "http3:8080", "/").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_traps_answers_500_and_is_replaced() {
    let node = Node::new();
    for (name, component) in [("http2", HTTP2), ("http3", HTTP3)] {
        let service = node.run(name, component, &[]).await;
        let client = node.client(NETWORK);
        assert_eq!(get(&client, name, "/trap").await.0, 500, "{name}");
        let (status, body) = get(&client, name, "/").await;
        assert_eq!((status, text(&body)), (200, format!("GET / on {name} request 1\n")));
        eventually("the trap in the log", || service.log.text().contains("unreachable")).await;
        assert_eq!(service.task.exit(), None);
        eventually("no request to be left", || service.task.usage().active == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_queue_get_503() {
    let node = Node::new();
    let service = node.run_with("http3", HTTP3, &[], |spec| spec.concurrency = Some(1)).await;
    let client = node.client(NETWORK);
    let waiting: Vec<_> = (0..=minicloud_engine::limits::REQUESTS_QUEUED_MAX)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { get(&client, "http3", "/slow?ms=3600000").await })
        })
        .collect();
    let full = || service.task.usage().queued as usize == minicloud_engine::limits::REQUESTS_QUEUED_MAX;
    eventually("a full queue", full).await;
    assert_eq!(get(&client, "http3", "/").await.0, 503);
    // A client that leaves makes room.
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("an empty queue", || service.task.usage().queued == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn admission_is_held_until_the_body_was_sent() {
    let node = Node::new();
    for (name, component) in [("http2", HTTP2), ("http3", HTTP3)] {
        let service = node.run_with(name, component, &[], |spec| spec.concurrency = Some(1)).await;
        let client = node.client(NETWORK);
        let mut slow = HttpClient::connect(&client, name).await;
        let unread = slow.send("POST", "/body", vec![1; 3_000_000]).await;
        let next = {
            let client = client.clone();
            tokio::spawn(async move { get(&client, name, "/").await.0 })
        };
        eventually("the next request to wait", || service.task.usage().queued == 1).await;
        assert_eq!(service.task.usage().active, 1);
        http_body_util::BodyExt::collect(unread.into_body()).await.unwrap();
        assert_eq!(next.await.unwrap(), 200, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_gives_its_admission_back() {
    let node = Node::new();
    for (name, component) in [("http2", HTTP2), ("http3", HTTP3)] {
        let service = node.run_with(name, component, &[], |spec| spec.concurrency = Some(1)).await;
        let client = node.client(NETWORK);
        let mut leaving = HttpClient::connect(&client, name).await;
        drop(leaving.send("POST", "/body", vec![1; 3_000_000]).await);
        drop(leaving);
        assert_eq!(get(&client, name, "/").await.0, 200, "{name}");
        eventually("no request to be left", || service.task.usage().active == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_what_was_asked_and_takes_nothing_new() {
    let node = Node::new();
    for (name, component) in [("http2", HTTP2), ("http3", HTTP3)] {
        let service = node.run(name, component, &[]).await;
        let client = node.client(NETWORK);
        let asked = {
            let client = client.clone();
            tokio::spawn(async move { get(&client, name, "/slow?ms=500").await.0 })
        };
        let mut idle = HttpClient::connect(&client, name).await;
        idle.get("/").await;
        eventually("the request to be in the guest", || service.task.usage().active == 1).await;
        let began = Instant::now();
        assert_eq!(service.task.stop(Duration::from_secs(10)).await, Exit::Stopped);
        assert!(began.elapsed() < Duration::from_secs(5), "an idle connection held up the stop: {:?}", began.elapsed());
        assert_eq!(asked.await.unwrap(), 200, "{name}");
        assert!(client.connect(None, (service.address, 80).into()).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_after_the_grace_period() {
    let node = Node::new();
    let service = node.run("http3", HTTP3, &[]).await;
    let client = node.client(NETWORK);
    let asked = tokio::spawn(async move {
        let mut connection = HttpClient::connect(&client, "http3").await;
        connection.send("GET", "/slow?ms=3600000", "").await
    });
    eventually("the request to be in the guest", || service.task.usage().active == 1).await;
    let began = Instant::now();
    assert_eq!(service.task.stop(Duration::from_millis(600)).await, Exit::Stopped);
    assert!((600..10_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert!(asked.await.is_err(), "a request was answered after the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_fails_the_start() {
    let node = Node::new();
    let component = load(&node.engine, guest(HTTP3)).await.unwrap();
    let first = node.start("http3", &component, NETWORK, &[], |_| {}).await.unwrap();
    let spec = minicloud_engine::RunSpec::new(first.net.task(), "http3");
    let second: Result<Task, EngineError> = node.engine.start(spec, &component, first.net.clone()).await;
    assert!(matches!(second, Err(EngineError::Listen { port: 80, .. })), "{second:?}");
}

/// Whatever a peer sends, it is told off or cut off, and the next one is served.
#[test]
fn garbage_ends_its_own_connection_only() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _in_it = runtime.enter();
    let node = Node::new();
    let services: Vec<_> = [HTTP2, HTTP3].map(|name| runtime.block_on(node.run(name, name, &[]))).into();
    let client = node.client(NETWORK);
    let nearly_http = "[A-Z]{1,9} [ -~]{0,40} HTTP/[0-9.]{1,4}\r\n([ -~]{0,30}\r\n){0,5}\r\n[ -~]{0,40}".prop_map(String::into_bytes);
    let sent = prop_oneof![proptest::collection::vec(any::<u8>(), 0..400), nearly_http];
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(64) });
    let outcome = runner.run(&sent, |bytes| {
        for service in &services {
            runtime.block_on(async {
                let mut connection = client.connect(None, (service.address, 80).into()).await.unwrap();
                // It may be cut off while it still sends.
                let _ = connection.write_all(&bytes).await;
                let _ = connection.shutdown().await;
                let mut answer = Vec::new();
                let _ = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut answer)).await.expect("the connection ends");
            });
        }
        for name in [HTTP2, HTTP3] {
            prop_assert_eq!(runtime.block_on(get(&client, name, "/")).0, 200);
        }
        Ok(())
    });
    outcome.unwrap();
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
