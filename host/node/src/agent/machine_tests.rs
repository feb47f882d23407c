//! Orders of a task's life, and every way in which it fails.
use std::collections::BTreeMap;

use minicloud_core::id::{Index, ServiceId, TaskId};
use minicloud_core::spec::{Digest, Image, TaskTemplate};
use minicloud_core::state::Slot;

use super::*;

const NOW: Timestamp = Timestamp(1_000);

fn assigned(desired: TaskState, version: u64) -> Arc<AssignedTask> {
    Arc::new(AssignedTask {
        id: TaskId(1),
        service: ServiceId(2),
        service_name: "web".into(),
        slot: Slot::Replica(1),
        hostname: "web-1".into(),
        template: Arc::new(TaskTemplate::new(Image { name: "web".into(), digest: Digest([0; 32]) })),
        desired,
        start_at_ms: None,
        addresses: BTreeMap::new(),
        volumes: BTreeMap::new(),
        host_ports: Vec::new(),
        version: Index(version),
    })
}

/// Feeds one event, and shows what is done about it in few words.
fn feed(machine: &mut Machine, event: Event) -> String {
    let show = |action: &Action| match action {
        Action::Report(status) if status.message.is_empty() => format!("{}", status.state),
        Action::Report(status) => format!("{} ({})", status.state, status.message),
        Action::WaitUntil(due) => format!("WaitUntil {}", due.0),
        Action::LeaveRoutes(index) => format!("LeaveRoutes {index}"),
        Action::Stop(grace) => format!("Stop {}s", grace.as_secs()),
        other => format!("{other:?}"),
    };
    machine.handle(event, NOW).iter().map(show).collect::<Vec<_>>().join(", ")
}

fn wanted(desired: TaskState) -> Event {
    Event::Assigned(assigned(desired, 9))
}

fn failed<T>(message: &str) -> Result<T, TaskError> {
    Err(TaskError::new(message))
}

/// A machine whose task has come this far.
fn prepared() -> Machine {
    let mut machine = Machine::new();
    assert_eq!(feed(&mut machine, wanted(TaskState::Running)), "accepted, preparing, Prepare");
    machine
}

fn mounting() -> Machine {
    let mut machine = prepared();
    assert_eq!(feed(&mut machine, Event::Prepared(Ok(()))), "ready, Mount");
    machine
}

fn starting() -> Machine {
    let mut machine = mounting();
    assert_eq!(feed(&mut machine, Event::Mounted(Ok(()))), "starting, Start");
    machine
}

fn running() -> Machine {
    let mut machine = starting();
    assert_eq!(feed(&mut machine, Event::Started(Ok(()))), "running");
    machine
}

fn draining() -> Machine {
    let mut machine = running();
    assert_eq!(feed(&mut machine, wanted(TaskState::Shutdown)), "LeaveRoutes 9");
    assert_eq!(feed(&mut machine, Event::RoutesLeft), "Stop 10s");
    machine
}

#[test]
fn a_start_goes_step_by_step_and_an_end_waits_to_be_forgotten() {
    let mut machine = running();
    assert_eq!(feed(&mut machine, Event::Exited(Exit::Completed)), "Cancel, Release, complete");
    assert_eq!(feed(&mut machine, wanted(TaskState::Shutdown)), "");
    assert_eq!(feed(&mut machine, Event::Withdrawn), "Forget");
}

#[test]
fn a_stop_leaves_the_routes_then_drains_then_lets_go() {
    let mut machine = draining();
    assert_eq!(feed(&mut machine, wanted(TaskState::Shutdown)), "");
    assert_eq!(feed(&mut machine, Event::Exited(Exit::Stopped)), "Cancel, Release, shutdown");
    assert_eq!(feed(&mut machine, Event::Withdrawn), "Forget");
}

#[test]
fn a_later_wish_does_not_put_off_the_wait_for_the_routes() {
    let mut machine = running();
    assert_eq!(feed(&mut machine, Event::Assigned(assigned(TaskState::Shutdown, 9))), "LeaveRoutes 9");
    assert_eq!(feed(&mut machine, Event::Assigned(assigned(TaskState::Remove, 12))), "");
    assert_eq!(feed(&mut machine, Event::RoutesLeft), "Stop 10s");
}

#[test]
fn an_older_view_never_wakes_a_stopping_task() {
    let mut machine = running();
    assert_eq!(feed(&mut machine, wanted(TaskState::Remove)), "LeaveRoutes 9");
    assert_eq!(feed(&mut machine, wanted(TaskState::Running)), "");
    assert_eq!(feed(&mut machine, Event::RoutesLeft), "Stop 10s");
}

#[test]
fn a_stop_before_the_start_only_cancels() {
    for mut machine in [prepared(), mounting()] {
        assert_eq!(feed(&mut machine, wanted(TaskState::Shutdown)), "Cancel, Release, shutdown");
        assert_eq!(feed(&mut machine, Event::Withdrawn), "Forget");
    }
    assert_eq!(feed(&mut Machine::new(), wanted(TaskState::Shutdown)), "Cancel, Release, shutdown");
    assert_eq!(feed(&mut prepared(), Event::Withdrawn), "Cancel, Release, shutdown, Forget");
}

#[test]
fn a_stop_while_it_starts_waits_for_the_start_and_needs_no_routes() {
    let mut machine = starting();
    assert_eq!(feed(&mut machine, wanted(TaskState::Shutdown)), "");
    assert_eq!(feed(&mut machine, Event::Started(Ok(()))), "Stop 10s");
    assert_eq!(feed(&mut machine, Event::Exited(Exit::Stopped)), "Cancel, Release, shutdown");
}

#[test]
fn a_withdrawn_task_drains_without_waiting_for_routes() {
    let mut machine = running();
    assert_eq!(feed(&mut machine, Event::Withdrawn), "Cancel, Stop 10s");
    assert_eq!(feed(&mut machine, Event::Exited(Exit::Stopped)), "Cancel, Release, shutdown, Forget");

    let mut machine = running();
    feed(&mut machine, wanted(TaskState::Shutdown));
    assert_eq!(feed(&mut machine, Event::Withdrawn), "Cancel, Stop 10s");
    assert_eq!(feed(&mut machine, Event::RoutesLeft), "");
}

#[test]
fn what_fails_before_the_start_is_rejected_and_later_failed() {
    assert_eq!(feed(&mut prepared(), Event::Prepared(failed("no such image"))), "Release, rejected (no such image)");
    assert_eq!(feed(&mut mounting(), Event::Mounted(failed("disk full"))), "Release, rejected (disk full)");
    assert_eq!(
        feed(&mut starting(), Event::Started(failed("imports what is not offered"))),
        "Release, failed (imports what is not offered)"
    );
}

#[test]
fn an_end_of_its_own_says_how() {
    assert_eq!(feed(&mut running(), Event::Exited(Exit::Failed { code: 3 })), "Cancel, Release, failed (exit code 3)");
    let trapped = || Exit::Trapped { message: "unreachable".into(), backtrace: "at main".into() };
    let actions = running().handle(Event::Exited(trapped()), NOW);
    let Some(Action::Report(status)) = actions.last() else { panic!("{actions:?}") };
    assert_eq!((status.state, &*status.message, &*status.backtrace), (TaskState::Failed, "unreachable", "at main"));

    let mut leaving = running();
    feed(&mut leaving, wanted(TaskState::Shutdown));
    assert_eq!(feed(&mut leaving, Event::Exited(Exit::Failed { code: 1 })), "Cancel, Release, failed (exit code 1)");
    assert_eq!(feed(&mut draining(), Event::Exited(trapped())), "Cancel, Release, shutdown (unreachable)");
}

#[test]
fn a_start_is_put_off_until_it_is_due_and_until_it_is_wanted() {
    let due = |start_at_ms, desired| {
        let mut task = AssignedTask::clone(&assigned(desired, 9));
        task.start_at_ms = Some(start_at_ms);
        Event::Assigned(Arc::new(task))
    };
    let mut machine = Machine::new();
    assert_eq!(feed(&mut machine, due(NOW.0 + 500, TaskState::Running)), "accepted, WaitUntil 1500");
    assert_eq!(feed(&mut machine, Event::StartDue), "WaitUntil 1500", "a timer that fires early");
    assert_eq!(feed(&mut machine, due(NOW.0, TaskState::Running)), "preparing, Prepare");

    let mut machine = Machine::new();
    feed(&mut machine, due(NOW.0, TaskState::Ready));
    assert_eq!(feed(&mut machine, Event::Prepared(Ok(()))), "ready");
    assert_eq!(feed(&mut machine, due(NOW.0, TaskState::Running)), "Mount");
}

#[test]
fn a_held_volume_is_named_while_it_is_waited_for() {
    let mut machine = mounting();
    assert_eq!(feed(&mut machine, Event::MountWaits("waits for volume 'data'".into())), "ready (waits for volume 'data')");
    assert_eq!(feed(&mut machine, Event::Mounted(Ok(()))), "starting, Start");
}

#[test]
fn long_texts_are_cut_where_a_character_ends() {
    let message = "ä".repeat(STATUS_MESSAGE_BYTES_MAX);
    let actions = running().handle(Event::Exited(Exit::Trapped { message, backtrace: String::new() }), NOW);
    let Some(Action::Report(status)) = actions.last() else { panic!("{actions:?}") };
    assert!(status.message.len() <= STATUS_MESSAGE_BYTES_MAX + " …".len() && status.message.ends_with('…'));
}
