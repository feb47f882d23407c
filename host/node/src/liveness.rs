//! Which nodes live, as the leader hears it: heartbeats in memory, never in the log.
//!
//! [`Liveness`] is pure: time is an argument, and the next time to look is an output. [`LivenessHandle`] shares it
//! between the dispatcher, which hears the beats, and the leader, which proposes the changes of status.
//! A beat counts from when it was read, by a monotonic clock.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use minicloud_core::id::NodeId;
use minicloud_core::limits::{HEARTBEAT_GRACE_NEW_LEADER, HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT};
use minicloud_core::state::NodeStatus;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A leader that looks later than this after its last look was held up itself: that time is nobody's silence.
const LOOK_GAP_MAX: Duration = HEARTBEAT_INTERVAL;

/// What one leader knows of its nodes.
#[derive(Clone, Debug)]
pub struct Liveness {
    term: u64,
    looked_at: Instant,
    heard: BTreeMap<NodeId, Heard>,
}

/// When a node was last heard, and when its silence becomes death.
#[derive(Clone, Copy, Debug)]
struct Heard {
    deadline: Instant,
    beats: bool,
}

/// The statuses that no longer fit, and when to look again.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    pub changes: BTreeMap<NodeId, NodeStatus>,
    pub look_at: Instant,
}

impl Liveness {
    /// A leader's knowledge at the start of its term: every node gets the long grace until its first beat.
    pub fn new(term: u64, now: Instant) -> Self {
        Liveness { term, looked_at: now, heard: BTreeMap::new() }
    }

    /// The node was heard. True when it was not counted as alive before.
    pub fn beat(&mut self, node: NodeId, now: Instant) -> bool {
        let heard = Heard { deadline: now + HEARTBEAT_TIMEOUT, beats: true };
        !self.heard.insert(node, heard).is_some_and(|before| before.beats && before.deadline > now)
    }

    /// The node led before and was silenced or replaced: it gets no longer than any other silence.
    pub fn suspect(&mut self, node: NodeId, now: Instant) {
        self.heard.entry(node).or_insert(Heard { deadline: now + HEARTBEAT_TIMEOUT, beats: false });
    }

    /// Compares what was heard with the statuses in the state.
    pub fn assess(&mut self, nodes: impl Iterator<Item = (NodeId, NodeStatus)>, now: Instant) -> Assessment {
        self.forgive_gap(now);
        let mut assessment = Assessment { changes: BTreeMap::new(), look_at: now + LOOK_GAP_MAX / 2 };
        let mut known = BTreeMap::new();
        for (node, status) in nodes {
            let heard = self.heard.get(&node).copied().unwrap_or(Heard { deadline: now + HEARTBEAT_GRACE_NEW_LEADER, beats: false });
            known.insert(node, heard);
            match wanted(heard, now) {
                Some(wanted) if wanted != status => _ = assessment.changes.insert(node, wanted),
                _ if heard.deadline > now => assessment.look_at = assessment.look_at.min(heard.deadline),
                _ => {}
            }
        }
        self.heard = known;
        assessment
    }

    /// Nodes that beat, as of the last look.
    pub fn is_live(&self, node: NodeId, now: Instant) -> bool {
        self.heard.get(&node).is_some_and(|heard| heard.beats && heard.deadline > now)
    }

    /// A process that was stopped or starved could read no beats meanwhile, so the silence was its own.
    fn forgive_gap(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.looked_at);
        self.looked_at = now;
        if gap > LOOK_GAP_MAX {
            self.heard.values_mut().for_each(|heard| heard.deadline += gap - LOOK_GAP_MAX);
        }
    }
}

/// The status that fits; `None` while a node may still be heard for the first time.
fn wanted(heard: Heard, now: Instant) -> Option<NodeStatus> {
    match (heard.deadline > now, heard.beats) {
        (true, true) => Some(NodeStatus::Ready),
        (true, false) => None,
        (false, _) => Some(NodeStatus::Down),
    }
}

/// Shared by the leader's loop and the dispatcher of one manager.
#[derive(Clone)]
pub struct LivenessHandle {
    shared: Arc<Shared>,
}

struct Shared {
    liveness: Mutex<Liveness>,
    changed: Notify,
}

impl LivenessHandle {
    #[expect(clippy::new_without_default, reason = "it reads the clock, which a default should not")]
    pub fn new() -> Self {
        let liveness = Mutex::new(Liveness::new(0, Instant::now()));
        LivenessHandle { shared: Arc::new(Shared { liveness, changed: Notify::new() }) }
    }

    /// Forgets what was heard in other terms. Whichever of leader and dispatcher notices the new term first calls it
    /// with effect.
    pub fn begin(&self, term: u64) {
        let mut liveness = self.lock();
        if term > liveness.term {
            *liveness = Liveness::new(term, Instant::now());
        }
    }

    /// Says who led before this term, most likely because it is gone.
    pub fn suspect(&self, node: NodeId) {
        self.lock().suspect(node, Instant::now());
    }

    /// The node was heard in this term.
    pub fn beat(&self, term: u64, node: NodeId) {
        let mut liveness = self.lock();
        if liveness.term == term && liveness.beat(node, Instant::now()) {
            self.shared.changed.notify_one();
        }
    }

    pub fn assess(&self, nodes: impl Iterator<Item = (NodeId, NodeStatus)>) -> Assessment {
        self.lock().assess(nodes, Instant::now())
    }

    /// Resolves when a node was heard that did not count as alive.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Liveness> {
        self.shared.liveness.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    /// Looks as often as the leader does, from `from` to `to`, and returns the last assessment.
    fn look(liveness: &mut Liveness, nodes: &[(NodeId, NodeStatus)], start: Instant, from: u64, to: u64) -> Assessment {
        (from..=to).step_by(100).map(|ms| liveness.assess(nodes.iter().copied(), at(start, ms))).last().unwrap()
    }

    #[test]
    fn a_beat_makes_a_node_ready_and_silence_makes_it_down() {
        let start = Instant::now();
        let mut liveness = Liveness::new(1, start);
        assert!(liveness.beat(A, start));
        assert!(!liveness.beat(A, at(start, 100)));
        let nodes = [(A, NodeStatus::Unknown)];
        assert_eq!(look(&mut liveness, &nodes, start, 0, 100).changes, BTreeMap::from([(A, NodeStatus::Ready)]));
        let nodes = [(A, NodeStatus::Ready)];
        assert!(look(&mut liveness, &nodes, start, 100, 2_000).changes.is_empty());
        assert_eq!(look(&mut liveness, &nodes, start, 2_000, 2_100).changes, BTreeMap::from([(A, NodeStatus::Down)]));
        assert!(liveness.beat(A, at(start, 5_000)), "a node that comes back is news");
    }

    #[test]
    fn a_new_leader_waits_longer_for_the_first_beat() {
        let start = Instant::now();
        let mut liveness = Liveness::new(1, start);
        let nodes = [(A, NodeStatus::Ready), (B, NodeStatus::Down)];
        assert!(look(&mut liveness, &nodes, start, 0, 5_900).changes.is_empty());
        assert_eq!(look(&mut liveness, &nodes, start, 5_900, 6_000).changes, BTreeMap::from([(A, NodeStatus::Down)]));
    }

    #[test]
    fn a_leader_that_was_stopped_calls_nobody_down() {
        let start = Instant::now();
        let mut liveness = Liveness::new(1, start);
        liveness.beat(A, start);
        let nodes = [(A, NodeStatus::Ready)];
        assert!(look(&mut liveness, &nodes, start, 0, 1_000).changes.is_empty());
        let late = liveness.assess(nodes.iter().copied(), at(start, 60_000));
        assert!(late.changes.is_empty());
        assert!(look(&mut liveness, &nodes, start, 60_000, 60_400).changes.is_empty());
        assert_eq!(look(&mut liveness, &nodes, start, 60_400, 62_000).changes, BTreeMap::from([(A, NodeStatus::Down)]));
    }

    #[test]
    fn a_removed_node_is_forgotten() {
        let start = Instant::now();
        let mut liveness = Liveness::new(1, start);
        liveness.beat(A, start);
        look(&mut liveness, &[], start, 0, 100);
        assert!(!liveness.is_live(A, at(start, 100)));
    }
}
