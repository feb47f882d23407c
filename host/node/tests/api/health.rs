//! Health checks against tasks that listen, that never do, and that stop doing so.
use std::time::Duration;

use minicloud_core::spec::HealthProbe;
use minicloud_core::task::{Health, TaskState};
use minicloud_node::api::types::{CreateService, HealthChange, TaskSummary, UpdateService};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::executor::CLOSE;
use crate::world::{LIMIT, World, echo, message};

const POLL: Duration = Duration::from_millis(20);

/// Asked every 100 ms; two bad answers are enough.
fn tcp(port: u16) -> HealthChange {
    HealthChange {
        probe: Some(HealthProbe::Tcp { port }),
        interval_ms: Some(100),
        timeout_ms: Some(200),
        retries: Some(2),
        ..HealthChange::default()
    }
}

async fn until(world: &World, what: &str, fits: impl Fn(&[TaskSummary]) -> bool) -> Vec<TaskSummary> {
    let waiting = async {
        loop {
            let tasks = world.client.service_tasks("web").await.unwrap();
            if fits(&tasks) {
                return tasks;
            }
            sleep(POLL).await;
        }
    };
    timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("never seen: {what}"))
}

async fn say(port: u16, text: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(text).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unhealthy_task_leaves_the_routes_and_is_replaced() {
    let world = World::new().await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let published = serde_json::from_value(serde_json::json!({ "published": port, "target": 80 })).unwrap();
    world.service(CreateService { health: tcp(80), replicas: Some(2), ports: vec![published], ..echo("web", &[]) }).await;
    let tasks = world.client.service_tasks("web").await.unwrap();
    assert!(tasks.iter().all(|task| task.health == Some(Health::Healthy)), "{tasks:#?}");

    assert_eq!(say(port, CLOSE).await, CLOSE);
    let failed = |task: &TaskSummary| task.current_state == TaskState::Failed && task.health == Some(Health::Unhealthy);
    let tasks = until(&world, "a task that failed its check", |tasks| tasks.iter().any(failed)).await;
    let sick = tasks.iter().find(|task| failed(task)).unwrap();
    assert!(sick.error.starts_with("health check failed 2 times: "), "{}", sick.error);
    let healthy = |task: &&TaskSummary| task.current_state == TaskState::Running && task.health == Some(Health::Healthy);
    until(&world, "its replacement", |tasks| tasks.iter().filter(healthy).count() == 2).await;
    for _ in 0..10 {
        assert_eq!(say(port, b"still here").await, b"still here");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_runs_only_once_it_is_healthy() {
    let world = World::new().await;
    let client = &world.client;
    // More patience than one check takes, so that the wait can be seen.
    let health = HealthChange { retries: Some(20), ..tcp(81) };
    client.create_service(&CreateService { health, ..echo("web", &[]) }).await.unwrap();
    let starting = |task: &TaskSummary| task.current_state == TaskState::Starting && !task.error.is_empty();
    let tasks = until(&world, "a task that waits for its health", |tasks| tasks.iter().any(starting)).await;
    let task = tasks.iter().find(|task| starting(task)).unwrap();
    assert_eq!(task.health, Some(Health::Starting));
    assert!(task.error.starts_with("health check: "), "{}", task.error);
    let given_up = |task: &TaskSummary| task.error.starts_with("health check never succeeded: ");
    until(&world, "the end of that wait", |tasks| tasks.iter().any(given_up)).await;
    assert_eq!(client.services().await.unwrap()[0].replicas_running, 0);

    client.update_service("web", &UpdateService { health: tcp(80), ..Default::default() }).await.unwrap();
    assert!(world.converged("web").await.converged);
    let off = HealthChange { off: true, ..HealthChange::default() };
    client.update_service("web", &UpdateService { health: off.clone(), ..Default::default() }).await.unwrap();
    assert!(world.converged("web").await.converged);
    assert_eq!(client.service("web").await.unwrap().spec.task.health, None);
    let tries = HealthChange { retries: Some(3), ..HealthChange::default() };
    let refused = message(client.update_service("web", &UpdateService { health: tries.clone(), ..Default::default() }).await);
    assert!(refused.contains("no health check to change"), "{refused}");
    let both = HealthChange { off: true, ..tries };
    let refused = message(client.update_service("web", &UpdateService { health: both, ..Default::default() }).await);
    assert!(refused.contains("--no-healthcheck"), "{refused}");
    world.end().await;
}
