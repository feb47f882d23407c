//! What a manager runs beyond consensus: the leader's loop, the dispatcher, the join desk; begun and ended as one.
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::dispatcher::{Dispatcher, DispatcherOptions};
use crate::leader::{Leader, LeaderOptions};
use crate::liveness::LivenessHandle;
use crate::member::Member;
use crate::router::{Allow, Services, ServicesHandle};
use crate::session::OwnDispatcher;
use crate::transport::{Peer, StreamKind};
use minicloud_core::state::Role;

pub(super) struct Duties {
    /// What every node serves.
    pub common: Services,
    pub services: ServicesHandle,
    pub own_dispatcher: OwnDispatcher,
    /// Ends them with the node.
    pub core: CancellationToken,
    /// Ends them before that.
    pub end: Option<CancellationToken>,
}

impl Duties {
    pub fn begin(&mut self, member: &Member, cluster: &Cluster) {
        let end = self.core.child_token();
        let liveness = LivenessHandle::new();
        let replicated = Arc::new(cluster.clone());
        let (clock, random) = (member.env.clock.clone(), member.env.random.clone());
        let leader = Leader::new(LeaderOptions { replicated: replicated.clone(), liveness: liveness.clone(), clock, random });
        tokio::spawn(leader.run(end.clone()));
        let dispatcher = Dispatcher::new(DispatcherOptions { replicated, liveness });
        tokio::spawn(dispatcher.clone().run(end.clone()));
        tokio::spawn(member.seal_keys.clone().follow(member.peers.clone(), cluster.clone(), end.clone()));
        let local = member.peers.local();
        self.own_dispatcher.fill(Peer { node: local.node(), role: Role::Manager, address: local.address() }, dispatcher.clone());
        let services = member.services(self.common.clone());
        self.services.replace(services.stream(StreamKind::Dispatcher, Allow::Members, dispatcher));
        self.end = Some(end);
    }

    pub fn end(&mut self) {
        self.services.replace(self.common.clone());
        self.own_dispatcher.empty();
        if let Some(end) = self.end.take() {
            end.cancel();
        }
    }
}
