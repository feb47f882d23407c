//! The whole control loop on virtual time: leader, dispatcher, sessions and agents of several nodes, over a fake log,
//! fake streams and a fake executor.
use std::time::Duration;

use minicloud_core::command::{Command, NodeChange};
use minicloud_core::id::NodeId;
use minicloud_core::spec::{RestartCondition, ServiceMode};
use minicloud_core::state::{Availability, NodeStatus, Role};
use minicloud_core::task::{Exit, TaskState};
use minicloud_node::testing::Behaviour;
use tokio::time::Instant;

use crate::world::{World, ids, running};

#[tokio::test(start_paused = true)]
async fn a_service_runs_spread_over_three_nodes() {
    let world = World::start(3).await;
    world.create("web", 6);
    world.converged("web", 6).await;
    for node in world.nodes() {
        assert_eq!(world.running_on(node, "web").len(), 2, "on {node}");
    }
    assert!(world.elapsed() < Duration::from_secs(1), "{:?}", world.elapsed());
}

#[tokio::test(start_paused = true)]
async fn scaling_down_and_removal_stop_in_order() {
    let world = World::start(3).await;
    world.create("web", 6);
    world.converged("web", 6).await;
    world.scale("web", 3);
    world.converged("web", 3).await;
    world.remove("web");
    world.cluster.wait_for("the service is gone", |state| state.services.is_empty() && state.tasks.is_empty()).await;
    let asked: Vec<String> = world.nodes().flat_map(|node| world.executor(node).asked()).collect();
    assert_eq!(asked.iter().filter(|asked| asked.starts_with("stop")).count(), 6, "{asked:?}");
    assert!(!asked.iter().any(|asked| asked.starts_with("kill")), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_silent_node_are_replaced_in_two_seconds_and_stop_when_it_is_back() {
    let world = World::start(3).await;
    world.create("web", 6);
    world.converged("web", 6).await;
    let [leader, _, silent] = world.three();
    assert!(world.cluster.state().nodes[&leader].is_ready());
    world.streams.cut(world.address(silent));
    let began = Instant::now();
    world.cluster.wait_for("it is down", |state| state.nodes[&silent].status == NodeStatus::Down).await;
    assert!(began.elapsed() <= Duration::from_millis(2_300), "{:?}", began.elapsed());
    let others = |state: &_| running(state, "web").iter().filter(|task| task.node != Some(silent)).count();
    world.cluster.wait_for("six run elsewhere", |state| others(state) == 6).await;
    assert!(began.elapsed() <= Duration::from_millis(2_500), "{:?}", began.elapsed());
    assert_eq!(world.running_on(silent, "web").len(), 2, "a node without a leader keeps its tasks");

    world.streams.heal(world.address(silent));
    world.cluster.wait_for("it is back", |state| state.nodes[&silent].status == NodeStatus::Ready).await;
    world.until("its leftovers stop", || world.running_on(silent, "web").is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_leader_marks_no_healthy_node_down_and_starts_nothing_anew() {
    let world = World::start(3).await;
    world.create("web", 6);
    world.converged("web", 6).await;
    let [first, second, third] = world.three();
    let before = world.starts();
    world.cluster.elect(None);
    tokio::time::sleep(Duration::from_millis(800)).await;
    world.cluster.elect(Some(second));
    tokio::time::sleep(Duration::from_secs(10)).await;
    // The new leader is cut off from everyone, and the next one takes over while it still thinks that it leads.
    world.streams.cut(world.address(second));
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.cluster.elect(Some(third));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.starts(), before);
    // Who led before is given no longer than any silent node; the others keep their grace.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let downs = world.status_changes(NodeStatus::Down);
    assert!(downs.contains(&second) && !downs.contains(&first) && !downs.contains(&third), "{downs:?}");
    world.streams.heal(world.address(second));
    world.scale("web", 9);
    world.converged("web", 9).await;
}

#[tokio::test(start_paused = true)]
async fn a_drained_node_empties_and_gets_work_again_when_active() {
    let world = World::start(3).await;
    world.create("web", 3);
    world.converged("web", 3).await;
    let [_, drained, _] = world.three();
    world.available(drained, Availability::Drain);
    world.until("it is empty", || world.running_on(drained, "web").is_empty()).await;
    world.converged("web", 3).await;
    world.available(drained, Availability::Active);
    world.scale("web", 6);
    world.converged("web", 6).await;
    assert!(!world.running_on(drained, "web").is_empty());
}

#[tokio::test(start_paused = true)]
async fn statuses_lost_on_their_way_are_said_again() {
    let world = World::start(3).await;
    world.cluster.lose_reports(2, 2);
    world.create("web", 6);
    world.converged("web", 6).await;
    assert_eq!(world.starts(), 6, "a report that was lost starts nothing anew");
}

#[tokio::test(start_paused = true)]
async fn a_failing_task_is_restarted_after_growing_waits_and_its_end_is_readable() {
    let world = World::start(1).await;
    let [node] = world.nodes().collect::<Vec<_>>()[..] else { panic!() };
    world
        .executor(node)
        .script("web", Behaviour { exit: Some((Duration::from_millis(10), Exit::Failed { code: 7 })), ..Default::default() });
    world.create("web", 1);
    let failures = |state: &minicloud_core::state::ClusterState| {
        state.tasks.values().filter(|task| task.status.state == TaskState::Failed && task.status.exit_code == Some(7)).count()
    };
    world.cluster.wait_for("three failures", |state| failures(state) >= 3).await;
    assert!(world.elapsed() >= Duration::from_millis(300), "{:?}", world.elapsed());
    world.executor(node).script("web", Behaviour::default());
    world.converged("web", 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_component_that_cannot_be_prepared_is_rejected_with_the_reason() {
    let world = World::start(1).await;
    let [node] = world.nodes().collect::<Vec<_>>()[..] else { panic!() };
    world.executor(node).script_prepare(Duration::from_millis(50), Some("not a component"));
    world.create_with("web", 2, |spec| spec.task.restart.condition = RestartCondition::None);
    let rejected = |state: &minicloud_core::state::ClusterState| {
        state.tasks.values().filter(|task| task.status.state == TaskState::Rejected && task.status.message == "not a component").count()
    };
    world.cluster.wait_for("both are rejected", |state| rejected(state) == 2).await;
    assert_eq!(world.executor(node).asked(), ["prepare"], "one preparation served both");
}

#[tokio::test(start_paused = true)]
async fn a_restarted_daemon_takes_up_its_tasks() {
    let mut world = World::start(3).await;
    world.create("web", 3);
    world.converged("web", 3).await;
    let [_, _, node] = world.three();
    let before = ids(&world.running_on(node, "web"));
    world.stop_node(node).await;
    assert!(world.running_on(node, "web").is_empty());
    world.start_node(node);
    world.until("they run again", || ids(&world.running_on(node, "web")) == before).await;
    world.converged("web", 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_global_service_follows_the_nodes() {
    let mut world = World::start(2).await;
    world.create_with("log", 0, |spec| spec.mode = ServiceMode::Global);
    world.converged("log", 2).await;
    let third = world.add_node();
    world.converged("log", 3).await;
    assert_eq!(world.running_on(third, "log").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_removed_node_is_refused_and_an_unknown_one_too() {
    let mut world = World::start(3).await;
    let [_, _, gone] = world.three();
    world.stop_node(gone).await;
    world.cluster.wait_for("it is down", |state| state.nodes[&gone].status == NodeStatus::Down).await;
    let demote = NodeChange { role: Some(Role::Worker), ..NodeChange::default() };
    world.cluster.apply(Command::UpdateNode { node: gone, change: demote }).unwrap();
    world.cluster.apply(Command::RemoveNode { node: gone, force: false }).unwrap();
    world.start_node(gone);
    world.until("it hears why", || world.session_status(gone).contains("is no member")).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_log_delays_but_loses_nothing() {
    let world = World::start(3).await;
    world.cluster.delay_proposals(Duration::from_millis(300));
    world.create("web", 30);
    world.converged("web", 30).await;
    let downs = world.status_changes(NodeStatus::Down);
    assert!(downs.is_empty(), "heartbeats do not wait for the log: {downs:?}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_cluster_proposes_nothing() {
    let world = World::start(3).await;
    world.create("web", 3);
    world.converged("web", 3).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = world.cluster.commands().len();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.cluster.commands().len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_tasks_take_few_proposals() {
    let world = World::start(3).await;
    let before = world.cluster.commands().len();
    world.create("web", 1_000);
    world.converged("web", 1_000).await;
    let proposals = world.cluster.commands().len() - before;
    assert!(proposals < 60, "{proposals}");
}

#[tokio::test(start_paused = true)]
async fn a_label_change_of_a_node_reaches_the_state_only() {
    let world = World::start(1).await;
    world.create("web", 1);
    world.converged("web", 1).await;
    let starts = world.starts();
    let node: NodeId = world.nodes().next().unwrap();
    let change = NodeChange { labels_add: [("disk".to_owned(), "ssd".to_owned())].into(), ..NodeChange::default() };
    world.cluster.apply(Command::UpdateNode { node, change }).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.starts(), starts);
}
