//! Which view each node stands at, and the least of the nodes that live. Pure.
use std::collections::BTreeMap;

use minicloud_core::id::{Index, NodeId};
use minicloud_core::state::{ClusterState, NodeStatus};

#[derive(Debug, Default)]
pub(super) struct Acknowledgements {
    by_node: BTreeMap<NodeId, Index>,
}

impl Acknowledgements {
    pub(super) fn set(&mut self, node: NodeId, index: Index) {
        self.by_node.insert(node, index);
    }

    /// The least index of all live nodes. One that was not heard in this term stands at 0: nobody knows what it still
    /// has in its routes.
    pub(super) fn least(&self, state: &ClusterState) -> Index {
        let live = state.nodes.values().filter(|node| node.status == NodeStatus::Ready);
        live.map(|node| self.by_node.get(&node.id).copied().unwrap_or_default()).min().unwrap_or_default()
    }
}

/// What one session sent and what came back. A view that would say nothing new is not sent, and counts as
/// acknowledged with the one before it.
#[derive(Debug, Default)]
pub(super) struct Window {
    sent: Index,
    covered: Index,
    acknowledged: Index,
}

impl Window {
    pub(super) fn sent(&mut self, index: Index) {
        self.sent = index;
        self.covered = index;
    }

    /// Up to `index` nothing is new to the node.
    pub(super) fn covers(&mut self, index: Index) {
        self.covered = index;
    }

    pub(super) fn acknowledged(&mut self, index: Index) {
        self.acknowledged = index.min(self.sent);
    }

    /// The index at which the node stands.
    pub(super) fn stands_at(&self) -> Index {
        if self.acknowledged == self.sent { self.covered } else { self.acknowledged }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_stands_where_its_last_acknowledged_view_still_says_all() {
        let mut window = Window::default();
        window.sent(Index(5));
        assert_eq!(window.stands_at(), Index(0));
        window.covers(Index(7));
        window.acknowledged(Index(5));
        assert_eq!(window.stands_at(), Index(7));
        window.covers(Index(8));
        assert_eq!(window.stands_at(), Index(8));
        window.sent(Index(9));
        assert_eq!(window.stands_at(), Index(5));
        window.acknowledged(Index(99));
        assert_eq!(window.stands_at(), Index(9));
    }
}
