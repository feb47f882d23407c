//! How long the core takes for the largest changes. Prints times and asserts none: machines differ.
//!
//! `cargo test --release -p minicloud-core --test speed -- --nocapture`
#![expect(clippy::print_stdout, reason = "its output is the point")]
use std::time::Instant;

use minicloud_core::command::{Command, Request};
use minicloud_core::id::{NetworkId, ServiceId};
use minicloud_core::spec::*;
use minicloud_core::state::NodeDescription;
use minicloud_core::view;

#[expect(dead_code, reason = "shared with the scenarios, which use all of it")]
mod world;

use world::World;

fn spec(network: NetworkId) -> ServiceSpec {
    ServiceSpec {
        name: "worker".to_owned(),
        labels: Labels::new(),
        mode: ServiceMode::Replicated { replicas: 1 },
        task: TaskTemplate::new(Image { name: "worker".to_owned(), digest: Digest([1; 32]) }),
        networks: vec![NetworkAttachment { network, aliases: Vec::new() }],
        endpoint_mode: EndpointMode::Vip,
        ports: Vec::new(),
        update: UpdateConfig::default(),
        rollback: UpdateConfig::default(),
    }
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    println!("{what}: {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
    done
}

fn grow(nodes: usize, replicas: u32) {
    println!("-- {replicas} replicas on {nodes} nodes");
    let mut world = World::new();
    world.add_nodes(nodes, None, &NodeDescription::default()).expect("nodes can be added");
    world.found("10.0.0.0/8").expect("a cluster can be founded");
    let network = NetworkId(world.id());
    let front = NetworkSpec { name: "front".to_owned(), labels: Labels::new(), subnet: None, internal: false, attachable: false };
    world.apply(Command::CreateNetwork { id: network, spec: front }).expect("a network can be created");
    let id = ServiceId(world.id());
    world.apply(Command::CreateService { id, spec: Box::new(spec(network)) }).expect("a service can be created");
    world.settle();
    world.apply(Command::ScaleServices { replicas: [(id, replicas)].into() }).expect("a service can be scaled");
    let mut rounds = 0;
    loop {
        let plan = timed("plan", || world.plan());
        if plan.changes.is_empty() {
            break;
        }
        rounds += 1;
        println!("   {} changes", plan.changes.len());
        let request = Request { at: world.now, key: None, command: Command::ApplyPlan { changes: plan.changes } };
        let bytes = timed("   encode", || rmp_serde::to_vec(&request).expect("a request can be encoded"));
        println!("   {} bytes", bytes.len());
        let request: Request = timed("   decode", || rmp_serde::from_slice(&bytes).expect("a request can be decoded"));
        timed("   apply", || world.apply(request.command)).expect("a plan is taken");
    }
    assert_eq!(world.state.tasks.values().filter(|task| task.node.is_some()).count(), replicas as usize);
    println!("   {rounds} rounds");
    timed("agents report", || world.run_agents());
    timed("plan when quiet", || world.plan());
    let views: Vec<_> = timed("views of all nodes", || world.state.nodes.keys().map(|node| view::node_view(&world.state, *node)).collect());
    let before = views.into_iter().next().expect("there is a node");
    let node = *world.state.nodes.keys().next().expect("there is a node");
    let after = timed("one view again", || view::node_view_from(&before, &world.state, node));
    let delta = timed("its delta", || view::delta(&before, &after));
    assert!(delta.is_empty());
    world.apply(Command::ScaleServices { replicas: [(id, 0)].into() }).expect("a service can be scaled");
    timed("plan of scaling to none", || world.plan());
}

#[test]
fn scaling_far_takes_milliseconds() {
    grow(1, 1_000);
    grow(3, 1_000);
    grow(100, 10_000);
}
