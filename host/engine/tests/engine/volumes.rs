//! Volumes: written, read again, read-only, and no way out of them.
use std::path::Path;

use minicloud_core::task::Exit;
use minicloud_engine::{EngineError, HostMount};

use crate::support::{CLI2, NETWORK, Node, Running, guest, load};

async fn run(node: &Node, folder: &Path, read_only: bool, args: &[&str]) -> Running {
    let mount = HostMount { host: folder.to_owned(), guest: "/data".to_owned(), read_only };
    let task = node.run_with("task", CLI2, args, |spec| spec.mounts = vec![mount]).await;
    task.wait().await;
    task
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_task_writes_the_next_one_reads() {
    let node = Node::new();
    let folder = tempfile::tempdir().unwrap();
    let written = run(&node, folder.path(), false, &["write", "/data/note", "kept"]).await;
    assert_eq!(written.wait().await, Exit::Completed, "{}", written.log.text());
    assert_eq!(std::fs::read_to_string(folder.path().join("note")).unwrap(), "kept\n");
    assert_eq!(run(&node, folder.path(), true, &["cat", "/data/note"]).await.log.lines(), ["kept"]);
    assert_eq!(run(&node, folder.path(), true, &["ls", "/data"]).await.log.lines(), ["note"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_volume_is_not_written() {
    let node = Node::new();
    let folder = tempfile::tempdir().unwrap();
    let refused = run(&node, folder.path(), true, &["write", "/data/note", "text"]).await;
    assert_eq!(refused.wait().await, Exit::Failed { code: 1 }, "{}", refused.log.text());
    assert!(!folder.path().join("note").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leads_out_of_a_volume() {
    let node = Node::new();
    let around = tempfile::tempdir().unwrap();
    let folder = around.path().join("volume");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(around.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(around.path().join("secret"), folder.join("absolute")).unwrap();
    std::os::unix::fs::symlink("../secret", folder.join("relative")).unwrap();
    for path in ["/data/../secret", "/data/absolute", "/data/relative", "/etc/hostname", "/proc/self/environ"] {
        let refused = run(&node, &folder, false, &["cat", path]).await;
        assert_eq!(refused.wait().await, Exit::Failed { code: 1 }, "{path}: {}", refused.log.text());
        assert!(!refused.log.text().contains("secret\n"), "{path}");
    }
    let refused = run(&node, &folder, false, &["write", "/data/../new", "text"]).await;
    assert_eq!(refused.wait().await, Exit::Failed { code: 1 });
    assert!(!around.path().join("new").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_not_there_fails_the_start() {
    let node = Node::new();
    let component = load(&node.engine, guest(CLI2)).await.unwrap();
    let mount = HostMount { host: "/nowhere/at/all".into(), guest: "/data".to_owned(), read_only: false };
    let started = node.start("task", &component, NETWORK, &["hello"], |spec| spec.mounts = vec![mount]).await;
    assert!(matches!(started.err(), Some(EngineError::Volume { .. })));
}
