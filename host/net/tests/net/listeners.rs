//! Ports and backlogs: what can be bound, who hears a connection, and what a full backlog does.
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use minicloud_net::{NetError, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::support::{BLUE, GREEN, any, at, loopback, poll_now, settle, two_tasks};

#[tokio::test]
async fn binding_reserves_the_port_until_the_reservation_is_dropped() {
    let (_switch, net, other) = two_tasks();
    let reservation = net.reserve(any(80)).unwrap();
    assert_eq!(net.listen(any(80), 8).unwrap_err(), NetError::AddressInUse);
    assert_eq!(net.listen(at(BLUE, 1, 80), 8).unwrap_err(), NetError::AddressInUse, "part of what is taken");
    assert!(other.listen(any(80), 8).is_ok(), "each task has ports of its own");
    // Reserved is not listening yet.
    assert_eq!(net.connect(None, loopback(80)).await.unwrap_err(), NetError::Refused);
    let listener = net.listen_on(reservation, 8).unwrap();
    assert_eq!(net.reserve(any(80)).unwrap_err(), NetError::AddressInUse);
    drop(listener);
    assert!(net.reserve(any(80)).is_ok());
}

#[tokio::test]
async fn addresses_of_one_port_clash_only_where_they_overlap() {
    let (_switch, net, _) = two_tasks();
    let _own = net.reserve(at(BLUE, 1, 80)).unwrap();
    let _loopback = net.reserve(loopback(80)).unwrap();
    assert_eq!(net.reserve(any(80)).unwrap_err(), NetError::AddressInUse);
    let v6 = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 80);
    let _v6 = net.reserve(v6).expect("the families are apart");
    assert!(net.bind_udp(any(80)).is_ok(), "TCP and UDP are apart");
}

#[tokio::test]
async fn only_own_addresses_can_be_bound() {
    let (_switch, net, other) = two_tasks();
    for foreign in [at(BLUE, 2, 80), at(GREEN, 1, 80), "[fe80::1]:80".parse().unwrap()] {
        assert_eq!(net.reserve(foreign).unwrap_err(), NetError::AddressNotBindable);
    }
    let reservation = other.reserve(any(80)).unwrap();
    assert_eq!(net.listen_on(reservation, 8).unwrap_err(), NetError::InvalidArgument, "another task's port");
}

#[tokio::test]
async fn port_zero_chooses_a_free_port_until_none_is_left() {
    let (_switch, net, _) = two_tasks();
    let mut held = Vec::new();
    for _ in 0..limits::BOUND_PORTS_PER_TASK_MAX {
        held.push(net.reserve(any(0)).unwrap());
    }
    let ports: std::collections::HashSet<u16> = held.iter().map(|reservation| reservation.address().port()).collect();
    assert_eq!(ports.len(), held.len(), "no port twice");
    assert!(ports.iter().all(|port| *port >= 49_152));
    assert_eq!(net.reserve(any(0)).unwrap_err(), NetError::TooManySockets);
    let freed = held.pop().map(|reservation| reservation.address());
    assert_eq!(net.reserve(any(0)).unwrap().address(), freed.unwrap());
}

#[tokio::test]
async fn loopback_is_private_to_the_task() {
    let (_switch, net, other) = two_tasks();
    let listener = net.listen(loopback(80), 8).unwrap();
    assert_eq!(other.connect(None, loopback(80)).await.unwrap_err(), NetError::Refused);
    assert_eq!(other.connect(None, at(BLUE, 1, 80)).await.unwrap_err(), NetError::Refused, "bound to loopback only");
    assert_eq!(net.connect(None, at(BLUE, 1, 80)).await.unwrap_err(), NetError::Refused);
    let near = net.connect(None, loopback(80)).await.unwrap();
    let far = listener.accept().await.unwrap();
    assert_eq!(far.remote, near.local);
    assert!(near.local.ip().is_loopback());
}

#[tokio::test]
async fn every_loopback_address_of_both_families_works_within_the_task() {
    let (_switch, net, _) = two_tasks();
    let _v4 = net.listen(any(80), 8).unwrap();
    let _v6 = net.listen(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 81), 8).unwrap();
    assert!(net.connect(None, SocketAddr::new(Ipv4Addr::new(127, 8, 9, 1).into(), 80)).await.is_ok());
    let near = net.connect(None, "[::1]:81".parse().unwrap()).await.unwrap();
    assert_eq!(near.local.ip(), Ipv6Addr::LOCALHOST);
    assert_eq!(net.connect(None, loopback(81)).await.unwrap_err(), NetError::Refused);
}

#[tokio::test]
async fn a_listener_of_the_other_family_hears_what_nobody_else_does() {
    let (_switch, net, other) = two_tasks();
    let v6 = net.listen("[::]:80".parse().unwrap(), 8).unwrap();
    other.connect(None, at(BLUE, 1, 80)).await.unwrap();
    v6.accept().await.unwrap();
    let v4 = net.listen(any(80), 8).unwrap();
    other.connect(None, at(BLUE, 1, 80)).await.unwrap();
    v4.accept().await.unwrap();
    assert_eq!(v6.try_accept().map(|none| none.is_none()), Ok(true));
}

#[tokio::test]
async fn a_dropped_listener_resets_what_it_did_not_accept() {
    let (_switch, client, server) = two_tasks();
    let listener = server.listen(any(80), 8).unwrap();
    let mut near = client.connect(None, at(BLUE, 2, 80)).await.unwrap();
    near.write_all(b"hello").await.unwrap();
    drop(listener);
    assert_eq!(near.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(near.write_u8(1).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(client.connect(None, at(BLUE, 2, 80)).await.unwrap_err(), NetError::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_makes_the_next_one_wait() {
    let (_switch, client, server) = two_tasks();
    let listener = server.listen(any(80), 2).unwrap();
    let _held = [client.connect(None, at(BLUE, 2, 80)).await.unwrap(), client.connect(None, at(BLUE, 2, 80)).await.unwrap()];
    let started = Instant::now();
    assert_eq!(client.connect(None, at(BLUE, 2, 80)).await.unwrap_err(), NetError::TimedOut);
    assert_eq!(started.elapsed(), Duration::from_secs(2));

    let waiting = tokio::spawn(client.connect(None, at(BLUE, 2, 80)));
    settle().await;
    assert!(!waiting.is_finished());
    let started = Instant::now();
    listener.accept().await.unwrap();
    assert!(waiting.await.unwrap().is_ok());
    assert!(started.elapsed() < Duration::from_millis(5), "room is seen at once");
}

#[tokio::test(start_paused = true)]
async fn a_direct_address_without_a_listener_refuses_at_once() {
    let (_switch, client, _server) = two_tasks();
    let started = Instant::now();
    assert_eq!(client.connect(None, at(BLUE, 2, 80)).await.unwrap_err(), NetError::Refused);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn everyone_who_waits_on_one_listener_is_served() {
    let (_switch, client, server) = two_tasks();
    let listener = std::sync::Arc::new(server.listen(any(80), 8).unwrap());
    let waiting: Vec<_> = (0..40)
        .map(|_| {
            let listener = listener.clone();
            tokio::spawn(async move { listener.accept().await.map(|_| ()) })
        })
        .collect();
    settle().await;
    for _ in 0..40 {
        client.connect(None, at(BLUE, 2, 80)).await.unwrap();
    }
    for accepted in waiting {
        assert_eq!(accepted.await.unwrap(), Ok(()));
    }
    assert_eq!(poll_now(|cx| listener.poll_acceptable(cx)), None);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_stops_refuses_new_connections_and_resets_none() {
    let (_switch, client, server) = two_tasks();
    let listener = server.listen(any(80), 8).unwrap();
    let mut near = client.connect(None, at(BLUE, 2, 80)).await.unwrap();
    listener.refuse();
    let started = Instant::now();
    assert_eq!(client.connect(None, at(BLUE, 2, 80)).await.unwrap_err(), NetError::Refused);
    assert_eq!(started.elapsed(), Duration::ZERO);
    let mut far = listener.accept().await.unwrap();
    assert_eq!(listener.accept().await.unwrap_err(), NetError::Aborted, "none is left");
    drop(listener);
    far.write_all(b"!").await.unwrap();
    assert_eq!(near.read_u8().await.unwrap(), b'!');
}
