//! Secrets and configs: read as files by guests of both versions, never written, and told by `wasi:config`.
use bytes::Bytes;
use minicloud_core::task::Exit;
use minicloud_engine::{GuestFile, GuestFileKind, HostMount};

use crate::support::{CLI2, CLI3, LIFECYCLE, Node, Running};

fn file(kind: GuestFileKind, path: &str, content: &'static [u8]) -> GuestFile {
    GuestFile { kind, path: path.to_owned(), content: Bytes::from_static(content) }
}

fn files() -> Vec<GuestFile> {
    use GuestFileKind::{Config, Secret};
    vec![
        file(Secret, "/run/secrets/password", b"hunter2\n"),
        file(Config, "/settings", b"colour = blue\n"),
        file(Config, "/etc/app/deep.toml", b"deep = true\n"),
        file(Config, "/logo", b"\xff\xfe"),
    ]
}

async fn run(node: &Node, guest: &str, args: &[&str], files: Vec<GuestFile>) -> Running {
    let task = node.run_with("task", guest, args, |spec| spec.files = files).await;
    task.wait().await;
    task
}

async fn lines(node: &Node, guest: &str, args: &[&str]) -> Vec<String> {
    run(node, guest, args, files()).await.log.lines()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_of_either_version_reads_them() {
    let node = Node::new();
    for guest in [CLI2, CLI3] {
        for (path, content) in [
            ("/run/secrets/password", "hunter2"),
            ("/settings", "colour = blue"),
            ("/etc/app/deep.toml", "deep = true"),
            ("/run/../settings", "colour = blue"),
        ] {
            assert_eq!(lines(&node, guest, &["cat", path]).await, [content], "{guest} {path}");
        }
        assert_eq!(lines(&node, guest, &["ls", "/run/secrets"]).await, ["password"], "{guest}");
        let mut root = lines(&node, guest, &["ls", "/"]).await;
        root.sort();
        assert_eq!(root, ["etc", "logo", "run", "settings"], "{guest}");
        assert!(lines(&node, guest, &["cat", "/run/secrets/other"]).await[0].starts_with("error"), "{guest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_one_is_read_to_its_end() {
    let node = Node::new();
    let text: String = (0..100_000).map(|number| format!("{number:09}\n")).collect();
    for guest in [CLI2, CLI3] {
        let large = GuestFile { kind: GuestFileKind::Config, path: "/large".to_owned(), content: Bytes::from(text.clone()) };
        let task = run(&node, guest, &["cat", "/large"], vec![large]).await;
        assert_eq!(task.log.lines().len(), 100_000, "{guest}");
        assert_eq!(task.log.lines().last().unwrap(), "000099999", "{guest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_or_removed() {
    let node = Node::new();
    for path in ["/run/secrets/password", "/settings", "/new", "/run/secrets/new"] {
        let task = run(&node, CLI2, &["write", path, "text"], files()).await;
        assert_eq!(task.wait().await, Exit::Failed { code: 1 }, "{path}: {}", task.log.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_are_beside_them() {
    let node = Node::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("note"), "kept\n").unwrap();
    for at in ["/data", "/run", "/etc"] {
        let mount = || HostMount { host: folder.path().to_owned(), guest: at.to_owned(), read_only: false };
        for (guest, path, content) in [
            (CLI2, format!("{at}/note"), "kept"),
            (CLI3, format!("{at}/note"), "kept"),
            (CLI2, "/run/secrets/password".to_owned(), "hunter2"),
            (CLI3, "/run/secrets/password".to_owned(), "hunter2"),
            (CLI2, "/settings".to_owned(), "colour = blue"),
            (CLI2, "/etc/app/deep.toml".to_owned(), "deep = true"),
        ] {
            let task = node
                .run_with("task", guest, &["cat", &path], |spec| {
                    spec.mounts = vec![mount()];
                    spec.files = files();
                })
                .await;
            assert_eq!(task.wait().await, Exit::Completed, "{at} {path}: {}", task.log.text());
            assert_eq!(task.log.lines(), [content], "{at} {path}");
        }
        let change = |spec: &mut minicloud_engine::RunSpec| {
            spec.mounts = vec![mount()];
            spec.files = files();
        };
        let written = node.run_with("task", CLI2, &["write", &format!("{at}/new"), "text"], change).await;
        assert_eq!(written.wait().await, Exit::Completed, "{}", written.log.text());
        std::fs::remove_file(folder.path().join("new")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn configs_are_told_by_wasi_config_and_secrets_are_not() {
    let node = Node::new();
    assert_eq!(lines(&node, LIFECYCLE, &["config", "settings"]).await, ["colour = blue"]);
    assert_eq!(lines(&node, LIFECYCLE, &["config", "etc/app/deep.toml"]).await, ["deep = true"]);
    assert_eq!(lines(&node, LIFECYCLE, &["config", "nothing"]).await, ["none"]);
    assert_eq!(lines(&node, LIFECYCLE, &["config", "run/secrets/password"]).await, ["none"]);
    let error = lines(&node, LIFECYCLE, &["config", "logo"]).await;
    assert!(error[0].contains("is no text"), "{error:?}");
    assert_eq!(lines(&node, LIFECYCLE, &["configs"]).await, ["etc/app/deep.toml", "settings"]);
}
