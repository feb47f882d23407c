//! The stream socket of a guest: WASI's states, options and refusals.
use std::future::poll_fn;
use std::net::SocketAddr;

use minicloud_net::{Family, NetError, TcpOptions, TcpSocket};

use crate::support::{BLUE, any, at, loopback, poll_now, read_all, two_tasks, write_all};

#[tokio::test]
async fn a_socket_goes_from_unbound_to_connected() {
    let (_switch, client, server) = two_tasks();
    let mut listening = TcpSocket::new(server, Family::V4);
    assert_eq!(listening.local_address(), Err(NetError::InvalidState));
    listening.bind(any(80)).unwrap();
    assert_eq!(listening.local_address(), Ok(any(80)));
    assert_eq!(listening.bind(any(81)), Err(NetError::InvalidState));
    let options = TcpOptions { hop_limit: 9, ..TcpOptions::default() };
    listening.set_options(options).unwrap();
    listening.listen().unwrap();
    assert!(listening.is_listening());
    assert_eq!(listening.listen().unwrap_err(), NetError::InvalidState);
    assert_eq!(listening.start_connect(loopback(1)), Err(NetError::InvalidState));
    assert!(listening.try_accept().unwrap().is_none());

    // The task outlives its sockets, as its agent holds it too.
    let mut socket = TcpSocket::new(client.clone(), Family::V4);
    socket.bind(any(0)).unwrap();
    let bound = socket.local_address().unwrap();
    socket.start_connect(at(BLUE, 2, 80)).unwrap();
    assert!(socket.is_connecting());
    assert_eq!(socket.start_connect(at(BLUE, 2, 80)), Err(NetError::InvalidState));
    assert_eq!(socket.take_streams().unwrap_err(), NetError::InvalidState);
    poll_fn(|cx| socket.poll_connect(cx)).await.unwrap();
    assert_eq!(socket.local_address().unwrap().port(), bound.port());
    assert_eq!(socket.remote_address(), Ok(at(BLUE, 2, 80)));
    assert_eq!(socket.net().reserve(bound).unwrap_err(), NetError::AddressInUse, "the port is still this socket's");

    let mut accepted = poll_fn(|cx| listening.poll_accept(cx)).await.unwrap();
    assert_eq!(accepted.options(), options, "inherited");
    assert_eq!(accepted.remote_address(), socket.local_address());
    let (mut reader, writer) = accepted.take_streams().unwrap();
    assert_eq!(accepted.take_streams().unwrap_err(), NetError::InvalidState);
    assert_eq!(accepted.take_reader().unwrap_err(), NetError::InvalidState);
    let mut sending = socket.take_writer().unwrap();
    write_all(&mut sending, b"hello").await.unwrap();
    drop((sending, writer));
    assert_eq!(read_all(&mut reader).await.unwrap(), b"hello");
    let mut receiving = socket.take_reader().unwrap();
    drop(socket);
    assert_eq!(read_all(&mut receiving).await.unwrap(), b"", "streams outlive the socket");
}

#[tokio::test]
async fn a_failed_connection_closes_the_socket_for_good() {
    let (_switch, client, _server) = two_tasks();
    let mut socket = TcpSocket::new(client, Family::V4);
    assert_eq!(poll_now(|cx| socket.poll_connect(cx)), Some(Err(NetError::InvalidState)));
    socket.start_connect(at(BLUE, 2, 80)).unwrap();
    assert_eq!(poll_fn(|cx| socket.poll_connect(cx)).await, Err(NetError::Refused));
    assert_eq!(poll_now(|cx| socket.poll_connect(cx)), Some(Err(NetError::Refused)));
    assert_eq!(socket.take_streams().unwrap_err(), NetError::Refused);
    assert_eq!(socket.local_address(), Err(NetError::Refused));
    assert_eq!(socket.bind(any(0)), Err(NetError::InvalidState));
}

#[tokio::test]
async fn addresses_must_fit_the_family_and_the_call() {
    let (_switch, net, _) = two_tasks();
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    for wrong in ["[::1]:80", "224.0.0.1:80", "255.255.255.255:80"] {
        assert_eq!(TcpSocket::new(net.clone(), Family::V4).bind(address(wrong)), Err(NetError::InvalidArgument), "{wrong}");
    }
    for wrong in ["127.0.0.1:80", "[::ffff:127.0.0.1]:80", "[::127.0.0.1]:80", "[ff02::1]:80"] {
        assert_eq!(TcpSocket::new(net.clone(), Family::V6).bind(address(wrong)), Err(NetError::InvalidArgument), "{wrong}");
    }
    for wrong in ["0.0.0.0:80", "127.0.0.1:0", "[::1]:80", "239.1.1.1:80"] {
        let mut socket = TcpSocket::new(net.clone(), Family::V4);
        assert_eq!(socket.start_connect(address(wrong)), Err(NetError::InvalidArgument), "{wrong}");
        assert!(socket.bind(any(0)).is_ok(), "a wrong argument does not close the socket");
    }
}

#[tokio::test]
async fn a_failed_bind_can_be_tried_again_and_dropping_frees_the_port() {
    let (_switch, net, _) = two_tasks();
    let mut first = TcpSocket::new(net.clone(), Family::V4);
    first.bind(any(80)).unwrap();
    let mut second = TcpSocket::new(net.clone(), Family::V4);
    assert_eq!(second.bind(any(80)), Err(NetError::AddressInUse));
    drop(first);
    assert_eq!(second.bind(any(80)), Ok(()));
}

#[tokio::test]
async fn listening_unbound_chooses_a_port() {
    let (_switch, net, _) = two_tasks();
    let mut socket = TcpSocket::new(net.clone(), Family::V4);
    let listener = socket.listen().unwrap();
    let port = socket.local_address().unwrap().port();
    drop(socket);
    net.connect(None, loopback(port)).await.unwrap();
    listener.accept().await.unwrap();
}

#[tokio::test]
async fn a_v6_socket_works_within_the_task() {
    let (_switch, net, _) = two_tasks();
    let mut listening = TcpSocket::new(net.clone(), Family::V6);
    listening.bind("[::]:80".parse().unwrap()).unwrap();
    listening.listen().unwrap();
    let mut socket = TcpSocket::new(net, Family::V6);
    socket.start_connect("[::1]:80".parse().unwrap()).unwrap();
    poll_fn(|cx| socket.poll_connect(cx)).await.unwrap();
    assert!(listening.try_accept().unwrap().is_some());
}

#[tokio::test]
async fn options_of_zero_are_refused_and_the_rest_is_remembered() {
    let (_switch, net, _) = two_tasks();
    let mut socket = TcpSocket::new(net, Family::V4);
    let default = TcpOptions::default();
    let zeros = [
        TcpOptions { keep_alive_idle_ns: 0, ..default },
        TcpOptions { keep_alive_interval_ns: 0, ..default },
        TcpOptions { keep_alive_count: 0, ..default },
        TcpOptions { hop_limit: 0, ..default },
        TcpOptions { receive_buffer_bytes: 0, ..default },
        TcpOptions { send_buffer_bytes: 0, ..default },
    ];
    for zero in zeros {
        assert_eq!(socket.set_options(zero), Err(NetError::InvalidArgument));
    }
    assert_eq!(socket.options(), default);
    assert_eq!(socket.set_backlog(0), Err(NetError::InvalidArgument));
    assert_eq!(socket.set_backlog(u64::MAX), Ok(()));
}

#[tokio::test]
async fn the_backlog_of_a_listening_socket_can_grow() {
    let (_switch, client, server) = two_tasks();
    let mut socket = TcpSocket::new(server, Family::V4);
    socket.bind(any(80)).unwrap();
    socket.set_backlog(1).unwrap();
    let _listener = socket.listen().unwrap();
    let mut held = vec![client.connect(None, at(BLUE, 2, 80)).await.unwrap()];
    socket.set_backlog(3).unwrap();
    for _ in 0..2 {
        held.push(client.connect(None, at(BLUE, 2, 80)).await.unwrap());
    }
}
