//! Questions that only a node itself can answer: what it and its tasks use, and which ports it could not bind.
//!
//! Asked by the API of any manager over streams of kind `Query`, one frame each way. Nothing of it is replicated.
mod process;

use std::collections::BTreeMap;
use std::io;

use async_trait::async_trait;
use minicloud_core::id::{NodeId, ServiceId, TaskId};
use minicloud_core::task::TaskUsage;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::agent::RunningTasks;
use crate::api::types::NodeUsage;
use crate::frame;
use crate::ingress::IngressHandle;
use crate::limits::{QUERY_TASKS_MAX, QUERY_TIMEOUT};
use crate::peers::Peers;
use crate::router::StreamService;
use crate::transport::{BoxStream, Peer, StreamKind};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Query {
    Usage {
        tasks: Vec<TaskId>,
    },
    Ports,
    /// As `Usage`, with that of the node itself.
    Stats {
        tasks: Vec<TaskId>,
    },
}

impl Query {
    fn tasks(&self) -> &[TaskId] {
        match self {
            Query::Usage { tasks } | Query::Stats { tasks } => tasks,
            Query::Ports => &[],
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum QueryAnswer {
    /// Tasks that do not run there are absent.
    Usage(BTreeMap<TaskId, TaskUsage>),
    Ports(Vec<UnboundPort>),
    Stats {
        node: NodeUsage,
        tasks: BTreeMap<TaskId, TaskUsage>,
    },
}

/// A published port that its node could not bind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnboundPort {
    pub service: ServiceId,
    /// For a port of mode `host`.
    pub task: Option<TaskId>,
    /// `0.0.0.0:8000/tcp`
    pub listen: String,
    pub error: String,
}

/// What this node knows of itself. Cheap to clone.
#[derive(Clone)]
pub struct LocalFacts {
    pub running: RunningTasks,
    pub ingress: IngressHandle,
    pub started: Instant,
}

impl LocalFacts {
    pub fn answer(&self, query: &Query) -> QueryAnswer {
        match query {
            Query::Usage { tasks } => QueryAnswer::Usage(self.usages(tasks)),
            Query::Ports => QueryAnswer::Ports(self.ingress.unbound()),
            Query::Stats { tasks } => QueryAnswer::Stats { node: process::usage(self.started.elapsed()), tasks: self.usages(tasks) },
        }
    }

    fn usages(&self, tasks: &[TaskId]) -> BTreeMap<TaskId, TaskUsage> {
        tasks.iter().filter_map(|task| Some((*task, self.running.usage(*task)?))).collect()
    }
}

/// Asks a node about itself.
pub async fn ask(peers: &Peers, node: NodeId, query: &Query) -> io::Result<QueryAnswer> {
    let asking = async {
        let mut stream = peers.open(node, StreamKind::Query).await.map_err(io::Error::other)?;
        frame::write(&mut stream, query).await?;
        stream.shutdown().await?;
        frame::expect(&mut stream).await
    };
    timeout(QUERY_TIMEOUT, asking).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Serves streams of kind `Query`.
pub struct QueryService(pub LocalFacts);

#[async_trait]
impl StreamService for QueryService {
    async fn serve(&self, peer: Peer, mut stream: BoxStream) {
        if let Err(error) = self.serve_one(&mut stream).await {
            debug!(node = %peer.node, %error, "query without an answer");
            stream.reset();
        }
    }
}

impl QueryService {
    async fn serve_one(&self, stream: &mut BoxStream) -> io::Result<()> {
        let query: Query = timeout(QUERY_TIMEOUT, frame::expect(stream)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        if query.tasks().len() > QUERY_TASKS_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many tasks in one question"));
        }
        frame::write(stream, &self.0.answer(&query)).await?;
        stream.shutdown().await
    }
}
