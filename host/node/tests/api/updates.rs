//! What a change of a service ends in: converged, rolled back, paused.
use minicloud_core::state::UpdateState;
use minicloud_core::task::TaskState;
use minicloud_node::api::types::{CreateService, Progress, RollbackService, ScaleServices, UpdateConfigChange, UpdateService};
use minicloud_node::client::Client;

use crate::executor::FAILS;
use crate::world::{World, echo, message};

fn args(words: &[&str]) -> UpdateService {
    UpdateService { args: Some(words.iter().map(|word| (*word).to_owned()).collect()), ..Default::default() }
}

/// Its monitor is far longer than a task takes to fail, on a busy machine too.
fn on_failure(action: &str) -> UpdateConfigChange {
    serde_json::from_value(serde_json::json!({ "failure_action": action, "monitor_ms": 2000 })).unwrap()
}

/// The lines of a watch, from now to its end.
async fn told(client: &Client, service: &str) -> Vec<Progress> {
    let mut lines = client.watch_service(service).await.unwrap();
    let mut told = Vec::new();
    while let Some(progress) = lines.next().await {
        told.push(progress.unwrap());
    }
    told
}

async fn running(client: &Client, service: &str) -> Vec<String> {
    let tasks = client.service_tasks(service).await.unwrap();
    tasks.iter().filter(|task| task.current_state == TaskState::Running).map(|task| task.id.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fails_soon_after_its_start_is_not_called_converged() {
    let world = World::new().await;
    let restart = serde_json::from_value(serde_json::json!({ "condition": "on-failure", "max_attempts": 1, "delay_ms": 0 })).unwrap();
    let service = CreateService { args: vec![FAILS.into()], restart, ..echo("web", &[]) };
    world.client.create_service(&service).await.unwrap();
    let told = told(&world.client, "web").await;
    let last = told.last().unwrap();
    assert!(!last.converged && last.is_hopeless(), "{told:#?}");
    assert!(told.iter().any(|progress| progress.running == 1 && progress.verify_ms > 0), "it ran, and was watched: {told:#?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_service_is_watched_and_its_scaling_is_not() {
    let world = World::new().await;
    world.client.create_service(&echo("web", &[])).await.unwrap();
    let created = told(&world.client, "web").await;
    assert!(created.iter().any(|progress| progress.verify_ms > 0) && created.last().unwrap().converged, "{created:#?}");
    world.client.scale_services(&ScaleServices { services: [("web".to_owned(), 3)].into() }).await.unwrap();
    let scaled = told(&world.client, "web").await;
    assert!(scaled.iter().all(|progress| progress.verify_ms == 0) && scaled.last().unwrap().converged, "{scaled:#?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_fails_goes_back_and_says_why() {
    let world = World::new().await;
    let client = &world.client;
    world.service(CreateService { replicas: Some(2), update: on_failure("rollback"), ..echo("web", &[]) }).await;
    let before = running(client, "web").await;
    client.update_service("web", &args(&[FAILS])).await.unwrap();
    let last = world.converged("web").await;
    assert_eq!((last.converged, last.update_state), (true, Some(UpdateState::RollbackCompleted)), "{last:#?}");
    assert_eq!(last.update_message, "update rolled back: task web.1 failed: exit code 3");
    let after = running(client, "web").await;
    assert_eq!(after.len(), 2);
    assert!(after.iter().any(|id| before.contains(id)), "the second task was never touched: {before:?}, {after:?}");
    let detail = client.service("web").await.unwrap();
    assert_eq!((detail.spec.task.args, detail.previous_spec), (Vec::new(), None));
    let refused = message(client.rollback_service("web", &RollbackService::default()).await);
    assert!(refused.contains("no previous version"), "{refused}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_update_is_taken_back_by_hand() {
    let world = World::new().await;
    let client = &world.client;
    world.service(CreateService { replicas: Some(2), update: on_failure("pause"), ..echo("web", &[]) }).await;
    client.update_service("web", &args(&[FAILS])).await.unwrap();
    let paused = world.converged("web").await;
    assert_eq!((paused.converged, paused.update_state), (false, Some(UpdateState::Paused)));
    assert_eq!(paused.update_message, "update paused: task web.1 failed: exit code 3");
    let version = client.service("web").await.unwrap().version;
    client.rollback_service("web", &RollbackService { version: Some(version) }).await.unwrap();
    let back = world.converged("web").await;
    assert_eq!((back.converged, back.running, back.update_state), (true, 2, Some(UpdateState::RollbackCompleted)));
    assert_eq!(client.service("web").await.unwrap().previous_spec.unwrap().task.args, [FAILS]);
    let stale = message(client.rollback_service("web", &RollbackService { version: Some(version) }).await);
    assert!(stale.contains("changed meanwhile"), "{stale}");
    // Whatever else changes next, the story of that rollback is over.
    client.update_service("web", &UpdateService { labels_add: [("a".into(), "b".into())].into(), ..Default::default() }).await.unwrap();
    assert_eq!(world.converged("web").await.update_state, None);
    world.end().await;
}
