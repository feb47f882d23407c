//! The key that seals secrets goes to managers alone, and files go to the nodes of their tasks alone.
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use minicloud_core::command::{Change, Command, NewTask};
use minicloud_core::id::{FileId, NodeId, ServiceId, TaskId};
use minicloud_core::spec::*;
use minicloud_core::state::{Role, Slot};
use minicloud_core::task::TaskState;
use minicloud_node::cluster::ProposeError;
use minicloud_node::env::Env;
use minicloud_node::files::{Denied, FileDesk, Wanted};
use minicloud_node::frame;
use minicloud_node::seal::have_key;
use minicloud_node::transport::StreamKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Folders, Node, wait_for};

const PASSWORD: FileId = FileId(1);
const OTHER: FileId = FileId(2);
const SERVICE: ServiceId = ServiceId(5);
const TASK: TaskId = TaskId(6);

fn keys_in(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder.join("identity")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("seal-")).count()
}

async fn create_secret(node: &Node, id: FileId, content: &str) {
    let random = Env::real().random;
    let key = node.member.seal_keys.to_seal(&node.member.peers, &node.cluster(), &*random).await.unwrap();
    let spec = FileSpec {
        kind: FileKind::Secret,
        name: format!("secret-{id}"),
        labels: Labels::new(),
        data: key.seal(id, content.as_bytes(), &*random).unwrap(),
        size_bytes: content.len() as u64,
        sealed_with: Some(key.fingerprint()),
    };
    node.cluster().propose(Command::CreateFile { id, spec }).await.unwrap();
}

/// A service whose one task has the first secret and runs on `on`.
async fn create_task(node: &Node, on: NodeId) {
    let cluster = node.cluster();
    let mut template = TaskTemplate::new(Image { name: "web".into(), digest: Digest([0; 32]) });
    template.secrets = vec![FileReference { id: PASSWORD, name: "password".into(), target: "/run/secrets/password".into(), mode: 0o400 }];
    let spec = ServiceSpec {
        name: "web".into(),
        labels: Labels::new(),
        mode: ServiceMode::Replicated { replicas: 1 },
        task: template.clone(),
        networks: Vec::new(),
        endpoint_mode: EndpointMode::Vip,
        ports: Vec::new(),
        update: UpdateConfig::default(),
        rollback: UpdateConfig::default(),
    };
    cluster.propose(Command::SetNodeStatus { nodes: BTreeMap::from([(on, NodeStatus::Ready)]) }).await.unwrap();
    let created = cluster.propose(Command::CreateService { id: SERVICE, spec: Box::new(spec) }).await.unwrap();
    let task = NewTask {
        id: TASK,
        service: SERVICE,
        version: created.index,
        slot: Slot::Replica(1),
        template: Arc::new(template),
        desired: TaskState::Running,
        start_at: None,
        failures: 0,
        restarts: 0,
        restarts_since: None,
    };
    let changes = vec![
        Change::CreateTask(Box::new(task)),
        Change::SetAddresses { task: TASK, addresses: BTreeMap::new() },
        Change::AssignTask { task: TASK, node: on },
    ];
    let applied = cluster.propose(Command::ApplyPlan { changes }).await.unwrap();
    assert_eq!(applied.skipped, 0);
}

async fn ask(from: &Node, manager: &Node, task: TaskId, files: &[FileId]) -> Result<Vec<u8>, Denied> {
    let index = manager.cluster().state().index;
    let mut stream = from.member.peers.open(manager.id(), StreamKind::File).await.unwrap();
    frame::write(&mut stream, &Wanted { task, files: files.to_vec(), index }).await.unwrap();
    stream.shutdown().await.unwrap();
    frame::expect::<Result<(), Denied>>(&mut stream).await.unwrap()?;
    let mut content = Vec::new();
    stream.read_to_end(&mut content).await.unwrap();
    Ok(content)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_manager_has_the_key_and_no_worker_gets_it() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let worker = Node::join(folders.path("worker"), first.token(Role::Worker).await, &[first.address()]).await;
    assert_eq!(keys_in(&folders.path("first")), 0, "a cluster without secrets has no key");
    create_secret(&first, PASSWORD, "hunter2").await;
    assert_eq!(keys_in(&folders.path("first")), 1);

    // It comes with the certificate.
    let second = Node::join(folders.path("second"), first.token(Role::Manager).await, &[first.address()]).await;
    assert_eq!(keys_in(&folders.path("second")), 1);
    // What one manager seals the other opens.
    create_secret(&second, OTHER, "swordfish").await;
    wait_for("the secret", async || first.cluster().state().files.contains_key(&OTHER)).await;
    let state = first.cluster().state();
    let key = have_key(&first.member.peers, &first.member.seal_keys, &state).await.unwrap().unwrap();
    assert_eq!(**key.open(OTHER, &state.files[&OTHER].spec.data).unwrap(), *b"swordfish");

    assert_eq!(keys_in(&folders.path("worker")), 0);
    let mut stream = worker.member.peers.open(first.id(), StreamKind::SealKey).await.unwrap();
    let read = stream.read_u8().await;
    assert!(read.is_err(), "{read:?}");

    // A manager that lost its key gets it from another; one that nobody has is said to be lost.
    second.member.seal_keys.forget_but(None).unwrap();
    have_key(&second.member.peers, &second.member.seal_keys, &state).await.unwrap().unwrap();
    assert_eq!(keys_in(&folders.path("second")), 1);
    for node in [&first, &second] {
        node.member.seal_keys.forget_but(None).unwrap();
    }
    let lost = have_key(&first.member.peers, &first.member.seal_keys, &state).await.unwrap_err().to_string();
    assert!(lost.contains("restore identity/seal-"), "{lost}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_chosen_once_whoever_asks_first() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let token = first.token(Role::Manager).await;
    let second = Node::join(folders.path("second"), token.clone(), &[first.address()]).await;
    let third = Node::join(folders.path("third"), token, &[first.address()]).await;
    let random = Env::real().random;
    let (one, two, three) = (first.cluster(), second.cluster(), third.cluster());
    let (one, two, three) = tokio::join!(
        first.member.seal_keys.to_seal(&first.member.peers, &one, &*random),
        second.member.seal_keys.to_seal(&second.member.peers, &two, &*random),
        third.member.seal_keys.to_seal(&third.member.peers, &three, &*random),
    );
    let keys = [one.unwrap(), two.unwrap(), three.unwrap()];
    assert!(keys.iter().all(|key| *key == keys[0]), "all three seal with the same one");

    // A cluster of which most managers are away chooses none, but the one it has stays.
    let fingerprint = keys[0].fingerprint();
    let same = first.cluster().propose(Command::SetSealKey { fingerprint, replaces: None }).await;
    assert!(same.is_ok(), "{same:?}");
    create_secret(&first, PASSWORD, "hunter2").await;
    let other = first.cluster().propose(Command::SetSealKey { fingerprint: [9; 32], replaces: Some(fingerprint) }).await;
    assert!(matches!(other, Err(ProposeError::Rejected(_))), "{other:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_to_the_node_of_their_task_alone() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let token = first.token(Role::Worker).await;
    let worker = Node::join(folders.path("worker"), token.clone(), &[first.address()]).await;
    let other = Node::join(folders.path("other"), token, &[first.address()]).await;
    create_secret(&first, PASSWORD, "hunter2").await;
    create_secret(&first, OTHER, "swordfish").await;
    create_task(&first, worker.id()).await;

    let content = ask(&worker, &first, TASK, &[PASSWORD]).await.unwrap();
    assert_eq!(content, [&7u32.to_le_bytes()[..], b"hunter2"].concat());

    let refusals = [
        (ask(&other, &first, TASK, &[PASSWORD]).await, "is not assigned to this node"),
        (ask(&worker, &first, TASK, &[OTHER]).await, "has no secret or config"),
        (ask(&worker, &first, TASK, &[PASSWORD, OTHER]).await, "has no secret or config"),
        (ask(&worker, &first, TaskId(7), &[PASSWORD]).await, "is not assigned to this node"),
    ];
    for (answer, expected) in refusals {
        let Err(Denied::Refused(reason)) = answer else { panic!("{expected}: {answer:?}") };
        assert!(reason.contains(expected), "{reason}");
    }
    // A manager has no more of them for its own tasks.
    let desk = FileDesk { cluster: first.cluster(), peers: first.member.peers.clone(), keys: first.member.seal_keys.clone() };
    let own = desk.hand_out(first.id(), &Wanted { task: TASK, files: vec![PASSWORD], index: first.cluster().state().index }).await;
    assert!(matches!(own, Err(Denied::Refused(_))), "{own:?}");

    // Once the task has ended its node gets nothing more.
    let ended = minicloud_core::task::TaskStatus { state: TaskState::Complete, ..Default::default() };
    first.cluster().propose(Command::ReportStatus { node: worker.id(), tasks: vec![(TASK, ended)] }).await.unwrap();
    assert!(ask(&worker, &first, TASK, &[PASSWORD]).await.is_err());
}
