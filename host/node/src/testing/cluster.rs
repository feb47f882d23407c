//! A replicated state without a log: one state, shared by its managers, one of which leads when it is told to.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use minicloud_core::command::{Applied, Command, Request};
use minicloud_core::id::{Index, NodeId};
use minicloud_core::state::ClusterState;
use tokio::sync::watch;
use tokio::time::sleep;

use super::lock;
use crate::cluster::{Leadership, ProposeError};
use crate::env::Clock;
use crate::replicated::ReplicatedState;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct FakeCluster {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<ClusterState>,
    applied: watch::Sender<Index>,
    managers: Mutex<BTreeMap<NodeId, watch::Sender<Leadership>>>,
    leader: Mutex<(Option<NodeId>, u64)>,
    faults: Mutex<Faults>,
    commands: Mutex<Vec<Command>>,
}

#[derive(Default)]
struct Faults {
    delay: Duration,
    /// Proposals that are lost before they are applied, and those whose answer is lost after.
    lost: usize,
    unanswered: usize,
}

/// The state as one manager has it.
pub struct FakeManager {
    cluster: FakeCluster,
    node: NodeId,
}

impl FakeCluster {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        FakeCluster {
            shared: Arc::new(Shared {
                clock,
                state: Mutex::default(),
                applied: watch::Sender::default(),
                managers: Mutex::default(),
                leader: Mutex::default(),
                faults: Mutex::default(),
                commands: Mutex::default(),
            }),
        }
    }

    pub fn manager(&self, node: NodeId) -> Arc<FakeManager> {
        lock(&self.shared.managers).entry(node).or_default();
        self.tell();
        Arc::new(FakeManager { cluster: self.clone(), node })
    }

    /// Makes that manager the leader of a new term; `None`: nobody leads.
    pub fn elect(&self, node: Option<NodeId>) {
        {
            let mut leader = lock(&self.shared.leader);
            *leader = (node, leader.1 + 1);
        }
        self.tell();
    }

    pub fn state(&self) -> ClusterState {
        lock(&self.shared.state).clone()
    }

    /// Applies a command at once, whoever leads.
    pub fn apply(&self, command: Command) -> Result<Applied, ProposeError> {
        lock(&self.shared.commands).push(command.clone());
        let request = Request { at: self.shared.clock.now(), key: None, command };
        let (index, outcome) = {
            let mut state = lock(&self.shared.state);
            let index = Index(state.index.0 + 1);
            let (outcome, _) = state.apply(index, &request);
            (index, outcome)
        };
        self.shared.applied.send_if_modified(|applied| {
            *applied = index.max(*applied);
            true
        });
        Ok(outcome?)
    }

    /// Every command so far, in order.
    pub fn commands(&self) -> Vec<Command> {
        lock(&self.shared.commands).clone()
    }

    /// From now on a proposal takes this long.
    pub fn delay_proposals(&self, delay: Duration) {
        lock(&self.shared.faults).delay = delay;
    }

    /// The next proposals of statuses fail: the first so many are lost, as many later ones are done without an answer.
    pub fn lose_reports(&self, lost: usize, unanswered: usize) {
        let mut faults = lock(&self.shared.faults);
        (faults.lost, faults.unanswered) = (lost, unanswered);
    }

    /// Returns once the state is as wanted; panics with the state after a minute (of tokio's clock).
    pub async fn wait_for(&self, what: &str, wanted: impl Fn(&ClusterState) -> bool) {
        let mut changes = self.shared.applied.subscribe();
        let met = async {
            while !wanted(&self.state()) {
                changes.changed().await.expect("the cluster holds the sender");
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), met).await.is_err() {
            panic!("not within a minute: {what}\n{:#?}", self.state());
        }
    }

    fn tell(&self) {
        let (leader, term) = *lock(&self.shared.leader);
        for (node, leadership) in lock(&self.shared.managers).iter() {
            leadership.send_replace(Leadership { leader, leading: leader == Some(*node), term });
        }
    }

    /// True when this proposal meets its fate before, or after, it is applied.
    fn strike(&self, command: &Command) -> (bool, bool) {
        let mut faults = lock(&self.shared.faults);
        let report = matches!(command, Command::ReportStatus { .. });
        let lost = report && faults.lost > 0;
        let unanswered = report && !lost && faults.unanswered > 0;
        faults.lost -= usize::from(lost);
        faults.unanswered -= usize::from(unanswered);
        (lost, unanswered)
    }
}

#[async_trait]
impl ReplicatedState for FakeManager {
    async fn propose(&self, command: Command) -> Result<Applied, ProposeError> {
        let delay = lock(&self.cluster.shared.faults).delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        if !self.leadership().borrow().leading {
            return Err(ProposeError::Unavailable("this manager does not lead".into()));
        }
        let (lost, unanswered) = self.cluster.strike(&command);
        if lost {
            return Err(ProposeError::Unavailable("lost".into()));
        }
        let applied = self.cluster.apply(command);
        if unanswered { Err(ProposeError::Unknown("no answer".into())) } else { applied }
    }

    fn state(&self) -> ClusterState {
        self.cluster.state()
    }

    fn changes(&self) -> watch::Receiver<Index> {
        self.cluster.shared.applied.subscribe()
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        lock(&self.cluster.shared.managers).entry(self.node).or_default().subscribe()
    }
}
