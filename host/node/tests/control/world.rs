//! Nodes of one process around a fake log: each with leader, dispatcher, session and agent, as a real node has them.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use minicloud_core::command::{Command, NewCluster, NodeChange};
use minicloud_core::id::{ClusterId, NetworkId, NodeId, ServiceId, TaskId};
use minicloud_core::spec::{Digest, Image, ServiceMode, ServiceSpec, TaskTemplate, UpdateConfig};
use minicloud_core::state::{Availability, ClusterState, NodeDescription, NodeStatus, Role, Task};
use minicloud_net::{NoUplink, Switch};
use minicloud_node::agent::{Agent, AgentOptions};
use minicloud_node::dispatcher::{Dispatcher, DispatcherOptions};
use minicloud_node::env::{Clock, Random};
use minicloud_node::leader::{Leader, LeaderOptions};
use minicloud_node::liveness::LivenessHandle;
use minicloud_node::session::{Manager, Session, SessionHandle, SessionOptions};
use minicloud_node::testing::{FakeCluster, FakeExecutor, FakeFiles, FakeImages, FakeStreams, NoLogs, TestClock, TestRandom};
use minicloud_node::transport::Peer;
use minicloud_node::volumes::LocalVolumes;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub struct World {
    pub cluster: FakeCluster,
    pub streams: FakeStreams,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    nodes: BTreeMap<NodeId, Node>,
    began: Instant,
    folder: TempDir,
}

struct Node {
    executor: Arc<FakeExecutor>,
    session: SessionHandle,
    shutdown: CancellationToken,
    agent: Option<JoinHandle<()>>,
}

pub fn ids(tasks: &[Arc<Task>]) -> Vec<TaskId> {
    tasks.iter().map(|task| task.id).collect()
}

pub fn running(state: &ClusterState, service: &str) -> Vec<Arc<Task>> {
    let Ok(service) = state.find_service(service) else { return Vec::new() };
    state.tasks_of_service(service.id).filter(|task| task.is_running()).cloned().collect()
}

impl World {
    /// A cluster of that many managers, the first of which leads.
    pub async fn start(managers: usize) -> World {
        let clock = TestClock::new();
        let mut world = World {
            cluster: FakeCluster::new(Arc::clone(&clock)),
            streams: FakeStreams::default(),
            clock,
            random: TestRandom::new(7),
            nodes: BTreeMap::new(),
            began: Instant::now(),
            folder: tempfile::tempdir().unwrap(),
        };
        world.cluster.apply(Command::CreateCluster(founding())).unwrap();
        for _ in 0..managers {
            world.add_node();
        }
        let first = world.nodes().next();
        world.cluster.elect(first);
        world.cluster.wait_for("all nodes are ready", |state| state.nodes.values().all(|node| node.is_ready())).await;
        world.began = Instant::now();
        world
    }

    pub fn add_node(&mut self) -> NodeId {
        let number = self.nodes.len() as u16 + 1;
        let add = Command::AddNode {
            hostname: format!("host-{number}"),
            role: Role::Manager,
            availability: Availability::Active,
            address: SocketAddr::from(([127, 0, 0, number as u8], 2377)),
        };
        let node = self.cluster.apply(add).unwrap().node.unwrap();
        self.start_node(node);
        node
    }

    pub fn start_node(&mut self, node: NodeId) {
        let shutdown = CancellationToken::new();
        let row = self.cluster.state().nodes.get(&node).cloned();
        let (hostname, address) =
            row.map_or(("gone".into(), SocketAddr::from(([127, 0, 0, 99], 1))), |row| (row.hostname.clone(), row.address));
        let dispatcher = self.start_manager(node, &shutdown);
        self.streams.serve(address, dispatcher);
        let peer = Peer { node, role: Role::Manager, address };
        let known = self.cluster.state().nodes.values().map(|row| Manager { node: Some(row.id), address: row.address }).collect();
        let (session, handle) = Session::new(SessionOptions {
            node,
            hostname,
            address,
            description: NodeDescription { version: "test".into(), memory_bytes: 8 << 30, cpu_millis: 4_000, ..Default::default() },
            dial: self.streams.dial_from(peer),
            managers: known,
            managers_file: self.folder.path().join(format!("{node}.managers.json")),
            random: Arc::clone(&self.random),
        });
        let executor = FakeExecutor::new();
        let (agent, _) = Agent::new(AgentOptions {
            node,
            clock: Arc::clone(&self.clock),
            session: handle.clone(),
            executor: executor.clone(),
            images: Arc::new(FakeImages::default()),
            files: Arc::new(FakeFiles::default()),
            logs: Arc::new(NoLogs),
            volumes: Arc::new(LocalVolumes::new(self.folder.path().join(node.to_string()))),
            switch: Switch::new(node, Arc::new(NoUplink)),
            on_view: Box::new(|_| {}),
        });
        tokio::spawn(session.run(shutdown.clone()));
        let agent = tokio::spawn(agent.run(shutdown.clone()));
        self.nodes.insert(node, Node { executor, session: handle, shutdown, agent: Some(agent) });
    }

    fn start_manager(&self, node: NodeId, shutdown: &CancellationToken) -> Arc<Dispatcher> {
        let manager = self.cluster.manager(node);
        let liveness = LivenessHandle::new();
        let dispatcher = Dispatcher::new(DispatcherOptions { replicated: manager.clone(), liveness: liveness.clone() });
        let leader =
            Leader::new(LeaderOptions { replicated: manager, liveness, clock: Arc::clone(&self.clock), random: Arc::clone(&self.random) });
        tokio::spawn(Arc::clone(&dispatcher).run(shutdown.clone()));
        tokio::spawn(leader.run(shutdown.clone()));
        dispatcher
    }

    /// Ends the node's daemon in order.
    pub async fn stop_node(&mut self, node: NodeId) {
        let node = self.nodes.get_mut(&node).unwrap();
        node.shutdown.cancel();
        node.agent.take().unwrap().await.unwrap();
    }

    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes.keys().copied()
    }

    pub fn three(&self) -> [NodeId; 3] {
        self.nodes().collect::<Vec<_>>().try_into().unwrap()
    }

    pub fn address(&self, node: NodeId) -> SocketAddr {
        self.cluster.state().nodes[&node].address
    }

    pub fn executor(&self, node: NodeId) -> &FakeExecutor {
        &self.nodes[&node].executor
    }

    pub fn session_status(&self, node: NodeId) -> String {
        format!("{:?}", *self.nodes[&node].session.status().borrow())
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn create(&self, name: &str, replicas: u32) {
        self.create_with(name, replicas, |_| {});
    }

    pub fn create_with(&self, name: &str, replicas: u32, change: impl FnOnce(&mut ServiceSpec)) {
        let mut spec = ServiceSpec {
            name: name.into(),
            labels: BTreeMap::new(),
            mode: ServiceMode::Replicated { replicas },
            task: TaskTemplate::new(Image { name: name.into(), digest: Digest([1; 32]) }),
            networks: Vec::new(),
            endpoint_mode: Default::default(),
            ports: Vec::new(),
            update: UpdateConfig::default(),
            rollback: UpdateConfig::default(),
        };
        change(&mut spec);
        self.cluster.apply(Command::CreateService { id: ServiceId(self.random.next_u64() % 1_000_000), spec: Box::new(spec) }).unwrap();
    }

    pub fn scale(&self, name: &str, replicas: u32) {
        let id = self.cluster.state().find_service(name).unwrap().id;
        self.cluster.apply(Command::ScaleServices { replicas: [(id, replicas)].into() }).unwrap();
    }

    pub fn remove(&self, name: &str) {
        let id = self.cluster.state().find_service(name).unwrap().id;
        self.cluster.apply(Command::RemoveService { id }).unwrap();
    }

    pub fn available(&self, node: NodeId, availability: Availability) {
        let change = NodeChange { availability: Some(availability), ..NodeChange::default() };
        self.cluster.apply(Command::UpdateNode { node, change }).unwrap();
    }

    /// Waits until exactly that many tasks of the service run, in the state and on the nodes.
    pub async fn converged(&self, service: &str, tasks: usize) {
        self.cluster.wait_for(&format!("{tasks} tasks of {service} run"), |state| running(state, service).len() == tasks).await;
        let up = || self.nodes().filter(|node| !self.nodes[node].shutdown.is_cancelled());
        let prefix = format!("{service}.");
        let on_nodes =
            || up().map(|node| self.executor(node).running().iter().filter(|name| name.starts_with(&prefix)).count()).sum::<usize>();
        self.until(&format!("{tasks} tasks of {service} are left on the nodes"), || on_nodes() == tasks).await;
    }

    /// Polls a condition for a minute (of tokio's clock).
    pub async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(Instant::now() < deadline, "not within a minute: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Tasks of the service that the node's executor runs, whatever the state says.
    pub fn running_on(&self, node: NodeId, service: &str) -> Vec<Arc<Task>> {
        let state = self.cluster.state();
        let Ok(service) = state.find_service(service) else { return Vec::new() };
        let ids = self.executor(node).running_ids();
        ids.iter().filter_map(|id| state.tasks.get(id)).filter(|task| task.service == service.id).cloned().collect()
    }

    /// Tasks started so far on all nodes.
    pub fn starts(&self) -> usize {
        self.nodes().map(|node| self.executor(node).asked().iter().filter(|asked| asked.starts_with("start")).count()).sum()
    }

    /// Nodes that were ever set to this status.
    pub fn status_changes(&self, wanted: NodeStatus) -> Vec<NodeId> {
        let commands = self.cluster.commands();
        let sets = commands.iter().filter_map(|command| match command {
            Command::SetNodeStatus { nodes } => Some(nodes),
            _ => None,
        });
        sets.flatten().filter(|(_, status)| **status == wanted).map(|(node, _)| *node).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.nodes.values().for_each(|node| node.shutdown.cancel());
    }
}

fn founding() -> NewCluster {
    NewCluster {
        id: ClusterId(1),
        ca_certificate: String::new(),
        ca_key: String::new(),
        worker_secret_hash: [0; 32],
        manager_secret_hash: [0; 32],
        address_pool: "10.0.0.0/8".parse().unwrap(),
        ingress_network: NetworkId(1),
        egress_network: NetworkId(2),
    }
}
