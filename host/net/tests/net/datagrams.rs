//! UDP: best effort, sticky per socket, bounded.
use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use minicloud_net::{Datagram, Family, NetError, NoUplink, Switch, UdpSocket, limits};

use crate::support::{AWAY, BLUE, HOME, Wire, any, at, attach, loopback, poll_now, routes, two_tasks, vip};

fn text(datagram: Option<Datagram>) -> String {
    String::from_utf8(datagram.expect("a datagram waits").payload.to_vec()).unwrap()
}

#[tokio::test]
async fn datagrams_arrive_whole_in_order_with_their_sender() {
    let (_switch, client, server) = two_tasks();
    let from = client.bind_udp(any(1000)).unwrap();
    let to = server.bind_udp(any(53)).unwrap();
    for payload in ["one", "", "three"] {
        from.send_to(payload.into(), at(BLUE, 2, 53)).unwrap();
    }
    for payload in ["one", "", "three"] {
        let datagram = poll_fn(|cx| to.poll_receive(cx)).await.unwrap();
        assert_eq!(datagram, Datagram { payload: payload.into(), source: at(BLUE, 1, 1000) });
    }
    to.send_to("back".into(), at(BLUE, 1, 1000)).unwrap();
    assert_eq!(from.try_receive().unwrap().unwrap(), Datagram { payload: "back".into(), source: at(BLUE, 2, 53) });
}

#[tokio::test]
async fn usage_counts_the_bytes_of_datagrams_that_were_sent_and_taken() {
    let (_switch, client, server) = two_tasks();
    let (from, to) = (client.bind_udp(any(0)).unwrap(), server.bind_udp(any(53)).unwrap());
    from.send_to("12345".into(), at(BLUE, 2, 53)).unwrap();
    from.send_to("123".into(), at(BLUE, 99, 53)).unwrap_err();
    assert_eq!((client.usage().sent_bytes, server.usage().received_bytes), (5, 0));
    to.try_receive().unwrap().unwrap();
    assert_eq!((server.usage().received_bytes, server.usage().sent_bytes, client.usage().received_bytes), (5, 0, 0));
}

#[tokio::test]
async fn nobody_there_is_no_error_but_no_route_is() {
    let (_switch, client, _server) = two_tasks();
    let socket = client.bind_udp(any(0)).unwrap();
    assert_eq!(socket.send_to("x".into(), at(BLUE, 2, 53)), Ok(()));
    assert_eq!(socket.send_to("x".into(), at(BLUE, 99, 53)), Err(NetError::Unreachable));
    assert_eq!(socket.send_to("x".into(), at(BLUE, 2, 0)), Err(NetError::InvalidArgument));
    assert_eq!(socket.send_to("x".into(), any(53)), Err(NetError::InvalidArgument));
}

#[tokio::test]
async fn a_datagram_has_a_largest_size() {
    let (_switch, client, server) = two_tasks();
    let (from, to) = (client.bind_udp(any(0)).unwrap(), server.bind_udp(any(53)).unwrap());
    let largest = Bytes::from(vec![7; limits::DATAGRAM_BYTES_MAX]);
    from.send_to(largest.clone(), at(BLUE, 2, 53)).unwrap();
    assert_eq!(to.try_receive().unwrap().unwrap().payload, largest);
    let larger = Bytes::from(vec![7; limits::DATAGRAM_BYTES_MAX + 1]);
    assert_eq!(from.send_to(larger, at(BLUE, 2, 53)), Err(NetError::DatagramTooLarge));
    assert_eq!(limits::DATAGRAM_BYTES_MAX, 65_507);
}

#[tokio::test]
async fn a_full_socket_drops_the_newest() {
    let (_switch, client, server) = two_tasks();
    let (from, to) = (client.bind_udp(any(0)).unwrap(), server.bind_udp(any(53)).unwrap());
    for nth in 0..limits::DATAGRAMS_QUEUED_MAX + 10 {
        from.send_to(nth.to_string().into(), at(BLUE, 2, 53)).unwrap();
    }
    let received: Vec<String> = std::iter::from_fn(|| to.try_receive().unwrap()).map(|datagram| text(Some(datagram))).collect();
    assert_eq!(received.len(), limits::DATAGRAMS_QUEUED_MAX);
    assert_eq!((received[0].as_str(), received.last().unwrap().as_str()), ("0", "255"));

    for _ in 0..100 {
        from.send_to(vec![0; 60_000].into(), at(BLUE, 2, 53)).unwrap();
    }
    let bytes: usize = std::iter::from_fn(|| to.try_receive().unwrap()).map(|datagram| datagram.payload.len()).sum();
    assert!(bytes > 0 && bytes <= limits::DATAGRAM_BYTES_QUEUED_MAX, "{bytes} bytes waited");
    from.send_to(vec![1; 60_000].into(), at(BLUE, 2, 53)).unwrap();
    assert!(to.try_receive().unwrap().is_some(), "what was received makes room");
}

#[tokio::test]
async fn loopback_is_private_for_datagrams_too() {
    let (_switch, net, other) = two_tasks();
    let socket = net.bind_udp(loopback(53)).unwrap();
    let foreign = other.bind_udp(any(0)).unwrap();
    foreign.send_to("x".into(), loopback(53)).unwrap();
    foreign.send_to("x".into(), at(BLUE, 1, 53)).unwrap();
    assert_eq!(socket.try_receive(), Ok(None));
    let own = net.bind_udp(any(99)).unwrap();
    own.send_to("mine".into(), loopback(53)).unwrap();
    assert_eq!(socket.try_receive().unwrap().unwrap().source, loopback(99));
    assert_eq!(socket.send_to("x".into(), at(BLUE, 2, 53)), Err(NetError::Unreachable), "bound to loopback");
}

#[tokio::test]
async fn a_socket_stays_with_its_backend_until_that_is_gone() {
    let switch = Switch::new(HOME, Arc::new(NoUplink));
    let both = [(1, HOME), (2, HOME)];
    switch.set_routes(routes().service(1, "dns", &[BLUE], &both).build());
    let backends = [attach(&switch, 1, &[BLUE]), attach(&switch, 2, &[BLUE])];
    let servers = backends.each_ref().map(|net| net.bind_udp(any(53)).unwrap());
    let client = attach(&switch, 9, &[BLUE]);
    let sockets = [client.bind_udp(any(0)).unwrap(), client.bind_udp(any(0)).unwrap()];
    for _ in 0..5 {
        for socket in &sockets {
            socket.send_to("?".into(), vip(BLUE, 1, 53)).unwrap();
        }
    }
    let received = servers.each_ref().map(|server| std::iter::from_fn(|| server.try_receive().unwrap()).collect::<Vec<_>>());
    for received in &received {
        assert_eq!(received.len(), 5, "each backend got one socket");
        assert!(received.iter().all(|datagram| datagram.source == received[0].source));
    }
    // An answer seems to come from the address that was asked.
    servers[0].send_to("!".into(), received[0][0].source).unwrap();
    let asked = sockets.iter().find(|socket| socket.local_address().port() == received[0][0].source.port()).unwrap();
    assert_eq!(asked.try_receive().unwrap().unwrap(), Datagram { payload: "!".into(), source: vip(BLUE, 1, 53) });
    // The first backend leaves: its socket moves to the other one.
    switch.set_routes(routes().service(1, "dns", &[BLUE], &[(2, HOME)]).build());
    asked.send_to("??".into(), vip(BLUE, 1, 53)).unwrap();
    assert_eq!(text(servers[1].try_receive().unwrap()), "??");
    // Without any backend a datagram is lost, as datagrams are.
    switch.set_routes(routes().service(1, "dns", &[BLUE], &[]).build());
    assert_eq!(asked.send_to("???".into(), vip(BLUE, 1, 53)), Ok(()));
}

#[tokio::test]
async fn a_socket_remembers_a_bounded_number_of_backends() {
    let switch = Switch::new(HOME, Arc::new(NoUplink));
    switch.set_routes(routes().service(1, "dns", &[BLUE], &[(1, HOME)]).build());
    let backend = attach(&switch, 1, &[BLUE]);
    let client = attach(&switch, 9, &[BLUE]);
    let socket = client.bind_udp(any(0)).unwrap();
    let last = 1 + limits::STICKY_BACKENDS_MAX as u16;
    for port in 1..=last {
        socket.send_to("?".into(), vip(BLUE, 1, port)).unwrap();
    }
    let answer = |port| {
        let server = backend.bind_udp(any(port)).unwrap();
        server.send_to("!".into(), at(BLUE, 9, socket.local_address().port())).unwrap();
        socket.try_receive().unwrap().unwrap().source
    };
    assert_eq!(answer(last), vip(BLUE, 1, last));
    assert_eq!(answer(1), at(BLUE, 1, 1), "the oldest is forgotten");
}

#[tokio::test]
async fn datagrams_cross_nodes() {
    let wire = Wire::default();
    let (home, away) = (wire.switch(HOME), wire.switch(AWAY));
    let routes = routes().service(1, "dns", &[BLUE], &[(2, AWAY)]).service(2, "client", &[BLUE], &[(1, HOME)]).build();
    home.set_routes(routes.clone());
    away.set_routes(routes);
    let (client, server) = (attach(&home, 1, &[BLUE]), attach(&away, 2, &[BLUE]));
    let (socket, listening) = (client.bind_udp(any(0)).unwrap(), server.bind_udp(any(53)).unwrap());
    socket.send_to("?".into(), vip(BLUE, 1, 53)).unwrap();
    let question = listening.try_receive().unwrap().unwrap();
    assert_eq!(question.source.ip(), at(BLUE, 1, 0).ip());
    listening.send_to("!".into(), question.source).unwrap();
    assert_eq!(socket.try_receive().unwrap().unwrap(), Datagram { payload: "!".into(), source: vip(BLUE, 1, 53) });
}

#[tokio::test]
async fn a_guests_socket_binds_itself_and_hears_only_its_peer() {
    let (_switch, client, server) = two_tasks();
    let listening = server.bind_udp(any(53)).unwrap();
    let other = server.bind_udp(any(54)).unwrap();
    let mut socket = UdpSocket::new(client, Family::V4);
    assert_eq!(socket.local_address(), Err(NetError::InvalidState));
    assert_eq!(socket.try_receive(), Err(NetError::InvalidState));
    assert_eq!(socket.send("x".into(), None), Err(NetError::InvalidArgument));
    assert_eq!(socket.disconnect(), Err(NetError::InvalidState));
    assert_eq!(socket.connect("[::1]:53".parse().unwrap()), Err(NetError::InvalidArgument));
    socket.connect(at(BLUE, 2, 53)).unwrap();
    socket.send("hello".into(), None).unwrap();
    assert_eq!(socket.send("x".into(), Some(at(BLUE, 2, 54))), Err(NetError::InvalidArgument));
    let source = listening.try_receive().unwrap().unwrap().source;
    assert_eq!(source.port(), socket.local_address().unwrap().port());
    other.send_to("noise".into(), source).unwrap();
    listening.send_to("answer".into(), source).unwrap();
    assert_eq!(text(socket.try_receive().unwrap()), "answer");
    socket.disconnect().unwrap();
    other.send_to("noise".into(), source).unwrap();
    assert_eq!(text(poll_now(|cx| socket.poll_receive(cx)).map(Result::unwrap)), "noise");
    assert_eq!(socket.bind(any(0)), Err(NetError::InvalidState));
}
