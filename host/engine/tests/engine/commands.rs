//! Commands: how they end, what they see, what they log.
use minicloud_core::task::{Exit, LogStream};

use crate::support::{CLI2, CLI3, Node, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_ends_as_it_says() {
    let node = Node::new();
    let cases: [(&str, &[&str], Exit); 6] = [
        (CLI2, &["hello"], Exit::Completed),
        (CLI2, &["exit", "0"], Exit::Completed),
        // WASI 0.2 knows success and failure only.
        (CLI2, &["exit", "7"], Exit::Failed { code: 1 }),
        (CLI3, &["hello"], Exit::Completed),
        (CLI3, &["exit", "7"], Exit::Failed { code: 7 }),
        (CLI3, &["fail"], Exit::Failed { code: 1 }),
    ];
    for (guest, args, exit) in cases {
        let task = node.run("task", guest, args).await;
        assert_eq!(task.wait().await, exit, "{guest} {args:?}: {}", task.log.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_is_told_with_its_cause_and_backtrace() {
    let node = Node::new();
    for guest in [CLI2, CLI3] {
        let task = node.run("task", guest, &["trap"]).await;
        match task.wait().await {
            Exit::Trapped { message, backtrace } => {
                assert!(message.contains("unreachable"), "{guest}: {message}");
                assert!(backtrace.contains("wasm"), "{guest}: {backtrace}");
            }
            other => panic!("{guest} ended as {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_sees_its_arguments_environment_and_hostname() {
    let node = Node::new();
    for guest in [CLI2, CLI3] {
        let task = node
            .run_with("task", guest, &["env"], |spec| {
                spec.env.insert("COLOUR".to_owned(), "green".to_owned());
                spec.hostname = "task-1".to_owned();
            })
            .await;
        assert_eq!(task.wait().await, Exit::Completed);
        assert_eq!(task.log.lines(), ["COLOUR=green", "HOSTNAME=task-1"], "{guest}");
    }
    let task = node.run("task", CLI2, &["args", "a b", "", "ü"]).await;
    task.wait().await;
    assert_eq!(task.log.lines(), [r#"["a b", "", "ü"]"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_may_name_another_hostname() {
    let node = Node::new();
    let task = node.run_with("task", CLI2, &["env"], |spec| drop(spec.env.insert("HOSTNAME".to_owned(), "other".to_owned()))).await;
    task.wait().await;
    assert_eq!(task.log.lines(), ["HOSTNAME=other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_arrives_as_lines_of_the_right_stream() {
    let node = Node::new();
    let task = node.run("task", CLI2, &["lines", "3"]).await;
    task.wait().await;
    assert_eq!(task.log.of(LogStream::Stdout), ["line 1", "line 2", "line 3"]);
    let task = node.run("task", CLI2, &["stderr"]).await;
    task.wait().await;
    assert_eq!(task.log.of(LogStream::Stderr), ["to stderr"]);
    assert!(task.log.of(LogStream::Stdout).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_is_the_hosts() {
    let node = Node::new();
    let now = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let before = now();
    let task = node.run("task", CLI2, &["time"]).await;
    task.wait().await;
    let told: u64 = task.log.text().parse().unwrap();
    assert!((before..=now()).contains(&told));
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_of_a_0_3_guest_overlap() {
    let node = Node::new();
    let task = node.run("task", CLI3, &["sleeps", "50", "100"]).await;
    assert_eq!(task.wait().await, Exit::Completed);
    assert!(task.task.usage().uptime_us < 2_000_000, "{:?}", task.task.usage());
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_and_kill_end_a_waiting_command() {
    let node = Node::new();
    for guest in [CLI2, CLI3] {
        let task = node.run("task", guest, &["sleep", "3600000"]).await;
        assert_eq!(task.task.exit(), None);
        assert_eq!(task.task.stop(std::time::Duration::from_secs(5)).await, Exit::Stopped);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_task_kills_it() {
    let node = Node::new();
    let task = node.run("task", CLI2, &["echo-server", "7000"]).await;
    eventually("the server", || task.log.text().contains("listening")).await;
    let (net, address) = (task.net.clone(), task.address);
    drop(task.task);
    // The port is free again once the sockets are gone.
    eventually("the port to be free", || net.listen((address, 7000).into(), 1).is_ok()).await;
}
