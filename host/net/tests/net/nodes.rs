//! Two switches joined by a wire: what holds on one node holds between two.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use minicloud_core::id::{NodeId, ServiceId};
use minicloud_net::{Connection, DatagramHeader, NetError, OpenFuture, StreamHeader, Switch, TaskNet, Uplink};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::support::{
    AWAY, BLUE, GREEN, HOME, INGRESS, Wire, any, at, attach, read_all, routes, serve_id, served_by, settle, vip, write_all,
};

struct Nodes {
    wire: Wire,
    home: Switch,
    away: Switch,
    client: TaskNet,
    server: TaskNet,
}

/// Task 1 is a client on the one node, task 2 the only backend of a service, on the other.
fn two_nodes() -> Nodes {
    let wire = Wire::default();
    let (home, away) = (wire.switch(HOME), wire.switch(AWAY));
    let routes = routes().service(1, "rng", &[BLUE, INGRESS], &[(2, AWAY)]).published(1, 80).build();
    home.set_routes(routes.clone());
    away.set_routes(routes);
    let client = attach(&home, 1, &[BLUE]);
    let server = attach(&away, 2, &[BLUE, INGRESS]);
    Nodes { wire, home, away, client, server }
}

async fn connected(nodes: &Nodes) -> (Connection, Connection) {
    let listener = nodes.server.listen(any(80), 8).unwrap();
    let near = nodes.client.connect(None, vip(BLUE, 1, 80)).await.unwrap();
    (near, listener.accept().await.unwrap())
}

#[tokio::test]
async fn a_connection_between_nodes_carries_addresses_bytes_and_both_ends() {
    let nodes = two_nodes();
    let (mut near, mut far) = connected(&nodes).await;
    assert_eq!(near.remote, vip(BLUE, 1, 80));
    assert_eq!((far.remote, far.local), (near.local, at(BLUE, 2, 80)));
    let sent: Vec<u8> = (0..3_000_000u32).map(|at| at as u8).collect();
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        write_all(&mut near.writer, &sent).await.unwrap();
        near.shutdown().await.unwrap();
        read_all(&mut near.reader).await.unwrap()
    });
    assert!(read_all(&mut far.reader).await.unwrap() == expected);
    far.write_all(b"thanks").await.unwrap();
    drop(far);
    assert_eq!(writing.await.unwrap(), b"thanks");
}

#[tokio::test]
async fn first_bytes_travel_along_with_the_opening_to_whoever_takes_it() {
    let nodes = two_nodes();
    let own = attach(&nodes.home, 3, &[BLUE]);
    nodes.home.set_routes(routes().service(1, "rng", &[BLUE], &[(2, AWAY), (3, HOME)]).build());
    // First on this node while the other refuses, then there while this one does.
    for server in [&own, &nodes.server] {
        let listener = server.listen(any(80), 8).unwrap();
        for _ in 0..2 {
            let before = nodes.client.usage().sent_bytes;
            let mut near = nodes.client.connect_with(vip(BLUE, 1, 80), "hello".into()).await.unwrap();
            let mut far = listener.accept().await.unwrap();
            near.write_all(b" world").await.unwrap();
            let mut received = [0; 11];
            far.read_exact(&mut received).await.unwrap();
            assert_eq!(&received, b"hello world");
            assert_eq!(nodes.client.usage().sent_bytes - before, 11);
        }
    }
}

#[tokio::test]
async fn more_first_bytes_than_a_pipe_holds_are_refused() {
    let nodes = two_nodes();
    let first = Bytes::from(vec![0; minicloud_net::limits::FIRST_BYTES_MAX + 1]);
    assert_eq!(nodes.client.connect_with(vip(BLUE, 1, 80), first).await.unwrap_err(), NetError::InvalidArgument);
}

#[tokio::test]
async fn a_reset_crosses_the_wire() {
    let nodes = two_nodes();
    let (mut near, far) = connected(&nodes).await;
    far.reset();
    assert_eq!(read_all(&mut near.reader).await, Err(NetError::Reset));
    settle().await;
    assert_eq!(near.writer.push("x".into()), Err(NetError::Reset));
}

#[tokio::test]
async fn a_detached_task_resets_its_connections_to_other_nodes() {
    let nodes = two_nodes();
    let (near, mut far) = connected(&nodes).await;
    nodes.client.close();
    assert_eq!(read_all(&mut far.reader).await, Err(NetError::Reset));
    drop(near);
}

#[tokio::test]
async fn a_reader_that_stops_holds_up_a_writer_on_another_node() {
    let nodes = two_nodes();
    let (mut near, mut far) = connected(&nodes).await;
    let mut sent = 0;
    while let Ok(count) = timeout(Duration::from_millis(50), near.write(&[0; 1 << 16])).await {
        sent += count.unwrap();
        assert!(sent <= 4 << 20, "nothing holds the writer up");
    }
    let mut read = vec![0; sent];
    far.read_exact(&mut read).await.unwrap();
    assert!(timeout(Duration::from_secs(5), near.write(&[0; 10])).await.is_ok());
}

#[tokio::test]
async fn counts_of_backends_elsewhere_fall_when_the_far_end_goes() {
    let nodes = two_nodes();
    let third = attach(&nodes.away, 3, &[BLUE]);
    nodes.home.set_routes(routes().service(1, "rng", &[BLUE], &[(2, AWAY), (3, AWAY)]).build());
    let listener = nodes.server.listen(any(80), 8).unwrap();
    serve_id(&third, 80);
    let connect = || nodes.client.connect(None, vip(BLUE, 1, 80));
    let first = connect().await.unwrap();
    let far = listener.accept().await.unwrap();
    let mut second = connect().await.unwrap();
    assert_eq!(served_by(&mut second).await, 3);
    // Task 2 drops its end; the client has not noticed yet, but the switch has.
    drop(far);
    settle().await;
    let third = connect().await.unwrap();
    assert!(listener.try_accept().unwrap().is_some(), "task 2 was passed over");
    drop((first, second, third));
}

/// Opens connections whose far end is gone before they are there.
struct Fleeting(AtomicUsize);

impl Uplink for Fleeting {
    fn open(&self, _: NodeId, header: StreamHeader, _: Bytes) -> OpenFuture {
        self.0.fetch_add(1, Ordering::SeqCst);
        let (near, _) = Connection::pair(header.source, header.destination);
        Box::pin(std::future::ready(Ok(near)))
    }

    fn send(&self, _: NodeId, _: DatagramHeader, _: Bytes) {}
}

#[tokio::test]
async fn a_connection_that_ended_before_it_was_counted_is_not_counted() {
    let uplink = Arc::new(Fleeting(AtomicUsize::new(0)));
    let switch = Switch::new(HOME, uplink.clone());
    switch.set_routes(routes().service(1, "rng", &[BLUE], &[(2, AWAY), (3, HOME)]).build());
    let (client, local) = (attach(&switch, 1, &[BLUE]), attach(&switch, 3, &[BLUE]));
    serve_id(&local, 80);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(client.connect(None, vip(BLUE, 1, 80)).await.unwrap());
    }
    assert_eq!(uplink.0.load(Ordering::SeqCst), 3, "one stays at the local task, the others come and go");
}

#[tokio::test]
async fn a_local_backend_and_a_remote_one_share_the_work() {
    let nodes = two_nodes();
    let local = attach(&nodes.home, 3, &[BLUE]);
    nodes.home.set_routes(routes().service(1, "rng", &[BLUE], &[(2, AWAY), (3, HOME)]).build());
    serve_id(&local, 80);
    serve_id(&nodes.server, 80);
    let mut open = Vec::new();
    for _ in 0..10 {
        let mut connection = nodes.client.connect(None, vip(BLUE, 1, 80)).await.unwrap();
        open.push((served_by(&mut connection).await, connection));
    }
    assert_eq!(open.iter().filter(|(by, _)| *by == 3).count(), 5);
    assert_eq!(nodes.wire.0.opened.lock().unwrap()[&AWAY], 5);
}

#[tokio::test(start_paused = true)]
async fn a_listener_bound_late_on_another_node_is_found_within_a_few_looks() {
    let nodes = two_nodes();
    let waiting = tokio::spawn(nodes.client.connect(None, vip(BLUE, 1, 80)));
    tokio::time::sleep(Duration::from_millis(510)).await;
    assert!(!waiting.is_finished());
    let started = Instant::now();
    serve_id(&nodes.server, 80);
    assert_eq!(served_by(&mut waiting.await.unwrap().unwrap()).await, 2);
    assert!(started.elapsed() <= Duration::from_millis(20), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_answer_is_given_up_for_another_backend() {
    let nodes = two_nodes();
    nodes.wire.0.silent.lock().unwrap().push(AWAY);
    let local = attach(&nodes.home, 3, &[BLUE]);
    serve_id(&local, 80);
    nodes.home.set_routes(routes().service(1, "rng", &[BLUE], &[(2, AWAY), (3, HOME)]).build());
    for _ in 0..4 {
        let started = Instant::now();
        let mut connection = nodes.client.connect(None, vip(BLUE, 1, 80)).await.unwrap();
        assert_eq!(served_by(&mut connection).await, 3);
        assert!(started.elapsed() <= Duration::from_millis(500));
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout_for_a_service_and_for_a_task() {
    let nodes = two_nodes();
    nodes.wire.0.silent.lock().unwrap().push(AWAY);
    let started = Instant::now();
    assert_eq!(nodes.client.connect(None, vip(BLUE, 1, 80)).await.unwrap_err(), NetError::TimedOut);
    assert_eq!(started.elapsed(), Duration::from_secs(2));
    assert_eq!(nodes.client.connect(None, at(BLUE, 2, 80)).await.unwrap_err(), NetError::TimedOut);
    assert_eq!(started.elapsed(), Duration::from_secs(12));
}

/// A node far away, where nobody listens: it refuses, a while later.
struct Far;

impl Uplink for Far {
    fn open(&self, _: NodeId, _: StreamHeader, _: Bytes) -> OpenFuture {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Err(NetError::Refused)
        })
    }

    fn send(&self, _: NodeId, _: DatagramHeader, _: Bytes) {}
}

#[tokio::test(start_paused = true)]
async fn a_service_that_answered_no_refuses_though_the_last_look_was_cut_short() {
    let switch = Switch::new(HOME, Arc::new(Far));
    let client = attach(&switch, 1, &[BLUE]);
    for tasks in [&[(2, AWAY)][..], &[(2, AWAY), (3, AWAY)]] {
        switch.set_routes(routes().service(1, "rng", &[BLUE], tasks).build());
        let started = Instant::now();
        assert_eq!(client.connect(None, vip(BLUE, 1, 80)).await.unwrap_err(), NetError::Refused);
        assert_eq!(started.elapsed(), Duration::from_secs(2));
    }
}

#[tokio::test(start_paused = true)]
async fn one_silent_backend_of_two_does_not_make_a_refusal_silence() {
    let nodes = two_nodes();
    nodes.wire.0.silent.lock().unwrap().push(AWAY);
    let _own = attach(&nodes.home, 3, &[BLUE]);
    nodes.home.set_routes(routes().service(1, "rng", &[BLUE], &[(2, AWAY), (3, HOME)]).build());
    for _ in 0..2 {
        assert_eq!(nodes.client.connect(None, vip(BLUE, 1, 80)).await.unwrap_err(), NetError::Refused);
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_elsewhere_is_reached_directly_or_refuses_at_once() {
    let nodes = two_nodes();
    let started = Instant::now();
    assert_eq!(nodes.client.connect(None, at(BLUE, 2, 80)).await.unwrap_err(), NetError::Refused);
    assert_eq!(started.elapsed(), Duration::ZERO);
    serve_id(&nodes.server, 80);
    let mut connection = nodes.client.connect(None, at(BLUE, 2, 80)).await.unwrap();
    assert_eq!(served_by(&mut connection).await, 2);
}

#[tokio::test]
async fn isolation_holds_between_nodes() {
    let nodes = two_nodes();
    serve_id(&nodes.server, 80);
    let stranger = attach(&nodes.home, 5, &[GREEN]);
    for to in [at(BLUE, 2, 80), vip(BLUE, 1, 80), at(INGRESS, 2, 80)] {
        assert_eq!(stranger.connect(None, to).await.unwrap_err(), NetError::Unreachable);
    }
    assert!(nodes.wire.0.opened.lock().unwrap().is_empty(), "nothing left the node");
}

#[tokio::test]
async fn a_port_published_here_reaches_a_task_there_with_the_clients_address() {
    let nodes = two_nodes();
    let listener = nodes.server.listen(any(80), 8).unwrap();
    let client = "[2001:db8::1]:1000".parse().unwrap();
    let mut near = nodes.home.connect_published(client, ServiceId(1), 80).await.unwrap();
    let mut far = listener.accept().await.unwrap();
    assert_eq!(far.remote, client);
    near.write_all(b"ping").await.unwrap();
    far.read_exact(&mut [0; 4]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn unrest_on_this_node_does_not_make_it_press_others() {
    let nodes = two_nodes();
    let waiting = tokio::spawn(nodes.client.connect(None, vip(BLUE, 1, 80)));
    for _ in 0..100 {
        nodes.home.set_routes((**nodes.home.routes()).clone());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    waiting.abort();
    let opened = nodes.wire.0.opened.lock().unwrap()[&AWAY];
    assert!((5..=60).contains(&opened), "{opened} streams in 100 ms");
}
