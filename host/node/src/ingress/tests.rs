use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use minicloud_core::id::TaskId;
use minicloud_core::spec::{Protocol, PublishMode, PublishedPort};
use minicloud_net::{Connection, Listener, NoUplink, TaskNet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::test_routes::{WEB, at, attach, routes, view};
use minicloud_core::id::NodeId;

const LIMIT: Duration = Duration::from_secs(10);

fn published(port: u16, address: Option<IpAddr>) -> PublishedPort {
    PublishedPort { published: port, target: 80, protocol: Protocol::Tcp, mode: PublishMode::Ingress, address }
}

/// A port that nobody uses, on every address.
async fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap().local_addr().unwrap().port()
}

struct World {
    view: watch::Sender<Arc<NodeView>>,
    handle: IngressHandle,
    switch: Switch,
    net: TaskNet,
    listener: Listener,
    _running: tokio_util::sync::DropGuard,
}

impl World {
    /// A node with one task of `web` that listens on port 80.
    fn new(address: IpAddr) -> World {
        let switch = Switch::new(NodeId(1), Arc::new(NoUplink));
        let net = attach(&switch, 1);
        let listener = net.listen(at(Ipv4Addr::UNSPECIFIED, 80), 8).unwrap();
        let (sender, receiver) = watch::channel(Arc::default());
        let (ingress, handle) = Ingress::new(IngressOptions { address, port_offset: 0, switch: switch.clone(), view: receiver });
        let shutdown = CancellationToken::new();
        tokio::spawn(ingress.run(shutdown.clone()));
        World { view: sender, handle, switch, net, listener, _running: shutdown.drop_guard() }
    }

    fn publish(&self, ports: Vec<PublishedPort>) {
        let routes = routes(&[(1, 1)], ports);
        self.switch.set_routes(routes.clone());
        self.view.send_replace(view(&routes));
    }

    async fn wait_for(&self, what: &str, met: impl Fn(&IngressHandle) -> bool) {
        let waiting = async {
            while !met(&self.handle) {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("not within {LIMIT:?}: {what}"));
    }

    async fn accept(&self) -> Connection {
        timeout(LIMIT, self.listener.accept()).await.expect("a connection within 10 s").unwrap()
    }
}

async fn exchange(world: &World, client: &mut TcpStream) {
    let own = client.local_addr().unwrap();
    let mut accepted = world.accept().await;
    assert_eq!(accepted.remote, own, "the task sees the client itself");
    client.write_all(b"hello").await.unwrap();
    client.shutdown().await.unwrap();
    let mut request = String::new();
    accepted.read_to_string(&mut request).await.unwrap();
    assert_eq!(request, "hello");
    accepted.write_all(b"answer after the half-close").await.unwrap();
    drop(accepted);
    let mut answer = String::new();
    timeout(LIMIT, client.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, "answer after the half-close");
}

#[tokio::test]
async fn a_client_reaches_a_task_over_both_families_and_is_seen_as_itself() {
    let world = World::new(Ipv4Addr::UNSPECIFIED.into());
    let port = free_port().await;
    world.publish(vec![published(port, None)]);
    world.wait_for("the port is open", |handle| !handle.listening().is_empty()).await;
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    exchange(&world, &mut client).await;
    if let Ok(mut client) = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await {
        exchange(&world, &mut client).await;
    }
    world.publish(Vec::new());
    world.wait_for("the port is closed", |handle| handle.listening().is_empty()).await;
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err());
}

#[tokio::test]
async fn a_port_is_bound_at_the_address_given() {
    let world = World::new(Ipv4Addr::UNSPECIFIED.into());
    let port = free_port().await;
    world.publish(vec![published(port, Some(Ipv4Addr::LOCALHOST.into()))]);
    world.wait_for("the port is open", |handle| handle.listening() == [SocketAddr::from((Ipv4Addr::LOCALHOST, port))]).await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_reported_and_opened_once_it_is_free() {
    let world = World::new(Ipv4Addr::LOCALHOST.into());
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = taken.local_addr().unwrap();
    world.publish(vec![published(address.port(), None)]);
    world.wait_for("the port is reported", |handle| !handle.unbound().is_empty()).await;
    let unbound = world.handle.unbound().remove(0);
    assert_eq!((unbound.service, unbound.listen), (WEB, format!("{address}/tcp")));
    assert!(unbound.error.contains("another program listens there"), "{}", unbound.error);
    drop(taken);
    world.wait_for("the port is open", |handle| handle.listening() == [address]).await;
    assert_eq!(world.handle.unbound(), []);
}

#[tokio::test]
async fn a_task_that_resets_resets_its_client() {
    let world = World::new(Ipv4Addr::LOCALHOST.into());
    let port = free_port().await;
    world.publish(vec![published(port, None)]);
    world.wait_for("the port is open", |handle| !handle.listening().is_empty()).await;
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    world.accept().await.reset();
    let error = timeout(LIMIT, client.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_client_that_resets_resets_its_task() {
    let world = World::new(Ipv4Addr::LOCALHOST.into());
    let port = free_port().await;
    world.publish(vec![published(port, None)]);
    world.wait_for("the port is open", |handle| !handle.listening().is_empty()).await;
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let mut accepted = world.accept().await;
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    let error = timeout(LIMIT, accepted.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

fn published_udp(port: u16) -> PublishedPort {
    PublishedPort { target: 53, protocol: Protocol::Udp, ..published(port, None) }
}

/// Asks at `server` and is answered from there: a connected socket hears nobody else.
async fn ask(world: &World, guest: &minicloud_net::UdpSocketHandle, server: SocketAddr, bytes: usize) {
    let own = if server.is_ipv4() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { Ipv6Addr::LOCALHOST.into() };
    let client = tokio::net::UdpSocket::bind((own, 0)).await.unwrap();
    client.connect(server).await.unwrap();
    let question: Vec<u8> = (0..bytes).map(|n| (n % 251) as u8).collect();
    client.send(&question).await.unwrap();
    let received = timeout(LIMIT, std::future::poll_fn(|cx| guest.poll_receive(cx))).await.expect("the question within 10 s").unwrap();
    assert!(received.payload == question, "{} of {bytes} bytes came", received.payload.len());
    if server.is_ipv4() {
        assert_eq!(received.source, client.local_addr().unwrap(), "the task sees the client itself");
    }
    guest.send_to(received.payload, received.source).unwrap();
    let mut answer = vec![0; 70_000];
    let count = timeout(LIMIT, client.recv(&mut answer)).await.expect("an answer within 10 s").unwrap();
    assert!(answer[..count] == question, "{count} of {bytes} bytes came back");
    assert_eq!(world.handle.unbound(), []);
}

#[tokio::test]
async fn a_udp_client_is_answered_from_where_it_asked() {
    for address in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
        let world = World::new(address.into());
        let guest = world.net.bind_udp(at(Ipv4Addr::UNSPECIFIED, 53)).unwrap();
        let port = free_port().await;
        world.publish(vec![published_udp(port), published(port, None)]);
        world.wait_for("both ports are open", |handle| handle.listening().iter().filter(|open| open.is_ipv4()).count() == 2).await;
        for bytes in [0, 1, 1_400, 9_000, 60_000] {
            ask(&world, &guest, SocketAddr::from((Ipv4Addr::LOCALHOST, port)), bytes).await;
        }
        let has_v6 = world.handle.listening().iter().any(SocketAddr::is_ipv6);
        if address.is_unspecified() {
            // Another address of this node: the answer comes from that one.
            ask(&world, &guest, SocketAddr::from(([127, 0, 0, 5], port)), 100).await;
            if has_v6 {
                ask(&world, &guest, SocketAddr::from((Ipv6Addr::LOCALHOST, port)), 1_000).await;
            }
        }
        world.publish(Vec::new());
        world.wait_for("the ports are closed", |handle| handle.listening().is_empty()).await;
        tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port is free again");
    }
}

#[tokio::test]
async fn a_udp_port_that_is_taken_is_reported() {
    let world = World::new(Ipv4Addr::LOCALHOST.into());
    let taken = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = taken.local_addr().unwrap();
    world.publish(vec![published_udp(address.port())]);
    world.wait_for("the port is reported", |handle| !handle.unbound().is_empty()).await;
    let unbound = world.handle.unbound().remove(0);
    assert_eq!((unbound.listen, unbound.error.contains("another program")), (format!("{address}/udp"), true));
    drop(taken);
    world.wait_for("the port is open", |handle| handle.listening() == [address]).await;
}

#[test]
fn the_view_says_which_ports_there_are() {
    let ports = vec![published(8000, None), published(0, None), PublishedPort { mode: PublishMode::Host, ..published(9000, None) }];
    let view = view(&routes(&[(1, 1)], ports));
    let planned = plan::ports(&view, Ipv4Addr::LOCALHOST.into(), 100);
    let listen = Listen { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8100)), protocol: Protocol::Tcp };
    assert_eq!(planned, BTreeMap::from([(listen, Target { service: WEB, task: None::<TaskId>, port: 80 })]));
}
