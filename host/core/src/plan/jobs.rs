//! Jobs: each of their tasks runs to its end once.
//!
//! One iteration of a job is one version of its template: a new template, or `--force`, begins the next, in which all is
//! to be done anew. What was done stays in its slot, wanted to be `complete`, and is not done again. Unlike a service's, a
//! job's task never stands twice: what takes its place waits until it has ended.
use std::collections::BTreeSet;

use crate::spec::{RestartCondition, ServiceMode};
use crate::state::{Availability, ClusterState, Node, Service, Slot, Task};
use crate::task::TaskState;

use super::draft::Draft;
use super::orchestrator::{close, first_to_go};
use super::restart;
use super::slots::{SlotTasks, is_lost, is_misplaced, is_outdated, is_own, slots};

pub(super) fn run(draft: &mut Draft) {
    for service in draft.services() {
        match service.spec.mode {
            ServiceMode::ReplicatedJob { total, max_concurrent } => {
                tend(draft, &service);
                replicated(draft, &service, total, max_concurrent);
            }
            ServiceMode::GlobalJob => {
                tend(draft, &service);
                global(draft, &service);
            }
            ServiceMode::Replicated { .. } | ServiceMode::Global => {}
        }
    }
}

/// Where a slot of the present iteration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Done,
    /// A task is under way, or waits to be tried again.
    Open,
    /// The last try failed, and the restart policy wants no other.
    GivenUp,
    /// Its task was stopped before it was done: the work may be begun again.
    Vacant,
}

/// What concerns each slot by itself.
fn tend(draft: &mut Draft, service: &Service) {
    let (own, others): (Vec<_>, Vec<_>) = slots(&draft.state, service).into_iter().partition(|slot| is_own(service, slot.slot));
    close(draft, &others);
    for task in own.iter().flat_map(|slot| &slot.tasks).filter(|task| is_outdated(service, task) && task.is_wanted()) {
        draft.set_desired(task.id, TaskState::Shutdown);
    }
    for slot in current(own, service) {
        if slot.tasks.iter().any(|task| service.is_done(task)) {
            stop_all_but_done(draft, service, &slot);
        } else {
            stop_what_leaves(draft, service, &slot);
            follow_up(draft, service, &slot);
        }
    }
}

/// The slots with their tasks of the present iteration; those without any are left out.
fn current(mut slots: Vec<SlotTasks>, service: &Service) -> Vec<SlotTasks> {
    slots.iter_mut().for_each(|slot| slot.tasks.retain(|task| !is_outdated(service, task)));
    slots.retain(|slot| !slot.tasks.is_empty() && is_own(service, slot.slot));
    slots
}

/// It was done after all: whoever was to do it again need not.
fn stop_all_but_done(draft: &mut Draft, service: &Service, slot: &SlotTasks) {
    for task in slot.tasks.iter().filter(|task| task.is_wanted() && !service.is_done(task)) {
        draft.set_desired(task.id, TaskState::Shutdown);
    }
}

/// A task whose node is down or drained stops, and its work is begun again elsewhere.
fn stop_what_leaves(draft: &mut Draft, service: &Service, slot: &SlotTasks) {
    for task in slot.live() {
        if leaves(&draft.state, service, task) {
            draft.set_desired(task.id, TaskState::Shutdown);
        }
    }
}

/// On a node that is down a task with a volume may still run, and only there can it. A global job's slot goes as a whole.
fn leaves(state: &ClusterState, service: &Service, task: &Task) -> bool {
    let gone = task.node.is_some_and(|node| !state.nodes.contains_key(&node));
    match task.slot {
        Slot::Node(_) => false,
        Slot::Replica(_) if is_lost(state, task) => gone || task.template.mounts.is_empty(),
        Slot::Replica(_) => is_misplaced(state, service, task),
    }
}

/// A task that failed is tried again as the restart policy says.
fn follow_up(draft: &mut Draft, service: &Service, slot: &SlotTasks) {
    let last = slot.newest();
    if last.ended_unasked && last.is_wanted() {
        let again = restart::backoff(last, &service.spec.restart_policy(), draft.now);
        if again.is_none_or(|backoff| draft.create_after(service, slot.slot, backoff)) {
            draft.set_desired(last.id, TaskState::Shutdown);
        }
    }
}

fn standing(service: &Service, slot: &SlotTasks) -> Standing {
    let last = slot.newest();
    // Whatever became of it: what is not to be restarted is begun once.
    let once = service.spec.task.restart.condition == RestartCondition::None;
    if slot.tasks.iter().any(|task| service.is_done(task)) {
        Standing::Done
    } else if slot.tasks.iter().any(|task| task.is_live()) || (last.ended_unasked && last.is_wanted()) {
        Standing::Open
    } else if last.ended_unasked || once {
        Standing::GivenUp
    } else {
        Standing::Vacant
    }
}

/// As many slots as are still to be done, and no more at once than the job may have.
fn replicated(draft: &mut Draft, service: &Service, total: u32, max_concurrent: u32) {
    let slots = current(slots(&draft.state, service), service);
    let in_state = |wanted: Standing| slots.iter().filter(move |slot| standing(service, slot) == wanted);
    let to_do = (total as usize).saturating_sub(in_state(Standing::Done).count());
    let open: Vec<&SlotTasks> = in_state(Standing::Open).collect();
    let mut taken: BTreeSet<Slot> = slots.iter().filter(|slot| standing(service, slot) != Standing::Vacant).map(|slot| slot.slot).collect();
    let ending: BTreeSet<Slot> = ending(&draft.state, service).difference(&taken).copied().collect();
    let missing = to_do.saturating_sub(open.len() + in_state(Standing::GivenUp).count() + ending.len());
    taken.extend(ending);
    let surplus = open.len().saturating_sub(to_do);
    for task in first_to_go(open).into_iter().take(surplus).flat_map(SlotTasks::live) {
        draft.set_desired(task.id, TaskState::Shutdown);
    }
    let room = match max_concurrent as usize {
        0 => usize::MAX,
        most => most.saturating_sub(busy(&draft.state, service)),
    };
    let free = (1..).map(Slot::Replica).filter(|slot| !taken.contains(slot));
    let _full = free.take(missing.min(room)).try_for_each(|slot| draft.create(service, slot).then_some(()));
    forget_beyond(draft, service, total);
}

/// Tasks that are under way, those included that are still stopping.
fn busy(state: &ClusterState, service: &Service) -> usize {
    state.tasks_of_service(service.id).filter(|task| task.is_live() || is_ending(state, task)).count()
}

/// Slots in which a task is still stopping: what follows it there waits.
fn ending(state: &ClusterState, service: &Service) -> BTreeSet<Slot> {
    let ending = state.tasks_of_service(service.id).filter(|task| is_own(service, task.slot) && is_ending(state, task));
    ending.map(|task| task.slot).collect()
}

/// It was told to stop and is not known to have ended.
fn is_ending(state: &ClusterState, task: &Task) -> bool {
    !task.is_wanted() && task.occupies_node() && !is_lost(state, task)
}

/// After a scale-down nothing is told any more of slots that are not wanted. A job that is scaled to none is stopped: what
/// became of it stays readable.
fn forget_beyond(draft: &mut Draft, service: &Service, total: u32) {
    let beyond = |slot: &SlotTasks| matches!(slot.slot, Slot::Replica(number) if number > total);
    let is_idle = |slot: &SlotTasks| !slot.tasks.iter().any(|task| task.is_wanted() || service.is_done(task));
    if total > 0 {
        let idle: Vec<SlotTasks> = slots(&draft.state, service).into_iter().filter(|slot| beyond(slot) && is_idle(slot)).collect();
        close(draft, &idle);
    }
}

/// Every eligible node, one that comes later too. A node that is down keeps its slot; what was done stays known while the
/// node is a member.
fn global(draft: &mut Draft, service: &Service) {
    let keeps = |node: &Node| node.availability != Availability::Drain && node.satisfies(&service.spec.task.constraints);
    let takes = |node: &Node| keeps(node) && node.is_ready() && node.availability == Availability::Active;
    let node_of = |state: &ClusterState, slot: &SlotTasks| match slot.slot {
        Slot::Node(node) => state.nodes.get(&node).cloned(),
        Slot::Replica(_) => None,
    };
    let slots = current(slots(&draft.state, service), service);
    let (stays, goes): (Vec<_>, Vec<_>) = slots.into_iter().partition(|slot| {
        let done = standing(service, slot) == Standing::Done;
        node_of(&draft.state, slot).is_some_and(|node| done || keeps(&node))
    });
    close(draft, &goes);
    let mut taken: BTreeSet<Slot> = stays.iter().filter(|slot| standing(service, slot) != Standing::Vacant).map(|slot| slot.slot).collect();
    taken.extend(ending(&draft.state, service));
    let taking = draft.state.nodes.values().filter(|node| takes(node)).map(|node| Slot::Node(node.id));
    let missing: Vec<Slot> = taking.filter(|slot| !taken.contains(slot)).collect();
    let _full = missing.into_iter().try_for_each(|slot| draft.create(service, slot).then_some(()));
}
