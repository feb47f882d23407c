//! The leader's loop: looks at the state and at who lives, plans, proposes.
//!
//! Runs on every manager and works only while this one leads. A wake-up says "look again", never "this changed", so
//! start-up and steady state are one path. What should happen is `minicloud_core::plan`'s decision; this loop only
//! calls it, off the runtime's threads, and proposes what it says: one bounded command at a time.
//!
//! ```text
//! tokio::spawn(Leader::new(options).run(shutdown));
//! ```
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use minicloud_core::command::{Applied, Change, Command};
use minicloud_core::id::{Index, NodeId};
use minicloud_core::plan::{self, Plan};
use minicloud_core::state::{ClusterState, NodeStatus};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::cluster::ProposeError;
use crate::env::{Clock, Random};
use crate::limits::{PLAN_RETRY_DELAY_FIRST, PLAN_RETRY_DELAY_MAX, PLAN_WAIT_MIN, PLANS_IN_A_ROW_MAX};
use crate::liveness::LivenessHandle;
use crate::replicated::ReplicatedState;
use crate::rest::rest_after;

pub struct LeaderOptions {
    pub replicated: Arc<dyn ReplicatedState>,
    /// The same handle as the dispatcher has.
    pub liveness: LivenessHandle,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}

/// See the module. Consumed by [`Leader::run`].
pub struct Leader {
    options: LeaderOptions,
}

/// What one turn of the loop came to.
enum Turn {
    /// Something was proposed and applied: look again at once.
    Changed,
    /// Nothing to do before this time, unless something happens.
    Idle(Instant),
    /// Nothing came of it: look again after a growing wait.
    Stuck,
}

impl Leader {
    pub fn new(options: LeaderOptions) -> Leader {
        Leader { options }
    }

    /// Leads whenever this node does, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let _ = shutdown.run_until_cancelled(self.lead_when_elected()).await;
    }

    async fn lead_when_elected(&self) {
        let mut leadership = self.options.replicated.leadership();
        let mut before = None;
        loop {
            let now = *leadership.borrow_and_update();
            if !now.leading {
                before = now.leader.or(before);
                match leadership.changed().await {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            }
            info!(term = now.term, "leading");
            self.options.liveness.begin(now.term);
            // Whoever led is most likely the one that died, and its tasks wait to be replaced.
            before.take().into_iter().for_each(|node| self.options.liveness.suspect(node));
            let over = leadership.wait_for(|later| !later.leading || later.term != now.term);
            tokio::select! {
                over = over => if over.is_err() { return },
                () = self.lead() => return,
            }
            info!(term = now.term, "leading no longer");
        }
    }

    /// Returns when the state is gone; dropped as soon as leadership is lost.
    async fn lead(&self) {
        let mut changes = self.options.replicated.changes();
        let (mut failures, mut in_a_row) = (0, 0);
        loop {
            let began = Instant::now();
            changes.borrow_and_update();
            let turn = self.turn(&mut changes).await;
            in_a_row = if matches!(turn, Turn::Changed) { in_a_row + 1 } else { 0 };
            match turn {
                // Plans that never come to an end take the cluster along at a walk, not at a run.
                Turn::Changed if in_a_row % PLANS_IN_A_ROW_MAX == 0 => {
                    warn!(in_a_row, "one plan follows another; resting");
                    sleep(PLAN_RETRY_DELAY_FIRST).await;
                }
                Turn::Changed => failures = 0,
                Turn::Idle(look_at) => {
                    failures = 0;
                    rest_after(began).await;
                    if self.wait(&mut changes, look_at).await.is_err() {
                        return;
                    }
                }
                Turn::Stuck => {
                    sleep((PLAN_RETRY_DELAY_FIRST * 2u32.saturating_pow(failures)).min(PLAN_RETRY_DELAY_MAX)).await;
                    failures = (failures + 1).min(16);
                }
            }
        }
    }

    /// Until something happened that may call for another plan.
    async fn wait(&self, changes: &mut watch::Receiver<Index>, look_at: Instant) -> Result<(), watch::error::RecvError> {
        tokio::select! {
            changed = changes.changed() => changed,
            () = self.options.liveness.changed() => Ok(()),
            () = sleep_until(look_at) => Ok(()),
        }
    }

    /// Statuses of nodes first, because the plan goes by them.
    async fn turn(&self, changes: &mut watch::Receiver<Index>) -> Turn {
        let state = self.options.replicated.state();
        if state.cluster.is_none() {
            return Turn::Idle(Instant::now() + PLAN_RETRY_DELAY_MAX);
        }
        let heard = self.options.liveness.assess(state.nodes.values().map(|node| (node.id, node.status)));
        if !heard.changes.is_empty() {
            return self.propose_statuses(&state, heard.changes, changes).await;
        }
        let Some(plan) = self.plan(state).await else { return Turn::Stuck };
        let look_at = self.wake_at(&plan).map_or(heard.look_at, |wake_at| wake_at.min(heard.look_at));
        match plan.changes.is_empty() {
            true => Turn::Idle(look_at),
            false => self.propose_plan(plan.changes, changes).await,
        }
    }

    async fn propose_statuses(
        &self,
        state: &ClusterState,
        nodes: BTreeMap<NodeId, NodeStatus>,
        changes: &mut watch::Receiver<Index>,
    ) -> Turn {
        for (id, status) in &nodes {
            let hostname = state.nodes.get(id).map_or("", |node| &node.hostname);
            info!(node = %id, hostname, ?status, "node status");
        }
        let proposed = self.options.replicated.propose(Command::SetNodeStatus { nodes }).await;
        self.settle(proposed, 1, changes).await
    }

    async fn propose_plan(&self, plan: Vec<Change>, changes: &mut watch::Receiver<Index>) -> Turn {
        let count = plan.len();
        debug!(changes = count, "planned");
        let proposed = self.options.replicated.propose(Command::ApplyPlan { changes: plan }).await;
        self.settle(proposed, count, changes).await
    }

    /// Waits until the state shows what was proposed, so that the next plan does not propose it again.
    async fn settle(&self, proposed: Result<Applied, ProposeError>, count: usize, changes: &mut watch::Receiver<Index>) -> Turn {
        let applied = match proposed {
            Ok(applied) => applied,
            Err(error) => {
                warn!(%error, "a plan was not applied");
                return Turn::Stuck;
            }
        };
        if changes.wait_for(|index| *index >= applied.index).await.is_err() {
            return Turn::Stuck;
        }
        let skipped = applied.skipped as usize;
        if skipped > 0 {
            info!(skipped, changes = count, "changes of a plan no longer held; planning again");
        }
        if skipped >= count { Turn::Stuck } else { Turn::Changed }
    }

    /// On a thread where it holds up nobody. `None` when it panicked, which is our bug: the cluster goes on with what
    /// it has, and the next change is planned afresh.
    async fn plan(&self, state: ClusterState) -> Option<Plan> {
        let (now, random) = (self.options.clock.now(), Arc::clone(&self.options.random));
        let planned = tokio::task::spawn_blocking(move || plan::plan(&state, now, &mut || random.next_u64())).await;
        planned.inspect_err(|error| tracing::error!(%error, "planning failed")).ok()
    }

    fn wake_at(&self, plan: &Plan) -> Option<Instant> {
        let wait: Duration = plan.wake_at?.since(self.options.clock.now());
        Some(Instant::now() + wait.max(PLAN_WAIT_MIN))
    }
}
