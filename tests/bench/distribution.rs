//! A component of 10 MB, new to the cluster and handed to one node, on its way to the four others.
//!
//! Two things are measured in each run. The journey itself: from the moment that the first node holds the bytes, checked
//! and on its disk, until all five do. And what a user waits for: `service create --mode global` with the file, in the
//! shell, until five tasks run; that includes handing it in and compiling it, once for all nodes of this machine.
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use crate::cluster::{Cluster, Node, wait_for};
use crate::figure::{Figure, Unit};
use crate::report::root;

const RUNS: usize = 5;
const COMPONENT_BYTES: usize = 10_000_000;

pub fn run() -> anyhow::Result<Vec<Figure>> {
    let cluster = Cluster::with_workers(3, 2)?;
    let (mut journeys, mut starts) = (Vec::with_capacity(RUNS), Vec::with_capacity(RUNS));
    for run in 0..RUNS {
        let (file, digest) = component(cluster.folder())?;
        let service = format!("big{run}");
        let (journey, start) = create(&cluster, &service, &file, &digest)?;
        journeys.push(journey);
        starts.push(start.as_secs_f64());
        cluster.nodes[0].ok(&["service", "rm", &service])?;
    }
    Ok(vec![
        Figure::of_durations("distribution", "a component of 10 MB from one node to 4 others", 1.0, Unit::Seconds, journeys),
        Figure::told("distribution-run", "service create of its file to a task on all 5, compiling included", Unit::Seconds, starts),
    ])
}

/// How long the bytes travelled, and how long the command took.
fn create(cluster: &Cluster, service: &str, file: &Path, digest: &str) -> anyhow::Result<(Duration, Duration)> {
    let stored: Vec<PathBuf> = cluster.nodes.iter().map(|node| stored(node, digest)).collect();
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&stored));
        let file = file.display().to_string();
        let took = cluster.nodes[0].timed(&["service", "create", "--quiet", "--mode", "global", "--name", service, &file])?;
        ensure!(cluster.nodes[0].running(service)? == cluster.nodes.len(), "not every node runs a task");
        let journey = watching.join().ok().context("the look at the files panicked")??;
        Ok((journey, took))
    })
}

/// From the first file to the last; each appears whole.
fn watch(files: &[PathBuf]) -> anyhow::Result<Duration> {
    wait_for("a node holds the component", || files.iter().any(|file| file.exists()).then_some(()))?;
    let began = Instant::now();
    wait_for("every node holds the component", || files.iter().all(|file| file.exists()).then_some(()))?;
    Ok(began.elapsed())
}

/// Where a node keeps a component.
fn stored(node: &Node, digest: &str) -> PathBuf {
    node.data_dir.join("images/sha256").join(digest)
}

/// A file with a component that no cluster has seen: the hasher, with random bytes in a section of no meaning.
fn component(folder: &Path) -> anyhow::Result<(PathBuf, String)> {
    let hasher = root().join("guests/target/wasm32-wasip2/release/hasher.wasm");
    let mut component = std::fs::read(&hasher).with_context(|| hasher.display().to_string())?;
    let section = COMPONENT_BYTES.checked_sub(component.len()).context("hasher.wasm is large by itself")?;
    component.extend(padding(section)?);
    let digest = Sha256::digest(&component).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = folder.join("big.wasm");
    std::fs::write(&file, component)?;
    Ok((file, digest))
}

/// A custom section of so many bytes in all, named `pad`.
fn padding(bytes: usize) -> anyhow::Result<Vec<u8>> {
    const NAME: &[u8] = b"\x03pad";
    // One byte says that it is a custom section, five how long it is.
    let content = bytes.checked_sub(6 + NAME.len()).context("too small for a section")?;
    let mut length = u32::try_from(NAME.len() + content)?;
    let mut section = vec![0];
    for last in [false, false, false, false, true] {
        section.push((length & 0x7f) as u8 | if last { 0 } else { 0x80 });
        length >>= 7;
    }
    section.extend(NAME);
    section.extend(crate::blob::Blob::random(content)?.content);
    Ok(section)
}
