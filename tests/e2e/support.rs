//! Clusters for tests: real nodes on loopback addresses of their own, ended when the test ends.
pub mod programs;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Bound on every wait of a test; generous, as test machines are busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Port of every test node's DNS server.
pub const DNS_PORT: u16 = 5353;

/// A cluster whose nodes have the addresses 127.x.y.1, 127.x.y.2 ... with x.y of this test alone.
pub struct Cluster {
    folder: tempfile::TempDir,
    subnet: [u8; 2],
    pub nodes: Vec<Node>,
}

pub struct Node {
    pub data_dir: PathBuf,
    pub ip: IpAddr,
    /// The Linux network namespace that it is to run in; `None`: that of the test.
    pub namespace: Option<String>,
}

impl Cluster {
    /// A founder and this many workers.
    pub fn with_workers(count: usize) -> Cluster {
        let mut cluster = Cluster::found();
        for _ in 0..count {
            cluster.join("worker");
        }
        cluster
    }

    /// An address of this test alone that no node has.
    pub fn address(&self, last: u8) -> IpAddr {
        Ipv4Addr::new(127, self.subnet[0], self.subnet[1], last).into()
    }

    /// A folder of this test alone.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// No node yet.
    pub fn empty() -> Cluster {
        let folder = tempfile::tempdir().expect("a folder for the test");
        Cluster { folder, subnet: own_subnet(), nodes: Vec::new() }
    }

    /// One node that founded a cluster.
    pub fn found() -> Cluster {
        let mut cluster = Cluster::empty();
        let node = cluster.add_node();
        let (listen, dns) = (format!("{}:2377", node.ip), format!("{}:{DNS_PORT}", node.ip));
        node.ok(&["init", "--listen-addr", &listen, "--dns-addr", &dns, "--hostname", "node1"]);
        cluster
    }

    /// A cluster of this many managers.
    pub fn of_managers(count: usize) -> Cluster {
        let mut cluster = Cluster::found();
        for _ in 1..count {
            cluster.join("manager");
        }
        cluster
    }

    /// Joins one more node with that role, and answers its index.
    pub fn join(&mut self, role: &str) -> usize {
        let token = self.nodes[0].ok(&["join-token", "-q", role]);
        let manager = format!("{}:2377", self.nodes[0].ip);
        let number = self.nodes.len() + 1;
        let node = self.add_node();
        let (listen, dns, hostname) = (format!("{}:2377", node.ip), format!("{}:{DNS_PORT}", node.ip), format!("node{number}"));
        node.ok(&["join", "--listen-addr", &listen, "--dns-addr", &dns, "--hostname", &hostname, "--token", token.trim(), &manager]);
        number - 1
    }

    /// A node that is not made yet.
    pub fn add_node(&mut self) -> &Node {
        let number = self.nodes.len() + 1;
        let ip = Ipv4Addr::new(127, self.subnet[0], self.subnet[1], number as u8).into();
        self.nodes.push(Node { data_dir: self.folder.path().join(format!("n{number}")), ip, namespace: None });
        &self.nodes[number - 1]
    }

    /// Index of the node that leads, as the node `witness` sees it.
    pub fn leader(&self, witness: usize) -> Option<usize> {
        let nodes = self.nodes[witness].json(&["node", "ls"])?;
        let leader = nodes.as_array()?.iter().find(|node| node["manager_status"] == "leader")?;
        let address: SocketAddr = leader["address"].as_str()?.parse().ok()?;
        self.nodes.iter().position(|node| node.ip == address.ip())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.iter().for_each(Node::kill);
        for node in &self.nodes {
            let log = std::fs::read_to_string(node.data_dir.join("minicloud.log")).unwrap_or_default();
            let panicked = log.contains("panicked at");
            if panicked || std::thread::panicking() {
                let tail: Vec<&str> = log.lines().rev().take(40).collect();
                eprintln!("--- {} ---", node.ip);
                tail.iter().rev().for_each(|line| eprintln!("{line}"));
            }
            assert!(!panicked || std::thread::panicking(), "a daemon panicked");
        }
    }
}

impl Node {
    /// Runs the command line against this node.
    pub fn cli(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary starts")
    }

    /// The command line against this node, not started yet.
    pub fn command(&self, args: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_minicloud");
        let mut command = match &self.namespace {
            Some(namespace) => programs::in_namespace(namespace, program),
            None => Command::new(program),
        };
        command.arg("--data-dir").arg(&self.data_dir).args(args);
        command
    }

    /// What a command printed; fails the test unless it succeeded.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.cli(args);
        assert!(
            output.status.success(),
            "{args:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("the output is text")
    }

    /// What a command said when it was refused; fails the test when it was not.
    #[track_caller]
    pub fn refused(&self, args: &[&str]) -> String {
        let output = self.cli(args);
        assert!(!output.status.success(), "{args:?} was not refused: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).expect("the output is text")
    }

    /// The JSON form of a listing; `None` when the command failed.
    pub fn json(&self, args: &[&str]) -> Option<Value> {
        let output = self.cli(&[args, &["--format", "json"]].concat());
        if output.status.success() { serde_json::from_slice(&output.stdout).ok() } else { None }
    }

    pub fn pid(&self) -> Option<rustix::process::Pid> {
        let text = std::fs::read_to_string(self.data_dir.join("minicloud.pid")).ok()?;
        rustix::process::Pid::from_raw(text.trim().parse().ok()?)
    }

    /// Ends the node's process as a power cut would; the kernel may still be taking it apart.
    pub fn kill_without_waiting(&self) {
        if let Some(pid) = self.pid() {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    /// The same, and waits until it is gone.
    pub fn kill(&self) {
        self.kill_without_waiting();
        if let Some(pid) = self.pid() {
            let _ = wait(Duration::from_secs(5), || rustix::process::test_kill_process(pid).is_err().then_some(()));
        }
    }

    /// Tasks of a service whose observed state is `running` and that shall stay.
    pub fn running(&self, service: &str) -> Vec<Value> {
        let tasks = self.json(&["service", "ps", service]).unwrap_or_default();
        let tasks = tasks.as_array().cloned().unwrap_or_default();
        tasks.into_iter().filter(|task| task["current_state"] == "running" && task["desired_state"] == "running").collect()
    }

    /// `GET` of a published port on this node's address: the status and the body.
    pub fn http(&self, port: u16, path: &str) -> Option<(u16, String)> {
        http(SocketAddr::new(self.ip, port), path)
    }
}

/// A plain HTTP/1.1 GET.
pub fn http(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(15))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())?;
    Some((status, body))
}

/// Waits until `look` answers, at most for [`PATIENCE`].
#[track_caller]
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait(PATIENCE, look).unwrap_or_else(|| panic!("not within {PATIENCE:?}: {what}"))
}

fn wait<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Deploys DockerCoins with one worker and waits until everything runs; the page is on port 8000.
pub fn deploy(node: &Node) {
    node.ok(&["network", "create", "--driver", "overlay", "--attachable", "dockercoins"]);
    for (service, port) in [("redis", ""), ("rng", "8001:80"), ("hasher", "8002:80"), ("worker", ""), ("webui", "8000:80")] {
        let mut create = vec!["service", "create", "--network", "dockercoins", "--name", service];
        if !port.is_empty() {
            create.extend(["--publish", port]);
        }
        create.push(service);
        node.ok(&create);
    }
}

/// Two octets that no other test of this or another run uses now.
fn own_subnet() -> [u8; 2] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id().wrapping_mul(64).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    [64 + (number >> 8) as u8 % 128, number as u8]
}

/// The component of a guest that is built for tests.
pub fn guest(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/target/wasm32-wasip2/release").join(format!("{name}.wasm"));
    assert!(path.is_file(), "{} is missing; build it with: cargo xtask guests", path.display());
    path
}
