//! Where a node keeps its handle on the replicated state, which it has while it is a manager.
use tokio::sync::watch;

use super::Cluster;

/// See the module. Cheap to clone; all clones change together.
#[derive(Clone, Default)]
pub struct ClusterSlot {
    current: watch::Sender<Option<Cluster>>,
}

impl ClusterSlot {
    /// `None` on workers.
    pub fn get(&self) -> Option<Cluster> {
        self.current.borrow().clone()
    }

    /// The node became a manager.
    pub(crate) fn fill(&self, cluster: Cluster) {
        self.current.send_replace(Some(cluster));
    }

    /// The node is a manager no longer.
    pub(crate) fn empty(&self) {
        self.current.send_replace(None);
    }

    /// Returns why consensus stopped on this node without being told to, once it has.
    pub async fn failed(&self) -> String {
        let mut current = self.current.subscribe();
        loop {
            let cluster = current.borrow_and_update().clone();
            let failed = async {
                match cluster {
                    Some(cluster) => cluster.failed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                reason = failed => return reason,
                // This slot holds a sender, so there is always a next one.
                _ = current.changed() => {}
            }
        }
    }
}
