//! A cluster grows from one manager to three under writes, loses its leader, and loses no write.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use minicloud_core::state::{NodeStatus, Role};
use minicloud_node::cluster::{Cluster, ProposeError};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::harness::{Folders, Node, create_volume, has_volume, leader, wait_for};

/// Writes volumes one after the other through one manager, until told to stop.
struct Writer {
    stop: Arc<AtomicBool>,
    next: Arc<AtomicU64>,
    task: JoinHandle<Vec<u64>>,
}

impl Writer {
    fn start(cluster: Cluster, first: u64) -> Writer {
        let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(first)));
        let (stopped, counter) = (stop.clone(), next.clone());
        let task = tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let number = counter.fetch_add(1, Ordering::Relaxed);
                match cluster.propose(create_volume(number)).await {
                    Ok(_) => acknowledged.push(number),
                    Err(ProposeError::Rejected(rejection)) => panic!("{rejection}"),
                    Err(_) => {}
                }
            }
            acknowledged
        });
        Writer { stop, next, task }
    }

    /// Waits until some more writes were tried.
    async fn advance(&self, count: u64) {
        let target = self.next.load(Ordering::Relaxed) + count;
        wait_for("writes go on", async || self.next.load(Ordering::Relaxed) >= target).await;
    }

    async fn finish(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_founds_writes_and_comes_back() {
    let folders = Folders::new();
    let node = Node::found(folders.path("first")).await;
    let applied = node.cluster().propose(create_volume(1)).await.unwrap();
    assert!(has_volume(&node.cluster().state(), 1));
    assert_eq!(node.cluster().state().nodes.keys().copied().collect::<Vec<_>>(), [node.id()]);
    let (id, address) = (node.id(), node.address());
    node.stop().await;

    let node = Node::open(folders.path("first")).await;
    assert_eq!((node.id(), node.address()), (id, address));
    let state = node.cluster().read().await.unwrap();
    assert!(state.index >= applied.index && has_volume(&state, 1));
    let rejected = node.cluster().propose(create_volume(1)).await;
    assert!(matches!(rejected, Err(ProposeError::Rejected(_))), "{rejected:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_while_managers_join_and_the_leader_dies() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let token = first.token(Role::Manager).await;
    let at = [first.address()];
    let writer = Writer::start(first.cluster().clone(), 1);
    let second = Node::join(folders.path("second"), token.clone(), &at).await;
    let third = Node::join(folders.path("third"), token, &at).await;
    writer.advance(20).await;
    let mut acknowledged = writer.finish().await;
    assert!(acknowledged.len() > 20);

    let mut nodes = vec![first, second, third];
    let follower = nodes.iter().position(|node| !node.leads()).unwrap();
    nodes[follower].cluster().propose(create_volume(1_000_000)).await.unwrap();
    acknowledged.push(1_000_000);
    let managers = nodes[follower].cluster().managers().await;
    assert_eq!(managers.iter().filter(|m| m.voter && m.reachable).count(), 3, "{managers:?}");
    assert_eq!(managers.iter().filter(|m| m.leader).count(), 1, "{managers:?}");

    let dying = leader(&nodes).await;
    let writer = Writer::start(nodes[follower].cluster().clone(), 2_000_000);
    writer.advance(5).await;
    let killed = nodes.remove(dying);
    let died = Instant::now();
    killed.crash().await;
    leader(&nodes).await;
    writer.advance(10).await;
    eprintln!("writes go on {} ms after the leader died", died.elapsed().as_millis());
    acknowledged.extend(writer.finish().await);

    for node in &nodes {
        let state = node.cluster().read().await.unwrap();
        let lost: Vec<_> = acknowledged.iter().filter(|number| !has_volume(&state, **number)).collect();
        assert_eq!(lost, Vec::<&u64>::new());
        assert!(state.nodes.values().all(|row| row.status == NodeStatus::Unknown && row.role == Role::Manager));
    }
    for node in nodes {
        node.member.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stops_hands_over_first() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let token = first.token(Role::Manager).await;
    let at = [first.address()];
    let nodes = vec![Node::join(folders.path("second"), token.clone(), &at).await, Node::join(folders.path("third"), token, &at).await];
    let stopped = Instant::now();
    first.stop().await;
    let new = leader(&nodes).await;
    nodes[1 - new].cluster().propose(create_volume(7)).await.unwrap();
    eprintln!("a write {} ms after the leader was told to stop", stopped.elapsed().as_millis());

    let returned = Node::open(folders.path("first")).await;
    wait_for("the first manager is back", async || has_volume(&returned.cluster().state(), 7)).await;
    assert_eq!(returned.cluster().read().await.unwrap(), nodes[new].cluster().state());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managers_leave_down_to_the_last_one() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let token = first.token(Role::Manager).await;
    let second = Node::join(folders.path("second"), token, &[first.address()]).await;
    let third_refused = first.cluster().remove_manager(second.id()).await;
    third_refused.unwrap();
    wait_for("one voter", async || first.cluster().managers().await.len() == 1).await;
    let last = first.cluster().remove_manager(first.id()).await;
    assert!(matches!(last, Err(ProposeError::Rejected(_))), "{last:?}");
    first.cluster().propose(create_volume(3)).await.unwrap();
}
