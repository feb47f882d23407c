//! The one next step of a task, from what is observed to what is desired.
use crate::time::Timestamp;

use super::TaskState;

/// What the agent does next with one task. After each step it reports the state reached, and asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take the task on; then it is `accepted`.
    Accept,
    /// Begin to fetch and compile its component; it is `preparing` meanwhile, then `ready`.
    Prepare,
    /// Begin to start it; it is `starting` meanwhile, then `running`.
    Start,
    /// Start it at that time, not before.
    StartAt(Timestamp),
    /// Drain and end it; then it is `shutdown`.
    Stop,
    /// Nothing runs: drop what was prepared, and report this state.
    Report(TaskState),
    /// The task is where it should be, or on its way there.
    Keep,
    /// The task is over: let go of what is left of it.
    Forget,
}

/// The next step of a task that is `observed` here and should be `desired`.
///
/// `start_at`: not to be started before; `now`: by the same clock. States that no agent deals in (`new`,
/// `pending`) get `Keep`.
pub fn next_step(desired: TaskState, observed: TaskState, start_at: Option<Timestamp>, now: Timestamp) -> Step {
    use TaskState::*;
    if observed.is_final() {
        return Step::Forget;
    }
    if desired >= Shutdown {
        return match observed {
            New | Pending => Step::Keep,
            Starting | Running => Step::Stop,
            _ => Step::Report(Shutdown),
        };
    }
    if observed >= desired {
        return Step::Keep;
    }
    match (observed, start_at) {
        (Assigned, _) => Step::Accept,
        (Accepted, _) => Step::Prepare,
        (Ready, Some(start_at)) if start_at > now => Step::StartAt(start_at),
        (Ready, _) => Step::Start,
        _ => Step::Keep,
    }
}
