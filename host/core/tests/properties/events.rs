//! What may happen to a cluster, and in which order: the inputs of the properties.
use std::collections::BTreeMap;

use minicloud_core::command::NodeChange;
use minicloud_core::spec::*;
use minicloud_core::state::{Availability, NodeStatus, Role};
use minicloud_core::task::{Health, TaskState};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// One thing that happens. Numbers choose among what there is, so most commands hit something.
#[derive(Clone, Debug)]
pub enum Event {
    AddNode(Role),
    NodeStatus(u8, NodeStatus),
    UpdateNode(u8, NodeChange),
    RemoveNode(u8, bool),
    CreateNetwork(u8, Option<u8>),
    RemoveNetwork(u8),
    CreateVolume(u8, Option<u8>),
    RemoveVolume(u8),
    ForgetVolume(u8, u8),
    SealKey(u8),
    CreateFile(FileKind, u8),
    LabelFile(u8),
    RemoveFile(u8),
    CreateService(u8, Box<Shape>),
    UpdateService(u8, bool, Box<Shape>),
    Rollback(u8, bool),
    Scale(BTreeMap<u8, u32>),
    RemoveService(u8),
    Report(u8, u8, TaskState, Option<Health>),
    Key(u8),
    Plan,
    /// Applies the plan that was made last once more, though the state has moved on.
    PlanAgain,
    Agents,
    Advance(u16),
}

/// A service, in the few respects that matter to the planner.
#[derive(Clone, Debug)]
pub struct Shape {
    pub replicas: Option<u32>,
    /// A job, with so many tasks at once.
    pub job: Option<u32>,
    pub image: &'static str,
    pub networks: Vec<u8>,
    pub port: Option<(u16, PublishMode)>,
    pub volume: Option<u8>,
    pub file: Option<u8>,
    pub reserve_memory: u64,
    pub max_per_node: u32,
    pub spread: bool,
    pub restart: RestartCondition,
    pub order: Option<UpdateOrder>,
    pub parallelism: u32,
    pub action: FailureAction,
    pub constraint: Option<&'static str>,
    pub endpoint_mode: EndpointMode,
}

fn shape() -> impl Strategy<Value = Box<Shape>> {
    let number = (option::weighted(0.8, 0..6u32), option::weighted(0.3, 0..4u32));
    let mode = (number, select(vec!["v1", "v1", "v2", "crash", "once", "missing"]), vec(0..3u8, 0..3));
    let ports = select(vec![(0, PublishMode::Ingress), (8000, PublishMode::Ingress), (8001, PublishMode::Host), (8000, PublishMode::Host)]);
    let spread = (select(vec![0, 0, 0, 1, 2]), any::<bool>());
    let place = (
        option::weighted(0.3, ports),
        (option::weighted(0.2, 0..3u8), option::weighted(0.3, any::<u8>())),
        select(vec![0, 0, 600 << 20]),
        spread,
    );
    let restart = select(vec![RestartCondition::Any, RestartCondition::OnFailure, RestartCondition::None]);
    let order = option::of(select(vec![UpdateOrder::StartFirst, UpdateOrder::StopFirst]));
    let action = select(vec![FailureAction::Pause, FailureAction::Continue, FailureAction::Rollback]);
    let constraint = option::weighted(0.2, select(vec!["node.role==worker", "node.labels.disk==ssd"]));
    let endpoint = select(vec![EndpointMode::Vip, EndpointMode::Dnsrr]);
    (mode, place, restart, order, 0..3u32, action, constraint, endpoint).prop_map(
        |(
            ((replicas, job), image, networks),
            (port, (volume, file), reserve_memory, (max_per_node, spread)),
            restart,
            order,
            parallelism,
            action,
            constraint,
            endpoint_mode,
        )| {
            Box::new(Shape {
                replicas,
                job,
                image,
                networks,
                port,
                volume,
                file,
                reserve_memory,
                max_per_node,
                spread,
                restart,
                order,
                parallelism,
                action,
                constraint,
                endpoint_mode,
            })
        },
    )
}

fn node_change() -> impl Strategy<Value = NodeChange> {
    let availability = option::of(select(vec![Availability::Active, Availability::Pause, Availability::Drain]));
    let role = option::weighted(0.2, select(vec![Role::Manager, Role::Worker]));
    (availability, role, any::<bool>()).prop_map(|(availability, role, ssd)| {
        let label = ("disk".to_owned(), "ssd".to_owned());
        let (labels_add, labels_remove) = if ssd { ([label].into(), Vec::new()) } else { (Labels::new(), vec![label.0]) };
        NodeChange { availability, role, labels_add, labels_remove }
    })
}

pub fn event() -> impl Strategy<Value = Event> {
    let states =
        [TaskState::Accepted, TaskState::Running, TaskState::Complete, TaskState::Failed, TaskState::Shutdown, TaskState::Orphaned];
    let health = option::of(select(vec![Health::Starting, Health::Healthy, Health::Unhealthy]));
    let status = select(vec![NodeStatus::Ready, NodeStatus::Ready, NodeStatus::Down, NodeStatus::Unknown]);
    prop_oneof![
        2 => select(vec![Role::Manager, Role::Worker]).prop_map(Event::AddNode),
        4 => (any::<u8>(), status).prop_map(|(node, status)| Event::NodeStatus(node, status)),
        2 => (any::<u8>(), node_change()).prop_map(|(node, change)| Event::UpdateNode(node, change)),
        1 => any::<(u8, bool)>().prop_map(|(node, force)| Event::RemoveNode(node, force)),
        2 => (0..4u8, option::of(0..3u8)).prop_map(|(name, subnet)| Event::CreateNetwork(name, subnet)),
        1 => any::<u8>().prop_map(Event::RemoveNetwork),
        1 => (0..4u8, option::of(any::<u8>())).prop_map(|(name, node)| Event::CreateVolume(name, node)),
        1 => any::<u8>().prop_map(Event::RemoveVolume),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(node, volume)| Event::ForgetVolume(node, volume)),
        1 => (0..2u8).prop_map(Event::SealKey),
        3 => (select(vec![FileKind::Secret, FileKind::Config]), 0..3u8).prop_map(|(kind, name)| Event::CreateFile(kind, name)),
        1 => any::<u8>().prop_map(Event::LabelFile),
        2 => any::<u8>().prop_map(Event::RemoveFile),
        5 => (0..5u8, shape()).prop_map(|(name, shape)| Event::CreateService(name, shape)),
        3 => (any::<u8>(), any::<bool>(), shape()).prop_map(|(service, stale, shape)| Event::UpdateService(service, stale, shape)),
        1 => any::<(u8, bool)>().prop_map(|(service, stale)| Event::Rollback(service, stale)),
        3 => btree_map(any::<u8>(), 0..7u32, 1..3).prop_map(Event::Scale),
        1 => any::<u8>().prop_map(Event::RemoveService),
        4 => (any::<u8>(), any::<u8>(), select(states.to_vec()), health)
            .prop_map(|(node, task, state, health)| Event::Report(node, task, state, health)),
        1 => any::<u8>().prop_map(Event::Key),
        9 => Just(Event::Plan),
        1 => Just(Event::PlanAgain),
        6 => Just(Event::Agents),
        2 => (0..20_000u16).prop_map(Event::Advance),
    ]
}
