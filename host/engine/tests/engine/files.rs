//! Secrets and configs: read as files by guests of both versions, never written, and told by `wasi:config`.
use std::path::Path;

use bytes::Bytes;
use minicloud_core::task::Exit;
use minicloud_engine::{EngineError, GuestFile, GuestFileKind, HostMount};

use crate::support::{CLI2, CLI3, LIFECYCLE, NETWORK, Node, Running, guest, load};

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

fn bind(host: &Path, guest: &str, read_only: bool) -> HostMount {
    HostMount { host: host.to_owned(), guest: guest.to_owned(), read_only }
}

/// A task with mounts beside the usual secrets and configs.
async fn bound(node: &Node, guest: &str, mounts: &[HostMount], args: &[&str]) -> (Exit, String) {
    let task = node
        .run_with("task", guest, args, |spec| {
            spec.mounts = mounts.to_vec();
            spec.files = files();
        })
        .await;
    (task.wait().await, task.log.text() + "\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_of_the_host_is_read_and_written_and_nothing_beside_it() {
    let node = Node::new();
    let folder = tempfile::tempdir().unwrap();
    let (path, beside) = (folder.path().join("nginx.conf"), folder.path().join("beside"));
    std::fs::write(&beside, "secret").unwrap();
    for guest in [CLI2, CLI3] {
        std::fs::write(&path, "from the host\n").unwrap();
        for at in ["/etc/nginx/app.conf", "/app.conf", "/run/secrets/app.conf", "/etc//./app.conf"] {
            let mounts = [bind(&path, at, false)];
            let seen = at.replace("//./", "/");
            assert_eq!(bound(&node, guest, &mounts, &["cat", &seen]).await, (Exit::Completed, "from the host\n".into()), "{guest} {at}");
        }
        let mounts = [bind(&path, "/etc/app.conf", false)];
        let ran = async |args: &[&str]| bound(&node, guest, &mounts, args).await;
        assert_eq!(ran(&["size", "/etc/app.conf"]).await.1, "14 bytes\n", "{guest}");
        assert_eq!(ran(&["ls", "/etc"]).await.1, "app\napp.conf\n", "{guest}");
        assert_eq!(ran(&["cat", "/etc/app/deep.toml"]).await.1, "deep = true\n", "{guest}");
        let (exit, said) = ran(&["write", "/etc/app.conf", "short"]).await;
        assert_eq!((exit, std::fs::read_to_string(&path).unwrap().as_str()), (Exit::Completed, "short\n"), "{guest} {said}");
        for args in [&["cat", "/etc/beside"][..], &["cat", "/etc/app.conf/x"], &["ls", "/etc/app.conf"], &["write", "/etc/new", "x"]] {
            let (exit, said) = ran(args).await;
            assert!(exit == Exit::Failed { code: 1 } && !said.contains("secret"), "{guest} {args:?} {said}");
        }
    }
    let (exit, said) = bound(&node, CLI2, &[bind(&path, "/etc/app.conf", false)], &["rename", "/etc/app.conf", "/etc/moved"]).await;
    assert_eq!(exit, Exit::Failed { code: 1 }, "its name is the mount's: {said}");
    assert!(path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_that_is_read_only_is_not_written() {
    let node = Node::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.conf");
    std::fs::write(&path, "as it was\n").unwrap();
    for guest in [CLI2, CLI3] {
        let mounts = [bind(&path, "/etc/app.conf", true)];
        assert_eq!(bound(&node, guest, &mounts, &["cat", "/etc/app.conf"]).await.1, "as it was\n", "{guest}");
        let (exit, said) = bound(&node, guest, &mounts, &["write", "/etc/app.conf", "text"]).await;
        assert!(exit == Exit::Failed { code: 1 } && said.to_lowercase().replace('-', "").contains("read"), "{guest} {said}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "as it was\n", "{guest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_takes_the_place_of_a_file_later_leads_nowhere() {
    let node = Node::new();
    let folder = tempfile::tempdir().unwrap();
    let (path, secret) = (folder.path().join("app.conf"), folder.path().join("secret"));
    std::fs::write(&path, "as it was\n").unwrap();
    std::fs::write(&secret, "secret\n").unwrap();
    let mounts = vec![bind(&path, "/etc/app.conf", false)];
    let waiting = node.run_with("task", CLI2, &["sleep-cat", "700", "/etc/app.conf"], |spec| spec.mounts = mounts).await;
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&secret, &path).unwrap();
    waiting.wait().await;
    assert_eq!(waiting.log.text(), "as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_that_would_hide_or_be_hidden_fails_the_start() {
    let node = Node::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.conf");
    std::fs::write(&path, "text").unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
    let component = load(&node.engine, guest(CLI2)).await.unwrap();
    let file = |at: &str| bind(&path, at, false);
    for (mounts, why) in [
        (vec![file("/")], "/ is a folder"),
        (vec![file("/data/x"), bind(folder.path(), "/data/", false)], "/data/ is a volume or folder, and would be hidden"),
        (vec![file("/data"), bind(folder.path(), "/data/x", false)], "/data/x is at or below it"),
        (vec![file("/settings")], "/settings is at or below it"),
        (vec![file("/etc/app")], "/etc/app/deep.toml is at or below it"),
        (vec![bind(&pipe, "/etc/pipe", false)], "neither a folder nor a regular file"),
    ] {
        let change = |spec: &mut minicloud_engine::RunSpec| {
            spec.mounts = mounts.clone();
            spec.files = files();
        };
        let started = node.start("task", &component, NETWORK, &["hello"], change).await;
        let error = started.err().map(|error| (matches!(error, EngineError::Volume { .. }), error.to_string()));
        assert!(error.as_ref().is_some_and(|(is_volume, text)| *is_volume && text.contains(why)), "{mounts:?}: {error:?}");
    }
}
