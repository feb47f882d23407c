//! A dispatcher as a node meets it on the wire: who is served, who is not, and what travels.
use std::net::SocketAddr;
use std::time::Duration;

use minicloud_core::command::{Change, NewCluster, NewTask};
use minicloud_core::id::{ClusterId, NetworkId, ServiceId, TaskId};
use minicloud_core::spec::{Digest, Image, ServiceMode, ServiceSpec, TaskTemplate, UpdateConfig};
use minicloud_core::state::{Availability, NodeDescription, NodeStatus, Role, Slot};
use minicloud_core::task::{TaskState, TaskStatus};
use minicloud_core::view::{NodeView, ViewDelta};
use tokio::io::AsyncReadExt;

use super::*;
use crate::session::serve_within;
use crate::testing::{FakeCluster, TestClock};

struct Bench {
    cluster: FakeCluster,
    dispatcher: Arc<Dispatcher>,
    nodes: Vec<NodeId>,
    shutdown: CancellationToken,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, number], 2377))
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

impl Bench {
    /// Three members, the first of which leads.
    fn new() -> Bench {
        let cluster = FakeCluster::new(TestClock::new());
        cluster.apply(Command::CreateCluster(founding())).unwrap();
        let nodes: Vec<NodeId> = (1..=3).map(|number| add_node(&cluster, number)).collect();
        let replicated = cluster.manager(nodes[0]);
        let dispatcher = Dispatcher::new(DispatcherOptions { replicated, liveness: LivenessHandle::new() });
        let shutdown = CancellationToken::new();
        tokio::spawn(Arc::clone(&dispatcher).run(shutdown.clone()));
        cluster.elect(Some(nodes[0]));
        Bench { cluster, dispatcher, nodes, shutdown }
    }

    fn dial(&self, node: usize) -> BoxStream {
        let peer = Peer { node: self.nodes[node], role: Role::Worker, address: address(node as u8 + 1) };
        serve_within(peer, self.dispatcher.clone())
    }

    async fn begin(&self, node: usize) -> Talk {
        self.begin_at(node, Index(0)).await
    }

    async fn begin_at(&self, node: usize, seen: Index) -> Talk {
        let mut stream = self.dial(node);
        let hello = Hello {
            hostname: format!("host-{}", node + 1),
            address: address(node as u8 + 1),
            description: NodeDescription::default(),
            seen,
        };
        frame::write(&mut stream, &ToLeader::Hello(hello)).await.unwrap();
        Talk { stream, view: NodeView::default() }
    }

    /// A task of `node`, assigned.
    fn task(&self, id: u64, node: usize) -> TaskId {
        let state = self.cluster.state();
        let service = match state.services.values().next() {
            Some(service) => (service.id, service.version),
            None => self.service(),
        };
        let task = NewTask {
            id: TaskId(id),
            service: service.0,
            version: service.1,
            slot: Slot::Replica(id as u32),
            template: Arc::new(template()),
            desired: TaskState::Running,
            start_at: None,
            failures: 0,
            ..new_task()
        };
        let changes = vec![
            Change::CreateTask(Box::new(task)),
            Change::SetAddresses { task: TaskId(id), addresses: BTreeMap::new() },
            Change::AssignTask { task: TaskId(id), node: self.nodes[node] },
        ];
        let ready = BTreeMap::from([(self.nodes[node], NodeStatus::Ready)]);
        self.cluster.apply(Command::SetNodeStatus { nodes: ready }).unwrap();
        assert_eq!(self.cluster.apply(Command::ApplyPlan { changes }).unwrap().skipped, 0);
        TaskId(id)
    }

    fn service(&self) -> (ServiceId, Index) {
        let spec = ServiceSpec {
            name: "web".into(),
            labels: BTreeMap::new(),
            mode: ServiceMode::Replicated { replicas: 1 },
            task: template(),
            networks: Vec::new(),
            endpoint_mode: Default::default(),
            ports: Vec::new(),
            update: UpdateConfig::default(),
            rollback: UpdateConfig::default(),
        };
        let applied = self.cluster.apply(Command::CreateService { id: ServiceId(1), spec: Box::new(spec) }).unwrap();
        (ServiceId(1), applied.index)
    }

    fn state_of(&self, task: TaskId) -> TaskState {
        self.cluster.state().tasks[&task].status.state
    }
}

fn add_node(cluster: &FakeCluster, number: u8) -> NodeId {
    let add = Command::AddNode {
        hostname: format!("host-{number}"),
        role: Role::Manager,
        availability: Availability::Active,
        address: address(number),
    };
    cluster.apply(add).unwrap().node.unwrap()
}

fn template() -> TaskTemplate {
    TaskTemplate::new(Image { name: "web".into(), digest: Digest([0; 32]) })
}

/// Whatever fields the core may add later.
fn new_task() -> NewTask {
    let text = serde_json::json!({
        "id": TaskId(0), "service": ServiceId(0), "version": 0, "slot": { "replica": 1 }, "template": template(), "desired": "running",
    });
    serde_json::from_value(text).unwrap()
}

/// A node's end of a session.
struct Talk {
    stream: BoxStream,
    view: NodeView,
}

impl Talk {
    async fn hear(&mut self) -> ToNode {
        let heard = timeout(Duration::from_secs(5), frame::read(&mut self.stream)).await;
        heard.expect("an answer in time").expect("a frame").expect("no end")
    }

    /// The next whole view, whatever else is said before it.
    async fn next_view(&mut self) -> Vec<ViewDelta> {
        let mut deltas = Vec::new();
        loop {
            if let ToNode::View { delta, more } = self.hear().await {
                self.view.apply(delta.clone()).unwrap();
                deltas.push(delta);
                if !more {
                    return deltas;
                }
            }
        }
    }

    async fn wait_for(&mut self, wanted: ToNode) {
        while self.hear().await != wanted {}
    }

    async fn say(&mut self, message: ToLeader) {
        frame::write(&mut self.stream, &message).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_full_view_comes_first_then_deltas() {
    let bench = Bench::new();
    let mut talk = bench.begin(1).await;
    let full = talk.next_view().await;
    assert_eq!((full.len(), full[0].from, full[0].nodes_put.len()), (1, Index(0), 3));
    let task = bench.task(7, 1);
    while !talk.view.tasks.contains_key(&task) {
        let delta = talk.next_view().await.remove(0);
        assert!(delta.from > Index(0), "{delta:?}");
    }
    assert_eq!(talk.view.tasks, minicloud_core::view::assignment(&bench.cluster.state(), bench.nodes[1]));
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_does_not_lead_says_who_does() {
    let bench = Bench::new();
    bench.cluster.elect(Some(bench.nodes[2]));
    let leader = Some((bench.nodes[2], address(3)));
    assert_eq!(bench.begin(1).await.hear().await, ToNode::NotLeader { leader });
    bench.cluster.elect(None);
    assert_eq!(bench.begin(1).await.hear().await, ToNode::NotLeader { leader: None });
}

#[tokio::test(start_paused = true)]
async fn sessions_end_when_leadership_does() {
    let bench = Bench::new();
    let mut talk = bench.begin(1).await;
    talk.next_view().await;
    bench.cluster.elect(Some(bench.nodes[1]));
    talk.wait_for(ToNode::NotLeader { leader: Some((bench.nodes[1], address(2))) }).await;
    assert!(frame::read::<ToNode>(&mut talk.stream).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_node_speaks_for_its_own_tasks_only_and_only_news_reach_the_log() {
    let bench = Bench::new();
    let (own, other) = (bench.task(7, 1), bench.task(8, 2));
    let mut talk = bench.begin(1).await;
    let running = |task| (task, TaskStatus { state: TaskState::Running, ..TaskStatus::default() });
    talk.say(ToLeader::Report { sequence: 1, tasks: vec![running(own), running(other), running(TaskId(99))] }).await;
    talk.wait_for(ToNode::Reported { sequence: 1 }).await;
    assert_eq!((bench.state_of(own), bench.state_of(other)), (TaskState::Running, TaskState::Assigned));
    let commands = bench.cluster.commands().len();
    talk.say(ToLeader::Report { sequence: 2, tasks: vec![running(own)] }).await;
    talk.wait_for(ToNode::Reported { sequence: 2 }).await;
    assert_eq!(bench.cluster.commands().len(), commands);
}

#[tokio::test(start_paused = true)]
async fn a_description_that_changed_is_proposed_and_one_that_did_not_is_not() {
    let bench = Bench::new();
    bench.begin(1).await.next_view().await;
    let commands = bench.cluster.commands().len();
    let mut stream = bench.dial(1);
    let description = NodeDescription { version: "2".into(), ..NodeDescription::default() };
    let hello = Hello { hostname: "renamed".into(), address: address(9), description: description.clone(), seen: Index(0) };
    frame::write(&mut stream, &ToLeader::Hello(hello)).await.unwrap();
    Talk { stream, view: NodeView::default() }.next_view().await;
    assert_eq!(bench.cluster.commands().len(), commands + 1);
    let row = bench.cluster.state().nodes[&bench.nodes[1]].clone();
    assert_eq!((&*row.hostname, row.address, &row.description), ("renamed", address(9), &description));
}

#[tokio::test(start_paused = true)]
async fn a_node_never_sees_an_older_view_than_before() {
    let bench = Bench::new();
    let ahead = Index(bench.cluster.state().index.0 + 1);
    let mut talk = bench.begin_at(1, ahead).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    bench.task(7, 2);
    assert!(talk.next_view().await[0].to >= ahead);

    let far = Index(1_000_000);
    assert_eq!(bench.begin_at(1, far).await.hear().await, ToNode::NotLeader { leader: None });
}

#[tokio::test(start_paused = true)]
async fn the_least_acknowledged_index_of_live_nodes_is_told_to_all() {
    let bench = Bench::new();
    bench.task(7, 1);
    bench.task(8, 2);
    let (mut one, mut two) = (bench.begin(1).await, bench.begin(2).await);
    one.next_view().await;
    two.next_view().await;
    let index = bench.cluster.state().index;
    one.say(ToLeader::Acknowledge { index }).await;
    assert!(timeout(Duration::from_millis(500), one.wait_for(ToNode::Acknowledged { index })).await.is_err());
    two.say(ToLeader::Acknowledge { index }).await;
    one.wait_for(ToNode::Acknowledged { index }).await;
    two.wait_for(ToNode::Acknowledged { index }).await;

    // What changes nothing in a node's view needs no word from it.
    let secret_hash = [1; 32];
    let quiet = bench.cluster.apply(Command::RotateJoinSecret { role: Role::Worker, secret_hash }).unwrap().index;
    one.wait_for(ToNode::Acknowledged { index: quiet }).await;

    // A node that is down holds nobody up.
    drop(two);
    let down = BTreeMap::from([(bench.nodes[2], NodeStatus::Down)]);
    let index = bench.cluster.apply(Command::SetNodeStatus { nodes: down }).unwrap().index;
    one.next_view().await;
    one.say(ToLeader::Acknowledge { index }).await;
    one.wait_for(ToNode::Acknowledged { index }).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_node_gets_one_merged_delta_instead_of_a_queue() {
    let bench = Bench::new();
    let mut talk = bench.begin(1).await;
    talk.next_view().await;
    // Far more changes than the stream holds, none of them read.
    for id in 1..=2_000 {
        bench.task(id, 1);
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut views = 0;
    while talk.view.tasks.len() < 2_000 {
        talk.next_view().await;
        views += 1;
    }
    assert!(views < 1_000, "{views} deltas for 2000 changes");
}

#[tokio::test(start_paused = true)]
async fn a_new_session_of_a_node_ends_the_one_before() {
    let bench = Bench::new();
    let mut first = bench.begin(1).await;
    first.next_view().await;
    let mut second = bench.begin(1).await;
    second.next_view().await;
    let mut rest = Vec::new();
    let _ = timeout(Duration::from_secs(5), first.stream.read_to_end(&mut rest)).await.expect("the first one ends");
    second.say(ToLeader::Heartbeat).await;
    second.wait_for(ToNode::Heard).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_no_member_hears_so_and_garbage_ends_its_stream_only() {
    let bench = Bench::new();
    let stranger = Peer { node: NodeId(999), role: Role::Worker, address: address(9) };
    let mut stream = serve_within(stranger, bench.dispatcher.clone());
    let hello = Hello { hostname: "x".into(), address: address(9), description: NodeDescription::default(), seen: Index(0) };
    frame::write(&mut stream, &ToLeader::Hello(hello)).await.unwrap();
    let answer = Talk { stream, view: NodeView::default() }.hear().await;
    assert!(matches!(&answer, ToNode::Refused { reason } if reason.contains("no member")), "{answer:?}");

    let mut good = bench.begin(1).await;
    good.next_view().await;
    for garbage in [&[0xff; 64][..], b"GET / HTTP/1.1\r\n\r\n", &[]] {
        let mut stream = bench.dial(2);
        let _ = stream.write_all(garbage).await;
        let _ = stream.shutdown().await;
        let mut rest = Vec::new();
        let ended = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.expect("it ends");
        assert!(ended.is_err() || rest.is_empty());
    }
    let mut twice = bench.begin(2).await;
    let hello = Hello { hostname: "host-3".into(), address: address(3), description: NodeDescription::default(), seen: Index(0) };
    twice.say(ToLeader::Hello(hello)).await;
    let mut rest = Vec::new();
    let _ = timeout(Duration::from_secs(10), twice.stream.read_to_end(&mut rest)).await.expect("a second hello ends it");
    good.say(ToLeader::Heartbeat).await;
    good.wait_for(ToNode::Heard).await;
}

#[tokio::test(start_paused = true)]
async fn a_large_view_travels_in_pieces_and_is_whole_at_the_end() {
    let bench = Bench::new();
    for id in 1..=3_000 {
        bench.task(id, 1);
    }
    let mut talk = bench.begin(1).await;
    let deltas = talk.next_view().await;
    assert!(deltas.len() > 1, "{} pieces", deltas.len());
    assert_eq!(talk.view, minicloud_core::view::node_view(&bench.cluster.state(), bench.nodes[1]));
}
