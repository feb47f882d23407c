//! Who may join and connect, and what the others are told.
use std::net::SocketAddr;
use std::sync::Arc;

use minicloud_core::command::{Command, NodeChange};
use minicloud_core::id::{ClusterId, Index, NodeId};
use minicloud_core::state::{Availability, Role};
use minicloud_node::env::Env;
use minicloud_node::hello::Local;
use minicloud_node::identity::{Authority, Identity, NodeKey, Subject};
use minicloud_node::member::{self, MemberError};
use minicloud_node::peers::Peers;
use minicloud_node::quic::{Quic, ResetKey, connect_newcomer};
use minicloud_node::token::Secret;
use minicloud_node::transport::{CloseCode, LinkError, StreamKind, Transport};
use tokio::io::AsyncReadExt;

use crate::harness::{Folders, Node, loopback};

fn message(result: Result<Node, MemberError>) -> String {
    result.err().expect("the join is refused").to_string()
}

/// An identity signed by `authority`, whatever it is.
fn identity(authority: &Authority, node: u64, role: Role, cluster: ClusterId) -> Identity {
    let key = NodeKey::generate().unwrap();
    let subject = Subject { node: NodeId(node), role, cluster, issued: Index(0) };
    let certificate = authority.sign(&key.request_der().unwrap(), subject, Env::real().now()).unwrap();
    key.into_identity(certificate, authority.certificate().clone()).unwrap()
}

async fn authority_of(node: &Node) -> Authority {
    let state = node.cluster().read().await.unwrap();
    let founding = &state.cluster.as_ref().unwrap().founding;
    Authority::from_pem(&founding.ca_certificate, &founding.ca_key).unwrap()
}

/// The outgoing side of a node that shows this identity and says it is of this cluster.
fn caller(identity: &Identity, cluster: ClusterId) -> Peers {
    let socket = member::listen(loopback()).unwrap();
    let transport = Quic::new(socket, identity, &ResetKey([0; ResetKey::BYTES]), Env::real().clock).unwrap();
    let local = Local::new(identity.certified.node, identity.certified.role, cluster, 0, loopback());
    Peers::new(local, Arc::new(transport))
}

async fn refusal(peers: &Peers, address: SocketAddr) -> String {
    peers.open_at(address, StreamKind::Forward).await.err().expect("the connection is refused").to_string()
}

#[tokio::test]
async fn a_worker_joins_with_the_workers_token() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let worker = Node::join(folders.path("worker"), first.token(Role::Worker).await, &[first.address()]).await;
    assert_eq!(worker.member.file.role, Role::Worker);
    assert!(worker.member.cluster.get().is_none());
    let row = first.cluster().read().await.unwrap().nodes.get(&worker.id()).cloned().unwrap();
    assert_eq!((row.role, row.hostname.as_str(), row.address), (Role::Worker, "worker", worker.address()));
    let managers = first.cluster().managers().await;
    assert_eq!(managers.len(), 1);
}

#[tokio::test]
async fn a_follower_lets_nodes_join_too() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let second = Node::join(folders.path("second"), first.token(Role::Manager).await, &[first.address()]).await;
    let token = second.token(Role::Worker).await;
    assert_eq!(token, first.token(Role::Worker).await);
    let worker = Node::join(folders.path("worker"), token, &[second.address()]).await;
    assert!(first.cluster().read().await.unwrap().nodes.contains_key(&worker.id()));
}

#[tokio::test]
async fn wrong_tokens_are_refused_with_a_reason() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let at = [first.address()];
    let old = first.token(Role::Worker).await;

    let mut wrong = old.clone();
    wrong.secret = Secret::derive("guessed", Role::Worker, 0);
    let text = message(Node::try_join(folders.path("a"), wrong, &at).await);
    assert!(text.contains("wrong or was rotated"), "{text}");

    let new = first.cluster().rotate_join_token(Role::Worker).await.unwrap();
    assert_ne!(new, old);
    assert_eq!(new, first.token(Role::Worker).await);
    let text = message(Node::try_join(folders.path("b"), old, &at).await);
    assert!(text.contains("wrong or was rotated"), "{text}");
    Node::join(folders.path("c"), new.clone(), &at).await;

    let mut foreign = new;
    foreign.authority = [7; 32];
    let text = message(Node::try_join(folders.path("d"), foreign, &at).await);
    assert!(text.contains("another cluster than the token"), "{text}");
    assert_eq!(first.cluster().state().nodes.len(), 2, "nobody else was added");
}

#[tokio::test]
async fn a_data_directory_is_used_once() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let token = first.token(Role::Worker).await;
    let at = [first.address()];
    let text = message(Node::try_join(folders.path("first"), token.clone(), &at).await);
    assert!(text.contains("in use by process"), "{text}");
    Node::join(folders.path("worker"), token.clone(), &at).await.stop().await;
    let text = message(Node::try_join(folders.path("worker"), token, &at).await);
    assert!(text.contains("holds node"), "{text}");
}

#[tokio::test]
async fn without_a_certificate_only_the_join_service_is_reached() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let token = first.token(Role::Worker).await;
    let newcomer = connect_newcomer(first.address(), token.authority, loopback().ip()).await.unwrap();
    // What would be a Forward stream of a member is garbage to the join service.
    let mut stream = newcomer.open().await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &[StreamKind::Forward as u8; 64]).await.unwrap();
    let answer = stream.read_u8().await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test]
async fn the_nodes_protocol_needs_a_certificate_of_this_cluster() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let cluster = first.member.file.cluster;

    let (certificate, key) = Authority::create(Env::real().now()).unwrap();
    let other = Authority::from_pem(&certificate, &key).unwrap();
    // It trusts our cluster's authority, but its own certificate is of another one.
    let mut foreign = identity(&other, 9, Role::Manager, cluster);
    foreign.authority = authority_of(&first).await.certificate().clone();
    let text = refusal(&caller(&foreign, cluster), first.address()).await;
    assert!(!text.is_empty());

    let ours = identity(&authority_of(&first).await, 9, Role::Manager, cluster);
    let text = refusal(&caller(&ours, ClusterId(1)), first.address()).await;
    assert!(text.contains("this is cluster"), "{text}");

    let socket = member::listen(loopback()).unwrap();
    let transport = Quic::new(socket, &ours, &ResetKey([0; ResetKey::BYTES]), Env::real().clock).unwrap();
    let impostor = Local::new(NodeId(1), Role::Manager, cluster, 0, loopback());
    let text = refusal(&Peers::new(impostor, Arc::new(transport)), first.address()).await;
    assert!(text.contains("certificate of n9"), "{text}");
}

#[tokio::test]
async fn a_worker_cannot_open_a_managers_stream() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let worker = Node::join(folders.path("worker"), first.token(Role::Worker).await, &[first.address()]).await;
    for kind in [StreamKind::Raft, StreamKind::Forward] {
        let mut stream = worker.member.peers.open(first.id(), kind).await.unwrap();
        let read = stream.read_u8().await;
        assert!(read.is_err(), "{kind:?}: {read:?}");
    }
}

#[tokio::test]
async fn a_member_renews_its_certificate_and_keeps_its_id() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let worker = Node::join(folders.path("worker"), first.token(Role::Worker).await, &[first.address()]).await;
    let renewed = minicloud_node::join::renew(&worker.member.peers, first.id()).await.unwrap().identity;
    assert_eq!(renewed.certified.node, worker.id());
    worker.member.transport.set_identity(&renewed).unwrap();
    worker.member.dir.write_identity(&renewed).unwrap();
    let add = Command::AddNode {
        hostname: "x".into(),
        role: Role::Worker,
        availability: Availability::Active,
        address: "127.0.0.1:9".parse().unwrap(),
    };
    first.cluster().propose(add).await.unwrap();
    worker.stop().await;
    Node::open(folders.path("worker")).await;
}

#[tokio::test]
async fn nobody_at_the_address_is_said_so() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let token = first.token(Role::Worker).await;
    let nobody = member::listen(loopback()).unwrap().local_addr().unwrap();
    let newcomer = connect_newcomer(nobody, token.authority, loopback().ip());
    let error = tokio::time::timeout(std::time::Duration::from_millis(500), newcomer).await;
    assert!(!matches!(error, Ok(Ok(_))));
    let refused = LinkError::Refused { code: CloseCode::WrongCluster, reason: "x".into() };
    assert_eq!(refused.to_string(), "x");
    let _: Arc<dyn Transport> = first.member.transport.clone();
}

#[tokio::test]
async fn a_removed_or_demoted_node_is_told_so_whatever_its_certificate_says() {
    let folders = Folders::new();
    let first = Node::found(folders.path("first")).await;
    let worker = Node::join(folders.path("worker"), first.token(Role::Worker).await, &[first.address()]).await;
    first.cluster().propose(Command::RemoveNode { node: worker.id(), force: true }).await.unwrap();
    let text = refusal(&worker.member.peers, first.address()).await;
    assert!(text.contains("was removed"), "{text}");

    let second = Node::join(folders.path("second"), first.token(Role::Manager).await, &[first.address()]).await;
    first.cluster().remove_manager(second.id()).await.unwrap();
    let change = NodeChange { role: Some(Role::Worker), ..NodeChange::default() };
    first.cluster().propose(Command::UpdateNode { node: second.id(), change }).await.unwrap();
    let mut stream = second.member.peers.open(first.id(), StreamKind::Forward).await.unwrap();
    assert!(stream.read_u8().await.is_err(), "its old certificate says manager, and the cluster says worker");
}
