//! Waits until a drained node runs nothing any more.
use std::time::Duration;

use minicloud_core::task::TaskState;
use minicloud_node::api::types::TaskSummary;
use minicloud_node::client::Client;

use crate::interrupt::{Interrupted, interrupted};
use crate::output::say;

/// How often it is looked whether the node is empty.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

pub async fn wait(client: &Client, node: &str) -> anyhow::Result<()> {
    tokio::select! {
        emptied = emptied(client, node) => emptied,
        () = interrupted() => Err(Interrupted::node(node).into()),
    }
}

async fn emptied(client: &Client, node: &str) -> anyhow::Result<()> {
    let mut shown = None;
    loop {
        let left = client.node_tasks(node).await?.iter().filter(|task| is_there(task)).count();
        if left == 0 {
            say!("verify: Node {node} is drained");
            return Ok(());
        }
        if shown.replace(left) != Some(left) {
            say!("overall progress: {left} {} to move", if left == 1 { "task" } else { "tasks" });
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

fn is_there(task: &TaskSummary) -> bool {
    (TaskState::Assigned..=TaskState::Running).contains(&task.current_state)
}
