//! Calls that go on: logs, watches, raw streams into a network.
use minicloud_core::task::LogStream;
use minicloud_node::api::types::{LogLine, LogQuery, ScaleServices};
use minicloud_node::client::Lines;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::world::{LIMIT, World, echo, message};

async fn next(lines: &mut Lines<LogLine>) -> LogLine {
    timeout(LIMIT, lines.next()).await.expect("a line in time").expect("the stream goes on").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_all_tasks_come_and_a_follower_gets_new_tasks_too() {
    let world = World::new().await;
    world.service(echo("web", &[])).await;
    let mut lines = world.client.service_logs("web", &LogQuery::default()).await.unwrap();
    let line = next(&mut lines).await;
    assert_eq!((line.task.as_str(), line.node.as_str(), line.text.as_str()), ("web.1", "alpha", "slot 1 is up"));
    assert_eq!(line.stream, LogStream::Stdout);
    assert!(lines.next().await.is_none());

    let mut following = world.client.service_logs("web", &LogQuery { follow: true, ..Default::default() }).await.unwrap();
    next(&mut following).await;
    world.client.scale_services(&ScaleServices { services: [("web".to_owned(), 3)].into() }).await.unwrap();
    let mut new = [next(&mut following).await.text, next(&mut following).await.text];
    new.sort();
    assert_eq!(new, ["slot 2 is up", "slot 3 is up"]);

    let mut one = world.client.service_logs("web.2", &LogQuery { tail: Some(1), ..Default::default() }).await.unwrap();
    assert_eq!(next(&mut one).await.task, "web.2");
    let none = world.client.service_logs("web", &LogQuery { tail: Some(0), ..Default::default() }).await.unwrap().next().await;
    assert!(none.is_none());
    assert!(message(world.client.service_logs("redis", &LogQuery::default()).await.map(drop)).contains("no service 'redis'"));
    // A follower does not hold the node's end up.
    world.end().await;
    assert!(timeout(LIMIT, following.next()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_into_a_network_reaches_services_by_name() {
    let world = World::new().await;
    world.network("blue", true).await;
    world.network("closed", false).await;
    world.service(echo("web", &["blue", "closed"])).await;
    let mut stream = world.client.connect_on_network("blue", "web", 80).await.unwrap();
    stream.write_all(b"hello inside").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    timeout(LIMIT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, "hello inside");

    for (network, host, port, expected) in [
        ("closed", "web", 80, "is not attachable"),
        ("red", "web", 80, "no network 'red'"),
        ("blue", "redis", 80, "no service 'redis'"),
        ("blue", "web", 81, "refused"),
        ("blue", "127.0.0.1", 80, "cannot connect to 127.0.0.1:80"),
        ("ingress", "web", 80, "built in"),
    ] {
        let refused = message(world.client.connect_on_network(network, host, port).await.map(drop));
        assert!(refused.contains(expected), "{network} {host}:{port}: {refused}");
    }
    world.end().await;
}
