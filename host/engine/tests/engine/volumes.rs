//! Volumes: written, read again, read-only, and no way out of them.
use std::path::Path;

use minicloud_core::task::Exit;
use minicloud_engine::{EngineError, HostMount};

use crate::support::{CLI2, CLI3, NETWORK, Node, Running, guest, load};

async fn run(node: &Node, folder: &Path, read_only: bool, args: &[&str]) -> Running {
    run_guest(CLI2, node, folder, read_only, args).await
}

async fn run_guest(guest: &str, node: &Node, folder: &Path, read_only: bool, args: &[&str]) -> Running {
    let mount = HostMount { host: folder.to_owned(), guest: "/data".to_owned(), read_only };
    let task = node.run_with("task", guest, args, |spec| spec.mounts = vec![mount]).await;
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
async fn streams_of_wasi_0_3_carry_files_whole() {
    let node = Node::new();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    for bytes in [0, 1, 65_536, 1_000_003] {
        let content: Vec<u8> = (0..bytes).map(|n| (n % 251) as u8).collect();
        std::fs::write(file("from"), &content).unwrap();
        std::fs::write(file("to"), "").unwrap();
        let copied = run_guest(CLI3, &node, folder.path(), false, &["copy", "from", "to"]).await;
        assert_eq!(copied.log.lines(), [format!("copied {bytes} bytes")]);
        assert!(std::fs::read(file("to")).unwrap() == content, "{bytes} bytes are copied");
        let appended = run_guest(CLI3, &node, folder.path(), false, &["append", "from", "to"]).await;
        assert_eq!(appended.log.lines(), ["appended"]);
        assert!(std::fs::read(file("to")).unwrap() == [&content[..], &content].concat(), "{bytes} bytes are appended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_wasi_0_3_say_what_cannot_be_had() {
    let node = Node::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let directory = run_guest(CLI3, &node, folder.path(), false, &["copy", "folder", "to"]).await;
    assert_eq!(directory.wait().await, Exit::Failed { code: 1 });
    assert!(directory.log.text().to_lowercase().contains("directory"), "{}", directory.log.text());
    // The kernel's own "no space left on device".
    std::fs::write(folder.path().join("from"), [7; 1000]).unwrap();
    let full = Path::new("/dev/full");
    if full.exists() {
        let mount = HostMount { host: "/dev".into(), guest: "/data".to_owned(), read_only: false };
        let task = node.run_with("task", CLI3, &["append", "zero", "full"], |spec| spec.mounts = vec![mount]).await;
        assert_eq!(task.wait().await, Exit::Failed { code: 1 });
        assert!(task.log.text().to_lowercase().contains("space"), "{}", task.log.text());
    }
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
