//! What the files of version 0.1 hold, field by field, with no field at its default.
//!
//! A field that is added later is given its default here: that is what an older file's record means today. Nothing
//! else may change: a value that must change to please the test is a value that users' files lose.
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use minicloud_core::command::{Applied, Change, Command, NewCluster, NewTask, NodeChange, Rejection, Request};
use minicloud_core::id::{ClusterId, Index, NetworkId, NodeId, RequestKey, ServiceId, TaskId, VolumeId};
use minicloud_core::spec::{
    Digest, EndpointMode, FailureAction, Image, Mount, MountKind, NetworkAttachment, NetworkSpec, Protocol, PublishMode, PublishedPort,
    Resources, RestartCondition, RestartPolicy, ServiceMode, ServiceSpec, TaskTemplate, UpdateConfig, UpdateOrder, VolumeSpec,
};
use minicloud_core::state::{
    Answer, Availability, Cluster, Network, Node, NodeDescription, NodeStatus, Role, Row, Service, Slot, Task, UpdateProgress, UpdateState,
    Volume,
};
use minicloud_core::task::{TaskState, TaskStatus};
use minicloud_core::time::Timestamp;
use minicloud_node::data_dir::NodeFile;
use minicloud_node::raft::{Entry, LogId, Member, Membership, Proposal};
use minicloud_node::token::Secret;
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_std::LeaderId;
use openraft::vote::RaftLeaderId;

pub const FOUNDER: NodeId = NodeId(1);
/// Written after the state, so a node that starts has to apply it.
pub const LAST_VOLUME: VolumeId = VolumeId(999);
/// The first entries of the log are purged.
pub const PURGED: u64 = 1;

const CA_KEY: &str = "the authority's key";
const BLUE: NetworkId = NetworkId(30);
const WEB: ServiceId = ServiceId(40);

/// A join token as 0.1 printed it, of the cluster below.
pub const TOKEN: &str = "MCTKN-1-abababababababababababababababababababababababababababababababab-0123456789abcdef0123456789abcdef";

pub fn node_file() -> NodeFile {
    NodeFile {
        version: 1,
        node: FOUNDER,
        role: Role::Manager,
        cluster: ClusterId(7),
        epoch: 3,
        listen: "127.0.0.1:2377".parse().unwrap(),
        advertise: "192.0.2.1:2377".parse().unwrap(),
        managers: vec![(NodeId(2), "192.0.2.2:2377".parse().unwrap())],
        contacts: vec!["[2001:db8::1]:2377".parse().unwrap()],
    }
}

pub fn log_id(index: u64) -> LogId {
    LogId::new(LeaderId::new(2, FOUNDER).to_committed(), index)
}

/// The whole log: the membership, a blank entry, and one for each command.
pub fn entries(commands: Vec<Command>) -> Vec<Entry> {
    let members = BTreeMap::from([(FOUNDER, Member { address: "127.0.0.1:2377".parse().unwrap() })]);
    let membership = Membership::new(vec![BTreeSet::from([FOUNDER])], members).unwrap();
    let normal = |(number, command): (u64, Command)| {
        let key = Some(RequestKey(1000 + number));
        EntryPayload::Normal(Proposal(Request { at: Timestamp(1_700_000_000_000 + number), key, command }))
    };
    let mut payloads = vec![EntryPayload::Membership(membership), EntryPayload::Blank];
    payloads.extend((0..).zip(commands).map(normal));
    payloads.into_iter().zip(0..).map(|(payload, index)| Entry::new(log_id(index), payload)).collect()
}

pub fn commands() -> Vec<Command> {
    let service = || Box::new(service_spec());
    vec![
        Command::CreateCluster(new_cluster()),
        Command::RotateJoinSecret { role: Role::Worker, secret_hash: [9; 32] },
        Command::AddNode {
            hostname: "two".into(),
            role: Role::Worker,
            availability: Availability::Pause,
            address: "[2001:db8::2]:2377".parse().unwrap(),
        },
        Command::UpdateNode {
            node: NodeId(2),
            change: NodeChange {
                availability: Some(Availability::Drain),
                role: Some(Role::Manager),
                labels_add: labels("disk", "ssd"),
                labels_remove: vec!["old".into()],
            },
        },
        Command::DescribeNode {
            node: NodeId(2),
            hostname: "two".into(),
            address: "192.0.2.2:2377".parse().unwrap(),
            description: description(),
        },
        Command::SetNodeStatus {
            nodes: BTreeMap::from([(NodeId(1), NodeStatus::Ready), (NodeId(2), NodeStatus::Down), (NodeId(3), NodeStatus::Unknown)]),
        },
        Command::RemoveNode { node: NodeId(3), force: true },
        Command::CreateNetwork { id: BLUE, spec: network_spec() },
        Command::RemoveNetwork { id: NetworkId(31) },
        Command::CreateVolume { id: VolumeId(50), spec: volume_spec() },
        Command::RemoveVolume { id: VolumeId(51) },
        Command::ForgetVolumes { node: FOUNDER, volumes: vec![VolumeId(51)] },
        Command::CreateService { id: WEB, spec: service() },
        Command::UpdateService { id: WEB, version: Index(12), spec: Box::new(global_service_spec()) },
        Command::ScaleServices { replicas: BTreeMap::from([(WEB, 5)]) },
        Command::RemoveService { id: ServiceId(41) },
        Command::ReportStatus { node: FOUNDER, tasks: vec![(TaskId(60), status())] },
        Command::ApplyPlan { changes: changes() },
        Command::CreateVolume { id: LAST_VOLUME, spec: VolumeSpec { name: "last".into(), labels: labels("a", "b"), node: None } },
    ]
}

pub fn changes() -> Vec<Change> {
    let ports = ports();
    vec![
        Change::SetSubnet { network: BLUE, subnet: "10.7.0.0/16".parse().unwrap() },
        Change::SetEndpoint { service: WEB, version: Index(12), vips: addresses(2), ports },
        Change::CreateTask(Box::new(NewTask {
            id: TaskId(61),
            service: WEB,
            version: Index(12),
            slot: Slot::Replica(2),
            template: Arc::new(template()),
            desired: TaskState::Running,
            start_at: Some(Timestamp(1)),
            failures: 2,
            restarts: 3,
            restarts_since: Some(Timestamp(4)),
        })),
        Change::SetAddresses { task: TaskId(61), addresses: addresses(3) },
        Change::AssignTask { task: TaskId(61), node: FOUNDER },
        Change::SetDesired { task: TaskId(61), desired: TaskState::Shutdown },
        Change::SetObserved { task: TaskId(61), status: status() },
        Change::SetWaiting { task: TaskId(61), reason: "no suitable node".into() },
        Change::RemoveTask { task: TaskId(61) },
        Change::RemoveService { service: ServiceId(41) },
        Change::BindVolume { volume: VolumeId(50), node: FOUNDER },
        Change::CreateVolume { volume: VolumeId(52), spec: volume_spec() },
        Change::SetUpdate { service: WEB, version: Index(12), update: update(UpdateState::Paused) },
    ]
}

/// Every kind of row, and every state that a row may be in where that is stored by name.
pub fn rows() -> Vec<Row> {
    let at = Timestamp;
    let mut rows = vec![
        Row::Cluster(Arc::new(Cluster { founding: new_cluster(), created_at: at(1), epoch: 3, seal_key: None, version: Index(2) })),
        node(NodeId(1), Role::Manager, Availability::Active, NodeStatus::Ready),
        node(NodeId(2), Role::Worker, Availability::Pause, NodeStatus::Down),
        node(NodeId(3), Role::Worker, Availability::Drain, NodeStatus::Unknown),
        Row::Network(Arc::new(Network {
            id: BLUE,
            spec: network_spec(),
            subnet: Some("10.7.0.0/16".parse().unwrap()),
            cursor: Some(Ipv4Addr::new(10, 7, 0, 9)),
            created_at: at(1),
            version: Index(9),
        })),
        Row::Volume(Arc::new(Volume {
            id: VolumeId(50),
            spec: volume_spec(),
            node: Some(FOUNDER),
            created_at: at(1),
            version: Index(11),
            removing: true,
        })),
        Row::Service(Arc::new(Service {
            id: WEB,
            spec: Arc::new(service_spec()),
            previous_spec: Some(Arc::new(global_service_spec())),
            template_version: Index(13),
            previous_template_version: None,
            vips: addresses(2),
            ports: ports(),
            allocated: Index(13),
            update: Some(update(UpdateState::Updating)),
            removing: true,
            created_at: at(1),
            updated_at: at(2),
            version: Index(13),
        })),
    ];
    let answer = |key, outcome| Row::Answer(Arc::new(Answer { key: RequestKey(key), index: Index(5), outcome }));
    rows.extend([
        answer(70, Ok(Applied { index: Index(5), node: Some(NodeId(5)), skipped: 2 })),
        answer(71, Err(Rejection::NotFound("a".into()))),
        answer(72, Err(Rejection::Conflict("b".into()))),
        answer(73, Err(Rejection::Invalid("c".into()))),
        answer(74, Err(Rejection::Stale("d".into()))),
    ]);
    rows.extend((0..).zip(task_states()).map(|(number, state)| task(number, state)));
    rows
}

pub fn task_states() -> Vec<TaskState> {
    use TaskState::*;
    vec![New, Pending, Assigned, Accepted, Preparing, Ready, Starting, Running, Complete, Shutdown, Failed, Rejected, Remove, Orphaned]
}

fn task(number: u32, state: TaskState) -> Row {
    Row::Task(Arc::new(task_row(number, state)))
}

pub fn task_row(number: u32, state: TaskState) -> Task {
    Task {
        id: TaskId(60 + u64::from(number)),
        service: WEB,
        slot: if number == 0 { Slot::Node(FOUNDER) } else { Slot::Replica(number) },
        template: Arc::new(template()),
        template_version: Index(13),
        node: Some(FOUNDER),
        desired: TaskState::Running,
        status: TaskStatus { state, ..status() },
        addresses: addresses(10 + number as u8),
        start_at: Some(Timestamp(1)),
        failures: 2,
        restarts: 3,
        restarts_since: Some(Timestamp(4)),
        running_at: Some(Timestamp(5)),
        ended_at: Some(Timestamp(6)),
        ended_unasked: true,
        created_at: Timestamp(1),
        created: Index(14),
        desired_at: Index(15),
        version: Index(16),
    }
}

fn node(id: NodeId, role: Role, availability: Availability, status: NodeStatus) -> Row {
    Row::Node(Arc::new(Node {
        id,
        hostname: format!("host{id}"),
        role,
        availability,
        status,
        status_at: Timestamp(3),
        address: "192.0.2.1:2377".parse().unwrap(),
        labels: labels("disk", "ssd"),
        description: description(),
        created_at: Timestamp(1),
        version: Index(4),
    }))
}

pub fn new_cluster() -> NewCluster {
    NewCluster {
        id: ClusterId(7),
        ca_certificate: "the authority's certificate".into(),
        ca_key: CA_KEY.into(),
        worker_secret_hash: Secret::derive(CA_KEY, Role::Worker, 2).hash(),
        manager_secret_hash: Secret::derive(CA_KEY, Role::Manager, 0).hash(),
        address_pool: "10.0.0.0/8".parse().unwrap(),
        ingress_network: NetworkId(20),
        egress_network: NetworkId(21),
    }
}

pub fn service_spec() -> ServiceSpec {
    let attachment = NetworkAttachment { network: BLUE, aliases: vec!["www".into()] };
    ServiceSpec {
        name: "web".into(),
        labels: labels("tier", "front"),
        mode: ServiceMode::Replicated { replicas: 3 },
        task: template(),
        networks: vec![attachment],
        endpoint_mode: EndpointMode::Dnsrr,
        ports: ports(),
        update: UpdateConfig {
            parallelism: 2,
            delay_ms: 3,
            order: Some(UpdateOrder::StopFirst),
            monitor_ms: 4,
            failure_action: FailureAction::Rollback,
            max_failure_permille: 5,
        },
        rollback: UpdateConfig::default(),
    }
}

fn global_service_spec() -> ServiceSpec {
    let update = UpdateConfig { order: Some(UpdateOrder::StartFirst), failure_action: FailureAction::Continue, ..service_spec().update };
    let restart = RestartPolicy { condition: RestartCondition::None, ..template().restart };
    ServiceSpec {
        mode: ServiceMode::Global,
        endpoint_mode: EndpointMode::Vip,
        task: TaskTemplate { restart, ..template() },
        update,
        ..service_spec()
    }
}

pub fn template() -> TaskTemplate {
    let constraints = ["node.id==1", "node.hostname!=two", "node.role==worker", "node.platform.os==linux", "node.platform.arch==x86_64"];
    TaskTemplate {
        image: Image { name: "web".into(), digest: Digest([0xd1; 32]) },
        args: vec!["--port".into(), "80".into()],
        env: labels("MODE", "fast"),
        hostname: Some("web-{{.Task.Slot}}".into()),
        mounts: vec![Mount { kind: MountKind::Volume, source: "data".into(), target: "/data".into(), read_only: true }],
        secrets: Vec::new(),
        configs: Vec::new(),
        http_port: 8080,
        concurrency: Some(4),
        resources: Resources { limit_memory_bytes: 1, limit_cpu_millis: 2, reserve_memory_bytes: 3, reserve_cpu_millis: 4 },
        restart: RestartPolicy { condition: RestartCondition::OnFailure, delay_ms: Some(5), max_attempts: 6, window_ms: 7 },
        constraints: constraints.iter().chain(&["node.labels.disk==ssd"]).map(|text| text.parse().unwrap()).collect(),
        stop_grace_ms: 8,
        force_update: 9,
        ..TaskTemplate::new(Image { name: "web".into(), digest: Digest([0xd1; 32]) })
    }
}

pub fn ports() -> Vec<PublishedPort> {
    let tcp = PublishedPort {
        published: 8000,
        target: 80,
        protocol: Protocol::Tcp,
        mode: PublishMode::Host,
        address: Some("127.0.0.1".parse().unwrap()),
    };
    let udp = PublishedPort { published: 53, target: 5353, protocol: Protocol::Udp, mode: PublishMode::Ingress, address: None };
    vec![tcp, udp]
}

fn network_spec() -> NetworkSpec {
    let subnet = Some("10.7.0.0/16".parse().unwrap());
    NetworkSpec { name: "blue".into(), labels: labels("color", "blue"), subnet, internal: true, attachable: true }
}

pub fn volume_spec() -> VolumeSpec {
    VolumeSpec { name: "data".into(), labels: labels("kind", "fast"), node: Some(FOUNDER) }
}

pub fn update(state: UpdateState) -> UpdateProgress {
    UpdateProgress { state, started_at: Timestamp(1), completed_at: Some(Timestamp(2)), message: "half way".into() }
}

pub fn status() -> TaskStatus {
    let backtrace = "at main".into();
    TaskStatus { state: TaskState::Failed, at: Timestamp(1), message: "exit code 3".into(), exit_code: Some(3), backtrace, health: None }
}

pub fn description() -> NodeDescription {
    NodeDescription {
        version: "0.1.0".into(),
        os: "linux".into(),
        arch: "x86_64".into(),
        memory_bytes: 1 << 33,
        cpu_millis: 2000,
        tasks_max: 0,
        ingress: Some("192.0.2.9".parse().unwrap()),
    }
}

pub fn addresses(host: u8) -> BTreeMap<NetworkId, Ipv4Addr> {
    BTreeMap::from([(BLUE, Ipv4Addr::new(10, 7, 0, host))])
}

pub fn labels(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}
