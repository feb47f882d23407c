//! What should happen next: from the state to the changes that bring it closer to what is wanted.
//!
//! Pure: only the leader's loop calls it, on every wake-up and at `wake_at`, and proposes the changes as one
//! command. Stages run in order on a working copy, so each sees what the earlier ones decided, and one plan
//! creates, addresses and assigns a task. It cannot fail: what is stuck is in the report, with the reason.
use std::collections::BTreeMap;

use crate::command::Change;
use crate::id::{IdSource, NetworkId, ServiceId, TaskId};
use crate::state::ClusterState;
use crate::time::Timestamp;

mod allocator;
mod draft;
mod jobs;
mod orchestrator;
mod reaper;
mod restart;
mod scheduler;
mod slots;
mod update;

use draft::Draft;
pub use restart::is_followed;

/// At most [`crate::limits::PLAN_CHANGES_MAX`] changes, in the order in which they must be applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub changes: Vec<Change>,
    pub report: Report,
    /// Plan again then, though nothing else happens; already past when this plan was cut.
    pub wake_at: Option<Timestamp>,
}

/// Why each waiting thing waits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    pub tasks: BTreeMap<TaskId, String>,
    pub services: BTreeMap<ServiceId, String>,
    pub networks: BTreeMap<NetworkId, String>,
}

/// Decides what to do now.
pub fn plan(state: &ClusterState, now: Timestamp, ids: &mut dyn IdSource) -> Plan {
    let mut draft = Draft::new(state, now, ids);
    orchestrator::run(&mut draft);
    jobs::run(&mut draft);
    restart::run(&mut draft);
    update::run(&mut draft);
    allocator::run(&mut draft);
    scheduler::run(&mut draft);
    reaper::run(&mut draft);
    draft.finish()
}
