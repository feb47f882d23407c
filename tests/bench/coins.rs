//! DockerCoins itself: how soon it answers on a cluster that did not exist, and what the cloud adds to its loop.
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
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

/// One worker's loop on three nodes, less that of a native loop with the same three waits at the same time: in windows,
/// so that a hiccup of the machine spoils one of them.
pub fn loop_time() -> anyhow::Result<Vec<Figure>> {
    const WINDOW: Duration = Duration::from_secs(6);
    const WINDOWS: usize = 10;
    let cluster = Cluster::of(3)?;
    cluster.deploy_dockercoins()?;
    let node = &cluster.nodes[0];
    wait_for("hashes are counted", || hashes(node).filter(|hashes| *hashes > 10))?;
    let native = NativeLoop::start()?;
    let mut above = Vec::with_capacity(WINDOWS);
    let (mut from, mut began) = next_count(node)?;
    for _ in 0..WINDOWS {
        sleep(WINDOW);
        let (to, ended) = next_count(node)?;
        let ours = (ended - began).as_secs_f64() / (to - from) as f64;
        let theirs = native.between(began, ended).context("the native loop stands still")?.as_secs_f64();
        eprintln!("  one loop: {:.2} ms, native {:.2} ms", ours * 1e3, theirs * 1e3);
        above.push((ours - theirs) * 1e3);
        (from, began) = (to, ended);
    }
    native.end()?;
    Ok(vec![Figure::new("loop", "DockerCoins' loop above a native one", 1.0, Unit::Millis, above)])
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
    loops: Arc<Mutex<Vec<Lap>>>,
    thread: JoinHandle<()>,
}

/// One loop: when it ended, and how long it took.
type Lap = (Instant, Duration);

impl NativeLoop {
    fn start() -> anyhow::Result<NativeLoop> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (over, loops) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (told, laps) = (Arc::clone(&over), Arc::clone(&loops));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                while !told.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    for _ in 0..3 {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    let ended = Instant::now();
                    laps.lock().unwrap_or_else(PoisonError::into_inner).push((ended, ended - began));
                }
            });
        });
        Ok(NativeLoop { over, loops, thread })
    }

    /// The mean time of the loops that ended between these two moments.
    fn between(&self, from: Instant, to: Instant) -> Option<Duration> {
        let loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        let times: Vec<Duration> = loops.iter().filter(|(ended, _)| (from..to).contains(ended)).map(|(_, time)| *time).collect();
        times.iter().sum::<Duration>().checked_div(u32::try_from(times.len()).ok()?)
    }

    fn end(self) -> anyhow::Result<()> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the native loop panicked"))
    }
}
