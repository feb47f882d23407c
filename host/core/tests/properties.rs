//! Properties of `apply` and `plan` under commands in any order.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use minicloud_core::command::{Change, Command, NodeChange, Request};
use minicloud_core::id::{FileId, Index, NetworkId, NodeId, RequestKey, ServiceId, TaskId, VolumeId};
use minicloud_core::spec::*;
use minicloud_core::state::{Availability, ClusterState, NodeDescription, NodeStatus, RowKey, Service, Slot};
use minicloud_core::task::TaskStatus;
use minicloud_core::view;
use proptest::collection::vec;
use proptest::prelude::*;

#[expect(dead_code, reason = "shared with the scenarios, which use all of it")]
mod world;

#[path = "properties/events.rs"]
mod events;

use events::{Event, Shape, event};
use world::World;

/// The world, a replica that reads the same log from bytes, and a storage that sees only the touched rows.
struct Trial {
    world: World,
    replica: ClusterState,
    stored: ClusterState,
    last_plan: Vec<Change>,
    keys: u64,
}

impl Trial {
    fn new(nodes: usize) -> Self {
        let description = NodeDescription { memory_bytes: 1 << 30, cpu_millis: 1000, ..NodeDescription::default() };
        let mut world = World::new();
        world.add_nodes(nodes, None, &description).expect("nodes can be added");
        world.found("10.0.0.0/8").expect("a cluster can be founded");
        let (replica, stored) = (world.state.clone(), world.state.clone());
        Trial { world, replica, stored, last_plan: Vec::new(), keys: 0 }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Advance(ms) => self.world.advance(Duration::from_millis(u64::from(ms))),
            Event::Plan => self.plan(),
            Event::Agents => self.agents(),
            Event::PlanAgain => self.apply(None, Command::ApplyPlan { changes: self.last_plan.clone() }),
            Event::Key(service) => self.twice(service),
            event => {
                let command = self.command(event);
                self.apply(None, command);
            }
        }
    }

    fn plan(&mut self) {
        let plan = self.world.plan();
        self.last_plan.clone_from(&plan.changes);
        if !plan.changes.is_empty() {
            let request = self.request(None, Command::ApplyPlan { changes: plan.changes });
            let (outcome, _) = self.apply_request(&request);
            assert_eq!(outcome.expect("a plan is never rejected").skipped, 0);
        }
    }

    fn agents(&mut self) {
        let before = self.world.state.clone();
        let reports = self.world.run_agents();
        let mut by_node: BTreeMap<NodeId, Vec<_>> = BTreeMap::new();
        for (task, status) in reports {
            by_node.entry(before.tasks[&task].node.expect("an agent reports its own")).or_default().push((task, status));
        }
        self.world.state = before;
        for (node, tasks) in by_node {
            self.apply(None, Command::ReportStatus { node, tasks });
        }
    }

    /// The same keyed request twice: the second changes nothing and is answered as the first.
    fn twice(&mut self, service: u8) {
        self.keys += 1;
        let id = pick(self.world.state.services.keys().copied(), service).unwrap_or_default();
        let request = self.request(Some(RequestKey(self.keys)), Command::ScaleServices { replicas: [(id, 3)].into() });
        let (first, _) = self.apply_request(&request);
        let mut before = self.world.state.clone();
        let (second, touched) = self.apply_request(&request);
        before.set_index(self.world.state.index);
        assert_eq!(first, second);
        assert_eq!(touched, []);
        assert_eq!(before, self.world.state);
    }

    fn request(&self, key: Option<RequestKey>, command: Command) -> Request {
        Request { at: self.world.now, key, command }
    }

    fn apply(&mut self, key: Option<RequestKey>, command: Command) {
        let request = self.request(key, command);
        let _rejected_or_not = self.apply_request(&request);
    }

    /// Applies to the state, to the replica, and to the storage; then all must be one.
    fn apply_request(&mut self, request: &Request) -> (minicloud_core::command::Outcome, Vec<RowKey>) {
        let index = Index(self.world.state.index.0 + 1);
        let before = self.world.state.clone();
        let (outcome, touched) = self.world.state.apply(index, request);
        let packed = rmp_serde::to_vec(request).expect("a request can be packed");
        let unpacked: Request = rmp_serde::from_slice(&packed).expect("a packed request can be read");
        let text = serde_json::to_string(&unpacked).expect("a request can be written");
        let read: Request = serde_json::from_str(&text).expect("a written request can be read");
        assert_eq!(read, *request);
        let (again, touched_again) = self.replica.apply(index, &unpacked);
        assert_eq!((&outcome, &touched), (&again, &touched_again));
        assert_eq!(self.world.state, self.replica);
        if outcome.is_err() && request.key.is_none() {
            assert_eq!(touched, []);
            let mut unchanged = before;
            unchanged.set_index(index);
            assert_eq!(unchanged, self.world.state, "a rejection changed something");
        }
        for key in &touched {
            match self.world.state.row(*key) {
                Some(row) => self.stored.put_row(row),
                None => self.stored.remove_row(*key),
            }
        }
        self.stored.set_index(index);
        assert_eq!(self.stored, self.world.state, "a touched row was not named");
        self.world.check();
        (outcome, touched)
    }

    fn command(&mut self, event: Event) -> Command {
        let state = self.world.state.clone();
        let node = |at| pick(state.nodes.keys().copied(), at).unwrap_or_default();
        let service = |at| pick(state.services.keys().copied(), at).unwrap_or_default();
        let number = state.index.0;
        match event {
            Event::AddNode(role) => Command::AddNode {
                hostname: format!("late{number}"),
                role,
                availability: Availability::Active,
                address: ([127, 1, (number / 250) as u8, (number % 250) as u8], 2377).into(),
            },
            Event::NodeStatus(at, status) => Command::SetNodeStatus { nodes: [(node(at), status)].into() },
            Event::UpdateNode(at, change) => Command::UpdateNode { node: node(at), change },
            Event::RemoveNode(at, force) => Command::RemoveNode { node: node(at), force },
            Event::CreateNetwork(name, subnet) => {
                let subnet = subnet.map(|octet| format!("10.200.{octet}.0/24").parse().expect("a subnet"));
                let spec = NetworkSpec { name: format!("net{name}"), labels: Labels::new(), subnet, internal: false, attachable: true };
                Command::CreateNetwork { id: NetworkId(self.world.id()), spec }
            }
            Event::RemoveNetwork(at) => Command::RemoveNetwork { id: pick(state.networks.keys().copied(), at).unwrap_or_default() },
            Event::CreateVolume(name, at) => {
                let spec = VolumeSpec { name: format!("data{name}"), labels: Labels::new(), node: at.map(node) };
                Command::CreateVolume { id: VolumeId(self.world.id()), spec }
            }
            Event::RemoveVolume(at) => Command::RemoveVolume { id: pick(state.volumes.keys().copied(), at).unwrap_or_default() },
            Event::ForgetVolume(at, volume) => {
                let volumes = pick(state.volumes.keys().copied(), volume).into_iter().collect();
                Command::ForgetVolumes { node: node(at), volumes }
            }
            Event::SealKey(key) => {
                let replaces = state.cluster.as_ref().and_then(|cluster| cluster.seal_key);
                Command::SetSealKey { fingerprint: [key; 32], replaces }
            }
            Event::CreateFile(kind, name) => {
                let key = state.cluster.as_ref().and_then(|cluster| cluster.seal_key).filter(|_| kind == FileKind::Secret);
                let (name, data) = (format!("file{name}"), Payload::new(vec![name; 3]));
                let spec = FileSpec { kind, name, labels: Labels::new(), data, size_bytes: 3, sealed_with: key };
                Command::CreateFile { id: FileId(self.world.id()), spec }
            }
            Event::LabelFile(at) => {
                let labels = [("number".to_owned(), number.to_string())].into();
                Command::LabelFile { id: pick(state.files.keys().copied(), at).unwrap_or_default(), labels }
            }
            Event::RemoveFile(at) => Command::RemoveFile { id: pick(state.files.keys().copied(), at).unwrap_or_default() },
            Event::CreateService(name, shape) => {
                let spec = Box::new(self.spec(format!("svc{name}"), &shape));
                Command::CreateService { id: ServiceId(self.world.id()), spec }
            }
            Event::UpdateService(at, stale, shape) => {
                let id = service(at);
                let row = state.services.get(&id);
                let name = row.map_or_else(String::new, |row| row.spec.name.clone());
                let version = row.map_or(Index(0), |row| Index(row.version.0 - u64::from(stale)));
                Command::UpdateService { id, version, spec: Box::new(self.spec(name, &shape)) }
            }
            Event::Rollback(at, stale) => {
                let id = service(at);
                let version = state.services.get(&id).map_or(Index(0), |row| Index(row.version.0 - u64::from(stale)));
                Command::RollbackService { id, version }
            }
            Event::Scale(replicas) => {
                Command::ScaleServices { replicas: replicas.into_iter().map(|(at, replicas)| (service(at), replicas)).collect() }
            }
            Event::RemoveService(at) => Command::RemoveService { id: service(at) },
            Event::Report(at, task, state, health) => {
                let task = pick(self.world.state.tasks.keys().copied(), task).unwrap_or(TaskId(0));
                let status = TaskStatus { state, at: self.world.now, health, ..TaskStatus::default() };
                Command::ReportStatus { node: node(at), tasks: vec![(task, status)] }
            }
            Event::Plan | Event::PlanAgain | Event::Agents | Event::Advance(_) | Event::Key(_) => unreachable!("handled by the caller"),
        }
    }

    fn spec(&self, name: String, shape: &Shape) -> ServiceSpec {
        let networks: Vec<NetworkId> = self.world.state.networks.keys().copied().collect();
        let chosen = shape.networks.iter().filter_map(|at| pick(networks.iter().copied(), *at));
        let mut task = TaskTemplate::new(Image { name: shape.image.to_owned(), digest: Digest([3; 32]) });
        task.restart.condition = shape.restart;
        task.resources.reserve_memory_bytes = shape.reserve_memory;
        task.placement.replicas_max_per_node = if shape.replicas.is_some() { shape.max_per_node } else { 0 };
        task.placement.preferences = shape.spread.then(|| PlacementPreference { label: "disk".to_owned() }).into_iter().collect();
        task.constraints = shape.constraint.iter().map(|text| text.parse().expect("a constraint")).collect();
        task.mounts = shape
            .volume
            .iter()
            .map(|at| Mount { kind: MountKind::Volume, source: format!("data{at}"), target: "/data".to_owned(), read_only: false })
            .collect();
        if let Some(file) = shape.file.and_then(|at| pick(self.world.state.files.values(), at)) {
            let FileSpec { kind, name, .. } = &file.spec;
            let reference = FileReference { id: file.id, name: name.clone(), target: format!("/file/{name}"), mode: FILE_MODE_DEFAULT };
            match kind {
                FileKind::Secret => task.secrets.push(reference),
                FileKind::Config => task.configs.push(reference),
            }
        }
        let ports = shape.port.iter().map(|(published, mode)| PublishedPort {
            published: *published,
            target: 80,
            protocol: Protocol::Tcp,
            mode: *mode,
            address: None,
        });
        let mode = match (shape.replicas, shape.job) {
            (Some(replicas), None) => ServiceMode::Replicated { replicas },
            (None, None) => ServiceMode::Global,
            (Some(total), Some(max_concurrent)) => ServiceMode::ReplicatedJob { total, max_concurrent },
            (None, Some(_)) => ServiceMode::GlobalJob,
        };
        let rolling = |config: UpdateConfig| if mode.is_job() { UpdateConfig::default() } else { config };
        ServiceSpec {
            name,
            labels: Labels::new(),
            mode,
            task,
            networks: chosen.map(|network| NetworkAttachment { network, aliases: Vec::new() }).collect(),
            endpoint_mode: shape.endpoint_mode,
            ports: ports.collect(),
            update: rolling(UpdateConfig {
                parallelism: shape.parallelism,
                order: shape.order,
                failure_action: shape.action,
                ..UpdateConfig::default()
            }),
            rollback: rolling(UpdateConfig { parallelism: shape.parallelism, ..UpdateConfig::default() }),
        }
    }

    /// All nodes are ready and active, and time passes until nothing happens any more.
    fn heal(&mut self) {
        let nodes: Vec<NodeId> = self.world.state.nodes.keys().copied().collect();
        for node in nodes {
            self.apply(None, Command::SetNodeStatus { nodes: [(node, NodeStatus::Ready)].into() });
            let change = NodeChange { availability: Some(Availability::Active), ..NodeChange::default() };
            self.apply(None, Command::UpdateNode { node, change });
        }
        for _ in 0..20 {
            self.world.settle();
            self.world.check();
            self.world.advance(Duration::from_secs(31));
        }
        self.world.settle();
    }

    /// Whether nothing but the scheduler's room could keep the service from its number.
    fn is_wanted_everywhere(&self, service: ServiceId) -> bool {
        let spec = &self.world.state.services[&service].spec;
        let bounded = spec.task.placement.replicas_max_per_node > 0;
        let simple =
            !bounded && spec.task.constraints.is_empty() && spec.task.mounts.is_empty() && spec.task.resources.reserve_memory_bytes == 0;
        let runs = ["v1", "v2"].contains(&spec.task.image.name.as_str()) && spec.task.restart.condition == RestartCondition::Any;
        simple && runs && spec.ports.iter().all(|port| port.mode == PublishMode::Ingress)
    }

    fn assert_converged(&self) {
        let state = &self.world.state;
        for service in state.services.values() {
            assert!(!service.removing, "service {} is never forgotten", service.spec.name);
            let running = state.tasks_of_service(service.id).filter(|task| task.is_running());
            let slots: Vec<Slot> = running.map(|task| task.slot).collect();
            let wanted = match service.spec.mode {
                ServiceMode::Replicated { replicas } => replicas as usize,
                ServiceMode::Global => state.nodes.len(),
                ServiceMode::ReplicatedJob { .. } | ServiceMode::GlobalJob => {
                    self.assert_job_converged(service);
                    continue;
                }
            };
            assert!(slots.len() <= wanted, "{} runs in {slots:?}", service.spec.name);
            if self.is_wanted_everywhere(service.id) {
                assert_eq!(
                    slots.len(),
                    wanted,
                    "{} runs in {slots:?}: {:#?}",
                    service.spec.name,
                    state.tasks_of_service(service.id).collect::<Vec<_>>()
                );
            }
        }
    }
}

impl Trial {
    /// What ends is done as often as it was asked for, once in each slot; what does not end is under way as often as it may.
    fn assert_job_converged(&self, service: &Service) {
        let tasks: Vec<_> = self.world.state.tasks_of_service(service.id).collect();
        let done: Vec<Slot> = tasks.iter().filter(|task| service.is_done(task)).map(|task| task.slot).collect();
        let live: Vec<Slot> = tasks.iter().filter(|task| task.is_live()).map(|task| task.slot).collect();
        let slots: BTreeSet<Slot> = done.iter().chain(&live).copied().collect();
        assert!(live.iter().all(|slot| !done.contains(slot)), "what is done is done again: {tasks:#?}");
        let (total, at_once) = match service.spec.mode {
            ServiceMode::ReplicatedJob { total, max_concurrent: 0 } => (total as usize, total as usize),
            ServiceMode::ReplicatedJob { total, max_concurrent } => (total as usize, max_concurrent as usize),
            // Which nodes a constraint leaves it is not the test's to say.
            _ if !service.spec.task.constraints.is_empty() => (live.len() + done.len(), usize::MAX),
            _ => (self.world.state.nodes.len(), usize::MAX),
        };
        assert!(live.len() <= at_once, "{} are under way at once: {tasks:#?}", live.len());
        assert!(live.len() <= total.saturating_sub(done.len()), "more are under way than are to be done: {tasks:#?}");
        if self.is_wanted_everywhere(service.id) {
            let under_way = at_once.min(total.saturating_sub(done.len()));
            assert_eq!(live.len(), under_way, "{} of {total} are done: {tasks:#?}", done.len());
        } else if service.spec.task.image.name == "once" && live.is_empty() && service.spec.task.restart.condition != RestartCondition::None
        {
            assert!(slots.len() >= total, "{} of {total} are done: {tasks:#?}", done.len());
        }
    }
}

fn pick<T>(items: impl Iterator<Item = T>, at: u8) -> Option<T> {
    let items: Vec<T> = items.collect();
    let count = items.len();
    items.into_iter().nth(usize::from(at) % count.max(1))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    /// `apply` never panics, two replicas agree, storage sees every touched row, requests survive their encodings,
    /// the invariants hold after every command, and views follow by deltas.
    #[test]
    fn any_commands_keep_replicas_and_rows_equal(nodes in 1..5usize, events in vec(event(), 0..70)) {
        let mut trial = Trial::new(nodes);
        let mut views: BTreeMap<NodeId, view::NodeView> = BTreeMap::new();
        for event in events {
            trial.happen(event);
            for node in trial.world.state.nodes.keys() {
                let view = views.entry(*node).or_default();
                let next = view::node_view_from(view, &trial.world.state, *node);
                prop_assert_eq!(&next, &view::node_view(&trial.world.state, *node));
                let delta = view::delta(view, &next);
                view.apply(delta).expect("the delta begins at this view");
                prop_assert_eq!(&*view, &next);
            }
        }
        let anew = trial.world.state.rows().fold(ClusterState::default(), |mut anew, (_, row)| {
            let packed = rmp_serde::to_vec(&row).expect("a row can be packed");
            anew.put_row(rmp_serde::from_slice(&packed).expect("a packed row can be read"));
            anew
        });
        prop_assert_eq!(anew.rows().collect::<Vec<_>>(), trial.world.state.rows().collect::<Vec<_>>());
    }

    /// Whatever happened before: once all nodes are well and agents obey, every service reaches its number, and then
    /// the plan is empty.
    #[test]
    fn plans_converge_and_go_quiet(nodes in 1..5usize, events in vec(event(), 0..60)) {
        let mut trial = Trial::new(nodes);
        for event in events {
            trial.happen(event);
        }
        trial.heal();
        trial.assert_converged();
    }
}
