//! Jobs: how far they are, what is said when they fail, and logs that end when they do.
use minicloud_core::spec::RestartCondition;
use minicloud_core::state::Role;
use minicloud_core::task::TaskState;
use minicloud_node::api::types::{CreateService, JobCount, LogQuery, Mode, RestartChange, ScaleServices, UpdateService};
use minicloud_node::client::Client;
use tokio::time::timeout;

use crate::executor::{ENDS, FAILS, LAST_LINES};
use crate::world::{LIMIT, World, echo, message};

fn job(name: &str, args: &str, total: u32) -> CreateService {
    let args = if args.is_empty() { Vec::new() } else { vec![args.to_owned()] };
    CreateService { mode: Mode::ReplicatedJob, replicas: Some(total), args, http_port: Some(80), ..echo(name, &[]) }
}

/// What is written until the service's tasks have ended.
async fn to_the_end(client: &Client, service: &str) -> Vec<String> {
    let query = LogQuery { follow: true, until_end: true, ..LogQuery::default() };
    let mut lines = client.service_logs(service, &query).await.unwrap();
    let mut texts = Vec::new();
    while let Some(line) = timeout(LIMIT, lines.next()).await.expect("the log ends in time") {
        texts.push(line.unwrap().text);
    }
    texts
}

fn all_lines() -> Vec<String> {
    let own = (1..=LAST_LINES).map(|number| format!("line {number}"));
    std::iter::once("slot 1 is up".to_owned()).chain(own).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_converged_when_it_is_done_and_its_log_ends_with_its_last_line() {
    let world = World::new().await;
    world.client.create_service(&job("batch", ENDS, 1)).await.unwrap();
    // One log that is followed from the start, and one that is read when all is over.
    assert_eq!(to_the_end(&world.client, "batch").await, all_lines());
    let last = world.converged("batch").await;
    assert_eq!((last.converged, last.job), (true, Some(JobCount { completed: 1, total: 1 })));
    assert_eq!(to_the_end(&world.client, "batch").await, all_lines());
    assert_eq!(to_the_end(&world.client, "batch.1").await, all_lines());

    world.client.scale_services(&ScaleServices { services: [("batch".to_owned(), 3)].into() }).await.unwrap();
    assert!(world.converged("batch").await.converged);
    let summary = &world.client.services().await.unwrap()[0];
    assert_eq!((summary.mode, summary.replicas_running, summary.replicas_desired), (Mode::ReplicatedJob, 0, 3));
    assert_eq!(summary.job, Some(JobCount { completed: 3, total: 3 }));
    let tasks = world.client.service_tasks("batch").await.unwrap();
    assert_eq!(tasks.len(), 3);
    assert!(tasks.iter().all(|task| (task.desired_state, task.current_state) == (TaskState::Complete, TaskState::Complete)), "{tasks:#?}");
    let turns = UpdateService { max_concurrent: Some(1), force: true, ..UpdateService::default() };
    world.client.update_service("batch", &turns).await.unwrap();
    assert!(world.converged("batch").await.converged);
    assert_eq!(world.client.services().await.unwrap()[0].replicas_desired, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_given_up_says_why() {
    let world = World::new().await;
    let once = RestartChange { condition: Some(RestartCondition::None), ..RestartChange::default() };
    world.client.create_service(&CreateService { restart: once, ..job("once", FAILS, 1) }).await.unwrap();
    assert_eq!(to_the_end(&world.client, "once").await, ["slot 1 is up"]);
    let last = world.converged("once").await;
    assert!(last.is_hopeless() && last.given_up[0].error == "exit code 3", "{last:#?}");

    let again = RestartChange { max_attempts: Some(1), delay_ms: Some(0), ..RestartChange::default() };
    world.client.create_service(&CreateService { restart: again, ..job("twice", FAILS, 1) }).await.unwrap();
    assert_eq!(to_the_end(&world.client, "twice").await, ["slot 1 is up", "slot 1 is up"]);
    assert!(world.converged("twice").await.is_hopeless());

    // What is stopped before it is done ends its log too.
    world.client.create_service(&CreateService { restart: once, ..job("long", "", 1) }).await.unwrap();
    let (texts, ()) = tokio::join!(to_the_end(&world.client, "long"), async {
        while world.client.services().await.unwrap().iter().all(|service| service.name != "long" || service.replicas_running == 0) {
            tokio::task::yield_now().await;
        }
        world.client.scale_services(&ScaleServices { services: [("long".to_owned(), 0)].into() }).await.unwrap();
    });
    assert_eq!(texts, ["slot 1 is up"]);
    assert!(world.converged("long").await.converged, "nothing is wanted of it");
    let tasks = world.client.service_tasks("long").await.unwrap();
    assert_eq!((tasks.len(), tasks[0].current_state), (1, TaskState::Shutdown), "it stays readable");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_another_node_is_read_to_its_last_line() {
    let manager = World::new().await;
    let worker = manager.join(Role::Worker, "beta", 0).await;
    let there = CreateService { constraints: vec!["node.hostname==beta".to_owned()], ..job("far", ENDS, 1) };
    manager.client.create_service(&there).await.unwrap();
    assert_eq!(to_the_end(&manager.client, "far").await, all_lines());
    assert_eq!(to_the_end(&manager.client, "far").await, all_lines());
    manager.client.create_service(&CreateService { mode: Mode::GlobalJob, replicas: None, ..job("all", ENDS, 1) }).await.unwrap();
    let last = manager.converged("all").await;
    assert_eq!((last.converged, last.job), (true, Some(JobCount { completed: 2, total: 2 })));
    worker.end().await;
    manager.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_in_the_foreground_is_attached_only_where_that_is_allowed() {
    let world = World::new().await;
    world.network("open", true).await;
    world.network("closed", false).await;
    let on = |name: &str, network: &str| CreateService { foreground: true, networks: vec![network.to_owned()], ..job(name, ENDS, 1) };
    world.client.create_service(&on("a", "open")).await.unwrap();
    assert!(message(world.client.create_service(&on("b", "closed")).await).contains("network 'closed' is not attachable"));
    world.client.create_service(&CreateService { foreground: false, ..on("c", "closed") }).await.unwrap();
    let refused = message(world.client.create_service(&CreateService { max_concurrent: Some(1), ..echo("d", &[]) }).await);
    assert!(refused.contains("replicated-job"), "{refused}");
    world.end().await;
}
