//! `compose up -d` of DockerCoins, from the shell, until the page and its data answer. Every image is built before, no node
//! runs: one is started by the command.
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Node, wait_for};
use crate::figure::{Figure, Unit};
use crate::report::root;

const RUNS: usize = 7;
const PROJECT: &str = "dockercoins";

/// The same services from the images that minicloud brings, for a machine that has built none.
const BUNDLED: &str = "\
services:
  rng: {image: rng, ports: ['8001:80']}
  hasher: {image: hasher, ports: ['8002:80']}
  webui: {image: webui, ports: ['8000:80']}
  redis: {image: redis}
  worker: {image: worker}
";

pub fn run() -> anyhow::Result<Vec<Figure>> {
    let mut cluster = Cluster::empty()?;
    let (built, address) = built(&mut cluster)?;
    let (mut again, mut first) = (Vec::with_capacity(RUNS), Vec::with_capacity(RUNS));
    let bundled = cluster.folder().join("compose.yml");
    std::fs::write(&bundled, BUNDLED)?;
    // The first round fills the cache of compiled components.
    for run in 0..=RUNS {
        let node = cluster.add_node_at(address);
        copy(&built, &node.data_dir)?;
        let with_images = up(node, &file())?;
        let node = cluster.add_node();
        let without = up(node, &bundled)?;
        if run > 0 {
            again.push(with_images);
            first.push(without);
        }
    }
    Ok(vec![
        Figure::of_durations("compose", "compose up -d of DockerCoins from built images to answering", 1.0, Unit::Seconds, again),
        Figure::of_durations("compose-bundled", "the same from bundled images, in a node that it founds", 1.0, Unit::Seconds, first),
    ])
}

fn file() -> PathBuf {
    root().join("examples/dockercoins/compose.yml")
}

/// From the command to the page and its data; then everything is taken down.
fn up(node: &Node, file: &Path) -> anyhow::Result<Duration> {
    let began = Instant::now();
    compose(node, file, &["up", "-d", "--address", &node.ip.to_string()])?;
    wait_for("the page", || node.http(8000, "/index.html").filter(|page| page.contains("DockerCoins")))?;
    wait_for("its data", || node.http(8000, "/json").filter(|data| data.contains("hashes")))?;
    let took = began.elapsed();
    compose(node, file, &["down", "-v"])?;
    Ok(took)
}

fn compose(node: &Node, file: &Path, words: &[&str]) -> anyhow::Result<String> {
    node.ok(&[&["compose", "-p", PROJECT, "-f", &file.display().to_string()], words].concat())
}

/// Folder and address of a node that has built the images, runs no more and has no services.
fn built(cluster: &mut Cluster) -> anyhow::Result<(PathBuf, IpAddr)> {
    let node = cluster.add_node();
    compose(node, &file(), &["up", "-d", "--address", &node.ip.to_string()])?;
    let services = node.json(&["service", "ls"])?;
    let names: Vec<&str> = services.as_array().into_iter().flatten().filter_map(|service| service["name"].as_str()).collect();
    node.ok(&[&["service", "rm"], &names[..]].concat())?;
    node.ok(&["network", "rm", &format!("{PROJECT}_default")])?;
    node.ok(&["stop"])?;
    Ok((node.data_dir.clone(), node.ip))
}

/// Copies a folder with what is in it.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let (entry, kind) = entry.and_then(|entry| entry.file_type().map(|kind| (entry, kind)))?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
