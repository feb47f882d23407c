//! What only several nodes show: the overlay, ingress everywhere, and what nodes are asked over the wire.
use std::collections::BTreeSet;

use minicloud_core::spec::PublishedPort;
use minicloud_core::state::{NodeStatus, Role};
use minicloud_node::api::types::{CreateService, ErrorKind, LogQuery, ManagerStatus};
use minicloud_node::client::Client;
use minicloud_node::limits::PROMOTION_WAIT;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::world::{LIMIT, World, component, echo, message};

/// A manager and a worker.
async fn pair() -> (World, World) {
    let manager = World::new().await;
    let worker = manager.join(Role::Worker, "beta", OFFSET).await;
    (manager, worker)
}

/// Added to the worker's published ports, because both nodes are on one address.
const OFFSET: u16 = 1;

async fn round_trip(mut stream: impl AsyncRead + AsyncWrite + Unpin, sent: &[u8]) {
    let exchange = async {
        stream.write_all(sent).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let answer = timeout(LIMIT, exchange).await.expect("an answer in time");
    assert!(answer == sent, "{} bytes came back", answer.len());
}

/// The nodes of a service's running tasks.
async fn nodes_of(client: &Client, service: &str) -> BTreeSet<String> {
    client.service_tasks(service).await.unwrap().into_iter().filter_map(|task| task.node).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_on_both_nodes_are_reached_from_both() {
    let (manager, worker) = pair().await;
    manager.network("blue", true).await;
    manager.service(CreateService { replicas: Some(4), ..echo("web", &["blue"]) }).await;
    assert_eq!(nodes_of(&manager.client, "web").await, BTreeSet::from(["alpha".to_owned(), "beta".to_owned()]));
    let large: Vec<u8> = (0..2_000_000u32).map(|n| (n % 251) as u8).collect();
    for node in [&manager, &worker] {
        // Four connections in rotation reach four tasks, two of them over the wire.
        for _ in 0..4 {
            round_trip(node.client.connect_on_network("blue", "web", 80).await.unwrap(), &large).await;
        }
        for task in manager.client.service_tasks("web").await.unwrap() {
            let address = task.addresses[0].to_string();
            round_trip(node.client.connect_on_network("blue", &address, 80).await.unwrap(), b"to this task").await;
        }
    }

    let usage = manager.client.service_usage("web").await.unwrap();
    assert_eq!(usage.tasks.iter().filter(|task| task.usage.is_some()).count(), 4, "{usage:#?}");
    assert!(usage.total.received_bytes >= 16_000_000, "{usage:#?}");

    let mut lines = manager.client.service_logs("web", &LogQuery::default()).await.unwrap();
    let mut said = BTreeSet::new();
    let mut last_ms = 0;
    while let Some(line) = timeout(LIMIT, lines.next()).await.expect("logs in time") {
        let line = line.unwrap();
        assert!(line.at_ms >= last_ms, "in order of time");
        last_ms = line.at_ms;
        said.insert((line.node, line.task));
    }
    assert_eq!(said.len(), 4, "{said:?}");
    worker.end().await;
    manager.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_port_is_open_on_every_node_and_the_client_is_seen() {
    let (manager, worker) = pair().await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let ports: Vec<PublishedPort> = serde_json::from_value(serde_json::json!([{ "published": port, "target": 80 }])).unwrap();
    manager.service(CreateService { ports, ..echo("web", &[]) }).await;
    for port in [port, port + OFFSET] {
        let connecting = async {
            loop {
                match TcpStream::connect(("127.0.0.1", port)).await {
                    Ok(stream) => return stream,
                    // The worker's view may be a moment behind.
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        round_trip(timeout(LIMIT, connecting).await.expect("the port opens"), b"from outside").await;
    }
    let mut lines = manager.client.service_logs("web", &LogQuery { tail: Some(2), ..Default::default() }).await.unwrap();
    for _ in 0..2 {
        assert_eq!(timeout(LIMIT, lines.next()).await.unwrap().unwrap().unwrap().text, "127.0.0.1 came");
    }
    worker.end().await;
    manager.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_from_a_file_travels_to_the_node_that_runs_it() {
    let (manager, worker) = pair().await;
    let image = manager.client.import_image(component("travels")).await.unwrap();
    let constraints = vec!["node.hostname==beta".to_owned()];
    manager.service(CreateService { image: image.digest.to_string(), constraints, ..echo("far", &[]) }).await;
    assert_eq!(nodes_of(&manager.client, "far").await, BTreeSet::from(["beta".to_owned()]));
    assert!(worker.client.images().await.unwrap().iter().any(|held| held.digest == image.digest));
    worker.end().await;
    manager.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_says_where_a_manager_is_and_may_leave() {
    let (manager, worker) = pair().await;
    let address = manager.client.info().await.unwrap().address.to_string();
    let refused = worker.client.nodes().await.unwrap_err();
    assert_eq!(refused.kind(), Some(ErrorKind::Unavailable));
    assert!(refused.to_string().contains(&address) && refused.to_string().contains("alpha"), "{refused}");
    let info = worker.client.info().await.unwrap();
    assert_eq!((info.role, info.nodes, info.managers.len(), info.services), (Role::Worker, 2, 1, None));

    assert!(message(manager.client.remove_node("beta", false).await).contains("is ready"));
    worker.client.leave(false).await.unwrap();
    timeout(LIMIT, worker.running).await.expect("it ends").unwrap();
    let gone = async {
        while manager.client.node("beta").await.unwrap().summary.status != NodeStatus::Down {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, gone).await.expect("its absence is noticed");
    manager.client.remove_node("beta", false).await.unwrap();
    assert_eq!(manager.client.nodes().await.unwrap().len(), 1);
    manager.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_are_promoted_demoted_and_seen() {
    let alpha = World::new().await;
    let beta = alpha.join(Role::Manager, "beta", 1).await;
    let gamma = alpha.join(Role::Manager, "gamma", 2).await;
    let nodes = gamma.client.nodes().await.unwrap();
    assert_eq!(nodes.iter().filter(|node| node.manager_status.is_some()).count(), 3, "{nodes:#?}");
    // Any manager takes changes, and shows them at once.
    beta.network("blue", false).await;
    assert!(gamma.client.network("blue").await.is_ok());
    alpha.client.demote_node("gamma").await.unwrap();
    let node = alpha.client.node("gamma").await.unwrap();
    assert_eq!((node.summary.role, node.summary.manager_status), (Role::Worker, None));
    gamma.end().await;
    beta.end().await;
    alpha.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_worker_becomes_a_manager_and_a_worker_again_under_its_tasks() {
    let alpha = World::new().await;
    let beta = alpha.join(Role::Worker, "beta", 1).await;
    alpha.network("blue", true).await;
    let constraints = vec!["node.hostname==beta".to_owned()];
    alpha.service(CreateService { constraints, ..echo("web", &["blue"]) }).await;
    let task = alpha.client.service_tasks("web").await.unwrap()[0].id;
    let standing = alpha.client.connect_on_network("blue", "web", 80).await.unwrap();

    for _ in 0..2 {
        assert!(beta.client.nodes().await.is_err(), "a worker holds no state");
        let changed = alpha.client.promote_node("beta").await.unwrap();
        assert_eq!(changed.warnings, Vec::<String>::new());
        let nodes = alpha.client.nodes().await.unwrap();
        assert_eq!(
            nodes.iter().map(|node| node.manager_status).collect::<Vec<_>>(),
            [Some(ManagerStatus::Leader), Some(ManagerStatus::Reachable)]
        );
        // It serves, and what it decides counts.
        assert_eq!(beta.client.info().await.unwrap().role, Role::Manager);
        beta.network("green", false).await;
        assert!(alpha.client.network("green").await.is_ok());

        // Told so by itself, and then by nobody: a worker cannot be asked.
        beta.client.demote_node("beta").await.unwrap();
        let node = alpha.client.node("beta").await.unwrap();
        assert_eq!((node.summary.role, node.summary.manager_status), (Role::Worker, None));
        timeout(LIMIT, async {
            while beta.client.info().await.unwrap().role == Role::Manager || beta.directory.path().join("raft").exists() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("it lays its part down");
        alpha.client.remove_network("green").await.unwrap();
    }

    let tasks = alpha.client.service_tasks("web").await.unwrap();
    assert_eq!(tasks.iter().map(|task| task.id).collect::<Vec<_>>(), [task], "its task ran through all of it");
    // So did a connection to it that was open all the time.
    round_trip(standing, b"still there").await;
    beta.end().await;
    alpha.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_demoted_hands_over_first_and_serves_on_as_a_worker() {
    let alpha = World::new().await;
    let beta = alpha.join(Role::Worker, "beta", 1).await;
    assert!(message(alpha.client.demote_node("alpha").await).contains("last manager"));
    // As in a script: it has only just joined, and nobody waited until it is ready.
    assert_eq!(alpha.client.promote_node("beta").await.unwrap().warnings, Vec::<String>::new());
    alpha.client.demote_node("alpha").await.unwrap();
    let nodes = timeout(LIMIT, async {
        loop {
            let nodes = beta.client.nodes().await.unwrap();
            if nodes[1].manager_status == Some(ManagerStatus::Leader) && nodes.iter().all(|node| node.status == NodeStatus::Ready) {
                return nodes;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the other one leads, and both are ready");
    assert_eq!((nodes[0].role, nodes[0].manager_status), (Role::Worker, None));
    beta.service(CreateService { constraints: vec!["node.hostname==alpha".to_owned()], ..echo("web", &[]) }).await;
    assert!(message(beta.client.demote_node("beta").await).contains("last manager"));
    alpha.end().await;
    beta.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_promotion_of_a_node_that_is_down_does_not_wait_for_it() {
    let (alpha, beta) = pair().await;
    beta.end().await;
    let down = async {
        while alpha.client.node("beta").await.unwrap().summary.status != NodeStatus::Down {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, down).await.expect("its absence is noticed");
    let promoted = timeout(PROMOTION_WAIT / 4, alpha.client.promote_node("beta")).await.expect("it does not wait").unwrap();
    assert!(promoted.warnings[0].contains("does not take part yet"), "{promoted:?}");
    alpha.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_and_tasks_tell_what_they_use_and_one_that_is_gone_is_shown_without() {
    let (alpha, beta) = pair().await;
    alpha.network("blue", true).await;
    alpha.service(CreateService { replicas: Some(4), ..echo("web", &["blue"]) }).await;
    alpha.service(CreateService { constraints: vec!["node.hostname==beta".to_owned()], ..echo("far", &["blue"]) }).await;
    round_trip(alpha.client.connect_on_network("blue", "far", 80).await.unwrap(), &[7; 100_000]).await;

    let stats = alpha.client.stats(&[]).await.unwrap();
    let nodes: Vec<_> = stats.nodes.iter().map(|node| (node.hostname.as_str(), node.tasks_running, node.usage.is_some())).collect();
    assert_eq!(nodes, [("alpha", 2, true), ("beta", 3, true)]);
    assert_eq!(stats.leader, Some(stats.nodes[0].id));
    assert_eq!(stats.tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>(), ["far.1", "web.1", "web.2", "web.3", "web.4"]);
    let far = &stats.tasks[0];
    let usage = far.usage.unwrap();
    assert_eq!((far.node.as_str(), usage.received_bytes, usage.sent_bytes), ("beta", 100_000, 100_000));
    assert_eq!((far.memory_limit_bytes, usage.memory_bytes), (256 << 20, 1_000));
    let node = stats.nodes[0].usage.unwrap();
    assert!(node.cpu_us > 0 && node.uptime_us > 0 && node.memory_bytes > Some(1 << 20), "{node:?}");

    // Of some only: no other node is asked.
    let some = alpha.client.stats(&["far".to_owned(), "far.1".to_owned()]).await.unwrap();
    assert_eq!((some.tasks.len(), some.nodes.len(), some.nodes[0].hostname.as_str()), (1, 1, "beta"));
    assert!(message(alpha.client.stats(&["redis".to_owned()]).await).contains("no service 'redis'"));

    beta.end().await;
    let gone = async {
        loop {
            let stats = alpha.client.stats(&[]).await.unwrap();
            if stats.nodes.len() == 2 && stats.nodes[1].usage.is_none() {
                return stats;
            }
            tokio::task::yield_now().await;
        }
    };
    let stats = timeout(LIMIT, gone).await.expect("an answer without it");
    assert!(stats.nodes[0].usage.is_some());
    alpha.end().await;
}
