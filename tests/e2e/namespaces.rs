//! Nodes as if on machines of their own: each in a Linux network namespace, joined by a switch whose cables can be cut.
use std::process::Command;

use crate::support::programs::{in_namespace, installed, output, run, skip};
use crate::support::{Cluster, Node, guest, wait_for};

/// Namespaces of this test, removed when dropped: `hub` holds the switch and the clients, the others a node each.
struct Machines {
    prefix: String,
    count: usize,
}

impl Machines {
    /// `None`, said aloud, where this machine does not let us.
    fn new(count: usize) -> Option<Machines> {
        if !installed(&["ip", "curl"]) {
            return None;
        }
        let machines = Machines { prefix: format!("mc{}", std::process::id()), count };
        let hub = machines.hub();
        let probe = run("ip", &["netns", "add", &hub]);
        if probe.code != Some(0) {
            skip(&format!("network namespaces cannot be made here (that takes root): {}", probe.err.trim()));
            return None;
        }
        machines.inside(&hub, "link add switch type bridge");
        machines.inside(&hub, "addr add 10.77.0.100/24 dev switch");
        machines.inside(&hub, "addr add fd77::100/64 dev switch nodad");
        machines.inside(&hub, "link set switch up");
        (1..=count).for_each(|number| machines.plug(number));
        Some(machines)
    }

    fn hub(&self) -> String {
        format!("{}hub", self.prefix)
    }

    fn name(&self, number: usize) -> String {
        format!("{}n{number}", self.prefix)
    }

    /// One machine with a cable to the switch; its addresses end with its number.
    fn plug(&self, number: usize) {
        let (hub, name) = (self.hub(), self.name(number));
        output("ip", &["netns", "add", &name]);
        self.inside(&hub, &format!("link add port{number} type veth peer name eth0 netns {name}"));
        self.inside(&hub, &format!("link set port{number} master switch up"));
        self.inside(&name, "link set lo up");
        self.inside(&name, &format!("addr add 10.77.0.{number}/24 dev eth0"));
        self.inside(&name, &format!("addr add fd77::{number}/64 dev eth0 nodad"));
        self.inside(&name, "link set eth0 up");
    }

    fn inside(&self, namespace: &str, command: &str) {
        let words: Vec<&str> = ["-n", namespace].into_iter().chain(command.split(' ')).collect();
        output("ip", &words);
    }

    fn cut(&self, number: usize) {
        self.inside(&self.hub(), &format!("link set port{number} down"));
    }

    fn mend(&self, number: usize) {
        self.inside(&self.hub(), &format!("link set port{number} up"));
    }

    /// `curl` in a namespace: what came back, if it ended well.
    fn curl(&self, namespace: &str, url: &str) -> Option<String> {
        let mut curl: Command = in_namespace(namespace, "curl");
        let ended = curl.args(["--silent", "--fail", "--globoff", "--max-time", "5", url]).output().ok()?;
        ended.status.success().then(|| String::from_utf8_lossy(&ended.stdout).into_owned())
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for name in (1..=self.count).map(|number| self.name(number)).chain([self.hub()]) {
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}

/// One manager and two workers, each started as on a machine of its own, with as few flags as there.
fn cluster_on(machines: &Machines) -> Cluster {
    let mut cluster = Cluster::empty();
    for number in 1..=machines.count {
        cluster.add_node();
        let node = &mut cluster.nodes[number - 1];
        (node.ip, node.namespace) = ([10, 77, 0, number as u8].into(), Some(machines.name(number)));
        let hostname = format!("node{number}");
        if number == 1 {
            cluster.nodes[0].ok(&["init", "--hostname", &hostname]);
            continue;
        }
        let token = cluster.nodes[0].ok(&["join-token", "-q", "worker"]);
        let join = ["join", "--hostname", &hostname, "--advertise-addr", "eth0", "--token", token.trim(), "10.77.0.1"];
        cluster.nodes[number - 1].ok(&join);
    }
    cluster
}

#[test]
fn a_cut_cable_moves_the_tasks_and_a_mended_one_stops_the_leftovers() {
    let Some(machines) = Machines::new(3) else { return };
    let cluster = cluster_on(&machines);
    let manager = &cluster.nodes[0];
    manager.ok(&["service", "create", "--name", "rng", "--replicas", "3", "-p", "8001:80", "rng"]);
    for number in 1..=3 {
        let answer = wait_for("every machine answers", || machines.curl(&machines.hub(), &format!("http://10.77.0.{number}:8001/")));
        assert!(answer.starts_with("RNG running on rng-"), "{answer}");
    }
    clients_keep_their_addresses(&machines, manager);
    machines.cut(3);
    wait_for("the cut machine is down", || (status(manager, 2) == "down").then_some(()));
    wait_for("its task runs elsewhere", || {
        let running = manager.running("rng");
        (running.len() == 3 && running.iter().all(|task| task["node"] != "node3")).then_some(())
    });
    let alone = machines.curl(&machines.name(3), "http://127.0.0.1:8001/").expect("a machine alone goes on with what it has");
    assert!(alone.starts_with("RNG running on rng-"), "{alone}");
    machines.mend(3);
    wait_for("the machine is back", || (status(manager, 2) == "ready").then_some(()));
    wait_for("what it ran on has stopped", || {
        let tasks = manager.json(&["node", "ps", "node3"])?;
        let tasks = tasks.as_array()?;
        tasks.iter().all(|task| task["current_state"] != "running").then_some(())
    });
    assert_eq!(manager.running("rng").len(), 3);
    let answer = wait_for("its port answers", || machines.curl(&machines.hub(), "http://10.77.0.3:8001/"));
    assert!(answer.starts_with("RNG running on rng-"), "{answer}");
}

fn status(manager: &Node, index: usize) -> String {
    let nodes = manager.json(&["node", "ls"]).unwrap_or_default();
    nodes[index]["status"].as_str().unwrap_or_default().to_owned()
}

/// IPv4 and IPv6, through each machine, to a task that runs on one of them.
fn clients_keep_their_addresses(machines: &Machines, manager: &Node) {
    let image = guest("test_http2");
    let create = ["service", "create", "--name", "web", "--constraint", "node.hostname==node2", "-p", "8080:80"];
    manager.ok(&[&create[..], &[image.to_str().unwrap()]].concat());
    for number in 1..=3 {
        for (machine, client) in [(format!("10.77.0.{number}"), "10.77.0.100"), (format!("[fd77::{number}]"), "fd77::100")] {
            let told = wait_for("it answers", || machines.curl(&machines.hub(), &format!("http://{machine}:8080/headers")));
            assert!(told.contains(&format!("x-forwarded-for: {client}\n")), "through {machine}: {told}");
        }
    }
}
