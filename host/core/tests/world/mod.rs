//! A cluster in a test: the state, a clock that is moved by hand, ids that count up, and agents that obey.
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use minicloud_core::check;
use minicloud_core::command::{Command, NewCluster, Outcome, Rejection, Request};
use minicloud_core::event::{self, Event};
use minicloud_core::id::{ClusterId, Index, NetworkId, NodeId, ServiceId, TaskId};
use minicloud_core::plan::{Plan, plan};
use minicloud_core::state::{Availability, ClusterState, Node, NodeDescription, NodeStatus, Role, Slot};
use minicloud_core::task::{Step, TaskState, TaskStatus, next_step};
use minicloud_core::time::Timestamp;
use minicloud_core::view;

pub const START: Timestamp = Timestamp(1_000_000);

pub struct World {
    pub state: ClusterState,
    pub now: Timestamp,
    pub next_id: u64,
    /// Tasks that make no progress and end for nobody.
    pub stuck: BTreeSet<TaskId>,
    /// How each task is called: `worker.1`, and `worker.1#2` for the second one in that slot.
    pub names: BTreeMap<TaskId, String>,
    /// Names of services, those included that are gone.
    pub services: BTreeMap<ServiceId, String>,
    /// What happened since somebody last asked.
    pub events: Vec<Event>,
    /// How many tasks a slot has had.
    counts: BTreeMap<(String, Slot), u32>,
}

impl World {
    pub fn new() -> Self {
        let (stuck, names, services, events, counts) = Default::default();
        World { state: ClusterState::default(), now: START, next_id: 0, stuck, names, services, events, counts }
    }

    pub fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub fn advance(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    pub fn apply(&mut self, command: Command) -> Outcome {
        let index = Index(self.state.index.0 + 1);
        let request = Request { at: self.now, key: None, command };
        let before = self.state.clone();
        let (outcome, touched) = self.state.apply(index, &request);
        self.events.extend(event::events(&before, &self.state, &touched, request.at));
        self.name_new_tasks();
        outcome
    }

    fn name_new_tasks(&mut self) {
        self.services.extend(self.state.services.values().map(|service| (service.id, service.spec.name.clone())));
        for task in self.state.tasks.values() {
            if self.names.contains_key(&task.id) {
                continue;
            }
            let service = self.services[&task.service].clone();
            let count = self.counts.entry((service.clone(), task.slot)).or_default();
            *count += 1;
            let name = if *count == 1 { format!("{service}.{}", task.slot) } else { format!("{service}.{}#{count}", task.slot) };
            self.names.insert(task.id, name);
        }
    }

    /// A task by its name in this world.
    pub fn task(&self, name: &str) -> Option<TaskId> {
        self.names.iter().find(|(_, known)| *known == name).map(|(id, _)| *id)
    }

    pub fn found(&mut self, pool: &str) -> Outcome {
        let id = ClusterId(self.id());
        let [ingress_network, egress_network] = [NetworkId(self.id()), NetworkId(self.id())];
        let [worker_secret_hash, manager_secret_hash] = [[1; 32], [2; 32]];
        let address_pool = pool.parse().expect("a pool is a network");
        let [ca_certificate, ca_key] = [String::new(), String::new()];
        self.apply(Command::CreateCluster(NewCluster {
            id,
            ca_certificate,
            ca_key,
            worker_secret_hash,
            manager_secret_hash,
            address_pool,
            ingress_network,
            egress_network,
        }))
    }

    /// Adds nodes that are ready: a manager first, then workers, unless `role` says otherwise.
    pub fn add_nodes(&mut self, count: usize, role: Option<Role>, description: &NodeDescription) -> Result<Vec<NodeId>, Rejection> {
        let mut nodes = Vec::new();
        for _ in 0..count {
            let default = if self.state.nodes.is_empty() { Role::Manager } else { Role::Worker };
            let (hostname, address) = host(self.state.nodes.len() + 1);
            let (role, availability) = (role.unwrap_or(default), Availability::Active);
            let applied = self.apply(Command::AddNode { hostname, role, availability, address })?;
            nodes.push(applied.node.expect("adding a node answers with its id"));
        }
        for node in &nodes {
            let Node { hostname, address, .. } = Node::clone(&self.state.nodes[node]);
            self.apply(Command::DescribeNode { node: *node, hostname, address, description: description.clone() })?;
            self.set_status(*node, NodeStatus::Ready)?;
        }
        Ok(nodes)
    }

    pub fn set_status(&mut self, node: NodeId, status: NodeStatus) -> Outcome {
        self.apply(Command::SetNodeStatus { nodes: BTreeMap::from([(node, status)]) })
    }

    pub fn plan(&mut self) -> Plan {
        let state = self.state.clone();
        let mut next_id = self.next_id;
        let mut ids = || {
            next_id += 1;
            next_id
        };
        let plan = plan(&state, self.now, &mut ids);
        self.next_id = next_id;
        plan
    }

    /// Plans once and applies the changes.
    pub fn plan_and_apply(&mut self) -> Plan {
        let plan = self.plan();
        if !plan.changes.is_empty() {
            let applied = self.apply(Command::ApplyPlan { changes: plan.changes.clone() }).expect("a plan is never rejected");
            assert_eq!(applied.skipped, 0, "changes were skipped though the state did not move: {:?}", plan.changes);
        }
        plan
    }

    /// Every agent of a ready node takes its tasks as far as it can, and reports. Returns what was reported.
    pub fn run_agents(&mut self) -> Vec<(TaskId, TaskStatus)> {
        let ready: Vec<NodeId> = self.state.nodes.values().filter(|node| node.is_ready()).map(|node| node.id).collect();
        let mut reports = Vec::new();
        for node in ready {
            let tasks: Vec<_> = view::assignment(&self.state, node).keys().filter_map(|task| self.drive(*task)).collect();
            if !tasks.is_empty() {
                reports.extend(tasks.clone());
                self.apply(Command::ReportStatus { node, tasks }).expect("the node is a member");
            }
        }
        reports
    }

    fn drive(&self, id: TaskId) -> Option<(TaskId, TaskStatus)> {
        let task = self.state.tasks.get(&id)?;
        if self.stuck.contains(&id) {
            return None;
        }
        let mut status = task.status.clone();
        loop {
            status.state = match next_step(task.desired, status.state, task.start_at, self.now) {
                Step::Accept => TaskState::Accepted,
                Step::Prepare if task.template.image.name == "missing" => {
                    status.message = "image not found".to_owned();
                    TaskState::Rejected
                }
                Step::Prepare => TaskState::Ready,
                Step::Start if task.template.image.name == "crash" => {
                    status.message = "trap: unreachable".to_owned();
                    TaskState::Failed
                }
                Step::Start if task.template.image.name == "once" => TaskState::Complete,
                Step::Start => TaskState::Running,
                Step::Stop => TaskState::Shutdown,
                Step::Report(state) => state,
                Step::StartAt(_) | Step::Keep | Step::Forget => break,
            };
        }
        status.at = self.now;
        (status.state != task.status.state).then_some((id, status))
    }

    /// Plans and lets the agents work until nothing changes any more. Returns the number of rounds.
    pub fn settle(&mut self) -> usize {
        const ROUNDS_MAX: usize = 200;
        for round in 0..ROUNDS_MAX {
            let plan = self.plan_and_apply();
            let reports = self.run_agents();
            if plan.changes.is_empty() && reports.is_empty() {
                return round;
            }
        }
        panic!("the cluster does not settle: {:#?}", self.plan());
    }

    /// Panics with what is wrong with the state.
    pub fn check(&self) {
        let violations = check::check(&self.state);
        assert!(violations.is_empty(), "violations: {violations:#?}");
    }
}

fn host(number: usize) -> (String, SocketAddr) {
    let octet = |value: usize| (value % 250) as u8;
    (format!("host{number}"), SocketAddr::from((Ipv4Addr::new(127, 0, octet(number / 250), octet(number) + 1), 2377)))
}
