//! Who keeps the log: managers join as learners, catch up, and vote; changes run one at a time, in the leader.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use minicloud_core::command::{Command, NodeChange, Rejection, Request};
use minicloud_core::id::{Index, NodeId};
use minicloud_core::state::Role;
use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::forward::Call;
use super::propose::{Failed, Repeat};
use super::{Cluster, ManagerStatus, ProposeError};
use crate::limits::{CATCH_UP_TIMEOUT, PROPOSE_RETRY_DELAY, PROPOSE_TIMEOUT, REACHABLE_WINDOW, TRANSFER_TIMEOUT};
use crate::raft::{Member, TypeConfig};

impl Cluster {
    /// Makes a member a manager: learner, caught up, voter. Repeating it does nothing more.
    pub async fn add_manager(&self, node: NodeId, address: SocketAddr) -> Result<(), ProposeError> {
        let deadline = Instant::now() + CATCH_UP_TIMEOUT;
        let mut retry = self.retry(deadline, Repeat::Always);
        loop {
            let tried = match self.leader_now().leading {
                true => self.add_here(node, address).await,
                false => self.call_leader(&Call::AddManager { node, address }, deadline).await,
            };
            match tried {
                Ok(()) => return Ok(()),
                Err(failed) => retry.after(failed).await?,
            }
        }
    }

    /// Takes a manager out of the log's membership; the leader hands over first when it is itself.
    pub async fn remove_manager(&self, node: NodeId) -> Result<(), ProposeError> {
        let deadline = Instant::now() + CATCH_UP_TIMEOUT;
        let mut retry = self.retry(deadline, Repeat::Always);
        loop {
            let tried = match self.leader_now().leading {
                true => self.remove_here(node).await,
                false => self.call_leader(&Call::RemoveManager { node }, deadline).await,
            };
            match tried {
                Ok(()) => return Ok(()),
                Err(failed) => retry.after(failed).await?,
            }
        }
    }

    /// Makes a manager a worker: what would cost the quorum is refused before anything changed, then the state says so,
    /// then it leaves the log's membership. Returns the index from which the state says so.
    pub async fn demote(&self, node: NodeId) -> Result<Index, ProposeError> {
        let deadline = Instant::now() + CATCH_UP_TIMEOUT;
        let mut retry = self.retry(deadline, Repeat::Always);
        loop {
            let tried = match self.leader_now().leading {
                true => self.demote_here(node).await,
                false => self.call_leader(&Call::Demote { node }, deadline).await,
            };
            match tried {
                Ok(index) => return Ok(index),
                Err(failed) => retry.after(failed).await?,
            }
        }
    }

    /// Makes another voter the leader; does nothing when there is none.
    pub async fn transfer_leadership(&self) -> Result<(), ProposeError> {
        let deadline = Instant::now() + PROPOSE_TIMEOUT;
        let mut retry = self.retry(deadline, Repeat::Always);
        loop {
            let tried = match self.leader_now().leading {
                true => self.hand_over().await,
                false => self.call_leader(&Call::TransferLeadership, deadline).await,
            };
            match tried {
                Ok(()) => return Ok(()),
                Err(failed) => retry.after(failed).await?,
            }
        }
    }

    /// All managers; whether they are reachable is the leader's word. Without a leader nobody but this node is.
    pub async fn managers(&self) -> Vec<ManagerStatus> {
        if self.leader_now().leading {
            return self.managers_here();
        }
        let deadline = Instant::now() + PROPOSE_RETRY_DELAY * 50;
        self.call_leader(&Call::Managers, deadline).await.unwrap_or_else(|_: Failed| self.managers_here())
    }

    /// Has this node, a manager, added to the log's membership; returns once it votes. Tries the managers given and
    /// those known, again and again. Its own log is not believed: it may have been demoted and promoted meanwhile.
    pub async fn enlist(&self, managers: &[SocketAddr]) -> Result<(), ProposeError> {
        let deadline = Instant::now() + CATCH_UP_TIMEOUT;
        let mut added = self.is_certain_to_vote();
        let mut reason = "the log did not come".to_owned();
        loop {
            if !added {
                match self.ask_to_be_added(managers).await {
                    Ok(()) => added = true,
                    Err(Failed::Rejected(rejection)) => return Err(rejection.into()),
                    Err(Failed::NotDone(error) | Failed::Unknown(error)) => reason = error,
                }
                // Elected meanwhile, or alone again.
                added |= self.is_certain_to_vote();
            }
            if added && self.votes() {
                return Ok(());
            }
            if self.shared.ended.is_cancelled() || Instant::now() >= deadline {
                return Err(ProposeError::Unknown(reason));
            }
            sleep(PROPOSE_RETRY_DELAY).await;
        }
    }

    async fn ask_to_be_added(&self, managers: &[SocketAddr]) -> Result<(), Failed> {
        let peers = &self.shared.peers;
        let known = peers.managers().into_iter().map(|(_, address)| address);
        let all: BTreeSet<SocketAddr> = managers.iter().copied().chain(known).collect();
        let mut failed = Failed::NotDone("no manager is known".into());
        for manager in all {
            let call = Call::Enlist { address: peers.local().address() };
            match call.send_to::<()>(peers, manager).await.map_err(Failed::from) {
                Err(Failed::NotDone(error) | Failed::Unknown(error)) => failed = Failed::NotDone(format!("{manager}: {error}")),
                decided => return decided,
            }
        }
        Err(failed)
    }

    /// It leads, or has nobody to ask.
    fn is_certain_to_vote(&self) -> bool {
        let local = self.shared.peers.local().node();
        self.leader_now().leading || (self.votes() && self.shared.raft.voter_ids().all(|voter| voter == local))
    }

    /// Returns once `node` votes and has answered the leader: before that it counts as unreachable, and nobody could be
    /// demoted in its favour.
    pub async fn wait_voter(&self, node: NodeId) {
        let takes_part = |managers: Vec<ManagerStatus>| managers.iter().any(|it| it.node == node && it.voter && it.reachable);
        while !takes_part(self.managers().await) {
            sleep(PROPOSE_RETRY_DELAY).await;
        }
    }

    /// Whether this node votes, as far as it knows.
    pub fn votes(&self) -> bool {
        let local = self.shared.peers.local().node();
        self.shared.raft.voter_ids().any(|voter| voter == local)
    }

    pub(super) async fn add_here(&self, node: NodeId, address: SocketAddr) -> Result<(), Failed> {
        let _one_at_a_time = self.shared.membership.lock().await;
        let state = self.state();
        if state.nodes.get(&node).is_none_or(|row| row.role != Role::Manager) {
            let text = format!("node {node} is not a manager of this cluster: promote it first with 'minicloud node promote {node}'");
            return Err(Failed::Rejected(Rejection::Conflict(text)));
        }
        self.shared.peers.learn(node, address, Role::Manager);
        let membership = self.shared.raft.metrics().borrow_watched().membership_config.membership().clone();
        let member = Member { address };
        if membership.get_node(&node).is_some_and(|old| *old != member) {
            self.change(ChangeMembers::SetNodes(BTreeMap::from([(node, member.clone())]))).await?;
        }
        if membership.voter_ids().any(|voter| voter == node) {
            return Ok(());
        }
        info!(%node, %address, "adding a manager");
        self.catch_up(node, member).await?;
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([node]))).await
    }

    async fn catch_up(&self, node: NodeId, member: Member) -> Result<(), Failed> {
        let added = timeout(CATCH_UP_TIMEOUT, self.shared.raft.add_learner(node, member, true)).await;
        match added {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(change_failed(error)),
            Err(_) => Err(Failed::Unknown(format!("manager {node} does not catch up with the log"))),
        }
    }

    pub(super) async fn remove_here(&self, node: NodeId) -> Result<(), Failed> {
        let _one_at_a_time = self.shared.membership.lock().await;
        if self.may_leave(node).await? { self.leave_membership(node).await } else { Ok(()) }
    }

    /// The state first: from then on nobody takes the node for a manager, and the node itself sees what comes.
    pub(super) async fn demote_here(&self, node: NodeId) -> Result<Index, Failed> {
        let _one_at_a_time = self.shared.membership.lock().await;
        let is_member = self.may_leave(node).await?;
        let mut index = self.state().index;
        if self.state().nodes.get(&node).is_none_or(|row| row.role == Role::Manager) {
            let change = NodeChange { role: Some(Role::Worker), ..NodeChange::default() };
            let request = Request { at: self.shared.env.now(), key: None, command: Command::UpdateNode { node, change } };
            let outcome = self.propose_here(request, Instant::now() + PROPOSE_TIMEOUT).await?;
            index = outcome.map_err(Failed::Rejected)?.index;
        }
        if is_member {
            self.leave_membership(node).await?;
        }
        Ok(index)
    }

    /// Whether the node is in the log's membership, and the rest can do without it. The leader hands over first when
    /// it is itself.
    async fn may_leave(&self, node: NodeId) -> Result<bool, Failed> {
        // A leader that is new has heard from nobody yet: what it hears within the window counts.
        let deadline = Instant::now() + REACHABLE_WINDOW;
        loop {
            let managers = self.managers_here();
            if !managers.iter().any(|manager| manager.node == node) {
                return Ok(false);
            }
            let is_last = !managers.iter().any(|manager| manager.voter && manager.node != node);
            match quorum_after_removal(&managers, node) {
                None => break,
                Some(rejection) if is_last || Instant::now() >= deadline => return Err(Failed::Rejected(rejection)),
                Some(_) => sleep(PROPOSE_RETRY_DELAY).await,
            }
        }
        if node == self.shared.peers.local().node() {
            self.hand_over().await?;
            return Err(Failed::NotDone("leadership was handed over first".into()));
        }
        Ok(true)
    }

    async fn leave_membership(&self, node: NodeId) -> Result<(), Failed> {
        info!(%node, "removing a manager");
        self.change(ChangeMembers::RemoveVoters(BTreeSet::from([node]))).await?;
        // One that did not vote yet.
        let membership = self.shared.raft.metrics().borrow_watched().membership_config.membership().clone();
        match membership.get_node(&node) {
            Some(_) => self.change(ChangeMembers::RemoveNodes(BTreeSet::from([node]))).await,
            None => Ok(()),
        }
    }

    async fn change(&self, members: ChangeMembers<NodeId, Member>) -> Result<(), Failed> {
        match timeout(PROPOSE_TIMEOUT, self.shared.raft.change_membership(members, false)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(change_failed(error)),
            Err(_) => Err(Failed::Unknown("most managers do not answer".into())),
        }
    }

    /// Hands leadership to the voter that is furthest, if this node leads and there is another voter.
    pub(super) async fn hand_over(&self) -> Result<(), Failed> {
        if !self.leader_now().leading {
            return Ok(());
        }
        let Some(successor) = self.successor() else { return Ok(()) };
        let mut leadership = self.leadership();
        self.shared.raft.trigger().transfer_leader(successor).await.map_err(|error| Failed::NotDone(error.to_string()))?;
        let handed = leadership.wait_for(|now| !now.leading && now.leader.is_some());
        match timeout(TRANSFER_TIMEOUT, handed).await {
            Ok(Ok(_)) => Ok(()),
            _ => {
                warn!(%successor, "the successor does not take over");
                Err(Failed::NotDone(format!("manager {successor} does not take over")))
            }
        }
    }

    fn successor(&self) -> Option<NodeId> {
        let local = self.shared.peers.local().node();
        let reachable: BTreeSet<NodeId> =
            self.managers_here().into_iter().filter(|m| m.voter && m.reachable && m.node != local).map(|m| m.node).collect();
        let metrics = self.shared.raft.metrics().borrow_watched().clone();
        let replication = metrics.replication.unwrap_or_default();
        reachable.into_iter().max_by_key(|node| replication.get(node).copied().flatten().map(|id| id.index()))
    }

    pub(super) fn managers_here(&self) -> Vec<ManagerStatus> {
        let metrics = self.shared.raft.metrics().borrow_watched().clone();
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<NodeId> = membership.voter_ids().collect();
        let answered = metrics.heartbeat.unwrap_or_default();
        let local = self.shared.peers.local().node();
        let reachable = |node: &NodeId| {
            let last = answered.get(node).and_then(Option::as_ref);
            *node == local || last.is_some_and(|at| openraft::async_runtime::Instant::elapsed(&**at) < REACHABLE_WINDOW)
        };
        let status = |(node, member): (&NodeId, &Member)| ManagerStatus {
            node: *node,
            address: member.address,
            leader: metrics.current_leader == Some(*node),
            voter: voters.contains(node),
            reachable: reachable(node),
        };
        membership.nodes().map(status).collect()
    }
}

/// Why the rest could decide nothing without `node`.
fn quorum_after_removal(managers: &[ManagerStatus], node: NodeId) -> Option<Rejection> {
    let rest: Vec<_> = managers.iter().filter(|manager| manager.voter && manager.node != node).collect();
    let reachable = rest.iter().filter(|manager| manager.reachable).count();
    if rest.is_empty() {
        let text = format!("node {node} is the last manager: promote another one first");
        return Some(Rejection::Conflict(text));
    }
    (reachable <= rest.len() / 2).then(|| {
        let text = format!(
            "without node {node} only {reachable} of {} managers could be reached, and the cluster would stop: start or remove the others first",
            rest.len()
        );
        Rejection::Conflict(text)
    })
}

fn change_failed(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> Failed {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => Failed::NotDone(forward.to_string()),
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => Failed::NotDone(error.to_string()),
        error => Failed::Unknown(error.to_string()),
    }
}
