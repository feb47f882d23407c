//! Clusters to measure: real nodes on loopback addresses, driven through the command line, ended when dropped.
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

/// The release binary.
pub const BINARY: &str = env!("CARGO_BIN_EXE_minicloud");
/// The nodes' addresses are 127.11.x.y.
const NETWORK: [u8; 2] = [127, 11];
/// Bound on every wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked again while something is waited for.
const LOOK: Duration = Duration::from_millis(2);
/// How long a node may take to end before it is killed.
const END_WAIT: Duration = Duration::from_secs(10);

pub struct Cluster {
    folder: tempfile::TempDir,
    subnet: u8,
    cache_dir: PathBuf,
    log: &'static str,
    pub nodes: Vec<Node>,
}

pub struct Node {
    pub data_dir: PathBuf,
    pub ip: IpAddr,
    cache_dir: PathBuf,
    log: &'static str,
}

/// Where compiled components come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// The machine's: whatever was run before is compiled.
    Warm,
    /// One of this cluster alone: empty.
    Cold,
}

impl Cluster {
    /// This many managers with a warm cache.
    pub fn of(nodes: usize) -> anyhow::Result<Cluster> {
        Cluster::found(nodes, Cache::Warm, "warn")
    }

    /// This many managers, and workers, with a warm cache.
    pub fn with_workers(managers: usize, workers: usize) -> anyhow::Result<Cluster> {
        let mut cluster = Cluster::of(managers)?;
        (0..workers).try_for_each(|_| cluster.join("worker"))?;
        Ok(cluster)
    }

    /// This many managers; `log` is what they log.
    pub fn found(nodes: usize, cache: Cache, log: &'static str) -> anyhow::Result<Cluster> {
        let mut cluster = Cluster::made(cache, log)?;
        let first = cluster.add_node();
        first.ok(&["init", "--listen-addr", &first.listens(), "--hostname", "node1"])?;
        (1..nodes).try_for_each(|_| cluster.join("manager"))?;
        Ok(cluster)
    }

    /// No node yet; those that are added have a warm cache.
    pub fn empty() -> anyhow::Result<Cluster> {
        Cluster::made(Cache::Warm, "warn")
    }

    fn made(cache: Cache, log: &'static str) -> anyhow::Result<Cluster> {
        let folder = tempfile::tempdir()?;
        let cache_dir = match cache {
            Cache::Warm => std::env::temp_dir().join(format!("minicloud-bench-cache-{}", rustix::process::geteuid().as_raw())),
            Cache::Cold => folder.path().join("cache"),
        };
        Ok(Cluster { folder, subnet: own_subnet(), cache_dir, log, nodes: Vec::new() })
    }

    fn join(&mut self, role: &str) -> anyhow::Result<()> {
        let token = self.nodes[0].ok(&["join-token", "-q", role])?;
        let manager = self.nodes[0].listens();
        let hostname = format!("node{}", self.nodes.len() + 1);
        let node = self.add_node();
        node.ok(&["join", "--listen-addr", &node.listens(), "--hostname", &hostname, "--token", token.trim(), &manager])?;
        Ok(())
    }

    /// A place for a node, which is still to be made.
    pub fn add_node(&mut self) -> &Node {
        let number = self.nodes.len() + 1;
        self.add_node_at(Ipv4Addr::new(NETWORK[0], NETWORK[1], self.subnet, number as u8).into())
    }

    /// A place for a node that has this address already.
    pub fn add_node_at(&mut self, ip: IpAddr) -> &Node {
        let number = self.nodes.len() + 1;
        self.nodes.push(Node {
            data_dir: self.folder.path().join(format!("n{number}")),
            ip,
            cache_dir: self.cache_dir.clone(),
            log: self.log,
        });
        &self.nodes[number - 1]
    }

    /// Removed with the cluster.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Index of the node that runs the one task of a service.
    pub fn node_of(&self, service: &str) -> anyhow::Result<usize> {
        let tasks = self.nodes[0].json(&["service", "ps", service])?;
        let node = tasks[0]["node"].as_str().and_then(|hostname| hostname.strip_prefix("node")?.parse::<usize>().ok());
        node.and_then(|number| number.checked_sub(1)).with_context(|| format!("{service} runs on no node"))
    }

    /// Index of the node that leads, as the node `witness` sees it.
    pub fn leader(&self, witness: usize) -> Option<usize> {
        let nodes = self.nodes[witness].json(&["node", "ls"]).ok()?;
        let leader = nodes.as_array()?.iter().find(|node| node["manager_status"] == "leader")?;
        let address: SocketAddr = leader["address"].as_str()?.parse().ok()?;
        self.nodes.iter().position(|node| node.ip == address.ip())
    }

    /// Deploys DockerCoins with one worker, without waiting for it; the page is on port 8000.
    pub fn deploy_dockercoins(&self) -> anyhow::Result<()> {
        let node = &self.nodes[0];
        node.ok(&["network", "create", "--driver", "overlay", "dockercoins"])?;
        for (service, port) in [("redis", ""), ("rng", "8001:80"), ("hasher", "8002:80"), ("worker", ""), ("webui", "8000:80")] {
            let mut create = vec!["service", "create", "--detach", "--network", "dockercoins", "--name", service];
            if !port.is_empty() {
                create.extend(["--publish", port]);
            }
            create.push(service);
            node.ok(&create)?;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let lives: Vec<Pid> = self.nodes.iter().filter_map(|node| node.pid().ok()).collect();
        lives.iter().for_each(|pid| _ = kill_process(*pid, Signal::TERM));
        let gone = wait(END_WAIT, || lives.iter().all(|pid| test_kill_process(*pid).is_err()).then_some(()));
        if gone.is_none() {
            lives.iter().for_each(|pid| _ = kill_process(*pid, Signal::KILL));
        }
    }
}

impl Node {
    /// Where it listens for other nodes.
    fn listens(&self) -> String {
        format!("{}:2377", self.ip)
    }

    /// What a command of the command line printed; an error unless it succeeded.
    pub fn ok(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(BINARY);
        command.arg("--data-dir").arg(&self.data_dir).args(args);
        let output = command.env("MINICLOUD_CACHE_DIR", &self.cache_dir).env("MINICLOUD_LOG", self.log).output()?;
        if !output.status.success() {
            bail!("{args:?}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// How long a command took, the start of its process included.
    pub fn timed(&self, args: &[&str]) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.ok(args)?;
        Ok(began.elapsed())
    }

    /// The JSON form of a listing.
    pub fn json(&self, args: &[&str]) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.ok(&[args, &["--format", "json"]].concat())?)?)
    }

    /// Tasks of a service that run and shall run.
    pub fn running(&self, service: &str) -> anyhow::Result<usize> {
        let tasks = self.json(&["service", "ps", service])?;
        let runs = |task: &&Value| task["current_state"] == "running" && task["desired_state"] == "running";
        Ok(tasks.as_array().into_iter().flatten().filter(runs).count())
    }

    pub fn pid(&self) -> anyhow::Result<Pid> {
        let text = std::fs::read_to_string(self.data_dir.join("minicloud.pid"))?;
        text.trim().parse().ok().and_then(Pid::from_raw).context("the file of the process id holds none")
    }

    /// Ends the node's process at once, as a power cut would, and answers its id.
    pub fn kill(&self) -> anyhow::Result<Pid> {
        let pid = self.pid()?;
        kill_process(pid, Signal::KILL)?;
        Ok(pid)
    }

    /// The body of an answer with status 200 of a published port on this node.
    pub fn http(&self, port: u16, path: &str) -> Option<String> {
        let address = SocketAddr::new(self.ip, port);
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        (head.split(' ').nth(1)? == "200").then(|| body.to_owned())
    }
}

/// Waits until a process is no more: it stays for a while after its end where the system is slow to collect it.
pub fn wait_gone(pid: Pid) -> anyhow::Result<()> {
    wait_for("the killed process is gone", || test_kill_process(pid).is_err().then_some(()))
}

/// Waits until `look` answers, at most for [`PATIENCE`].
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    wait(PATIENCE, look).with_context(|| format!("not within {PATIENCE:?}: {what}"))
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
        std::thread::sleep(LOOK);
    }
}

/// An octet that no other cluster of this run, and hardly one of another, uses now.
fn own_subnet() -> u8 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    std::process::id().wrapping_mul(16).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) as u8
}
