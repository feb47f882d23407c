//! Memory, CPU, and neighbours: what one task does must not hurt another.
use std::sync::Arc;
use std::time::{Duration, Instant};

use minicloud_core::task::Exit;
use minicloud_engine::EngineError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{CLI2, CLI3, HTTP3, HttpClient, NETWORK, Node, eventually, guest, load, patiently};

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_refused_beyond_the_limit() {
    let node = Node::new();
    let task = node.run_with("task", CLI2, &["eat", "200"], |spec| spec.memory_bytes = 32 << 20).await;
    assert_eq!(task.wait().await, Exit::Failed { code: 1 });
    let text = task.log.text();
    let eaten: u64 = text.split("no memory after ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("0").parse().unwrap();
    assert!((8..32).contains(&eaten), "{text}");
    let task = node.run_with("task", CLI2, &["eat", "20"], |spec| spec.memory_bytes = 32 << 20).await;
    assert_eq!(task.wait().await, Exit::Completed, "{}", task.log.text());
    assert_eq!(task.task.usage().memory_bytes, 0, "an ended task still holds memory");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_does_not_fit_its_limit_does_not_start() {
    let node = Node::new();
    let component = load(&node.engine, guest(CLI2)).await.unwrap();
    let started = node.start("task", &component, NETWORK, &[], |spec| spec.memory_bytes = 1 << 16).await;
    let error = started.err().expect("no start").to_string();
    assert!(error.contains("memory"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn use_is_counted() {
    let node = Node::new();
    let spinning = node.run("spin", CLI2, &["spin"]).await;
    eventually("CPU time", || spinning.task.usage().cpu_us > 50_000).await;
    let usage = spinning.task.usage();
    assert!(usage.memory_bytes > 0 && usage.uptime_us >= usage.cpu_us, "{usage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cpu_limit_is_kept() {
    let node = Node::new();
    for guest in [CLI2, CLI3] {
        let task = node.run_with("spin", guest, &["spin"], |spec| spec.cpu_millis = 100).await;
        eventually("three seconds to pass", || task.task.usage().uptime_us > 3_000_000).await;
        let usage = task.task.usage();
        let share = usage.cpu_us as f64 / usage.uptime_us as f64;
        assert!((0.02..0.2).contains(&share), "{guest} used {share} of a core");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spinning_guest_can_be_killed() {
    let node = Node::new();
    for guest in [CLI2, CLI3] {
        let task = node.run("spin", guest, &["spin"]).await;
        eventually("it to spin", || task.log.text().contains("spinning")).await;
        let began = Instant::now();
        assert_eq!(patiently("the kill", task.task.kill()).await, Exit::Stopped);
        assert!(began.elapsed() < Duration::from_secs(5), "{guest}: {:?}", began.elapsed());
    }
}

/// Bounds are far above what is measured alone, since tests share the machine.
#[tokio::test(flavor = "multi_thread")]
async fn four_spinning_tasks_leave_their_neighbours_responsive() {
    let node = Node::new();
    let echo = node.run("echo", CLI2, &["echo-server", "7000"]).await;
    let _http = node.run("http", HTTP3, &[]).await;
    eventually("the server", || echo.log.text().contains("listening")).await;
    let mut spinning = Vec::new();
    for number in 0..4 {
        let guest = if number % 2 == 0 { CLI2 } else { CLI3 };
        spinning.push(node.run(&format!("spin{number}"), guest, &["spin"]).await);
    }
    for task in &spinning {
        eventually("it to spin", || task.log.text().contains("spinning")).await;
    }
    let client = node.client(NETWORK);
    let mut connection = client.connect(None, (echo.address, 7000).into()).await.unwrap();
    let mut trips = Vec::new();
    for _ in 0..50 {
        let began = Instant::now();
        connection.write_all(b"x").await.unwrap();
        patiently("the echo", connection.read_exact(&mut [0; 1])).await.unwrap();
        trips.push(began.elapsed());
    }
    trips.sort();
    assert!(trips[25] < Duration::from_millis(500), "median round trip beside four spinning tasks: {:?}", trips[25]);
    let mut http = HttpClient::connect(&client, "http").await;
    assert_eq!(http.get("/slow?ms=10").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_for_want_of_memory_names_the_limit() {
    let node = Node::new();
    let component = load(
        &node.engine,
        command("(memory 1)", "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))) unreachable)"),
    )
    .await;
    let task = node.start("task", &component.unwrap(), NETWORK, &[], |spec| spec.memory_bytes = 8 << 20).await.unwrap();
    match task.wait().await {
        Exit::Trapped { message, .. } => assert!(message.contains("unreachable") && message.contains("memory limit of 8 MiB"), "{message}"),
        other => panic!("ended as {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_does_not_grow_without_bound() {
    let node = Node::new();
    let grow = "(loop $more (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1))))";
    let component = load(&node.engine, command("(table 1 funcref)", grow)).await.unwrap();
    let task = node.start("task", &component, NETWORK, &[], |_| {}).await.unwrap();
    assert_eq!(task.wait().await, Exit::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_traps_while_it_is_instantiated_fails_the_start() {
    let node = Node::new();
    let component = load(&node.engine, command("(func $boom unreachable) (start $boom)", "")).await.unwrap();
    match node.start("task", &component, NETWORK, &[], |_| {}).await.err() {
        Some(EngineError::StartFailed { message, backtrace }) => {
            assert!(message.contains("unreachable") && backtrace.contains("boom"), "{message}\n{backtrace}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_up_a_start_ends_what_was_started() {
    let node = Node::new();
    let component = load(&node.engine, command("(func $spin (loop $on (br $on))) (start $spin)", "")).await.unwrap();
    let counted = Arc::new(());
    let held = counted.clone();
    let starting = node.start("task", &component, NETWORK, &[], move |spec| {
        spec.log = Arc::new(move |_, _| drop(held.clone()));
    });
    assert!(tokio::time::timeout(Duration::from_millis(100), starting).await.is_err(), "a spinning start came to an end");
    eventually("the task to be gone", || Arc::strong_count(&counted) == 1).await;
}

/// A bug of the host, here in the log it was given, ends the task and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_host_ends_only_its_task() {
    let node = Node::new();
    for guest_name in [CLI2, CLI3] {
        let task = node.run_with("task", guest_name, &["hello"], |spec| spec.log = Arc::new(|_, _| panic!("a bug"))).await;
        match task.wait().await {
            Exit::Trapped { message, .. } => assert!(message.contains("a bug"), "{message}"),
            other => panic!("{guest_name} ended as {other:?}"),
        }
    }
    let task = node.run("task", CLI2, &["hello"]).await;
    assert_eq!(task.wait().await, Exit::Completed);
}

/// A WASI 0.2 command with this in its core module, and this in the body of `run`.
fn command(module: &str, run: &str) -> bytes::Bytes {
    let text = format!(
        r#"(component
            (core module $m {module} (func (export "run") (result i32) {run} i32.const 0))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $r (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $r)))"#
    );
    wat::parse_str(text).unwrap().into()
}
