use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use minicloud_core::state::Role;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::memory_stream;
use crate::router::DatagramService;
use crate::test_routes::{VIP, address, at, attach, routes};

const LIMIT: Duration = Duration::from_secs(10);
/// What a datagram may hold between the nodes of these tests.
const PACKET_BYTES: usize = 1_400;

/// Nodes in one process: streams and datagrams go to each other's services.
#[derive(Clone, Default)]
struct Wire {
    services: Arc<Mutex<BTreeMap<NodeId, Arc<OverlayService>>>>,
    from: NodeId,
    /// Streams are taken, and nobody answers on them.
    silent: Arc<std::sync::atomic::AtomicBool>,
}

impl Wire {
    fn service(&self, node: NodeId) -> Option<Arc<OverlayService>> {
        self.services.lock().unwrap().get(&node).cloned()
    }

    /// A node with a switch of its own.
    fn node(&self, node: u64) -> Switch {
        let node = NodeId(node);
        let switch = Switch::new(node, Arc::new(Overlay::new(Arc::new(Wire { from: node, ..self.clone() }))));
        switch.set_routes(routes(&[(1, 1), (2, 2)], Vec::new()));
        self.services.lock().unwrap().insert(node, Arc::new(OverlayService::new(switch.clone())));
        switch
    }
}

#[async_trait]
impl Carrier for Wire {
    async fn open(&self, node: NodeId, kind: StreamKind) -> Result<BoxStream, PeerError> {
        let overlay = self.service(node).ok_or(PeerError::UnknownNode(node))?;
        let service: Arc<dyn StreamService> = match kind {
            StreamKind::Datagram => Arc::new(LargeDatagrams(overlay)),
            _ => overlay,
        };
        let (near, far) = memory_stream::pair();
        let from = memory_stream::peer(self.from.0, Role::Worker);
        let silent = self.silent.load(std::sync::atomic::Ordering::Relaxed);
        tokio::spawn(async move {
            if silent {
                std::future::pending::<()>().await;
            }
            service.serve(from, far).await;
        });
        Ok(near)
    }

    fn datagram_bytes_max(&self, _: NodeId) -> Option<usize> {
        Some(PACKET_BYTES)
    }

    fn send_datagram(&self, node: NodeId, payload: Bytes) {
        assert!(payload.len() <= PACKET_BYTES, "{} bytes do not fit a packet", payload.len());
        if let Some(service) = self.service(node) {
            service.datagram(&memory_stream::peer(self.from.0, Role::Worker), payload);
        }
    }
}

/// A connection from task 1 on node 1 to task 2 on node 2, both ends.
async fn connected() -> (Connection, Connection, [minicloud_net::TaskNet; 2]) {
    let wire = Wire::default();
    let (here, there) = (wire.node(1), wire.node(2));
    let (client, server) = (attach(&here, 1), attach(&there, 2));
    let listener = server.listen(at(std::net::Ipv4Addr::UNSPECIFIED, 80), 8).unwrap();
    let near = client.connect(None, at(address(2), 80)).await.unwrap();
    let far = timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
    (near, far, [client, server])
}

#[tokio::test]
async fn both_ends_know_each_other() {
    let (near, far, _nets) = connected().await;
    assert_eq!((near.remote, far.local), (at(address(2), 80), at(address(2), 80)));
    assert_eq!((near.local, far.remote.ip()), (far.remote, address(1).into()));
}

#[tokio::test]
async fn data_flows_both_ways_and_a_half_close_leaves_the_other_half() {
    let (mut near, mut far, _nets) = connected().await;
    let sent: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let expected = sent.clone();
    let sending = tokio::spawn(async move {
        near.write_all(&sent).await.unwrap();
        near.shutdown().await.unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        answer
    });
    let mut received = Vec::new();
    timeout(LIMIT, far.read_to_end(&mut received)).await.unwrap().unwrap();
    assert!(received == expected, "{} bytes came", received.len());
    far.write_all(b"thank you").await.unwrap();
    drop(far);
    assert_eq!(timeout(LIMIT, sending).await.unwrap().unwrap(), "thank you");
}

#[tokio::test]
async fn first_bytes_are_read_before_those_that_follow() {
    let wire = Wire::default();
    let (here, there) = (wire.node(1), wire.node(2));
    let (client, server) = (attach(&here, 1), attach(&there, 2));
    let listener = server.listen(at(std::net::Ipv4Addr::UNSPECIFIED, 80), 8).unwrap();
    let mut near = client.connect_with(at(address(2), 80), Bytes::from_static(b"first ")).await.unwrap();
    near.write_all(b"second").await.unwrap();
    drop(near);
    let mut far = timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
    let mut received = String::new();
    timeout(LIMIT, far.read_to_string(&mut received)).await.unwrap().unwrap();
    assert_eq!(received, "first second");
}

#[tokio::test]
async fn a_reset_is_no_end() {
    let (mut near, far, _nets) = connected().await;
    far.reset();
    let mut buffer = [0; 8];
    let error = timeout(LIMIT, near.read(&mut buffer)).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

/// Nothing on the way counts the time; that the link itself stays up is the keep-alive's business.
#[tokio::test(start_paused = true)]
async fn an_idle_connection_lives_for_days() {
    let (mut near, mut far, _nets) = connected().await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(10 * 24 * 3600)).await;
        near.write_all(b"ping").await.unwrap();
        let mut heard = [0; 4];
        far.read_exact(&mut heard).await.unwrap();
        far.write_all(&heard).await.unwrap();
        near.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ping");
    }
}

/// A link without traffic is spoken on well before either end takes it for dead.
#[test]
fn links_are_kept_alive_before_they_count_as_dead() {
    use crate::limits::{MANAGER_IDLE, MANAGER_KEEP_ALIVE, WORKER_IDLE, WORKER_KEEP_ALIVE};
    for (keep_alive, idle) in [(MANAGER_KEEP_ALIVE, MANAGER_IDLE), (WORKER_KEEP_ALIVE, WORKER_IDLE), (MANAGER_KEEP_ALIVE, WORKER_IDLE)] {
        assert!(keep_alive * 3 <= idle, "{keep_alive:?} {idle:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_takes_the_stream_and_says_nothing_is_a_timeout() {
    let wire = Wire::default();
    let (here, _there) = (wire.node(1), wire.node(2));
    let client = attach(&here, 1);
    wire.silent.store(true, std::sync::atomic::Ordering::Relaxed);
    let started = tokio::time::Instant::now();
    assert_eq!(client.connect(None, at(address(2), 80)).await.err(), Some(NetError::TimedOut));
    assert_eq!(started.elapsed(), minicloud_net::limits::CONNECT_TIMEOUT);
}

#[tokio::test]
async fn a_reader_that_left_stops_the_writer() {
    let (mut near, far, _nets) = connected().await;
    drop(far);
    let writing = async { while near.write_all(&[0; 16 << 10]).await.is_ok() {} };
    timeout(LIMIT, writing).await.expect("writes fail once nobody reads");
}

#[tokio::test]
async fn a_slow_reader_holds_the_writer_up() {
    let (mut near, mut far, _nets) = connected().await;
    let written = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = written.clone();
    let writing = tokio::spawn(async move {
        for _ in 0..1_000 {
            near.write_all(&[7; 64 << 10]).await.unwrap();
            count.fetch_add(64 << 10, std::sync::atomic::Ordering::Relaxed);
        }
    });
    // Nothing moves once the buffers on the way are full.
    let mut before = usize::MAX;
    while before != written.load(std::sync::atomic::Ordering::Relaxed) {
        before = written.load(std::sync::atomic::Ordering::Relaxed);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    assert!(before <= 2 << 20, "{before} bytes were taken though nobody read");
    let mut received = Vec::new();
    timeout(LIMIT, far.read_to_end(&mut received)).await.unwrap().unwrap();
    assert_eq!(received.len(), 1_000 * (64 << 10));
    writing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_told_apart() {
    let wire = Wire::default();
    let (here, there) = (wire.node(1), wire.node(2));
    let (client, _server) = (attach(&here, 1), attach(&there, 2));
    assert_eq!(client.connect(None, at(address(2), 80)).await.err(), Some(NetError::Refused));
    assert_eq!(client.connect(None, at(address(9), 80)).await.err(), Some(NetError::Unreachable));
    wire.services.lock().unwrap().remove(&NodeId(2));
    assert_eq!(client.connect(None, at(address(2), 80)).await.err(), Some(NetError::Unreachable));
}

#[tokio::test]
async fn a_service_is_reached_on_another_node_when_the_own_task_does_not_listen() {
    let wire = Wire::default();
    let (here, there) = (wire.node(1), wire.node(2));
    let (client, server) = (attach(&here, 1), attach(&there, 2));
    let listener = server.listen(at(std::net::Ipv4Addr::UNSPECIFIED, 80), 8).unwrap();
    for _ in 0..4 {
        let near = client.connect(None, at(VIP, 80)).await.unwrap();
        assert_eq!(near.remote, at(VIP, 80), "the caller sees what it dialled");
        timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn datagrams_arrive_with_their_sender() {
    let wire = Wire::default();
    let (here, there) = (wire.node(1), wire.node(2));
    let (client, server) = (attach(&here, 1), attach(&there, 2));
    let any = |port| at(std::net::Ipv4Addr::UNSPECIFIED, port);
    let (from, to) = (client.bind_udp(any(1000)).unwrap(), server.bind_udp(any(53)).unwrap());
    from.send_to("ping".into(), at(address(2), 53)).unwrap();
    let datagram = to.try_receive().unwrap().expect("it was handed over");
    assert_eq!((datagram.payload, datagram.source), ("ping".into(), at(address(1), 1000)));
    to.send_to("pong".into(), datagram.source).unwrap();
    assert_eq!(from.try_receive().unwrap().expect("an answer").payload, "pong");
}

#[tokio::test]
async fn a_datagram_of_any_size_arrives_whole() {
    let wire = Wire::default();
    let (here, there) = (wire.node(1), wire.node(2));
    let (client, server) = (attach(&here, 1), attach(&there, 2));
    let any = |port| at(std::net::Ipv4Addr::UNSPECIFIED, port);
    let (from, to) = (client.bind_udp(any(1000)).unwrap(), server.bind_udp(any(53)).unwrap());
    for bytes in [0, 1, 1_200, PACKET_BYTES, 9_000, minicloud_net::limits::DATAGRAM_BYTES_MAX] {
        let payload: Bytes = (0..bytes).map(|n| (n % 251) as u8).collect();
        from.send_to(payload.clone(), at(address(2), 53)).unwrap();
        let datagram = timeout(LIMIT, std::future::poll_fn(|cx| to.poll_receive(cx))).await.unwrap().unwrap();
        assert!(datagram.payload == payload, "{} of {bytes} bytes came", datagram.payload.len());
    }
}

/// A client outside asks by node 1, the task that answers is on node 2.
#[tokio::test]
async fn a_published_port_reaches_a_task_of_another_node_and_its_answer_comes_back() {
    use minicloud_core::spec::{Protocol, PublishMode, PublishedPort};
    use minicloud_net::{UdpClient, UdpTarget};
    let wire = Wire::default();
    let (here, there) = (wire.node(1), wire.node(2));
    let port = PublishedPort { published: 5353, target: 53, protocol: Protocol::Udp, mode: PublishMode::Ingress, address: None };
    for switch in [&here, &there] {
        switch.set_routes(routes(&[(2, 2)], vec![port]));
    }
    let server = attach(&there, 2);
    let socket = server.bind_udp(at(std::net::Ipv4Addr::UNSPECIFIED, 53)).unwrap();
    let door = here.open_door();
    let target = UdpTarget::Service { service: crate::test_routes::WEB, port: 53 };
    for (client, bytes) in [("192.0.2.7:4000", 5), ("192.0.2.7:4001", 30_000)] {
        let client = UdpClient { address: client.parse().unwrap(), heard_at: None };
        let payload = Bytes::from(vec![7; bytes]);
        door.send(client, target, payload.clone());
        let asked = timeout(LIMIT, std::future::poll_fn(|cx| socket.poll_receive(cx))).await.unwrap().unwrap();
        assert_eq!((asked.source, asked.payload.len()), (client.address, bytes));
        socket.send_to(asked.payload, asked.source).unwrap();
        let answer = timeout(LIMIT, std::future::poll_fn(|cx| door.poll_answer(cx))).await.unwrap().unwrap();
        assert!(answer == (client, payload));
    }
}

#[tokio::test]
async fn garbage_ends_its_own_stream_only() {
    let wire = Wire::default();
    let there = wire.node(2);
    let service = wire.service(NodeId(2)).unwrap();
    let (mut near, far) = memory_stream::pair();
    let serving = tokio::spawn(async move { service.serve(memory_stream::peer(1, Role::Worker), far).await });
    near.write_all(&[0xff; 64]).await.unwrap();
    timeout(LIMIT, serving).await.unwrap().unwrap();
    assert!(near.read_u8().await.is_err());
    let service = OverlayService::new(there);
    for datagram in [&[][..], &[9], &[200, 1, 2], &[3, 1, 0xc1, 0xc1, 0]] {
        service.datagram(&memory_stream::peer(1, Role::Worker), Bytes::from_static(datagram));
    }
}

proptest! {
    /// Whatever a peer sends is a header with its payload, or nothing; and nothing of what was sent is lost.
    #[test]
    fn any_datagram_is_read_or_dropped(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let datagram = Bytes::from(bytes);
        if let Some((_, payload)) = datagrams::decode(datagram.clone()) {
            prop_assert!(datagram.ends_with(&payload));
        }
    }

    /// A header that was damaged in one place is another header, or none, and never a panic.
    #[test]
    fn a_damaged_datagram_is_read_or_dropped(at in 0usize..200, with in any::<u8>(), payload in proptest::collection::vec(any::<u8>(), 0..64)) {
        let header = minicloud_net::DatagramHeader {
            network: minicloud_core::id::NetworkId(1),
            source: at_port(1),
            destination: at_port(2),
            task: minicloud_core::id::TaskId(3),
            passage: minicloud_net::Passage::Within,
        };
        let sent = datagrams::encode(&header, &payload).unwrap();
        prop_assert_eq!(datagrams::decode(sent.clone()), Some((header, Bytes::from(payload))));
        let mut damaged = sent.to_vec();
        let at = at % damaged.len();
        damaged[at] = with;
        datagrams::decode(damaged.into());
    }

    #[test]
    fn any_frame_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(frame::read::<StreamHeader>(&mut &bytes[..]));
        prop_assert!(bytes.is_empty() == matches!(read, Ok(None)));
    }
}

fn at_port(port: u16) -> std::net::SocketAddr {
    at(address(1), port)
}
