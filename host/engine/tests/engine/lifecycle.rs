//! `minicloud:task`: what a task knows of itself, and how it hears of its end.
use std::time::{Duration, Instant};

use minicloud_core::task::Exit;

use crate::support::{LIFECYCLE, NETWORK, Node, eventually, guest, load};

/// Far longer than any drain below.
const GRACE: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_task_knows_who_it_is() {
    let node = Node::new();
    let task = node
        .run_with("web", LIFECYCLE, &["info"], |spec| {
            (spec.slot, spec.node, spec.hostname) = ("3".to_owned(), "n7".to_owned(), "web-3".to_owned());
        })
        .await;
    assert_eq!(task.wait().await, Exit::Completed);
    assert_eq!(task.log.lines(), ["web 3 n7 web-3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_listens_drains_before_it_ends() {
    let node = Node::new();
    let task = node.run("task", LIFECYCLE, &["drain", "100"]).await;
    eventually("it to listen", || task.log.text().contains("stopping: false")).await;
    assert_eq!(task.task.stop(GRACE).await, Exit::Stopped);
    assert_eq!(task.log.lines(), ["stopping: false", "stopping: true", "drained"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_has_an_end() {
    let node = Node::new();
    let task = node.run("task", LIFECYCLE, &["drain", "3600000"]).await;
    eventually("it to listen", || task.log.text().contains("stopping: false")).await;
    assert_eq!(task.task.stop(Duration::from_secs(2)).await, Exit::Stopped);
    assert_eq!(task.log.lines(), ["stopping: false", "stopping: true"], "it heard of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_never_asked_ends_at_once() {
    let node = Node::new();
    let task = node.run("task", LIFECYCLE, &["deaf"]).await;
    let asked = Instant::now();
    assert_eq!(task.task.stop(GRACE).await, Exit::Stopped);
    assert!(asked.elapsed() < GRACE, "nothing was waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_up_once_it_says_so() {
    let node = Node::new();
    let task = node.run("task", LIFECYCLE, &["late", "50"]).await;
    assert!(task.log.lines().starts_with(&["starting".to_owned()]), "{}", task.log.text());
    eventually("it to go on", || task.log.lines() == ["starting", "ready"]).await;
    // One that ends before it says so has started and ended.
    let component = load(&node.engine, guest(LIFECYCLE)).await.unwrap();
    let task = node.start("other", &component, NETWORK, &["no such thing"], |_| {}).await.unwrap();
    assert_eq!(task.wait().await, Exit::Failed { code: 1 });
}
