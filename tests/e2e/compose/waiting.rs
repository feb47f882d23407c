//! What `up` does when one service waits for another: it goes on once that is well or done, and says why it never will be.
use std::time::{Duration, Instant};

use super::{compose, project, running, up};
use crate::support::{Node, guest, wait_for};

/// A file of `first`, and of `second`, which waits for it.
fn two(first: &str, condition: &str) -> String {
    let component = guest("test-cli2").display().to_string();
    format!(
        "services:\n  first: {{image: '{component}', {first}}}\n  second: {{image: '{component}', command: [args, two], depends_on: \
         {{first: {{condition: {condition}}}}}}}\n"
    )
}

fn refused(node: &Node, file: &std::path::Path) -> String {
    let began = Instant::now();
    let told = node.refused(&["compose", "-p", "coins", "-f", file.to_str().unwrap(), "up", "-d", "--address", &node.ip.to_string()]);
    assert!(began.elapsed() < Duration::from_secs(45), "it took {:?}: {told}", began.elapsed());
    assert!(!compose(node, &["ps", "-a"]).contains("second-1"), "what needs it was not started: {told}");
    told
}

#[test]
fn what_is_to_be_done_is_waited_for_and_its_exit_code_told() {
    let (cluster, file) = project(&two("command: [sleep, '7000']", "service_completed_successfully"));
    let node = &cluster.nodes[0];
    let began = Instant::now();
    up(node, &file, &["-d"]);
    assert!(began.elapsed() > Duration::from_secs(6), "longer than a task has to run to count as stable");
    assert!(compose(node, &["logs", "second"]).contains("[\"two\"]"));
    compose(node, &["down"]);

    std::fs::write(&file, two("command: [exit, '1']", "service_completed_successfully")).unwrap();
    let told = refused(node, &file);
    assert!(told.contains("error: service 'first' did not complete successfully: exit code 1"), "{told}");
    compose(node, &["down"]);
}

#[test]
fn a_dependency_that_fails_again_and_again_ends_the_wait() {
    let check = "healthcheck: {test: [CMD, nc, -z, localhost, '1'], interval: 5s, retries: 20}";
    let (cluster, file) = project(&two(&format!("command: [exit, '1'], restart: always, {check}"), "service_healthy"));
    let node = &cluster.nodes[0];
    let told = refused(node, &file);
    assert!(told.contains("error: dependency failed to start: service 'first': coins_first.1 ended 3 times: exit code 1"), "{told}");
    compose(node, &["down"]);

    let check = "healthcheck: {test: [CMD, nc, -z, localhost, '1'], interval: 200ms, retries: 2}";
    std::fs::write(&file, two(&format!("command: [sleep, '60000'], restart: always, {check}"), "service_healthy")).unwrap();
    let told = refused(node, &file);
    assert!(told.contains("service 'first': coins_first.1 is unhealthy: "), "{told}");
    compose(node, &["down"]);
}

#[test]
fn lines_are_shown_while_others_are_waited_for() {
    let component = guest("test-cli2").display().to_string();
    let text = two("command: [await, /gate/open], volumes: ['./gate:/gate']", "service_completed_successfully")
        + &format!("  third: {{image: '{component}', command: [args, three]}}\n");
    let (cluster, file) = project(&text);
    let node = &cluster.nodes[0];
    let gate = file.parent().unwrap().join("gate");
    std::fs::create_dir(&gate).unwrap();
    let address = node.ip.to_string();
    let (mut child, lines) =
        super::foreground(node, &["compose", "-p", "coins", "-f", file.to_str().unwrap(), "up", "--address", &address]);
    let first = lines.recv_timeout(crate::support::PATIENCE).unwrap();
    assert!(first.starts_with("third-1") && first.contains("three"), "{first}");
    wait_for("only the one that is waited for is left", || (running(node) == ["first-1"]).then_some(()));
    std::fs::write(gate.join("open"), "").unwrap();
    let second = lines.recv_timeout(crate::support::PATIENCE).unwrap();
    assert!(second.starts_with("second-1") && second.contains("two"), "{second}");
    assert!(child.wait().unwrap().success());
    assert!(lines.recv().is_err(), "each line is shown once");
    compose(node, &["down"]);
}

#[test]
fn a_healthy_task_is_shown_so_and_the_newest_lines_are_those_of_a_replica() {
    let component = guest("test-cli2").display().to_string();
    let check = "healthcheck: {test: [CMD, curl, -f, 'http://localhost/'], interval: 200ms}";
    let text =
        format!("services:\n  rng: {{image: rng, {check}}}\n  again: {{image: '{component}', command: [lines, '3'], restart: always}}\n");
    let (cluster, file) = project(&text);
    let node = &cluster.nodes[0];
    up(node, &file, &["-d"]);
    let shown = compose(node, &["ps", "rng"]);
    assert!(shown.contains("(healthy)"), "{shown}");
    wait_for("two tasks have ended", || {
        let all = compose(node, &["logs", "--no-log-prefix", "again"]);
        (all.lines().count() >= 6).then_some(())
    });
    // Its next task may just be writing.
    wait_for("the newest lines are those of the last task", || {
        (compose(node, &["logs", "--tail", "2", "--no-log-prefix", "again"]) == "line 2\nline 3\n").then_some(())
    });
    compose(node, &["down"]);
}

#[test]
fn a_project_whose_lines_nobody_wants_runs_until_it_is_done() {
    let component = guest("test-cli2").display().to_string();
    let (cluster, file) = project(&format!("services:\n  quiet: {{image: '{component}', command: [sleep, '3000'], attach: false}}\n"));
    let node = &cluster.nodes[0];
    let began = Instant::now();
    assert_eq!(up(node, &file, &[]), "");
    assert!(began.elapsed() > Duration::from_secs(3), "it was not cut short");
    compose(node, &["down"]);
}
