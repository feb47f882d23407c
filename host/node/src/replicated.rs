//! The replicated state as the leader's loop and the dispatcher need it: propose, look, watch.
//!
//! `cluster::Cluster` in production, `testing::FakeCluster` in tests.
use async_trait::async_trait;
use minicloud_core::command::{Applied, Command};
use minicloud_core::id::Index;
use minicloud_core::state::ClusterState;
use tokio::sync::watch;

use crate::cluster::{Cluster, Leadership, ProposeError};

#[async_trait]
pub trait ReplicatedState: Send + Sync + 'static {
    /// Returns once the command is applied here, when this node leads.
    async fn propose(&self, command: Command) -> Result<Applied, ProposeError>;
    /// As last applied here.
    fn state(&self) -> ClusterState;
    /// The index of `state`.
    fn changes(&self) -> watch::Receiver<Index>;
    fn leadership(&self) -> watch::Receiver<Leadership>;
}

#[async_trait]
impl ReplicatedState for Cluster {
    async fn propose(&self, command: Command) -> Result<Applied, ProposeError> {
        Cluster::propose(self, command).await
    }

    fn state(&self) -> ClusterState {
        Cluster::state(self)
    }

    fn changes(&self) -> watch::Receiver<Index> {
        Cluster::changes(self)
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        Cluster::leadership(self)
    }
}
