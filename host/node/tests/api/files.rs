use std::path::Path;

use minicloud_core::spec::FileKind::{self, Config, Secret};
use minicloud_core::state::Role;
use minicloud_node::api::types::{Base64, CreateFile, CreateService, ErrorKind, FileUse, Outcome, UpdateFile, UpdateService};

use crate::world::{LIMIT, World, echo, message};

const PLAIN: &str = "correct horse battery staple";

async fn create(world: &World, kind: FileKind, name: &str, content: &str) {
    let file = CreateFile { name: name.into(), data: Base64(content.into()), ..Default::default() };
    world.client.create_file(kind, &file).await.unwrap();
}

fn having(name: &str, secret: &str, config: &str) -> CreateService {
    let file = |source: &str| FileUse { source: source.into(), ..Default::default() };
    CreateService { secrets: vec![file(secret)], configs: vec![file(config)], ..echo(name, &[]) }
}

/// Files below the folder that contain the text, as it is or as base64.
fn containing(folder: &Path, text: &str) -> Vec<String> {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    let has = |content: &[u8], text: &str| content.windows(text.len()).any(|part| part == text.as_bytes());
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(content) = std::fs::read(&path)
                && (has(&content, text) || has(&content, &encoded))
            {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

fn keys(world: &World) -> usize {
    let entries = std::fs::read_dir(world.directory.path().join("identity")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("seal-")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_created_used_and_removed_and_secrets_never_shown() {
    let world = World::new().await;
    let client = &world.client;
    create(&world, Secret, "password", PLAIN).await;
    create(&world, Config, "settings", "colour = blue").await;
    let secret = client.file(Secret, "password").await.unwrap();
    assert_eq!((secret.summary.size_bytes, secret.data), (PLAIN.len() as u64, None));
    assert_eq!(client.file(Config, "settings").await.unwrap().data, Some(Base64("colour = blue".into())));
    assert_eq!(client.files(Secret).await.unwrap().len(), 1);
    assert!(message(client.file(Config, "password").await).contains("no config 'password'"));

    world.service(having("web", "password", "settings")).await;
    assert_eq!(client.file(Secret, &secret.summary.id.to_string()).await.unwrap().services, ["web"]);
    let task = client.service("web").await.unwrap().spec.task;
    let [file] = task.secrets.as_slice() else { panic!("{task:?}") };
    assert_eq!((file.id, file.name.as_str(), file.target.as_str()), (secret.summary.id, "password", "/run/secrets/password"));
    assert_eq!(task.configs[0].target, "/settings");

    let refused = client.remove_file(Secret, "password").await.unwrap_err();
    assert_eq!(refused.kind(), Some(ErrorKind::Conflict));
    assert!(refused.to_string().contains("is used by service 'web'"), "{refused}");

    // Another one in its place.
    create(&world, Secret, "password-2", "new").await;
    let target = Some("password".to_owned());
    let secrets_add = vec![FileUse { source: "password-2".into(), target: target.clone(), mode: Some(0o400) }];
    client.update_service("web", &UpdateService { secrets_add, ..Default::default() }).await.unwrap();
    assert!(world.converged("web").await.converged);
    let task = client.service("web").await.unwrap().spec.task;
    assert_eq!((task.secrets.len(), task.secrets[0].name.as_str(), task.secrets[0].mode), (1, "password-2", 0o400));
    client.remove_file(Secret, "password").await.unwrap();

    let rm = |name: &str| UpdateService { secrets_rm: vec![name.to_owned()], ..Default::default() };
    assert!(message(client.update_service("web", &rm("nothing")).await).contains("the service has no secret 'nothing'"));
    client.update_service("web", &rm("password-2")).await.unwrap();
    assert!(world.converged("web").await.converged);
    client.remove_file(Secret, "password-2").await.unwrap();
    let missing = message(client.create_service(&having("late", "password", "settings")).await);
    assert!(missing.contains("no secret 'password': create it with 'minicloud secret create password FILE'"), "{missing}");

    let labels_add = [("stage".to_owned(), "two".to_owned())].into();
    client.update_file(Config, "settings", &UpdateFile { labels_add, ..Default::default() }).await.unwrap();
    assert_eq!(client.file(Config, "settings").await.unwrap().summary.labels["stage"], "two");
    let labels_rm = vec!["nothing".to_owned()];
    assert!(client.update_file(Config, "settings", &UpdateFile { labels_rm, ..Default::default() }).await.is_err());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_declared_again_is_made_once_for_each_content() {
    let world = World::new().await;
    let declare = async |kind, content: &str, owner: &str| {
        let labels = [("owner".to_owned(), owner.to_owned())].into();
        let file = CreateFile { name: "shop_password".into(), labels, data: Base64(content.into()) };
        let declared = world.client.declare_file(kind, &file).await.unwrap();
        (declared.name, declared.outcome == Outcome::Created)
    };
    for kind in [Secret, Config] {
        assert_eq!(declare(kind, "one", "shop").await, ("shop_password".to_owned(), true));
        assert_eq!(declare(kind, "one", "shop").await, ("shop_password".to_owned(), false));
        assert_eq!(declare(kind, "two", "shop").await, ("shop_password_2".to_owned(), true));
        assert_eq!(declare(kind, "one", "shop").await, ("shop_password".to_owned(), false), "and back");
        assert_eq!(declare(kind, "two", "shop").await, ("shop_password_2".to_owned(), false));
        assert_eq!(declare(kind, "one", "other").await, ("shop_password_3".to_owned(), true), "what is another's is left alone");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_badly_named_is_refused() {
    let world = World::new().await;
    let sized = |name: &str, bytes: usize| CreateFile { name: name.into(), data: Base64(vec![b'x'; bytes]), ..Default::default() };
    for (kind, most) in [(Secret, 500 << 10), (Config, 1 << 20)] {
        world.client.create_file(kind, &sized("largest", most)).await.unwrap();
        let error = message(world.client.create_file(kind, &sized("larger", most + 1)).await);
        assert!(error.contains(&format!("at most {most} are allowed")), "{error}");
        assert!(message(world.client.create_file(kind, &sized(".hidden", 1)).await).contains("cannot name"));
        assert!(message(world.client.create_file(kind, &sized("largest", 1)).await).contains("already exists"));
        world.client.create_file(kind, &sized("empty", 0)).await.unwrap();
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_no_file_of_any_node_and_only_managers_can_open_it() {
    let alpha = World::new().await;
    create(&alpha, Secret, "password", PLAIN).await;
    create(&alpha, Config, "settings", "x").await;
    let beta = alpha.join(Role::Worker, "beta", 1_000).await;
    let gamma = alpha.join(Role::Manager, "gamma", 2_000).await;
    assert_eq!((keys(&alpha), keys(&beta), keys(&gamma)), (1, 0, 1));
    let everywhere = CreateService { mode: minicloud_node::api::types::Mode::Global, ..having("web", "password", "settings") };
    alpha.service(everywhere).await;
    let running = alpha.client.service_tasks("web").await.unwrap();
    assert_eq!(running.len(), 3, "{running:#?}");

    // The promoted one gets the key, the demoted one loses it.
    alpha.client.promote_node("beta").await.unwrap();
    wait_for("beta has the key", async || keys(&beta) == 1).await;
    alpha.client.demote_node("beta").await.unwrap();
    wait_for("beta has no key", async || keys(&beta) == 0).await;

    for world in [&alpha, &beta, &gamma] {
        let found = containing(world.directory.path(), PLAIN);
        assert_eq!(found, Vec::<String>::new());
    }
    for world in [beta, gamma, alpha] {
        let folder = world.directory.path().to_owned();
        assert_eq!(containing(&folder, PLAIN), Vec::<String>::new());
        drop(world);
    }
}

async fn wait_for(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let end = tokio::time::Instant::now() + LIMIT;
    while !condition().await {
        assert!(tokio::time::Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
