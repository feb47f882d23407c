//! Published UDP ports: clients outside reach tasks, and hear answers only from those they asked.
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use minicloud_core::id::{ServiceId, TaskId};
use minicloud_net::{
    Datagram, DatagramHeader, Family, NetError, NoUplink, Passage, Switch, UdpClient, UdpDoor, UdpSocket, UdpTarget, limits,
};

use crate::support::{AWAY, BLUE, HOME, INGRESS, Wire, any, at, attach, loopback, poll_now, routes};

const DNS: UdpTarget = UdpTarget::Service { service: ServiceId(1), port: 53 };

fn client(address: &str) -> UdpClient {
    UdpClient { address: address.parse().unwrap(), heard_at: None }
}

fn answer(door: &UdpDoor) -> Option<(UdpClient, Bytes)> {
    poll_now(|cx| door.poll_answer(cx)).map(Result::unwrap)
}

/// Two nodes: the published service has task 1 at home and task 2 away, as far as `tasks` names them.
fn two_nodes(tasks: &[(u64, minicloud_core::id::NodeId)]) -> (Switch, Switch) {
    let wire = Wire::default();
    let (home, away) = (wire.switch(HOME), wire.switch(AWAY));
    let routes = routes().service(1, "dns", &[BLUE, INGRESS], tasks).published(1, 53).build();
    home.set_routes(routes.clone());
    away.set_routes(routes);
    (home, away)
}

#[tokio::test]
async fn an_answer_leaves_by_the_door_of_its_question() {
    let (home, away) = two_nodes(&[(2, AWAY)]);
    let task = attach(&away, 2, &[BLUE, INGRESS]);
    let socket = task.bind_udp(any(53)).unwrap();
    let (door, other) = (home.open_door(), home.open_door());
    let asking = UdpClient { heard_at: Some("192.0.2.1".parse().unwrap()), ..client("198.51.100.7:4000") };
    door.send(asking, DNS, "?".into());
    let question = socket.try_receive().unwrap().unwrap();
    assert_eq!(question, Datagram { payload: "?".into(), source: asking.address }, "the client itself");
    socket.send_to("!".into(), question.source).unwrap();
    socket.send_to("!!".into(), question.source).unwrap();
    assert_eq!(answer(&door), Some((asking, "!".into())));
    assert_eq!(answer(&door), Some((asking, "!!".into())), "there may be several");
    assert_eq!((answer(&door), answer(&other)), (None, None));
    // The same client by another door: answers follow.
    other.send(asking, DNS, "?".into());
    socket.send_to("!".into(), question.source).unwrap();
    assert_eq!((answer(&door), answer(&other)), (None, Some((asking, "!".into()))));
}

#[tokio::test]
async fn nobody_else_is_written_to() {
    let (home, away) = two_nodes(&[(2, AWAY)]);
    let task = attach(&away, 2, &[BLUE, INGRESS]);
    let (socket, other) = (task.bind_udp(any(53)).unwrap(), task.bind_udp(any(54)).unwrap());
    let door = home.open_door();
    let asking = client("198.51.100.7:4000");
    door.send(asking, DNS, "?".into());
    assert_eq!(socket.send_to("x".into(), client("198.51.100.7:4001").address), Err(NetError::Unreachable), "another port");
    assert_eq!(other.send_to("x".into(), asking.address), Err(NetError::Unreachable), "another socket");
    // Another node cannot make up answers either.
    let forged = |task, source: SocketAddr, destination: &str, passage| {
        let header = DatagramHeader { network: INGRESS, source, destination: destination.parse().unwrap(), task: TaskId(task), passage };
        home.deliver_datagram(AWAY, header, "forged".into());
        answer(&door)
    };
    let own = at(INGRESS, 2, 53);
    let passage = Passage::Outward(minicloud_net::DoorId(0));
    assert_eq!(forged(2, own, "203.0.113.1:9", passage), None, "a client that never asked");
    assert_eq!(forged(3, own, "198.51.100.7:4000", passage), None, "a task that was not asked");
    assert_eq!(forged(2, at(INGRESS, 2, 99), "198.51.100.7:4000", passage), None, "a port that was not asked");
    assert_eq!(forged(2, own, "198.51.100.7:4000", Passage::Outward(minicloud_net::DoorId(77))), None, "no such door");
    assert_eq!(forged(2, own, "198.51.100.7:4000", passage), Some((asking, "forged".into())), "the one that was");
}

#[tokio::test(start_paused = true)]
async fn clients_stay_with_their_task_until_it_is_gone_or_they_are_silent() {
    let (home, away) = two_nodes(&[(1, HOME), (2, AWAY)]);
    let tasks = [attach(&home, 1, &[BLUE, INGRESS]), attach(&away, 2, &[BLUE, INGRESS])];
    let sockets = tasks.each_ref().map(|task| task.bind_udp(any(53)).unwrap());
    let door = home.open_door();
    let clients = [client("198.51.100.7:1"), client("198.51.100.7:2")];
    for _ in 0..3 {
        clients.iter().for_each(|client| door.send(*client, DNS, "?".into()));
    }
    let heard =
        || sockets.each_ref().map(|socket| std::iter::from_fn(|| socket.try_receive().unwrap()).map(|d| d.source).collect::<Vec<_>>());
    let both = heard();
    assert!(both.iter().all(|sources| sources.len() == 3 && sources.iter().all(|source| *source == sources[0])), "{both:?}");
    // The first task goes: its client moves to the other.
    home.set_routes(routes().service(1, "dns", &[BLUE, INGRESS], &[(2, AWAY)]).published(1, 53).build());
    clients.iter().for_each(|client| door.send(*client, DNS, "?".into()));
    assert_eq!(heard().map(|sources| sources.len()), [0, 2]);
    // Late answers reach nobody.
    tokio::time::advance(limits::OUTSIDE_CLIENT_IDLE).await;
    assert_eq!(sockets[1].send_to("!".into(), clients[1].address), Err(NetError::Unreachable));
    assert_eq!(answer(&door), None);
    // Without any task a datagram is lost, as datagrams are.
    home.set_routes(routes().service(1, "dns", &[BLUE, INGRESS], &[]).published(1, 53).build());
    clients.iter().for_each(|client| door.send(*client, DNS, "?".into()));
}

#[tokio::test]
async fn a_port_of_one_task_needs_no_network() {
    let switch = Switch::new(HOME, Arc::new(NoUplink));
    let task = attach(&switch, 1, &[]);
    let socket = task.bind_udp(any(53)).unwrap();
    let door = switch.open_door();
    let asking = client("198.51.100.7:4000");
    door.send(asking, UdpTarget::Task { task: TaskId(1), port: 53 }, "?".into());
    let question = socket.try_receive().unwrap().unwrap();
    socket.send_to("!".into(), question.source).unwrap();
    assert_eq!(answer(&door), Some((asking, "!".into())));
    door.send(asking, UdpTarget::Task { task: TaskId(9), port: 53 }, "nobody".into());
}

#[tokio::test]
async fn a_client_cannot_pass_for_a_task_or_the_task_itself() {
    let (home, _away) = two_nodes(&[(1, HOME)]);
    let task = attach(&home, 1, &[BLUE, INGRESS]);
    let socket = task.bind_udp(any(53)).unwrap();
    let door = home.open_door();
    for forged in [at(BLUE, 1, 9), at(BLUE, 201, 9)] {
        door.send(UdpClient { address: forged, heard_at: None }, DNS, "forged".into());
    }
    assert_eq!(socket.try_receive().unwrap(), None);
    // A client on the node's own loopback is answered, but what a task says to itself stays inside.
    let asking = UdpClient { address: loopback(4000), heard_at: None };
    door.send(asking, DNS, "?".into());
    assert_eq!(socket.try_receive().unwrap().unwrap().source, loopback(4000));
    socket.send_to("!".into(), loopback(4000)).unwrap();
    assert_eq!(answer(&door), Some((asking, "!".into())));
    let own = task.bind_udp(any(4000)).unwrap();
    own.send_to("mine".into(), loopback(53)).unwrap();
    assert_eq!(socket.try_receive().unwrap().unwrap().payload, "mine");
    socket.send_to("yours".into(), loopback(4000)).unwrap();
    assert_eq!((answer(&door), own.try_receive().unwrap().unwrap().payload), (None, "yours".into()));
}

/// C libraries abort on an address of the other family, so a guest's socket is never shown one.
#[tokio::test]
async fn clients_of_both_families_are_served_by_sockets_of_either() {
    let (home, _away) = two_nodes(&[(1, HOME)]);
    let task = attach(&home, 1, &[BLUE, INGRESS]);
    for (family, bound) in [(Family::V4, any(53)), (Family::V6, "[::]:53".parse().unwrap())] {
        let mut socket = UdpSocket::new(task.clone(), family);
        socket.bind(bound).unwrap();
        let door = home.open_door();
        for asking in [client("198.51.100.7:4000"), client("[2001:db8::7]:4000")] {
            door.send(asking, DNS, "?".into());
            let question = socket.try_receive().unwrap().unwrap();
            assert_eq!((question.source.is_ipv4(), question.source.port()), (family == Family::V4, 4000), "{}", question.source);
            socket.send("!".into(), Some(question.source)).unwrap();
            assert_eq!(answer(&door), Some((asking, "!".into())), "{family:?}");
        }
    }
}

#[tokio::test]
async fn a_door_remembers_a_bounded_number_of_clients_and_answers() {
    let (home, _away) = two_nodes(&[(1, HOME)]);
    let task = attach(&home, 1, &[BLUE, INGRESS]);
    let socket = task.bind_udp(any(53)).unwrap();
    let door = home.open_door();
    let nth = |n: usize| UdpClient { address: SocketAddr::from(([198, 51, (n >> 8) as u8, n as u8], 9)), heard_at: None };
    for n in 0..=limits::OUTSIDE_CLIENTS_MAX {
        door.send(nth(n), DNS, Bytes::new());
        socket.try_receive().unwrap().unwrap();
    }
    assert_eq!(socket.send_to("!".into(), nth(0).address), Err(NetError::Unreachable), "the oldest is forgotten");
    for _ in 0..=limits::DATAGRAMS_QUEUED_MAX {
        socket.send_to("!".into(), nth(1).address).unwrap();
    }
    assert_eq!(std::iter::from_fn(|| answer(&door)).count(), limits::DATAGRAMS_QUEUED_MAX);
    door.send(nth(1), DNS, vec![0; limits::DATAGRAM_BYTES_MAX + 1].into());
    assert_eq!(socket.try_receive().unwrap(), None, "too large for a datagram");
}
