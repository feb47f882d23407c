//! Who can reach whom: only those that share a network, and nobody over the built-in ones.
use std::sync::Arc;

use minicloud_core::id::TaskId;
use minicloud_net::{NetError, NoUplink, StreamHeader, Switch};

use crate::support::{BLUE, EGRESS, GREEN, HOME, INGRESS, any, at, attach, routes, vip};

fn world() -> Switch {
    let switch = Switch::new(HOME, Arc::new(NoUplink));
    let routes = routes().service(1, "blue-only", &[BLUE], &[(1, HOME)]).service(2, "green-only", &[GREEN], &[(2, HOME)]);
    switch.set_routes(routes.build());
    switch
}

#[tokio::test]
async fn tasks_that_share_no_network_are_unreachable_by_address_vip_and_name() {
    let switch = world();
    let blue = attach(&switch, 1, &[BLUE]);
    let green = attach(&switch, 2, &[GREEN]);
    let _listener = green.listen(any(80), 8).unwrap();
    assert_eq!(blue.connect(None, at(GREEN, 2, 80)).await.unwrap_err(), NetError::Unreachable);
    assert_eq!(blue.connect(None, vip(GREEN, 2, 80)).await.unwrap_err(), NetError::Unreachable);
    assert_eq!(blue.resolve("green-only").unwrap_err(), NetError::NameNotFound);
    assert_eq!(blue.resolve("green-only.green").unwrap_err(), NetError::NameNotFound);
    let socket = blue.bind_udp(any(0)).unwrap();
    assert_eq!(socket.send_to("x".into(), at(GREEN, 2, 80)), Err(NetError::Unreachable));
    assert_eq!(socket.send_to("x".into(), vip(GREEN, 2, 80)), Err(NetError::Unreachable));
    // The same addresses work for one who is there.
    let both = attach(&switch, 3, &[BLUE, GREEN]);
    assert!(both.connect(None, at(GREEN, 2, 80)).await.is_ok());
    assert!(both.connect(None, vip(GREEN, 2, 80)).await.is_ok());
}

#[tokio::test]
async fn a_task_without_networks_reaches_only_itself() {
    let switch = world();
    let blue = attach(&switch, 1, &[BLUE]);
    let _listener = blue.listen(any(80), 8).unwrap();
    let lonely = attach(&switch, 9, &[]);
    assert_eq!(lonely.connect(None, at(BLUE, 1, 80)).await.unwrap_err(), NetError::Unreachable);
    assert_eq!(lonely.resolve("blue-only").unwrap_err(), NetError::NameNotFound);
}

#[tokio::test]
async fn unknown_addresses_are_unreachable_inside_and_outside_of_the_subnets() {
    let switch = world();
    let blue = attach(&switch, 1, &[BLUE]);
    for unknown in [at(BLUE, 77, 80), "8.8.8.8:53".parse().unwrap(), "[2001:db8::1]:80".parse().unwrap()] {
        assert_eq!(blue.connect(None, unknown).await.unwrap_err(), NetError::Unreachable);
    }
}

#[tokio::test]
async fn nobody_dials_on_the_built_in_networks() {
    let switch = Switch::new(HOME, Arc::new(NoUplink));
    let routes = routes().service(1, "web", &[BLUE, INGRESS, EGRESS], &[(1, HOME)]);
    switch.set_routes(routes.build());
    let web = attach(&switch, 1, &[BLUE, INGRESS, EGRESS]);
    let _listener = web.listen(any(80), 8).unwrap();
    let other = attach(&switch, 2, &[BLUE, INGRESS, EGRESS]);
    for network in [INGRESS, EGRESS] {
        assert_eq!(other.connect(None, at(network, 1, 80)).await.unwrap_err(), NetError::Unreachable);
        assert_eq!(other.connect(None, vip(network, 1, 80)).await.unwrap_err(), NetError::Unreachable);
        assert_eq!(switch.resolve(&[network], "web"), Err(NetError::NameNotFound));
        let client = "192.0.2.1:5".parse().unwrap();
        assert_eq!(switch.connect_from_network(client, network, at(network, 1, 80)).await.unwrap_err(), NetError::Unreachable);
    }
    assert!(other.connect(None, at(BLUE, 1, 80)).await.is_ok());
}

#[tokio::test]
async fn a_stream_from_another_node_must_name_a_network_and_address_of_its_task() {
    let switch = world();
    let blue = attach(&switch, 1, &[BLUE]);
    let _listener = blue.listen(any(80), 8).unwrap();
    let header = StreamHeader { network: BLUE, source: at(BLUE, 50, 5), destination: at(BLUE, 1, 80), task: TaskId(1) };
    assert!(switch.deliver(header).is_ok());
    let wrong = [
        (StreamHeader { network: GREEN, ..header }, NetError::Unreachable),
        (StreamHeader { destination: at(BLUE, 2, 80), ..header }, NetError::Unreachable),
        (StreamHeader { destination: "127.0.0.1:80".parse().unwrap(), ..header }, NetError::Unreachable),
        (StreamHeader { task: TaskId(4), ..header }, NetError::Refused),
        (StreamHeader { destination: at(BLUE, 1, 81), ..header }, NetError::Refused),
    ];
    for (header, error) in wrong {
        assert_eq!(switch.deliver(header).unwrap_err(), error);
    }
}

#[tokio::test]
async fn a_socket_bound_to_one_address_does_not_leave_by_another() {
    let switch = world();
    let both = attach(&switch, 3, &[BLUE, GREEN]);
    let green = attach(&switch, 2, &[GREEN]);
    let _listener = green.listen(any(80), 8).unwrap();
    let to = at(GREEN, 2, 80);
    assert_eq!(both.connect(Some(at(BLUE, 3, 5)), to).await.unwrap_err(), NetError::Unreachable);
    assert_eq!(both.connect(Some("127.0.0.1:5".parse().unwrap()), to).await.unwrap_err(), NetError::Unreachable);
    assert_eq!(both.connect(Some(at(GREEN, 3, 5)), to).await.unwrap().local, at(GREEN, 3, 5));
}
