//! One task's log to its last line: follows it while the task runs, and ends when it has ended.
//!
//! The task's node says that nothing more comes before it reports the task's end, so a reading mostly ends by itself. One
//! whose node was started anew meanwhile does not know: then what is in the files is read once more.
use std::sync::Arc;

use minicloud_core::id::{NodeId, TaskId};
use minicloud_core::state::{ClusterState, NodeStatus};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::super::Context;
use super::super::task::node_name;
use super::super::types::LogQuery;
use crate::cluster::Cluster;
use crate::limits::{LOG_END_WAIT, LOG_EVENTS_WAITING_MAX};
use crate::logs::{self, LogEvent, LogSource};

/// The lines of `task`, which ran or is to run on `node`.
pub fn read(api: Arc<Context>, cluster: Cluster, node: NodeId, task: TaskId, query: LogQuery) -> LogSource {
    let (events, source) = mpsc::channel(LOG_EVENTS_WAITING_MAX);
    let reading = Reading { api, cluster, node, task, query, events };
    tokio::spawn(async move {
        let events = reading.events.clone();
        tokio::select! {
            _ = reading.run() => {}
            () = events.closed() => {}
        }
    });
    source
}

struct Reading {
    api: Arc<Context>,
    cluster: Cluster,
    node: NodeId,
    task: TaskId,
    query: LogQuery,
    events: mpsc::Sender<LogEvent>,
}

/// What is known of a task's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    /// It has ended, and its node has all that it wrote.
    Ended,
    /// Nobody can ask its node.
    Lost,
}

/// Nobody reads any more.
struct Left;

impl Reading {
    async fn run(self) -> Result<(), Left> {
        match end(&self.cluster.state(), self.task) {
            End::Ended => return self.rest(0).await,
            End::Lost => return Ok(()),
            End::NotYet => {}
        }
        let mut told = 0;
        let mut source = self.open(self.query);
        let mut deadline = std::pin::pin!(self.deadline());
        loop {
            tokio::select! {
                event = source.recv() => match event {
                    None => return Ok(()),
                    Some(event) => {
                        told += u64::from(matches!(event, LogEvent::Line(..)));
                        self.tell(event).await?;
                    }
                },
                end = &mut deadline => match end {
                    End::Ended => return self.rest(told).await,
                    End::Lost | End::NotYet => return Ok(()),
                },
            }
        }
    }

    /// What is in the files beyond the lines that were told.
    async fn rest(&self, told: u64) -> Result<(), Left> {
        let mut source = self.open(LogQuery { follow: false, ..self.query });
        let mut skip = told;
        while let Some(event) = source.recv().await {
            match event {
                LogEvent::Line(..) if skip > 0 => skip -= 1,
                event => self.tell(event).await?,
            }
        }
        Ok(())
    }

    fn open(&self, query: LogQuery) -> LogSource {
        if self.node == self.api.own_id() {
            return logs::read(&self.api.logs, self.task, query);
        }
        let hostname = node_name(&self.cluster.state(), Some(self.node)).unwrap_or_default();
        logs::read_remote(&self.api.peers, self.node, hostname, vec![self.task], query)
    }

    /// Resolves a while after the task's end is known.
    async fn deadline(&self) -> End {
        let mut changes = self.cluster.changes();
        loop {
            changes.borrow_and_update();
            let end = end(&self.cluster.state(), self.task);
            if end != End::NotYet {
                sleep(LOG_END_WAIT).await;
                return end;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return End::NotYet },
                () = self.cluster.ended() => return End::NotYet,
            }
        }
    }

    async fn tell(&self, event: LogEvent) -> Result<(), Left> {
        self.events.send(event).await.map_err(|_| Left)
    }
}

fn end(state: &ClusterState, task: TaskId) -> End {
    let Some(task) = state.tasks.get(&task) else { return End::Ended };
    let node = task.node.and_then(|node| state.nodes.get(&node));
    match node {
        _ if task.status.state.is_final() => End::Ended,
        Some(node) if node.status != NodeStatus::Down => End::NotYet,
        _ if task.is_wanted() => End::NotYet,
        _ => End::Lost,
    }
}
