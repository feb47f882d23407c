//! Orders of a task's life, and every way in which it fails.
use std::collections::BTreeMap;

use minicloud_core::id::{Index, ServiceId, TaskId};
use minicloud_core::spec::{Digest, HealthProbe, Image, TaskTemplate};
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
    feed_at(machine, event, NOW)
}

fn feed_at(machine: &mut Machine, event: Event, now: Timestamp) -> String {
    let show = |action: &Action| match action {
        Action::Report(status) => {
            let health = status.health.map(|health| format!(" {health}")).unwrap_or_default();
            let message = Some(&status.message).filter(|message| !message.is_empty()).map(|message| format!(" ({message})"));
            format!("{}{health}{}", status.state, message.unwrap_or_default())
        }
        Action::WaitUntil(due) => format!("WaitUntil {}", due.0),
        Action::LeaveRoutes(index) => format!("LeaveRoutes {index}"),
        Action::Stop(grace) => format!("Stop {}s", grace.as_secs()),
        Action::Probe(after) => format!("Probe in {}ms", after.as_millis()),
        other => format!("{other:?}"),
    };
    machine.handle(event, now).iter().map(show).collect::<Vec<_>>().join(", ")
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

/// Every second, answered within one; three tries.
fn checked(desired: TaskState, version: u64, start_period_ms: u64) -> Event {
    let mut assigned = AssignedTask::clone(&assigned(desired, version));
    let mut template = TaskTemplate::clone(&assigned.template);
    let probe = HealthProbe::Http { path: "/".into(), port: None };
    template.health = Some(HealthCheck { interval_ms: 1_000, start_period_ms, ..HealthCheck::new(probe) });
    assigned.template = Arc::new(template);
    Event::Assigned(Arc::new(assigned))
}

fn not_healthy_yet(start_period_ms: u64) -> Machine {
    let mut machine = Machine::new();
    feed(&mut machine, checked(TaskState::Running, 9, start_period_ms));
    feed(&mut machine, Event::Prepared(Ok(())));
    feed(&mut machine, Event::Mounted(Ok(())));
    assert_eq!(feed(&mut machine, Event::Started(Ok(()))), "starting starting, Probe in 0ms");
    machine
}

fn healthy() -> Machine {
    let mut machine = not_healthy_yet(0);
    assert_eq!(feed(&mut machine, Event::Probed(Ok(()))), "running healthy, Probe in 1000ms");
    machine
}

fn bad() -> Event {
    Event::Probed(Err("status 500".into()))
}

#[test]
fn a_task_runs_once_its_check_succeeds() {
    let mut machine = not_healthy_yet(0);
    assert_eq!(feed(&mut machine, bad()), "starting starting (health check: status 500), Probe in 250ms");
    assert_eq!(feed(&mut machine, bad()), "Probe in 250ms", "the same is not said again");
    assert_eq!(feed(&mut machine, Event::Probed(Ok(()))), "running healthy, Probe in 1000ms");
    assert_eq!(feed(&mut machine, Event::Probed(Ok(()))), "Probe in 1000ms");
}

#[test]
fn a_start_without_health_is_given_up_after_the_time_of_all_its_tries() {
    for (start_period_ms, patience_ms) in [(0, 3_000), (10_000, 13_000)] {
        let mut machine = not_healthy_yet(start_period_ms);
        assert!(feed_at(&mut machine, bad(), Timestamp(NOW.0 + patience_ms - 1)).ends_with("Probe in 250ms"));
        assert_eq!(feed_at(&mut machine, bad(), Timestamp(NOW.0 + patience_ms)), "Stop 2s");
        let end = "Cancel, Release, failed unhealthy (health check never succeeded: status 500)";
        assert_eq!(feed(&mut machine, Event::Exited(Exit::Stopped)), end);
    }
}

#[test]
fn bad_answers_in_a_row_end_a_task_out_of_the_routes_first() {
    let mut machine = healthy();
    assert_eq!(feed(&mut machine, bad()), "Probe in 1000ms");
    assert_eq!(feed(&mut machine, bad()), "Probe in 1000ms");
    assert_eq!(feed(&mut machine, Event::Probed(Ok(()))), "Probe in 1000ms");
    feed(&mut machine, bad());
    feed(&mut machine, bad());
    let why = "health check failed 3 times: status 500";
    assert_eq!(feed(&mut machine, bad()), format!("running unhealthy ({why}), LeaveRoutesUnhealthy"));
    assert_eq!(feed(&mut machine, Event::Probed(Ok(()))), "", "it is too late");
    assert_eq!(feed(&mut machine, Event::RoutesLeft), "Stop 2s");
    assert_eq!(feed(&mut machine, Event::Exited(Exit::Stopped)), format!("Cancel, Release, failed unhealthy ({why})"));
}

#[test]
fn in_the_start_period_a_bad_answer_counts_for_nothing() {
    let mut machine = not_healthy_yet(5_000);
    feed(&mut machine, Event::Probed(Ok(())));
    for _ in 0..5 {
        assert_eq!(feed_at(&mut machine, bad(), Timestamp(NOW.0 + 4_999)), "Probe in 1000ms");
    }
    let later = Timestamp(NOW.0 + 5_000);
    assert_eq!(feed_at(&mut machine, bad(), later), "Probe in 1000ms");
    assert_eq!(feed_at(&mut machine, bad(), later), "Probe in 1000ms");
    assert!(feed_at(&mut machine, bad(), later).starts_with("running unhealthy"));
}

#[test]
fn a_task_that_is_not_healthy_yet_can_be_stopped_and_may_end() {
    let mut machine = not_healthy_yet(0);
    assert_eq!(feed(&mut machine, checked(TaskState::Shutdown, 10, 0)), "Stop 10s");
    assert_eq!(feed(&mut machine, Event::Probed(Ok(()))), "", "it is on its way out");
    assert_eq!(feed(&mut machine, Event::Exited(Exit::Stopped)), "Cancel, Release, shutdown");
    let mut machine = not_healthy_yet(0);
    assert_eq!(feed(&mut machine, Event::Exited(Exit::Failed { code: 4 })), "Cancel, Release, failed (exit code 4)");
}
