//! Connections to a service: which backend gets them, and what happens while none is ready.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use minicloud_core::id::ServiceId;
use minicloud_net::{Connection, NetError, NoUplink, Switch, TaskNet, limits};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::support::{AWAY, BLUE, HOME, INGRESS, any, at, attach, routes, serve_id, served_by, settle, vip};

/// A service of three local tasks, 1 to 3, that listen on port 80, and a client.
fn three_backends() -> (Switch, Vec<TaskNet>, TaskNet) {
    let switch = Switch::new(HOME, Arc::new(NoUplink));
    switch.set_routes(routes().service(1, "rng", &[BLUE], &[(1, HOME), (2, HOME), (3, HOME)]).build());
    let backends: Vec<TaskNet> = (1..=3).map(|task| attach(&switch, task, &[BLUE])).collect();
    let client = attach(&switch, 9, &[BLUE]);
    (switch, backends, client)
}

async fn call(client: &TaskNet) -> (Connection, u64) {
    let mut connection = client.connect(None, vip(BLUE, 1, 80)).await.unwrap();
    let by = served_by(&mut connection).await;
    (connection, by)
}

#[tokio::test]
async fn equals_take_turns_and_the_client_sees_the_virtual_address() {
    let (_switch, backends, client) = three_backends();
    backends.iter().for_each(|backend| serve_id(backend, 80));
    let mut open = Vec::new();
    let mut counts = HashMap::<u64, usize>::new();
    for _ in 0..30 {
        let (connection, by) = call(&client).await;
        assert_eq!(connection.remote, vip(BLUE, 1, 80));
        *counts.entry(by).or_default() += 1;
        open.push(connection);
    }
    assert_eq!(counts, HashMap::from([(1, 10), (2, 10), (3, 10)]));
    // One at a time, each closed before the next: still in turn, not always the first.
    drop(open);
    settle().await;
    let mut order = Vec::new();
    for _ in 0..6 {
        order.push(call(&client).await.1);
        settle().await;
    }
    assert_eq!(order[..3], order[3..]);
    assert_eq!(order.iter().collect::<std::collections::HashSet<_>>().len(), 3);
}

#[tokio::test]
async fn the_backend_with_the_fewest_open_connections_is_next() {
    let (switch, backends, client) = three_backends();
    backends.iter().for_each(|backend| serve_id(backend, 80));
    let mut open = Vec::new();
    for _ in 0..6 {
        open.push(call(&client).await);
    }
    // Task 2 becomes the least busy, also for others than the client, and across views.
    open.retain(|(_, by)| *by != 2);
    settle().await;
    switch.set_routes((**switch.routes()).clone());
    let other = attach(&switch, 8, &[BLUE]);
    let (first, by) = call(&other).await;
    assert_eq!(by, 2);
    let (second, by) = call(&client).await;
    assert_eq!(by, 2);
    drop((first, second));
}

#[tokio::test]
async fn an_open_count_falls_once_whichever_end_goes_first() {
    let (_switch, backends, client) = three_backends();
    let listeners: Vec<_> = backends.iter().map(|backend| backend.listen(any(80), 128).unwrap()).collect();
    for server_goes_first in [true, false] {
        let mut near = Vec::new();
        let mut far = Vec::new();
        for _ in 0..3 {
            near.push(Some(client.connect(None, vip(BLUE, 1, 80)).await.unwrap()));
        }
        far.extend(listeners.iter().map(|listener| listener.try_accept().unwrap()));
        let middle = near.iter().position(|near| near.as_ref().unwrap().local == far[1].as_ref().unwrap().remote).unwrap();
        drop(if server_goes_first { far[1].take() } else { near[middle].take() });
        near.push(Some(client.connect(None, vip(BLUE, 1, 80)).await.unwrap()));
        far.push(listeners[1].try_accept().unwrap());
        assert!(far[3].is_some(), "the count has fallen (server first: {server_goes_first})");
        drop(if server_goes_first { near[middle].take() } else { far[1].take() });
        for _ in 0..3 {
            near.push(Some(client.connect(None, vip(BLUE, 1, 80)).await.unwrap()));
        }
        for listener in &listeners {
            assert!(listener.try_accept().unwrap().is_some(), "it has not fallen twice (server first: {server_goes_first})");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_refuses_is_skipped_unseen() {
    let (_switch, backends, client) = three_backends();
    serve_id(&backends[1], 80);
    let started = Instant::now();
    for _ in 0..9 {
        assert_eq!(call(&client).await.1, 2);
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_backend_that_vanished_from_its_node_is_skipped() {
    let (_switch, mut backends, client) = three_backends();
    backends.iter().for_each(|backend| serve_id(backend, 80));
    backends.remove(0);
    for _ in 0..6 {
        assert_ne!(call(&client).await.1, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_bound_late_is_waited_for() {
    let (_switch, backends, client) = three_backends();
    let waiting = tokio::spawn(async move { call(&client).await.1 });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!waiting.is_finished());
    let started = Instant::now();
    serve_id(&backends[2], 80);
    assert_eq!(waiting.await.unwrap(), 3);
    assert!(started.elapsed() < Duration::from_millis(1), "woken, not polled: {:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_port_that_nobody_serves_refuses_after_two_seconds() {
    let (_switch, backends, client) = three_backends();
    serve_id(&backends[0], 80);
    let started = Instant::now();
    assert_eq!(client.connect(None, vip(BLUE, 1, 81)).await.unwrap_err(), NetError::Refused);
    assert_eq!(started.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_service_without_a_ready_task_is_waited_for() {
    let switch = Switch::new(HOME, Arc::new(NoUplink));
    switch.set_routes(routes().service(1, "rng", &[BLUE], &[]).build());
    let client = attach(&switch, 9, &[BLUE]);
    let started = Instant::now();
    assert_eq!(client.connect(None, vip(BLUE, 1, 80)).await.unwrap_err(), NetError::Refused);
    assert_eq!(started.elapsed(), Duration::from_secs(2));

    let waiting = tokio::spawn(client.connect(None, vip(BLUE, 1, 80)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let backend = attach(&switch, 1, &[BLUE]);
    serve_id(&backend, 80);
    settle().await;
    assert!(!waiting.is_finished(), "it is not in the routes yet");
    let started = Instant::now();
    switch.set_routes(routes().service(1, "rng", &[BLUE], &[(1, HOME)]).build());
    assert_eq!(served_by(&mut waiting.await.unwrap().unwrap()).await, 1);
    assert!(started.elapsed() <= limits::LOOK_INTERVAL_MIN, "woken by the new routes: {:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_wants_no_task_or_is_removed_refuses_at_once() {
    let switch = Switch::new(HOME, Arc::new(NoUplink));
    let idle = || routes().service(1, "rng", &[BLUE], &[]);
    switch.set_routes(idle().change(1, |service| service.expects_tasks = false).build());
    let client = attach(&switch, 9, &[BLUE]);
    let started = Instant::now();
    assert_eq!(client.connect(None, vip(BLUE, 1, 80)).await.unwrap_err(), NetError::Refused);
    assert_eq!(started.elapsed(), Duration::ZERO);

    switch.set_routes(idle().build());
    let waiting = tokio::spawn(client.connect(None, vip(BLUE, 1, 80)));
    settle().await;
    switch.set_routes(routes().build());
    assert_eq!(waiting.await.unwrap().unwrap_err(), NetError::Refused);
    assert!(started.elapsed() <= limits::LOOK_INTERVAL_MIN);
    assert_eq!(client.connect(None, vip(BLUE, 1, 80)).await.unwrap_err(), NetError::Unreachable);
}

#[tokio::test(start_paused = true)]
async fn a_full_backend_is_passed_over_and_all_full_is_waited_out() {
    let (_switch, backends, client) = three_backends();
    let first = backends[0].listen(any(80), 1).unwrap();
    let second = backends[1].listen(any(80), 1).unwrap();
    let connect = || client.connect(None, vip(BLUE, 1, 80));
    let _held = [connect().await.unwrap(), connect().await.unwrap()];
    let waiting = tokio::spawn(connect());
    settle().await;
    assert!(!waiting.is_finished());
    drop(first.accept().await.unwrap());
    assert!(waiting.await.unwrap().is_ok());
    drop(second);
}

#[tokio::test]
async fn a_task_may_be_its_own_backend() {
    let (_switch, backends, _client) = three_backends();
    serve_id(&backends[0], 80);
    assert_eq!(call(&backends[0]).await.1, 1);
}

#[tokio::test]
async fn a_published_port_leads_to_a_task_that_sees_the_clients_address() {
    let switch = Switch::new(HOME, Arc::new(NoUplink));
    let route = routes().service(1, "web", &[BLUE, INGRESS], &[(1, HOME)]).published(1, 80);
    switch.set_routes(route.build());
    let web = attach(&switch, 1, &[BLUE, INGRESS]);
    let listener = web.listen(any(80), 8).unwrap();
    for client in ["192.0.2.7:4711", "[2001:db8::7]:4711"] {
        let client = client.parse().unwrap();
        let mut near = switch.connect_published(client, ServiceId(1), 80).await.unwrap();
        let mut far = listener.accept().await.unwrap();
        assert_eq!((far.remote, far.local), (client, at(INGRESS, 1, 80)));
        far.writer.push("ok".into()).unwrap();
        assert_eq!(near.read_u16().await.unwrap(), u16::from_be_bytes(*b"ok"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_published_port_waits_for_a_ready_task_too() {
    let switch = Switch::new(HOME, Arc::new(NoUplink));
    let client = "192.0.2.7:4711".parse().unwrap();
    assert_eq!(switch.connect_published(client, ServiceId(1), 80).await.unwrap_err(), NetError::Unreachable);
    switch.set_routes(routes().service(1, "web", &[INGRESS], &[]).published(1, 80).build());
    let waiting = tokio::spawn({
        let switch = switch.clone();
        async move { switch.connect_published(client, ServiceId(1), 80).await }
    });
    settle().await;
    let web = attach(&switch, 1, &[INGRESS]);
    serve_id(&web, 80);
    switch.set_routes(routes().service(1, "web", &[INGRESS], &[(1, HOME)]).published(1, 80).build());
    assert_eq!(served_by(&mut waiting.await.unwrap().unwrap()).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_port_leads_to_one_task_of_this_node() {
    let (switch, backends, _client) = three_backends();
    let client = "192.0.2.7:4711".parse().unwrap();
    let waiting = tokio::spawn({
        let (switch, task) = (switch.clone(), backends[1].task());
        async move { switch.connect_host_port(client, task, 80).await }
    });
    settle().await;
    let listener = backends[1].listen(any(80), 8).unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(listener.accept().await.unwrap().remote, client);
    let error = switch.connect_host_port(client, backends[0].task(), 80).await.unwrap_err();
    assert_eq!(error, NetError::Refused);
}

#[tokio::test]
async fn a_proxy_connects_from_a_network_without_being_a_task() {
    let (switch, backends, _client) = three_backends();
    let listener = backends[0].listen(any(80), 8).unwrap();
    let client = "127.0.0.1:999".parse().unwrap();
    for to in [vip(BLUE, 1, 80), at(BLUE, 1, 80)] {
        let near = switch.connect_from_network(client, BLUE, to).await.unwrap();
        assert_eq!(near.remote, to);
        assert_eq!(listener.accept().await.unwrap().remote, client);
    }
    let loopback = "127.0.0.1:80".parse().unwrap();
    assert_eq!(switch.connect_from_network(client, BLUE, loopback).await.unwrap_err(), NetError::Unreachable);
}

#[tokio::test(start_paused = true)]
async fn unreachable_backends_make_a_service_refuse() {
    let switch = Switch::new(HOME, Arc::new(NoUplink));
    switch.set_routes(routes().service(1, "rng", &[BLUE], &[(1, AWAY), (2, AWAY)]).build());
    let client = attach(&switch, 9, &[BLUE]);
    assert_eq!(client.connect(None, vip(BLUE, 1, 80)).await.unwrap_err(), NetError::Refused);
}

#[tokio::test]
async fn a_new_view_does_not_begin_the_rotation_anew() {
    let (switch, backends, client) = three_backends();
    backends.iter().for_each(|backend| serve_id(backend, 80));
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(call(&client).await.1);
        settle().await;
        switch.set_routes((**switch.routes()).clone());
    }
    assert_eq!(order, [1, 2, 3]);
}
