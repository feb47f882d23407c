//! The registry that runs on the cluster beside Debian's docker-registry: the same client, the same blobs, in turn.
//!
//! Both bring a blob to the disk before they acknowledge it. Ours is asked at the node that runs it, and once more at
//! another node, from where every byte crosses the overlay.
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context;
use minicloud_node::client::Client;

use crate::blob::Blob;
use crate::cluster::{Cluster, Node, wait_for};
use crate::figure::{Figure, Unit};
use crate::peer::{Peer, program};

const BLOB_BYTES: usize = 100_000_000;
const RUNS: usize = 7;
const PORT: u16 = 5000;
const MEMORY_LOOK: Duration = Duration::from_millis(20);

/// Seconds of each run.
#[derive(Default)]
struct Times {
    ours: Vec<f64>,
    across: Vec<f64>,
    theirs: Vec<f64>,
}

pub fn run() -> anyhow::Result<Vec<Figure>> {
    let theirs = Peer::start(&program("docker-registry", "docker-registry")?, docker_registry)?;
    let cluster = Cluster::of(3)?;
    let node = &cluster.nodes[0];
    node.ok(&["service", "create", "--quiet", "--name", "registry", "--publish", "5000:5000", "registry"])?;
    let runs_on = cluster.node_of("registry")?;
    let other = (runs_on + 1) % cluster.nodes.len();
    let at = |node: usize| SocketAddr::new(cluster.nodes[node].ip, PORT);
    wait_for("the registry answers", || {
        [runs_on, other].iter().all(|node| cluster.nodes[*node].http(PORT, "/v2/").is_some()).then_some(())
    })?;
    let peak = Peak::default();
    let (pushes, pulls) = peak.watch(node, || measure(at(runs_on), at(other), theirs.address))?;
    let memory_mib = peak.bytes()? / f64::from(1 << 20);
    Ok(vec![
        Figure::at_least(
            "registry-push",
            "push of 100 MB to the registry, beside docker-registry",
            0.5,
            Unit::OfTheirs,
            pushes.ratios(&pushes.ours),
        ),
        Figure::at_least(
            "registry-pull",
            "pull of 100 MB from the registry, beside docker-registry",
            0.5,
            Unit::OfTheirs,
            pulls.ratios(&pulls.ours),
        ),
        Figure::new("registry-memory", "the registry's task meanwhile, peak", 64.0, Unit::Mebibytes, vec![memory_mib]),
        Figure::told("registry-push-rate", "push of 100 MB to the registry", Unit::MegabytesPerSecond, rates(&pushes.ours)),
        Figure::told("registry-pull-rate", "pull of 100 MB from the registry", Unit::MegabytesPerSecond, rates(&pulls.ours)),
        Figure::told("registry-push-across", "the same push by way of another node", Unit::MegabytesPerSecond, rates(&pushes.across)),
        Figure::told("registry-pull-across", "the same pull by way of another node", Unit::MegabytesPerSecond, rates(&pulls.across)),
        Figure::told("docker-registry-push", "docker-registry: push of 100 MB", Unit::MegabytesPerSecond, rates(&pushes.theirs)),
        Figure::told("docker-registry-pull", "docker-registry: pull of 100 MB", Unit::MegabytesPerSecond, rates(&pulls.theirs)),
    ])
}

/// Pushes and pulls, in turn, after a first round that does not count. Each push is of a blob that nobody has.
fn measure(ours: SocketAddr, across: SocketAddr, theirs: SocketAddr) -> anyhow::Result<(Times, Times)> {
    let (mut pushes, mut pulls) = (Times::default(), Times::default());
    let mut buffer = vec![0; BLOB_BYTES];
    let (mut blob, mut other) = (Blob::random(BLOB_BYTES)?, Blob::random(BLOB_BYTES)?);
    for run in 0..=RUNS {
        blob.renew()?;
        other.renew()?;
        let pushed = [blob.push(ours)?, blob.push(theirs)?, other.push(across)?];
        let pulled = [blob.pull(ours, &mut buffer)?, blob.pull(theirs, &mut buffer)?, other.pull(across, &mut buffer)?];
        if run > 0 {
            pushes.add(pushed);
            pulls.add(pulled);
        }
    }
    Ok((pushes, pulls))
}

impl Times {
    fn add(&mut self, [ours, theirs, across]: [Duration; 3]) {
        self.ours.push(ours.as_secs_f64());
        self.theirs.push(theirs.as_secs_f64());
        self.across.push(across.as_secs_f64());
    }

    /// How fast `seconds` are beside those of the same runs of the other registry.
    fn ratios(&self, seconds: &[f64]) -> Vec<f64> {
        seconds.iter().zip(&self.theirs).map(|(seconds, theirs)| theirs / seconds).collect()
    }
}

fn rates(seconds: &[f64]) -> Vec<f64> {
    seconds.iter().map(|seconds| BLOB_BYTES as f64 / 1e6 / seconds).collect()
}

/// A registry without authentication, as the package's own settings are but for that and the place.
fn docker_registry(folder: &Path, address: SocketAddr) -> anyhow::Result<Vec<String>> {
    let data = folder.join("data");
    let config = folder.join("config.yml");
    let text = format!(
        "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage:\n  cache: {{blobdescriptor: inmemory}}\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\nhttp: {{addr: '{address}'}}\n",
        data.display()
    );
    std::fs::write(&config, text)?;
    Ok(vec!["serve".to_owned(), config.display().to_string()])
}

/// The most memory that the registry's task was seen with.
#[derive(Default)]
struct Peak {
    over: AtomicBool,
    bytes: AtomicU64,
}

impl Peak {
    /// Looks at the task through the API while `work` goes on.
    fn watch<T>(&self, node: &Node, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !self.over.load(Ordering::Relaxed) {
                    if let Ok(usage) =
                        runtime.block_on(async { Client::connect_data_dir(&node.data_dir).await?.service_usage("registry").await })
                    {
                        self.bytes.fetch_max(usage.total.memory_bytes, Ordering::Relaxed);
                    }
                    sleep(MEMORY_LOOK);
                }
            });
            let done = work();
            self.over.store(true, Ordering::Relaxed);
            done
        })
    }

    fn bytes(&self) -> anyhow::Result<f64> {
        let bytes = Some(self.bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0);
        bytes.map(|bytes| bytes as f64).context("the API told no memory of the registry's task")
    }
}
