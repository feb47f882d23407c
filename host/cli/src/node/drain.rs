//! Waits until a drained node runs nothing any more.
use std::time::{Duration, Instant};

use anyhow::bail;
use minicloud_core::task::TaskState;
use minicloud_node::api::types::TaskSummary;
use minicloud_node::client::Client;

use crate::interrupt::{Interrupted, interrupted};
use crate::output::say;

/// How often it is looked whether the node is empty.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// When nothing has moved for this long, what is left is looked at: it may have nowhere to go.
const STUCK_AFTER: Duration = Duration::from_secs(3);

pub async fn wait(client: &Client, node: &str) -> anyhow::Result<()> {
    tokio::select! {
        emptied = emptied(client, node) => emptied,
        () = interrupted() => Err(Interrupted::node(node).into()),
    }
}

async fn emptied(client: &Client, node: &str) -> anyhow::Result<()> {
    let (mut shown, mut since) = (None, Instant::now());
    loop {
        let left: Vec<TaskSummary> = client.node_tasks(node).await?.into_iter().filter(is_there).collect();
        if left.is_empty() {
            say!("verify: Node {node} is drained");
            return Ok(());
        }
        let count = left.len();
        if shown.replace(count) != Some(count) {
            say!("overall progress: {count} {} to move", if count == 1 { "task" } else { "tasks" });
            since = Instant::now();
        }
        if since.elapsed() > STUCK_AFTER
            && let Some((name, reason)) = nowhere_to_go(&left, &client.tasks().await?)
        {
            bail!("node {node} gets no new tasks, but {name} goes on there, as it can run nowhere else: {reason}");
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// The first of the tasks that are left and the reason, when the successor of each waits for a node.
fn nowhere_to_go(left: &[TaskSummary], all: &[TaskSummary]) -> Option<(String, String)> {
    let reason = |task: &TaskSummary| {
        let waits = |other: &&TaskSummary| {
            (&other.service, &other.name) == (&task.service, &task.name)
                && other.current_state == TaskState::Pending
                && !other.error.is_empty()
        };
        all.iter().find(waits).map(|successor| (task.name.clone(), successor.error.clone()))
    };
    let reasons: Vec<_> = left.iter().map(reason).collect::<Option<_>>()?;
    reasons.into_iter().next()
}

fn is_there(task: &TaskSummary) -> bool {
    (TaskState::Assigned..=TaskState::Running).contains(&task.current_state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str, state: &str, error: &str) -> TaskSummary {
        let task = serde_json::json!({
            "id": "000000000001", "name": name, "slot": 1, "image": "web", "node": null, "desired_state": "running",
            "current_state": state, "error": error, "addresses": [], "service": "web", "since_ms": 0,
        });
        serde_json::from_value(task).unwrap()
    }

    #[test]
    fn a_drain_ends_when_nothing_left_can_move() {
        let left = [task("web.1", "running", ""), task("web.2", "running", "")];
        let waits = |name| task(name, "pending", "no suitable node (1 drained)");
        assert_eq!(nowhere_to_go(&left, &[waits("web.1")]), None, "the other may still move");
        let stuck = nowhere_to_go(&left, &[waits("web.1"), waits("web.2")]);
        assert_eq!(stuck, Some(("web.1".to_owned(), "no suitable node (1 drained)".to_owned())));
        assert_eq!(nowhere_to_go(&left, &[waits("web.1"), task("web.2", "pending", "")]), None, "the scheduler has not looked yet");
    }
}
