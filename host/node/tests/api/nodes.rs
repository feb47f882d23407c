use minicloud_core::command::NodeChange;
use minicloud_core::state::{Availability, Role};
use minicloud_node::api::types::{ErrorKind, ManagerStatus};
use tokio::time::timeout;

use crate::world::{LIMIT, World, echo, message};

#[tokio::test(flavor = "multi_thread")]
async fn the_node_knows_itself_and_its_cluster() {
    let world = World::new().await;
    let client = &world.client;
    let nodes = client.nodes().await.unwrap();
    assert_eq!((nodes.len(), nodes[0].hostname.as_str(), nodes[0].is_self), (1, "alpha", true));
    assert_eq!((nodes[0].role, nodes[0].manager_status), (Role::Manager, Some(ManagerStatus::Leader)));
    let info = client.info().await.unwrap();
    assert_eq!((info.nodes, info.managers.len(), info.pid), (1, 1, std::process::id()));
    assert_eq!(info.leader.map(|leader| leader.id), Some(nodes[0].id));
    assert_eq!(client.version().await.unwrap().version, info.version);
    for name in ["self", "alpha", &nodes[0].id.to_string()] {
        assert_eq!(client.node(name).await.unwrap().summary.id, nodes[0].id, "{name}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_drained_but_the_last_manager_stays_one() {
    let world = World::new().await;
    world.service(echo("web", &[])).await;
    let labels_add = [("disk".to_owned(), "ssd".to_owned())].into();
    let change = NodeChange { availability: Some(Availability::Drain), labels_add, ..NodeChange::default() };
    world.client.update_node("alpha", &change).await.unwrap();
    let node = world.client.node("alpha").await.unwrap();
    assert_eq!((node.summary.availability, node.labels["disk"].as_str()), (Availability::Drain, "ssd"));

    let refusals = [
        message(world.client.demote_node("alpha").await),
        message(world.client.remove_node("alpha", false).await),
        message(world.client.promote_node("alpha").await),
        message(world.client.leave(false).await),
        message(world.client.node("beta").await),
    ];
    let expected = ["last manager", "is a manager; demote it first", "is a manager already", "last manager", "no node 'beta'"];
    for (refusal, expected) in refusals.iter().zip(expected) {
        assert!(refusal.contains(expected), "{refusal}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn join_tokens_can_be_printed_again_and_rotated() {
    let world = World::new().await;
    let client = &world.client;
    let first = client.join_token(Role::Worker).await.unwrap();
    assert_eq!(client.join_token(Role::Worker).await.unwrap(), first);
    assert_ne!(client.join_token(Role::Manager).await.unwrap().token, first.token);
    assert_eq!(first.address, client.info().await.unwrap().address);
    let rotated = client.rotate_join_token(Role::Worker).await.unwrap();
    assert_ne!(rotated.token, first.token);
    assert_eq!(client.join_token(Role::Worker).await.unwrap(), rotated);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_through_the_api_ends_the_node_and_its_socket() {
    let world = World::new().await;
    world.client.stop().await.unwrap();
    timeout(LIMIT, world.running).await.expect("it ends").unwrap();
    let error = world.client.info().await.unwrap_err();
    assert!(matches!(error, minicloud_node::client::ClientError::NotRunning(_)), "{error}");
    assert_eq!(error.kind(), None::<ErrorKind>);
}
