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
use crate::logs::{self, LogEvent, LogSource, Told};

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
            End::Ended => return self.rest(Told::default()).await,
            End::Lost => return Ok(()),
            End::NotYet => {}
        }
        let mut told = Told::default();
        let mut source = self.open(self.query);
        let mut ended = std::pin::pin!(self.ended());
        let mut known = None;
        loop {
            // Silence counts only while nothing is on its way to the reader, however slow that is.
            let silence = async {
                match known {
                    Some(end) => {
                        sleep(LOG_END_WAIT).await;
                        end
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = source.recv() => match event {
                    None => return Ok(()),
                    Some(event) => {
                        if let LogEvent::Line(_, record) = &event {
                            told.count(record);
                        }
                        self.tell(event).await?;
                    }
                },
                end = &mut ended, if known.is_none() => known = Some(end),
                end = silence => match end {
                    End::Ended => return self.rest(told).await,
                    End::Lost | End::NotYet => return Ok(()),
                },
            }
        }
    }

    /// What is in the files beyond the lines that were told.
    async fn rest(&self, mut told: Told) -> Result<(), Left> {
        let since_ms = self.query.since_ms.max(told.last_ms);
        let mut source = self.open(LogQuery { follow: false, since_ms, ..self.query });
        while let Some(event) = source.recv().await {
            if !matches!(&event, LogEvent::Line(_, record) if told.had(record)) {
                self.tell(event).await?;
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

    /// Resolves once the task's end is known.
    async fn ended(&self) -> End {
        let mut changes = self.cluster.changes();
        loop {
            changes.borrow_and_update();
            let end = end(&self.cluster.state(), self.task);
            if end != End::NotYet {
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
