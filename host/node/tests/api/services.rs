use minicloud_core::spec::{PublishMode, PublishedPort};
use minicloud_core::task::TaskState;
use minicloud_node::api::types::{CreateService, CreateVolume, ErrorKind, Mode, ScaleServices, UpdateService};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{World, component, echo, message};

fn scale(service: &str, replicas: u32) -> ScaleServices {
    ScaleServices { services: [(service.to_owned(), replicas)].into() }
}

fn port(published: u16) -> PublishedPort {
    serde_json::from_value(serde_json::json!({ "published": published, "target": 80 })).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_created_scaled_updated_and_removed() {
    let world = World::new().await;
    let client = &world.client;
    world.network("blue", false).await;
    world.service(echo("web", &["blue"])).await;

    let services = client.services().await.unwrap();
    assert_eq!(services.len(), 1);
    let web = &services[0];
    assert_eq!((web.name.as_str(), web.mode, web.replicas_running, web.replicas_desired), ("web", Mode::Replicated, 1, 1));
    let tasks = client.service_tasks("web").await.unwrap();
    assert_eq!((tasks[0].name.as_str(), tasks[0].slot, tasks[0].node.as_deref()), ("web.1", Some(1), Some("alpha")));
    assert_eq!((tasks[0].current_state, tasks[0].error.as_str()), (TaskState::Running, ""));
    assert_eq!(tasks[0].networks["blue"], tasks[0].addresses[0]);

    client.scale_services(&scale("web", 3)).await.unwrap();
    let progress = world.converged("web").await;
    assert_eq!((progress.running, progress.desired, progress.tasks.len()), (3, 3, 3));
    let usage = client.service_usage("web").await.unwrap();
    assert_eq!((usage.tasks.len(), usage.total.memory_bytes), (3, 3_000));

    let before = client.service_tasks("web").await.unwrap();
    client.update_service("web", &UpdateService { force: true, ..Default::default() }).await.unwrap();
    world.converged("web").await;
    let after = client.service_tasks("web").await.unwrap();
    let running = after.iter().filter(|task| task.desired_state == TaskState::Running);
    assert!(running.clone().count() == 3 && running.clone().all(|task| before.iter().all(|old| old.id != task.id)), "{after:#?}");

    let detail = client.service("web").await.unwrap();
    assert_eq!((detail.vips[0].network.as_str(), detail.spec.task.concurrency), ("blue", Some(1)));
    let stale = UpdateService { version: Some(minicloud_core::id::Index(1)), ..Default::default() };
    assert_eq!(client.update_service("web", &stale).await.unwrap_err().kind(), Some(ErrorKind::Stale));

    client.remove_service("web").await.unwrap();
    if let Ok(mut lines) = client.watch_service("web").await {
        let mut last = None;
        while let Some(line) = lines.next().await {
            last = Some(line.unwrap());
        }
        assert!(last.expect("a line").removed);
    }
    assert_eq!(client.services().await.unwrap(), []);
    client.remove_network("blue").await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_port_reaches_a_task_and_a_taken_one_is_shown() {
    let world = World::new().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (taken_port, free_port) = (taken.local_addr().unwrap().port(), free.local_addr().unwrap().port());
    drop(free);
    let service = minicloud_node::api::types::CreateService { ports: vec![port(free_port), port(taken_port)], ..echo("web", &[]) };
    world.service(service).await;
    let mut stream = TcpStream::connect(("127.0.0.1", free_port)).await.unwrap();
    stream.write_all(b"through the mesh").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "through the mesh");

    let error = &world.client.service_tasks("web").await.unwrap()[0].error;
    assert!(error.contains(&format!("127.0.0.1:{taken_port}/tcp")) && error.contains("another program"), "{error}");
    let problems = world.client.service("web").await.unwrap().port_problems;
    assert_eq!((problems.len(), problems[0].node.as_str()), (1, "alpha"));

    let clash = minicloud_node::api::types::CreateService { ports: vec![port(free_port)], ..echo("other", &[]) };
    let refused = message(world.client.create_service(&clash).await);
    assert!(refused.contains("already published by service 'web'"), "{refused}");
    let host = PublishedPort { mode: PublishMode::Host, ..port(taken_port) };
    let update = UpdateService { ports_rm: vec![80], ports_add: vec![host], ..Default::default() };
    world.client.update_service("web", &update).await.unwrap();
    assert!(world.converged("web").await.converged);
    let tasks = world.client.service_tasks("web").await.unwrap();
    assert_eq!(tasks[0].ports, [host], "what leads to this task alone is shown with it");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_from_a_file_runs_and_a_broken_one_says_why() {
    let world = World::new().await;
    let image = world.client.import_image(component("mine")).await.unwrap();
    assert!(!image.bundled && image.name == image.digest.to_string());
    let service = minicloud_node::api::types::CreateService {
        image: image.digest.to_string(),
        image_name: Some("./mine.wasm".into()),
        name: None,
        ..echo("", &[])
    };
    world.service(service).await;
    let services = world.client.services().await.unwrap();
    assert_eq!((services[0].name.as_str(), services[0].image.as_str()), ("mine", "./mine.wasm"));

    let refused = message(world.client.import_image(component("broken")).await);
    assert!(refused.contains("wasi:nn"), "{refused}");
    assert_eq!(world.client.images().await.unwrap().len(), 2, "the broken one is not kept");
    let names: Vec<String> = world.client.images().await.unwrap().into_iter().map(|image| image.name).collect();
    assert!(names.contains(&"echo".to_owned()) && names.contains(&image.digest.to_string()), "{names:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_are_made_mounted_and_kept_while_in_use() {
    let world = World::new().await;
    world.client.create_volume(&CreateVolume { name: "data".into(), ..Default::default() }).await.unwrap();
    assert_eq!(world.client.volumes().await.unwrap()[0].node, None);
    let mounts =
        vec![minicloud_core::spec::Mount { kind: Default::default(), source: "data".into(), target: "/data".into(), read_only: false }];
    world.service(minicloud_node::api::types::CreateService { mounts, ..echo("db", &[]) }).await;
    let volume = world.client.volume("data").await.unwrap();
    assert_eq!((volume.summary.node.as_deref(), volume.services), (Some("alpha"), vec!["db".to_owned()]));
    let refused = message(world.client.remove_volume("data").await);
    assert!(refused.contains("is used by") && refused.contains("db"), "{refused}");

    let folder = world.directory.path().join("volumes").join(volume.summary.id.to_string());
    std::fs::write(folder.join("row"), "precious").unwrap();
    world.client.remove_service("db").await.unwrap();
    assert!(world.converged("db").await.removed);
    assert_eq!(world.client.remove_volume("data").await.unwrap().warnings, Vec::<String>::new());
    assert!(!folder.exists(), "the data went with the volume");
    assert!(message(world.client.remove_volume("data").await).contains("no volume"));
    // A new one of that name is another one.
    world.client.create_volume(&CreateVolume { name: "data".into(), ..Default::default() }).await.unwrap();
    assert_ne!(world.client.volume("data").await.unwrap().summary.id, volume.summary.id);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_checked_before_anything_that_it_needs_is_there() {
    let world = World::new().await;
    let client = &world.client;
    let service = echo("web", &["later"]);
    let checked = client.check_service(&service).await.unwrap();
    assert_eq!(checked.image, client.image("echo").await.unwrap().summary.digest);
    assert!(message(client.create_service(&service).await).contains("'later'"));
    let many = CreateService { replicas: Some(3_000_000_000), ..service.clone() };
    assert!(message(client.check_service(&many).await).contains("3000000000 replicas of 'web' are too many"));
    let absent = CreateService { image: "absent".into(), ..service };
    assert!(message(client.check_service(&absent).await).contains("'absent'"));
    assert_eq!(client.services().await.unwrap(), []);
    world.end().await;
}
