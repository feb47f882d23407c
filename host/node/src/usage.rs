//! Questions that only a node itself can answer: what its tasks use, and which ports it could not bind.
//!
//! Asked by the API of any manager over streams of kind `Query`, one frame each way. Nothing of it is replicated.
use std::collections::BTreeMap;
use std::io;

use async_trait::async_trait;
use minicloud_core::id::{NodeId, ServiceId, TaskId};
use minicloud_core::task::TaskUsage;
use minicloud_net::Switch;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tracing::debug;

use crate::agent::RunningTasks;
use crate::frame;
use crate::ingress::IngressHandle;
use crate::limits::{QUERY_TASKS_MAX, QUERY_TIMEOUT};
use crate::peers::Peers;
use crate::router::StreamService;
use crate::transport::{BoxStream, Peer, StreamKind};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Query {
    Usage { tasks: Vec<TaskId> },
    Ports,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum QueryAnswer {
    /// Tasks that do not run there are absent.
    Usage(BTreeMap<TaskId, TaskUsage>),
    Ports(Vec<UnboundPort>),
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
    pub switch: Switch,
    pub ingress: IngressHandle,
}

impl LocalFacts {
    pub fn answer(&self, query: &Query) -> QueryAnswer {
        match query {
            Query::Usage { tasks } => QueryAnswer::Usage(tasks.iter().filter_map(|task| Some((*task, self.usage(*task)?))).collect()),
            Query::Ports => QueryAnswer::Ports(self.ingress.unbound()),
        }
    }

    fn usage(&self, task: TaskId) -> Option<TaskUsage> {
        let network = self.switch.usage(task);
        Some(TaskUsage {
            connections: u32::try_from(network.connections).unwrap_or(u32::MAX),
            received_bytes: network.received_bytes,
            sent_bytes: network.sent_bytes,
            ..self.running.usage(task)?
        })
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
        if matches!(&query, Query::Usage { tasks } if tasks.len() > QUERY_TASKS_MAX) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many tasks in one question"));
        }
        frame::write(stream, &self.0.answer(&query)).await?;
        stream.shutdown().await
    }
}
