//! Certificates run out, and nodes have new ones before that; by a clock that the test turns.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use minicloud_core::id::{ClusterId, Index};
use minicloud_core::state::Role;
use minicloud_core::time::Timestamp;
use minicloud_node::env::{Clock, Env};
use minicloud_node::frame;
use minicloud_node::hello::Local;
use minicloud_node::identity::{Authority, NodeKey, Subject};
use minicloud_node::limits::CERTIFICATE_LIFE;
use minicloud_node::member;
use minicloud_node::peers::Peers;
use minicloud_node::quic::{Quic, ResetKey};
use minicloud_node::transport::StreamKind;
use tokio::io::AsyncReadExt;

use crate::harness::{Folders, Node, loopback};

/// Starts at the machine's time, because what certificates bind is checked by several parties.
#[derive(Clone)]
struct Turned(Arc<AtomicU64>);

impl Turned {
    fn env() -> (Turned, Env) {
        let turned = Turned(Arc::new(AtomicU64::new(Env::real().now().0)));
        (turned.clone(), Env { clock: Arc::new(turned), ..Env::real() })
    }

    fn pass(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for Turned {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// Whether a manager serves a stream that only managers may open.
async fn is_served(peers: &Peers, manager: &Node) -> bool {
    let Ok(mut stream) = peers.open(manager.id(), StreamKind::Forward).await else { return false };
    // Leader or not, the service answers this; a refused stream is reset.
    if frame::write(&mut stream, "Managers").await.is_err() || tokio::io::AsyncWriteExt::shutdown(&mut stream).await.is_err() {
        return false;
    }
    stream.read_u8().await.is_ok()
}

#[tokio::test]
async fn members_renew_in_time_whatever_became_of_the_tokens() {
    let folders = Folders::new();
    let (clock, env) = Turned::env();
    let first = Node::found_in(&env, folders.path("first")).await;
    let at = [first.address()];
    let second = Node::join_in(&env, folders.path("second"), first.token(Role::Manager).await, &at).await.unwrap();
    second.member.enlist().await.unwrap();
    let worker = Node::join_in(&env, folders.path("worker"), first.token(Role::Worker).await, &at).await.unwrap();
    for role in [Role::Manager, Role::Worker] {
        first.cluster().rotate_join_token(role).await.unwrap();
    }
    let nodes = [&first, &second, &worker];
    let before: Vec<_> = nodes.iter().map(|node| node.member.dir.identity().unwrap()).collect();
    for node in nodes {
        assert!(node.member.renewal_due().unwrap() > env.now() + CERTIFICATE_LIFE / 100 * 45);
    }

    clock.pass(CERTIFICATE_LIFE / 100 * 80);
    for (node, before) in nodes.into_iter().zip(&before) {
        assert!(node.member.renewal_due().unwrap() <= env.now());
        assert_eq!(node.member.renew().await.unwrap(), before.certified.role);
        let renewed = node.member.dir.identity().unwrap();
        assert_eq!(renewed.certified.node, before.certified.node);
        assert!(renewed.not_after > before.not_after && node.member.renewal_due().unwrap() > env.now());
    }

    // Past the end of the first certificates nothing is noticed.
    clock.pass(CERTIFICATE_LIFE / 100 * 40);
    assert!(before.iter().all(|identity| identity.is_expired(env.now())));
    nodes.iter().for_each(|node| node.member.peers.redial());
    assert!(is_served(&second.member.peers, &first).await && is_served(&first.member.peers, &second).await);
    assert_eq!(worker.member.renew().await.unwrap(), Role::Worker);
}

#[tokio::test]
async fn nodes_that_were_off_for_a_year_find_each_other_again() {
    let folders = Folders::new();
    let (clock, env) = Turned::env();
    let first = Node::found_in(&env, folders.path("first")).await;
    let at = [first.address()];
    let second = Node::join_in(&env, folders.path("second"), first.token(Role::Manager).await, &at).await.unwrap();
    second.member.enlist().await.unwrap();
    let worker = Node::join_in(&env, folders.path("worker"), first.token(Role::Worker).await, &at).await.unwrap();
    for node in [worker, second, first] {
        node.stop().await;
    }
    clock.pass(CERTIFICATE_LIFE * 4);
    let worker = Node::open_in(&env, folders.path("worker")).await;
    assert!(worker.member.dir.identity().unwrap().is_expired(env.now()));
    let (first, second) = tokio::join!(Node::open_in(&env, folders.path("first")), Node::open_in(&env, folders.path("second")));
    assert_eq!(first.cluster().read().await.unwrap().managers(), 2);
    assert!(is_served(&second.member.peers, &first).await);
    assert_eq!(worker.member.renew().await.unwrap(), Role::Worker);
    assert!(!worker.member.dir.identity().unwrap().is_expired(env.now()));
}

#[tokio::test]
async fn with_a_certificate_that_ran_out_a_node_is_not_served() {
    let folders = Folders::new();
    let (clock, env) = Turned::env();
    let first = Node::found_in(&env, folders.path("first")).await;
    let second = Node::join_in(&env, folders.path("second"), first.token(Role::Manager).await, &[first.address()]).await.unwrap();
    second.member.enlist().await.unwrap();
    let state = first.cluster().read().await.unwrap();
    let founding = &state.cluster.as_ref().unwrap().founding;
    let authority = Authority::from_pem(&founding.ca_certificate, &founding.ca_key).unwrap();
    let peers = |cluster: ClusterId, now: Timestamp| {
        let subject = Subject { node: second.id(), role: Role::Manager, cluster, issued: Index(0) };
        let key = NodeKey::generate().unwrap();
        let signed = authority.sign(&key.request_der().unwrap(), subject, now).unwrap();
        let identity = key.into_identity(signed, authority.certificate().clone()).unwrap();
        let transport = Quic::new(member::listen(loopback()).unwrap(), &identity, &ResetKey([0; ResetKey::BYTES]), env.clock.clone());
        let local = Local::new(second.id(), Role::Manager, cluster, 0, second.address());
        let peers = Peers::new(local, Arc::new(transport.unwrap()));
        peers.learn(first.id(), first.address(), Role::Manager);
        peers
    };
    let cluster = founding.id;
    let begun = env.now();
    clock.pass(CERTIFICATE_LIFE / 2);
    assert!(is_served(&peers(cluster, begun), &first).await);
    first.member.renew().await.unwrap();
    clock.pass(CERTIFICATE_LIFE / 4 * 3);
    let late = peers(cluster, begun);
    assert!(!is_served(&late, &first).await);
    // That it may renew is shown above, by the worker that was off for a year.
}
