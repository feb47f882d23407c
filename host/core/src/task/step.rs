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
    /// Start it at that time: do nothing before, then ask again.
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
/// `start_at`: not to be started before; `now`: by the same clock. It waits before it prepares, too: else an image
/// that is missing would be sought again without any delay. States that no agent deals in (`new`, `pending`) get
/// `Keep`.
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
        (Accepted | Ready, Some(start_at)) if start_at > now => Step::StartAt(start_at),
        (Accepted, _) => Step::Prepare,
        (Ready, _) => Step::Start,
        _ => Step::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [TaskState; 14] = {
        use TaskState::*;
        [New, Pending, Assigned, Accepted, Preparing, Ready, Starting, Running, Complete, Shutdown, Failed, Rejected, Remove, Orphaned]
    };
    const NOW: Timestamp = Timestamp(1_000);

    #[test]
    fn every_pair_of_states_has_its_step() {
        use TaskState::*;
        for observed in STATES {
            for desired in STATES {
                let wanted = match observed {
                    Complete | Shutdown | Failed | Rejected | Remove | Orphaned => Step::Forget,
                    New | Pending => Step::Keep,
                    Starting | Running if desired >= Shutdown => Step::Stop,
                    _ if desired >= Shutdown => Step::Report(Shutdown),
                    Assigned if desired > Assigned => Step::Accept,
                    Accepted if desired > Accepted => Step::Prepare,
                    Ready if desired > Ready => Step::Start,
                    _ => Step::Keep,
                };
                assert_eq!(next_step(desired, observed, None, NOW), wanted, "desired {desired}, observed {observed}");
            }
        }
    }

    #[test]
    fn a_start_in_the_future_waits_and_a_stop_does_not() {
        let later = Timestamp(NOW.0 + 1);
        let step = |desired, observed, start_at| next_step(desired, observed, Some(start_at), NOW);
        assert_eq!(step(TaskState::Running, TaskState::Assigned, later), Step::Accept);
        assert_eq!(step(TaskState::Running, TaskState::Accepted, later), Step::StartAt(later));
        assert_eq!(step(TaskState::Running, TaskState::Ready, later), Step::StartAt(later));
        assert_eq!(step(TaskState::Running, TaskState::Accepted, NOW), Step::Prepare);
        assert_eq!(step(TaskState::Running, TaskState::Ready, NOW), Step::Start);
        assert_eq!(step(TaskState::Shutdown, TaskState::Ready, later), Step::Report(TaskState::Shutdown));
        assert_eq!(step(TaskState::Remove, TaskState::Running, later), Step::Stop);
    }

    #[test]
    fn steps_lead_to_running_and_to_an_end() {
        use TaskState::*;
        let walk = |desired, mut observed| {
            for _ in 0..STATES.len() {
                observed = match next_step(desired, observed, None, NOW) {
                    Step::Accept => Accepted,
                    Step::Prepare => Ready,
                    Step::Start => Running,
                    Step::Stop => Shutdown,
                    Step::Report(state) => state,
                    Step::StartAt(_) | Step::Keep | Step::Forget => return observed,
                };
            }
            panic!("no end to the steps");
        };
        assert_eq!(walk(Running, Assigned), Running);
        for observed in [Assigned, Accepted, Preparing, Ready, Starting, Running] {
            assert_eq!(walk(Remove, observed), Shutdown);
        }
    }
}
