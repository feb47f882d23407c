//! Makes a component of WebAssembly text, of a core module of WASI preview 1, or of what is a component already; and
//! reads what it imports and exports. A guest does that, on an engine of this process: its input comes from anywhere.
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use minicloud_core::id::{NodeId, TaskId};
use minicloud_core::task::{Exit, LogStream};
use minicloud_engine::{ComponentSource, Engine, EngineOptions, HostMount, RunSpec};
use minicloud_net::{NoUplink, Switch};

use crate::bundled::COMPONENTIZE;
use crate::executor::cache_folder;

/// Memory that the guest may use; a large component is held a few times.
const MEMORY_BYTES_MAX: u64 = 2 << 30;

/// What a component asks for and what it offers, by the names of interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// The component, and its world.
pub async fn run(input: &[u8]) -> anyhow::Result<(Vec<u8>, World)> {
    let work = tempfile::tempdir().context("cannot make a temporary folder")?;
    std::fs::write(work.path().join("input"), input).context("cannot write to a temporary folder")?;
    let said = run_guest(work.path()).await?;
    let component = std::fs::read(work.path().join("output")).context("the component was not written")?;
    Ok((component, World::parse(&said)))
}

/// Runs the guest on the folder; answers its standard output.
async fn run_guest(work: &Path) -> anyhow::Result<Vec<String>> {
    let engine = Engine::new(EngineOptions::new(cache_folder(&own_cache())))?;
    let component = engine.load(COMPONENTIZE.digest(), ComponentSource::Bytes(COMPONENTIZE.unpack().into())).await?;
    let (lines, log) = (Lines::default(), Lines::default());
    let (told, logged) = (lines.clone(), log.clone());
    let mut spec = RunSpec::new(TaskId(1), "componentize");
    spec.memory_bytes = MEMORY_BYTES_MAX;
    spec.mounts = vec![HostMount { host: work.to_owned(), guest: "/work".into(), read_only: false }];
    spec.log = Arc::new(move |stream, line| match stream {
        LogStream::Stdout => told.push(line),
        LogStream::Stderr => logged.push(line),
    });
    // It is on no network.
    let net = Switch::new(NodeId(1), Arc::new(NoUplink)).attach(TaskId(1), None, Default::default());
    match engine.start(spec, &component, net).await?.wait().await {
        Exit::Completed => Ok(lines.take()),
        _ => bail!("{}", log.take().join("; ")),
    }
}

/// Where compiled components are kept when the user has no folder for it.
fn own_cache() -> PathBuf {
    std::env::temp_dir()
}

impl World {
    fn parse(lines: &[String]) -> World {
        let of = |kind: &str| lines.iter().filter_map(|line| line.strip_prefix(kind)).map(str::to_owned).collect();
        World { imports: of("import "), exports: of("export ") }
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn push(&self, line: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(String::from_utf8_lossy(line).into_owned());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start") (call $exit (i32.const 0))))"#;

    #[tokio::test(flavor = "multi_thread")]
    async fn text_becomes_a_component_and_its_world_is_told() {
        let (component, world) = run(PROGRAM.as_bytes()).await.unwrap();
        assert_eq!(&component[..8], b"\0asm\x0d\0\x01\0");
        assert!(world.exports.iter().any(|name| name.starts_with("wasi:cli/run@0.2.")), "{world:?}");
        assert!(world.imports.iter().any(|name| name.starts_with("wasi:cli/exit@0.2.")), "{world:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_wrong_is_told_in_the_guest_s_words() {
        let error = run(b"#!/bin/sh").await.unwrap_err().to_string();
        assert!(error.contains("neither WebAssembly nor its text format"), "{error}");
    }
}
