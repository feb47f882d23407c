//! Which nodes may hold components, as the node's view has them.
use std::sync::Arc;

use async_trait::async_trait;
use minicloud_core::id::NodeId;
use minicloud_core::state::Role;

use crate::images::BlobPeers;
use crate::peers::{PeerError, Peers};
use crate::session::SessionHandle;
use crate::transport::{BoxStream, StreamKind};

pub(super) struct ViewPeers {
    pub peers: Peers,
    pub session: SessionHandle,
}

impl ViewPeers {
    fn live(&self, role: Role) -> Vec<NodeId> {
        let view = Arc::clone(&self.session.view().borrow());
        let own = self.peers.local().node();
        view.nodes.values().filter(|node| node.live && node.role == role && node.id != own).map(|node| node.id).collect()
    }
}

#[async_trait]
impl BlobPeers for ViewPeers {
    fn managers(&self) -> Vec<NodeId> {
        self.live(Role::Manager)
    }

    fn others(&self) -> Vec<NodeId> {
        self.live(Role::Worker)
    }

    async fn open(&self, node: NodeId) -> Result<BoxStream, PeerError> {
        self.peers.open(node, StreamKind::Blob).await
    }
}
