//! What `plan` promises apart from the stories: bounds, determinism, and that a stale plan does no harm.
use minicloud_core::command::{Change, Command};
use minicloud_core::id::ServiceId;
use minicloud_core::limits;
use minicloud_core::plan::plan;
use minicloud_core::spec::*;
use minicloud_core::state::NodeDescription;

#[expect(dead_code, reason = "shared with the scenarios, which use all of it")]
mod world;

use world::World;

fn world_with(replicas: u32) -> (World, ServiceId) {
    let mut world = World::new();
    world.add_nodes(3, None, &NodeDescription::default()).expect("nodes can be added");
    world.found("10.0.0.0/8").expect("a cluster can be founded");
    let id = ServiceId(world.id());
    let spec = ServiceSpec {
        name: "worker".to_owned(),
        labels: Labels::new(),
        mode: ServiceMode::Replicated { replicas },
        task: TaskTemplate::new(Image { name: "worker".to_owned(), digest: Digest([1; 32]) }),
        networks: Vec::new(),
        endpoint_mode: EndpointMode::Vip,
        ports: Vec::new(),
        update: UpdateConfig::default(),
        rollback: UpdateConfig::default(),
    };
    world.apply(Command::CreateService { id, spec: Box::new(spec) }).expect("a service can be created");
    (world, id)
}

fn assignments(changes: &[Change]) -> usize {
    changes.iter().filter(|change| matches!(change, Change::AssignTask { .. })).count()
}

#[test]
fn a_thousand_replicas_take_one_plan() {
    let (mut world, _) = world_with(1_000);
    let plan = world.plan_and_apply();
    assert_eq!(assignments(&plan.changes), 1_000);
    assert_eq!(plan.wake_at, None);
    assert!(world.plan().changes.is_empty());
    world.check();
}

#[test]
fn a_plan_that_is_cut_wakes_at_once_and_has_placed_what_it_created() {
    let replicas = 2 * limits::PLAN_CREATES_MAX + 10;
    let (mut world, _) = world_with(replicas as u32);
    let mut placed = Vec::new();
    loop {
        let plan = world.plan_and_apply();
        if plan.changes.is_empty() {
            break;
        }
        assert!(plan.changes.len() <= limits::PLAN_CHANGES_MAX);
        let cut = placed.len() < 2;
        assert_eq!(plan.wake_at, cut.then_some(world.now));
        placed.push(assignments(&plan.changes));
    }
    assert_eq!(placed, [limits::PLAN_CREATES_MAX, limits::PLAN_CREATES_MAX, 10]);
}

#[test]
fn the_same_state_gives_the_same_plan() {
    let (world, _) = world_with(50);
    let one = world.state.clone();
    let other = one.rows().fold(Default::default(), |mut other: minicloud_core::state::ClusterState, (_, row)| {
        other.put_row(row);
        other
    });
    let plan_of = |state| {
        let mut next = 1_000;
        plan(state, world.now, &mut || {
            next += 1;
            next
        })
    };
    assert_eq!(plan_of(&one).changes, plan_of(&other).changes);
    assert_eq!(plan_of(&one), plan_of(&one));
}

#[test]
fn a_plan_for_a_service_that_changed_meanwhile_is_skipped() {
    let (mut world, id) = world_with(5);
    let plan = world.plan();
    world.apply(Command::ScaleServices { replicas: [(id, 2)].into() }).expect("a service can be scaled");
    let before = world.state.tasks.clone();
    let changes = plan.changes.clone();
    let applied = world.apply(Command::ApplyPlan { changes }).expect("a plan is never rejected");
    // The subnets of the built-in networks still hold.
    assert_eq!(applied.skipped as usize, plan.changes.len() - 2);
    assert_eq!(world.state.tasks, before);
    world.settle();
    assert_eq!(world.state.tasks.values().filter(|task| task.is_running()).count(), 2);
    world.check();
}

#[test]
fn a_service_that_is_removed_keeps_no_task_of_a_late_plan() {
    let (mut world, id) = world_with(3);
    let late = world.plan().changes;
    world.apply(Command::RemoveService { id }).expect("a service can be removed");
    world.settle();
    world.apply(Command::ApplyPlan { changes: late }).expect("a plan is never rejected");
    assert!(world.state.tasks.is_empty() && world.state.services.is_empty());
}
