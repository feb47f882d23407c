//! The end of a task: everything it holds is closed, and everyone who waits on it is woken.
use std::future::poll_fn;
use std::time::Duration;

use minicloud_net::{NetError, TcpSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::{BLUE, any, at, attach, connected, loopback, read_all, settle, two_tasks};

#[tokio::test]
async fn detaching_resets_both_ends_of_its_connections() {
    let (_switch, client, server) = two_tasks();
    let (mut near, far) = connected(&client, &server).await;
    let (mut far_reader, mut far_writer) = far.into_split();
    near.write_all(b"unread").await.unwrap();
    let reading = tokio::spawn(async move {
        let mut byte = [0];
        let result = near.read_exact(&mut byte).await.map(|_| ()).map_err(|error| error.kind());
        (result, near)
    });
    settle().await;
    server.close();
    let (result, mut near) = timeout(Duration::from_secs(5), reading).await.expect("the peer is woken").unwrap();
    assert_eq!(result, Err(std::io::ErrorKind::ConnectionReset));
    assert_eq!(near.write_u8(1).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(read_all(&mut far_reader).await, Err(NetError::Reset));
    assert_eq!(far_writer.push("x".into()), Err(NetError::Reset));
    assert_eq!(server.usage().connections, 0);
}

#[tokio::test]
async fn what_a_task_finished_before_it_ended_still_arrives() {
    let (_switch, client, server) = two_tasks();
    let (mut near, mut far) = connected(&client, &server).await;
    far.write_all(b"the answer").await.unwrap();
    drop(far);
    drop(server);
    assert_eq!(read_all(&mut near.reader).await.unwrap(), b"the answer");
}

#[tokio::test]
async fn detaching_wakes_everyone_who_waits_in_the_task() {
    let (_switch, net, _other) = two_tasks();
    let listener = net.listen(any(80), 8).unwrap();
    let socket = net.bind_udp(any(53)).unwrap();
    let (near, mut far) = connected(&net, &net).await;
    let closed = net.closed();
    let waiting = tokio::spawn(async move {
        tokio::join!(listener.accept(), poll_fn(|cx| socket.poll_receive(cx)), poll_fn(|cx| far.reader.poll_read_bytes(cx, 1)), closed,)
    });
    settle().await;
    assert!(!waiting.is_finished());
    net.close();
    let (accepted, received, read, ()) = timeout(Duration::from_secs(5), waiting).await.expect("all are woken").unwrap();
    assert_eq!(accepted.unwrap_err(), NetError::Aborted);
    assert_eq!(received.unwrap_err(), NetError::Aborted);
    assert_eq!(read.unwrap_err(), NetError::Reset);
    drop(near);
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_the_making_is_given_up() {
    let (_switch, client, server) = two_tasks();
    let _listener = server.listen(any(80), 1).unwrap();
    let _held = client.connect(None, at(BLUE, 2, 80)).await.unwrap();
    let waiting = tokio::spawn(client.connect(None, at(BLUE, 2, 80)));
    settle().await;
    drop(client);
    assert_eq!(waiting.await.unwrap().unwrap_err(), NetError::Aborted);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_waits_for_room_learns_that_its_target_is_gone() {
    let (_switch, client, server) = two_tasks();
    let _listener = server.listen(any(80), 1).unwrap();
    let _held = client.connect(None, at(BLUE, 2, 80)).await.unwrap();
    let waiting = tokio::spawn(client.connect(None, at(BLUE, 2, 80)));
    settle().await;
    let started = tokio::time::Instant::now();
    server.close();
    assert_eq!(waiting.await.unwrap().unwrap_err(), NetError::Refused);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn the_last_clone_detaches_and_no_earlier_one() {
    let (_switch, client, server) = two_tasks();
    let clone = server.clone();
    let _listener = server.listen(any(80), 8).unwrap();
    drop(server);
    assert!(client.connect(None, at(BLUE, 2, 80)).await.is_ok());
    drop(clone);
    assert_eq!(client.connect(None, at(BLUE, 2, 80)).await.unwrap_err(), NetError::Unreachable);
}

#[tokio::test]
async fn nothing_can_be_opened_in_a_detached_task() {
    let (_switch, net, _other) = two_tasks();
    let reservation = net.reserve(any(90)).unwrap();
    net.close();
    net.close();
    net.closed().await;
    assert_eq!(net.listen(any(80), 8).unwrap_err(), NetError::Aborted);
    assert_eq!(net.listen_on(reservation, 8).unwrap_err(), NetError::Aborted);
    assert_eq!(net.bind_udp(any(80)).unwrap_err(), NetError::Aborted);
    assert_eq!(net.connect(None, loopback(80)).await.unwrap_err(), NetError::Aborted);
    let mut socket = TcpSocket::new(net, minicloud_net::Family::V4);
    assert_eq!(socket.bind(any(0)), Err(NetError::Aborted));
}

#[tokio::test]
async fn a_task_attached_anew_takes_the_place_of_the_old_one() {
    let (switch, client, old) = two_tasks();
    let _old_listener = old.listen(any(80), 8).unwrap();
    let new = attach(&switch, 2, &[BLUE]);
    old.closed().await;
    assert_eq!(client.connect(None, at(BLUE, 2, 80)).await.unwrap_err(), NetError::Refused);
    let _listener = new.listen(any(80), 8).unwrap();
    drop(old);
    assert!(client.connect(None, at(BLUE, 2, 80)).await.is_ok(), "the old one takes nothing with it");
}
