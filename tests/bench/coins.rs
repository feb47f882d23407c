//! DockerCoins itself: how soon it answers on a cluster that did not exist, and what the cloud adds to its loop.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use serde_json::Value;

use crate::cluster::{Cache, Cluster, Node, wait_for};
use crate::figure::{Figure, Unit};

/// From the first `init` to the page, with nothing compiled before.
pub fn cold() -> anyhow::Result<Vec<Figure>> {
    const RUNS: usize = 5;
    let mut took = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let began = Instant::now();
        let cluster = Cluster::found(3, Cache::Cold, "warn")?;
        cluster.deploy_dockercoins()?;
        let page = || cluster.nodes[0].http(8000, "/index.html").filter(|page| page.contains("DockerCoins"));
        wait_for("the page", page)?;
        took.push(began.elapsed());
    }
    Ok(vec![Figure::of_durations("cold", "cold init of 3 nodes to a DockerCoins page that answers", 3.0, Unit::Seconds, took)])
}

/// One worker's loop on three nodes, less that of a native loop with the same three waits at the same time.
pub fn loop_time() -> anyhow::Result<Vec<Figure>> {
    const WATCH: Duration = Duration::from_secs(60);
    let cluster = Cluster::of(3)?;
    cluster.deploy_dockercoins()?;
    let node = &cluster.nodes[0];
    wait_for("hashes are counted", || hashes(node).filter(|hashes| *hashes > 10))?;
    let native = NativeLoop::start()?;
    let (from, began) = next_count(node)?;
    sleep(WATCH);
    let (to, ended) = next_count(node)?;
    let ours = (ended - began).as_secs_f64() / (to - from) as f64;
    let theirs = native.end()?.as_secs_f64();
    eprintln!("  one loop: {:.2} ms, native {:.2} ms", ours * 1e3, theirs * 1e3);
    Ok(vec![Figure::new("loop", "DockerCoins' loop above a native one", 1.0, Unit::Millis, vec![(ours - theirs) * 1e3])])
}

/// Hashes counted so far, as the page asks for them.
fn hashes(node: &Node) -> Option<u64> {
    let answer: Value = serde_json::from_str(&node.http(8000, "/json")?).ok()?;
    answer["hashes"].as_str()?.parse().ok()
}

/// The count right after the worker wrote it, which it does about once a second.
fn next_count(node: &Node) -> anyhow::Result<(u64, Instant)> {
    let before = wait_for("hashes are counted", || hashes(node))?;
    wait_for("the count rises", || hashes(node).filter(|hashes| *hashes > before).map(|hashes| (hashes, Instant::now())))
}

/// A thread that waits three times 0.1 s, over and over, as a worker's loop does.
struct NativeLoop {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl NativeLoop {
    fn start() -> anyhow::Result<NativeLoop> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let mut loops = Vec::new();
                while !told.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    for _ in 0..3 {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    loops.push(began.elapsed());
                }
                loops
            })
        });
        Ok(NativeLoop { over, thread })
    }

    /// The mean time of one loop.
    fn end(self) -> anyhow::Result<Duration> {
        self.over.store(true, Ordering::Relaxed);
        let loops = self.thread.join().map_err(|_| anyhow!("the native loop panicked"))?;
        Ok(loops.iter().sum::<Duration>() / u32::try_from(loops.len())?)
    }
}
