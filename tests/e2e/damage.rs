//! Bad input at every door: what is refused says so in one line, and what is garbage changes nothing.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use crate::support::programs::run;
use crate::support::{Cluster, Node, guest, wait_for};

/// The command's only line, which begins with `error:`; fails the test when there is more, or a panic.
#[track_caller]
fn one_error(node: &Node, args: &[&str]) -> String {
    let output = node.cli(args);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
    assert!(text.starts_with("error: ") && text.trim_end().lines().count() == 1, "{args:?}: {text}");
    assert!(!text.contains("panicked"), "{args:?}: {text}");
    text
}

#[test]
fn a_damaged_data_directory_is_refused_in_one_line_and_works_once_restored() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    node.ok(&["volume", "create", "kept"]);
    node.ok(&["stop"]);
    let garbage: Vec<u8> = (0..10_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for file in ["raft/raft-log.redb", "raft/state.redb"] {
        for damage in [&garbage[..], &std::fs::read(node.data_dir.join(file)).unwrap()[..5_000]] {
            damaged(node, file, damage);
        }
    }
    damaged(node, "raft/raft-log.redb", &[]);
    for file in ["settings.json", "node.json", "identity/node.pem"] {
        for damage in [&garbage[..], b"", b"{\"version\":1}"] {
            damaged(node, file, damage);
        }
    }
    node.ok(&["start"]);
    assert_eq!(node.json(&["volume", "ls"]).unwrap()[0]["name"], "kept");
}

/// With these bytes in place of the file the node says which file is damaged; then they are taken back.
#[track_caller]
fn damaged(node: &Node, file: &str, damage: &[u8]) {
    let path = node.data_dir.join(file);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, damage).unwrap();
    let text = one_error(node, &["start"]);
    let name = file.split('/').next().unwrap();
    assert!(text.contains(name), "{file}, {} bytes: {text}", damage.len());
    assert_eq!(node.pid(), None, "{file}: no daemon is left");
    std::fs::write(&path, whole).unwrap();
}

#[test]
fn garbage_on_the_ports_changes_nothing() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    node.ok(&["service", "create", "--name", "web", "-p", "8080:80", "rng"]);
    node.ok(&["service", "create", "--name", "redis", "-p", "6379:6379", "redis"]);
    let pid = node.pid();
    let udp = UdpSocket::bind((cluster.address(99), 0)).unwrap();
    for datagram in datagrams() {
        udp.send_to(&datagram, (node.ip, 2377)).unwrap();
    }
    let long = [b"GET /".to_vec(), vec![b'x'; 1 << 20], b" HTTP/1.1\r\n\r\n".to_vec()].concat();
    let http: [&[u8]; 6] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: \xff\xfe\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
        &long,
    ];
    for bytes in http {
        send(node, 8080, bytes);
        assert_eq!(wait_for("the service goes on", || node.http(8080, "/")).0, 200);
    }
    let resp: [&[u8]; 6] = [
        b"*-1\r\n$99999999999\r\n",
        b"*1000000000\r\n$3\r\nSET\r\n",
        b"*3\r\n$3\r\nSET\r\n$-5\r\n",
        b"$$$$\r\n\r\n\x00\x01\x02",
        b"*1\r\n:1\r\n",
        &[0xff; 65_536],
    ];
    for bytes in resp {
        send(node, 6379, bytes);
        assert_eq!(wait_for("redis goes on", || Some(ping(node)).filter(|answer| !answer.is_empty())), "+PONG\r\n");
    }
    assert_eq!(node.pid(), pid, "it is the same daemon");
    for service in ["web", "redis"] {
        let tasks = node.json(&["service", "ps", service]).unwrap();
        assert_eq!(tasks.as_array().unwrap().len(), 1, "no task was replaced: {tasks}");
    }
}

/// Noise, and packets that begin as QUIC's do.
fn datagrams() -> Vec<Vec<u8>> {
    let noise = |seed: u32| (0..1_200_u32).map(move |at| (at.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 24) as u8);
    let mut all: Vec<Vec<u8>> = (0..50).map(|seed| noise(seed).collect()).collect();
    for (number, first) in [0xc0, 0xd0, 0xe0, 0xf0, 0x40].into_iter().enumerate() {
        // A long header of version 1 with connection ids, then noise where the protected part should be.
        let head = [first, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0x44, 0x96];
        all.push(head.into_iter().chain(noise(number as u32)).take(1_200).collect());
        all.push(head.to_vec());
    }
    all.push(Vec::new());
    all
}

/// Sends it, and reads until the other side closes or says nothing more for a while.
fn send(node: &Node, port: u16, bytes: &[u8]) {
    let mut stream = TcpStream::connect(SocketAddr::new(node.ip, port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = [0; 4096];
    while stream.read(&mut answer).is_ok_and(|length| length > 0) {}
}

fn ping(node: &Node) -> String {
    let mut answer = [0; 7];
    let read = TcpStream::connect(SocketAddr::new(node.ip, 6379)).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"PING\r\n")?;
        stream.read_exact(&mut answer)
    });
    read.map(|()| String::from_utf8_lossy(&answer).into_owned()).unwrap_or_default()
}

#[test]
fn what_is_no_component_is_refused_and_what_cannot_run_says_why() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    let write = |name: &str, bytes: &[u8]| {
        let path = cluster.folder().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let half = std::fs::read(guest("test_http3")).map(|bytes| bytes[..bytes.len() / 2].to_vec()).unwrap();
    for (name, bytes, reason) in [
        ("text.wasm", &b"#!/bin/sh\nexit 0\n"[..], "component"),
        ("empty.wasm", b"", "component"),
        ("module.wasm", &wat::parse_str("(module)").unwrap(), "core WebAssembly module"),
    ] {
        let path = write(name, bytes);
        let text = one_error(node, &["service", "create", "--name", "bad", &path]);
        assert!(text.contains(&path) && text.contains(reason), "{text}");
    }
    assert!(node.json(&["service", "ls"]).unwrap().as_array().unwrap().is_empty(), "nothing was created");
    let imports = wat::parse_str(r#"(component (import "acme:queue/sender@1.0.0" (instance (export "send" (func)))))"#).unwrap();
    for (service, bytes, reason) in [
        ("broken", &half[..], "component"),
        ("foreign", &imports, "acme:queue/sender@1.0.0"),
        ("idle", &wat::parse_str("(component)").unwrap(), ""),
    ] {
        let path = write(&format!("{service}.wasm"), bytes);
        let created = node.cli(&["service", "create", "-d", "--name", service, "--restart-max-attempts", "1", &path]);
        if created.status.success() {
            let task = wait_for("the reason", || {
                let tasks = node.json(&["service", "ps", service])?;
                tasks.as_array()?.iter().find(|task| task["current_state"] == "rejected").cloned()
            });
            let error = task["error"].as_str().unwrap();
            assert!(error.contains(reason) && !error.is_empty(), "{service}: {task}");
        } else {
            let text = String::from_utf8_lossy(&created.stderr).into_owned();
            assert!(text.contains(reason), "{service}: {text}");
        }
    }
}

/// As after an attempt that was cut off, in the folder of a node that left its volumes there.
fn remains_are_in_nobody_s_way(node: &Node, listen: &str, token: &str, nobody: &str) {
    let kept = node.data_dir.join("volumes/db/kept");
    std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
    std::fs::write(&kept, "kept").unwrap();
    std::fs::write(node.data_dir.join("settings.json"), "{").unwrap();
    std::fs::create_dir(node.data_dir.join("identity")).unwrap();
    assert!(one_error(node, &["start"]).contains(" init'"));
    one_error(node, &["join", "--listen-addr", listen, "--token", token, nobody]);
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "kept", "a join that failed takes no volume with it");
    std::fs::write(node.data_dir.join("settings.json"), "{").unwrap();
    node.ok(&["init", "--listen-addr", listen]);
    assert!(one_error(node, &["join", "--listen-addr", listen, "--token", token, nobody]).contains("a node runs in"));
    node.ok(&["stop"]);
    assert!(one_error(node, &["init", "--listen-addr", listen]).contains("there is a node in"));
    node.ok(&["start"]);
    node.ok(&["leave", "--force"]);
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "kept");
    std::fs::write(node.data_dir.join("letter.txt"), "").unwrap();
    assert!(one_error(node, &["init", "--listen-addr", listen]).contains("letter.txt"));
    std::fs::remove_dir_all(&node.data_dir).unwrap();
}

#[test]
fn who_may_not_enter_is_told_what_to_do() {
    let mut cluster = Cluster::found();
    let (old, manager) = {
        let node = &cluster.nodes[0];
        (node.ok(&["join-token", "-q", "worker"]).trim().to_owned(), format!("{}:2377", node.ip))
    };
    cluster.join("worker");
    let node = &cluster.nodes[0];
    let new = node.ok(&["join-token", "--rotate", "-q", "worker"]).trim().to_owned();
    assert_ne!(old, new);
    let listen = format!("{}:2377", cluster.address(50));
    let stranger = Node { data_dir: cluster.folder().join("stranger"), ip: cluster.address(50), namespace: None };
    let join = |token: &str, at: &str| one_error(&stranger, &["join", "--listen-addr", &listen, "--token", token, at]);
    let rotated = join(&old, &manager);
    assert!(rotated.contains("join-token worker"), "{rotated}");
    assert!(join("MCTKN-1-x", &manager).contains("join-token worker"));
    assert!(join("hello", &manager).contains("MCTKN-1-"));
    let other = Cluster::found();
    let foreign = join(other.nodes[0].ok(&["join-token", "-q", "worker"]).trim(), &manager);
    assert!(foreign.contains("another cluster"), "a token of another cluster: {foreign}");
    let nobody = join(&new, &format!("{}:2377", cluster.address(51)));
    assert!(nobody.contains(&cluster.address(51).to_string()), "{nobody}");
    assert!(!stranger.data_dir.exists(), "a join that failed leaves nothing behind");
    assert_eq!(node.json(&["node", "ls"]).unwrap().as_array().unwrap().len(), 2, "nobody entered");

    let elsewhere = one_error(&stranger, &["init", "--listen-addr", "192.0.2.1:2377"]);
    assert!(elsewhere.contains("no address of this machine") && elsewhere.contains("127.0.0.1"), "{elsewhere}");
    let taken = one_error(&stranger, &["init", "--listen-addr", &manager]);
    assert!(taken.contains(&manager), "an address in use: {taken}");
    assert!(!stranger.data_dir.exists(), "an init that failed leaves nothing behind");
    remains_are_in_nobody_s_way(&stranger, &listen, &new, &cluster.address(51).to_string());
    assert!(one_error(node, &["init", "--listen-addr", &listen]).contains("--data-dir"));
    assert!(one_error(node, &["start"]).contains("runs already"));
    let live = one_error(node, &["node", "rm", "node2"]);
    assert!(live.contains("node2") && live.contains("--force"), "{live}");
    in_use(node);
    let token = node.ok(&["join-token", "-q", "worker"]);
    let worker = Path::new(env!("CARGO_BIN_EXE_minicloud")).to_str().unwrap().to_owned();
    let joined = run(
        &worker,
        &["--data-dir", stranger.data_dir.to_str().unwrap(), "join", "--listen-addr", &listen, "--token", token.trim(), &manager],
    );
    assert_eq!(joined.code, Some(0), "with the new token it enters: {joined:?}");
    cluster.nodes.push(stranger);
}

/// A second process for the same folder, though the first one's process file is gone.
fn in_use(node: &Node) {
    let pid_file = node.data_dir.join("minicloud.pid");
    let pid = std::fs::read(&pid_file).unwrap();
    std::fs::remove_file(&pid_file).unwrap();
    let text = one_error(node, &["start"]);
    std::fs::write(&pid_file, pid).unwrap();
    assert!(text.contains("in use by process"), "{text}");
}
