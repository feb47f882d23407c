//! The handles behind the API, and what every handler does with them.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use minicloud_core::command::{Applied, Command};
use minicloud_core::id::{NodeId, RANDOM_ID_END};
use minicloud_core::state::{ClusterState, Role};
use minicloud_net::Switch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::error::ApiError;
use crate::cluster::{Cluster, ClusterSlot, ProposeError};
use crate::env::{Clock, Random};
use crate::executor::Executor;
use crate::images::Images;
use crate::limits::PROPOSE_TIMEOUT;
use crate::logs::Logs;
use crate::node::Addresses;
use crate::peers::Peers;
use crate::seal::SealKeys;
use crate::session::SessionHandle;
use crate::usage::{self, LocalFacts, Query, QueryAnswer};

/// Everything the API of one node speaks for.
pub struct NodeApi {
    /// Filled on managers.
    pub cluster: ClusterSlot,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub peers: Peers,
    /// Of a manager: the key that seals secrets.
    pub seal_keys: SealKeys,
    pub images: Images,
    /// Says whether a component can run.
    pub executor: Arc<dyn Executor>,
    pub logs: Logs,
    pub switch: Switch,
    pub session: SessionHandle,
    pub facts: LocalFacts,
    pub hostname: String,
    pub addresses: Addresses,
    /// Where names are answered, or why they are not.
    pub dns: Result<Option<SocketAddr>, String>,
    pub data_dir: PathBuf,
    /// Cancelled to end the node.
    pub stop: CancellationToken,
}

impl NodeApi {
    pub(super) fn own_id(&self) -> NodeId {
        self.peers.local().node()
    }

    /// The replicated state's handle, or where one is.
    pub(super) fn cluster(&self) -> Result<Cluster, ApiError> {
        self.cluster.get().ok_or_else(|| {
            let view = self.session.view();
            let view = view.borrow();
            let manager = view.nodes.values().filter(|node| node.role == Role::Manager).max_by_key(|node| node.live);
            let example = manager.map(|manager| format!(", for example on {} at {}", manager.hostname, manager.address));
            ApiError::unavailable(format!("this node is a worker: run this on a manager{}", example.unwrap_or_default()))
        })
    }

    /// The state with everything in it that was acknowledged before now.
    pub(super) async fn read(&self) -> Result<ClusterState, ApiError> {
        Ok(self.cluster()?.read().await?)
    }

    /// Makes a change; returns once this node's own state shows it.
    pub(super) async fn change(&self, command: Command) -> Result<Applied, ApiError> {
        self.cluster()?;
        Ok(self.try_change(command).await?)
    }

    /// As [`NodeApi::change`], for those who look at why it was refused.
    pub(super) async fn try_change(&self, command: Command) -> Result<Applied, ProposeError> {
        let cluster = self.cluster.get().ok_or_else(|| ProposeError::Unavailable("this node is a worker".into()))?;
        let applied = cluster.propose(command).await?;
        // It is done in any case; a node that lags only shows it later.
        let _ = timeout(PROPOSE_TIMEOUT, cluster.wait_applied(applied.index)).await;
        Ok(applied)
    }

    /// A fresh random id.
    pub(super) fn random_id(&self) -> u64 {
        rand::random::<u64>() % RANDOM_ID_END
    }

    /// Asks nodes about themselves, all at once. Those that do not answer in time are absent.
    pub(super) async fn ask(&self, queries: BTreeMap<NodeId, Query>) -> BTreeMap<NodeId, QueryAnswer> {
        let asking = queries.into_iter().map(|(node, query)| async move {
            if node == self.own_id() {
                return Some((node, self.facts.answer(&query)));
            }
            usage::ask(&self.peers, node, &query).await.ok().map(|answer| (node, answer))
        });
        futures::future::join_all(asking).await.into_iter().flatten().collect()
    }
}
