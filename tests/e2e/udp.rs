//! Published UDP ports, on real nodes.
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::support::{Cluster, Node, guest, wait_for};

/// What the service behind the node's port 5300 answers to `question`; a datagram may be lost, so it is asked again.
fn ask(node: &Node, question: &[u8]) -> (SocketAddr, Vec<u8>) {
    let client = UdpSocket::bind((node.ip, 0)).unwrap();
    client.connect((node.ip, 5300)).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut answer = vec![0; 65_536];
    let count = wait_for("an answer by UDP", || {
        // A port that is not open yet answers by an error.
        client.send(question).ok()?;
        client.recv(&mut answer).ok()
    });
    answer.truncate(count);
    (client.local_addr().unwrap(), answer)
}

#[test]
fn a_client_of_any_node_reaches_the_task_and_is_seen_as_itself() {
    let mut cluster = Cluster::found();
    cluster.join("worker");
    let node = &cluster.nodes[0];
    let component = guest("test_cli3");
    let args = ["service", "create", "--name", "who", "--constraint", "node.hostname==node2", "-p", "5300:53/udp"];
    node.ok(&[&args[..], &[component.to_str().unwrap(), "udp-who", "53"]].concat());
    assert_eq!(node.running("who")[0]["node"], "node2");
    for node in &cluster.nodes {
        // Within one packet between the nodes, and beyond it.
        for bytes in [5, 1_200, 40_000] {
            let question = vec![b'x'; bytes];
            let (client, answer) = ask(node, &question);
            let expected = [format!("{client} said ").as_bytes(), &question[..]].concat();
            assert!(answer == expected, "{client}: {} of {} bytes", answer.len(), expected.len());
        }
    }
    node.ok(&["service", "update", "--publish-rm", "53/udp", "who"]);
    wait_for("the port is closed on every node", || {
        cluster.nodes.iter().all(|node| UdpSocket::bind((node.ip, 5300)).is_ok()).then_some(())
    });
}
