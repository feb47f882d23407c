//! Sockets over the virtual network, in both versions of WASI and every pairing of them.
use minicloud_core::task::Exit;

use crate::support::{CLI2, CLI3, NETWORK, Node, OTHER_NETWORK, eventually, guest, load};

#[tokio::test(flavor = "multi_thread")]
async fn bytes_come_back_in_all_four_pairings() {
    let node = Node::new();
    for (name, server) in [("echo2", CLI2), ("echo3", CLI3)] {
        let server = node.run(name, server, &["echo-server", "7000"]).await;
        eventually("the server", || server.log.text().contains("listening on 0.0.0.0:7000")).await;
        for client in [CLI2, CLI3] {
            let client = node.run("client", client, &["echo-client", name, "7000", "1000000"]).await;
            assert_eq!(client.wait().await, Exit::Completed, "{}\n{}", client.log.text(), server.log.text());
            assert!(client.log.text().contains("echo ok 1000000"));
            // The server sees its true peer.
            assert!(server.log.text().contains(&format!("accepted {}:", client.address)), "{}", server.log.text());
        }
        eventually("both to be counted", || server.log.text().matches("echoed 1000000 bytes").count() == 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_0_3_server_serves_many_clients_at_once() {
    let node = Node::new();
    let server = node.run("echo", CLI3, &["echo-server", "7000"]).await;
    eventually("the server", || server.log.text().contains("listening")).await;
    let client = node.run("client", CLI3, &["echo-clients", "echo", "7000", "300000", "20"]).await;
    assert_eq!(client.wait().await, Exit::Completed, "{}", client.log.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_come_back_in_all_four_pairings() {
    let node = Node::new();
    for (name, server) in [("udp2", CLI2), ("udp3", CLI3)] {
        let server = node.run(name, server, &["udp-server", "5353"]).await;
        eventually("the server", || server.log.text().contains("udp on 0.0.0.0:5353")).await;
        for client in [CLI2, CLI3] {
            let client = node.run("client", client, &["udp-client", name, "5353"]).await;
            assert_eq!(client.wait().await, Exit::Completed, "{}", client.log.text());
            assert!(client.log.text().contains("udp \"ping\" from"), "{}", client.log.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_resolve_on_the_tasks_own_networks_only() {
    let node = Node::new();
    let _here = node.run("here", CLI2, &["sleep", "3600000"]).await;
    let component = load(&node.engine, guest(CLI2)).await.unwrap();
    let _there = node.start("there", &component, OTHER_NETWORK, &["sleep", "3600000"], |_| {}).await.unwrap();
    for client in [CLI2, CLI3] {
        let found = node.run("client", client, &["resolve", "here"]).await;
        assert_eq!(found.wait().await, Exit::Completed, "{}", found.log.text());
        assert_eq!(found.log.lines(), ["10.1.1.1"]);
        let hidden = node.run("client", client, &["resolve", "there"]).await;
        assert_eq!(hidden.wait().await, Exit::Failed { code: 1 }, "{}", hidden.log.text());
        let outside = node.run("client", client, &["resolve", "example.com"]).await;
        assert_eq!(outside.wait().await, Exit::Failed { code: 1 }, "{}", outside.log.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_network_cannot_be_reached_by_address_either() {
    let node = Node::new();
    let component = load(&node.engine, guest(CLI2)).await.unwrap();
    let server = node.start("server", &component, OTHER_NETWORK, &["echo-server", "7000"], |_| {}).await.unwrap();
    eventually("the server", || server.log.text().contains("listening")).await;
    for client in [CLI2, CLI3] {
        let client = node.run("client", client, &["connect", &server.address.to_string(), "7000"]).await;
        client.wait().await;
        assert_eq!(client.log.lines(), ["connect: unreachable"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_of_the_host_can_be_reached() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let node = Node::new();
    for client in [CLI2, CLI3] {
        let client = node.run("client", client, &["connect", "127.0.0.1", &port]).await;
        client.wait().await;
        assert_eq!(client.log.lines(), ["connect: refused"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_is_private_to_a_task() {
    let node = Node::new();
    let server = node.run("server", CLI2, &["bind-loopback", "7000"]).await;
    eventually("the server", || server.log.text().contains("listening on 127.0.0.1:7000")).await;
    for host in ["127.0.0.1", &server.address.to_string()] {
        let client = node.run("client", CLI2, &["connect", host, "7000"]).await;
        client.wait().await;
        assert_eq!(client.log.lines(), ["connect: refused"], "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_given_once() {
    let node = Node::new();
    let task = node.run("task", CLI2, &["bind-twice", "7000"]).await;
    task.wait().await;
    assert_eq!(task.log.lines(), ["second bind: address in use"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_a_server_breaks_its_connections() {
    let node = Node::new();
    let server = node.run("server", CLI3, &["echo-server", "7000"]).await;
    eventually("the server", || server.log.text().contains("listening")).await;
    let client = node.client(NETWORK);
    let mut connection = client.connect(None, (server.address, 7000).into()).await.unwrap();
    eventually("the connection", || server.log.text().contains("accepted")).await;
    server.task.kill().await;
    let ended = tokio::io::AsyncReadExt::read(&mut connection, &mut [0; 1]).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}
