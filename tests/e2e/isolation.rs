//! Who reaches whom: only what shares a network, under the true address of whoever asks.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::support::{Cluster, Node, guest, wait_for};

/// Creates a service of test guest `image` with these flags and arguments.
fn create(node: &Node, name: &str, flags: &[&str], image: &str, args: &[&str]) {
    let image = guest(image);
    let flags = [&["service", "create", "--name", name], flags].concat();
    node.ok(&[&flags[..], &[image.to_str().unwrap()], args].concat());
}

#[test]
fn tasks_that_share_no_network_neither_resolve_nor_connect() {
    let cluster = Cluster::with_workers(1);
    let node = &cluster.nodes[0];
    node.ok(&["network", "create", "--internal", "front"]);
    node.ok(&["network", "create", "back"]);
    let (here, there) = ("node.hostname==node1", "node.hostname==node2");
    create(node, "server", &["--network", "back", "--constraint", there], "test_http3", &[]);
    create(node, "friend", &["--network", "back", "--constraint", here, "-p", "8001:80"], "test_http2", &[]);
    create(node, "stranger", &["--network", "front", "--constraint", here, "-p", "8002:80"], "test_http2", &[]);
    create(node, "stranger3", &["--network", "front", "--constraint", there, "-p", "8003:80"], "test_http3", &[]);
    let ask = |port: u16, host: &str| wait_for("the guest answers", || node.http(port, &format!("/get?url=http://{host}/"))).0;
    let task = node.running("server")[0].clone();
    let vip = node.json(&["service", "inspect", "server"]).unwrap()[0]["vips"][0]["address"].as_str().unwrap().to_owned();
    let address = task["networks"]["back"].as_str().unwrap();
    let targets = ["server", "server.back", "server.back.minicloud", "tasks.server", &vip, address];
    for target in targets {
        assert_eq!(ask(8001, target), 200, "on the same network: {target}");
        assert_eq!(ask(8002, target), 502, "WASI 0.2, no shared network: {target}");
        assert_eq!(ask(8003, target), 502, "WASI 0.3, no shared network: {target}");
    }
    for outside in ["example.com", "127.0.0.1:8001", "192.0.2.1", &format!("{}:8001", node.ip)] {
        assert_eq!(ask(8001, outside), 502, "no task leaves the cluster: {outside}");
    }
    raw_sockets_are_as_isolated(node, &vip, address);
    node.ok(&["service", "update", "--network-add", "back", "stranger"]);
    wait_for("it is on the network now", || (ask(8002, "server") == 200 && ask(8002, address) == 200).then_some(()));
    node.ok(&["service", "update", "--network-rm", "back", "stranger"]);
    wait_for("it is off the network again", || (ask(8002, "server") == 502 && ask(8002, address) == 502).then_some(()));
    assert_eq!(ask(8001, "server"), 200, "the others see no difference");
}

/// A command of either WASI version that resolves or connects by itself, and runs to its end.
fn raw_sockets_are_as_isolated(node: &Node, vip: &str, address: &str) {
    let cases = [
        ("test-cli2", "back", vec!["connect", "server", "80"], "connected to"),
        ("test_cli3", "back", vec!["connect", address, "80"], "connected to"),
        ("test-cli2", "front", vec!["resolve", "server"], "cannot resolve"),
        ("test_cli3", "front", vec!["resolve", "tasks.server.back"], "cannot resolve"),
        ("test-cli2", "front", vec!["connect", vip, "80"], "connect: unreachable"),
        ("test_cli3", "front", vec!["connect", address, "80"], "connect: unreachable"),
    ];
    for (number, (image, network, args, said)) in cases.iter().enumerate() {
        let name = format!("probe{number}");
        create(node, &name, &["-d", "--network", network, "--restart-condition", "none"], image, args);
        let log = wait_for("the probe says something", || Some(node.ok(&["service", "logs", &name])).filter(|log| !log.is_empty()));
        assert!(log.contains(said), "{image} {args:?} on {network}: {log}");
    }
}

#[test]
fn a_guest_sees_its_client_s_true_address_from_every_node() {
    let cluster = Cluster::with_workers(2);
    let node = &cluster.nodes[0];
    create(node, "web", &["--constraint", "node.hostname==node2", "-p", "8080:80"], "test_http3", &[]);
    create(node, "echo", &["--constraint", "node.hostname==node3", "-p", "7000:7000"], "test-cli2", &["echo-server", "7000"]);
    for (number, node) in cluster.nodes.iter().enumerate() {
        let client = SocketAddr::new(cluster.address(200 + number as u8), 0);
        let asked = wait_for("the page answers", || from(client, SocketAddr::new(node.ip, 8080), "/headers"));
        assert!(asked.contains(&format!("x-forwarded-for: {}\n", client.ip())), "through {}: {asked}", node.ip);
        let forged = from(client, SocketAddr::new(node.ip, 8080), "/headers HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1\r\nx-rest:");
        let forged = forged.expect("it answered just now");
        assert!(forged.contains(&format!("x-forwarded-for: 192.0.2.1, {}\n", client.ip())), "through {}: {forged}", node.ip);
        let _open = wait_for("the connection is taken", || connect(client, SocketAddr::new(node.ip, 7000)).ok());
        wait_for("a socket's peer is the client", || {
            let log = cluster.nodes[0].ok(&["service", "logs", "echo"]);
            log.contains(&format!("accepted {}:", client.ip())).then_some(())
        });
    }
}

/// `GET` from this address of ours: everything that came back.
fn from(client: SocketAddr, server: SocketAddr, path: &str) -> Option<String> {
    let mut stream = connect(client, server).ok()?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(15))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

fn connect(client: SocketAddr, server: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(server), socket2::Type::STREAM, None)?;
    socket.bind(&client.into())?;
    socket.connect(&server.into())?;
    Ok(socket.into())
}

#[test]
fn an_ipv6_client_keeps_its_address_too() {
    let mut cluster = Cluster::with_workers(1);
    let port = match std::net::TcpListener::bind("[::1]:0") {
        Ok(listener) => listener.local_addr().unwrap().port().to_string(),
        Err(error) => return crate::support::programs::skip(&format!("this machine has no IPv6: {error}")),
    };
    let token = cluster.nodes[0].ok(&["join-token", "-q", "worker"]);
    let manager = format!("{}:2377", cluster.nodes[0].ip);
    let third = cluster.add_node();
    let listen = format!("{}:2377", third.ip);
    let join = ["join", "--listen-addr", &listen, "--ingress-addr", "::1", "--hostname", "node3", "--token", token.trim(), &manager];
    third.ok(&join);
    let node = &cluster.nodes[0];
    create(node, "web", &["--constraint", "node.hostname==node2", "-p", &format!("{port}:80")], "test_http2", &[]);
    let server = SocketAddr::new("::1".parse().unwrap(), port.parse().unwrap());
    let asked = wait_for("the page answers", || from("[::1]:0".parse().unwrap(), server, "/headers"));
    assert!(asked.contains("x-forwarded-for: ::1\n"), "{asked}");
}

#[test]
fn a_published_port_binds_the_address_given_and_a_taken_one_is_told() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    let address = cluster.address(77);
    node.ok(&["service", "create", "--name", "bound", "-p", &format!("{address}:8000:80"), "rng"]);
    let answer = wait_for("it answers there", || crate::support::http(SocketAddr::new(address, 8000), "/"));
    assert_eq!(answer.1, "RNG running on bound-1\n");
    assert!(node.http(8000, "/").is_none(), "and nowhere else");
    let taken = std::net::TcpListener::bind((node.ip, 8005)).unwrap();
    node.ok(&["service", "create", "-d", "--name", "late", "-p", "8005:80", "rng"]);
    let error = wait_for("service ps says that the port is taken", || {
        let tasks = node.json(&["service", "ps", "late"])?;
        tasks[0]["error"].as_str().filter(|error| error.contains("8005")).map(str::to_owned)
    });
    assert!(error.contains("another program listens there"), "{error}");
    let detail: Value = node.json(&["service", "inspect", "late"]).unwrap();
    assert_eq!(detail[0]["port_problems"][0]["node"], "node1");
    drop(taken);
    assert_eq!(wait_for("the port is taken up once it is free", || node.http(8005, "/")).0, 200);
    wait_for("and told no longer", || (node.json(&["service", "ps", "late"])?[0]["error"] == "").then_some(()));
}
