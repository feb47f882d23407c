//! Which components a node keeps: managers every one that a service refers to, and fetch those they lack; every node
//! what its own tasks run and what has a name there. Others go once nobody touched them for [`IMAGE_GRACE`], or earlier when they are too many.
use std::collections::BTreeSet;
use std::sync::Arc;

use minicloud_core::spec::Digest;
use minicloud_core::state::ClusterState;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use super::Images;
use crate::cluster::ClusterSlot;
use crate::limits::{IMAGE_GRACE, IMAGE_SWEEP_INTERVAL, IMAGES_UNUSED_BYTES_MAX};
use minicloud_core::view::NodeView;

pub struct ImageKeeper {
    pub images: Images,
    /// Filled on managers.
    pub cluster: ClusterSlot,
    pub view: watch::Receiver<Arc<NodeView>>,
}

impl ImageKeeper {
    /// Sweeps now and then, for ever.
    pub async fn run(self) {
        loop {
            sleep(IMAGE_SWEEP_INTERVAL).await;
            self.sweep().await;
        }
    }

    async fn sweep(&self) {
        let referred = match self.cluster.get() {
            Some(cluster) => referred(&cluster.state()),
            None => BTreeSet::new(),
        };
        for digest in referred.iter().filter(|digest| self.images.bundled_name(**digest).is_none()) {
            if let Err(error) = self.images.ensure(*digest).await {
                warn!(%error, "a service refers to a component that cannot be fetched");
            }
        }
        let view = self.view.borrow().clone();
        let own = view.tasks.values().map(|task| task.template.image.digest);
        let named = self.images.shared.names.digests();
        if let Err(error) = self.images.collect(&referred.into_iter().chain(own).chain(named).collect()).await {
            warn!(%error, "cannot remove components that nobody refers to");
        }
    }
}

/// The components of all services as they are, as they were before their last update, and of all tasks.
pub fn referred(state: &ClusterState) -> BTreeSet<Digest> {
    let specs = state.services.values().flat_map(|service| std::iter::once(&service.spec).chain(&service.previous_spec));
    let services = specs.map(|spec| spec.task.image.digest);
    let tasks = state.tasks.values().filter(|task| !task.status.state.is_final()).map(|task| task.template.image.digest);
    services.chain(tasks).collect()
}

impl Images {
    /// Removes every component without a name that neither `state` nor one of `own` refers to; answers what went.
    pub async fn prune(&self, state: &ClusterState, own: BTreeSet<Digest>) -> std::io::Result<Vec<(Digest, u64)>> {
        let mut kept = referred(state);
        kept.extend(own);
        kept.extend(self.shared.names.digests());
        // Their names cannot be taken away, so no user would look for them among what has none.
        kept.extend(self.shared.bundled.values().map(|image| image.digest));
        let mut removed = self.shared.store.list().await?;
        removed.retain(|(digest, _)| !kept.contains(digest));
        for (digest, _) in &removed {
            self.shared.store.remove(*digest).await;
        }
        Ok(removed)
    }

    /// Removes components that are not in `referred` and were not touched for a while.
    pub(super) async fn collect(&self, referred: &BTreeSet<Digest>) -> std::io::Result<()> {
        let store = &self.shared.store;
        let stored = store.list().await?;
        let mut unused: Vec<_> = stored.into_iter().filter(|(digest, _)| !referred.contains(digest)).collect();
        unused.sort_by_cached_key(|(digest, _)| store.untouched(*digest));
        let mut bytes: u64 = 0;
        // The one touched last comes first, so what goes is the oldest.
        for (digest, size_bytes) in unused {
            bytes += size_bytes;
            if store.untouched(digest) >= IMAGE_GRACE || bytes > IMAGES_UNUSED_BYTES_MAX {
                info!(%digest, "removing a component that nobody refers to");
                store.remove(digest).await;
            }
        }
        Ok(())
    }
}
