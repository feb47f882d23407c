//! The cache of compiled components: a component is compiled once per machine, and damage is noticed.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use minicloud_engine::{ComponentSource, Engine, EngineError, EngineOptions, EngineStats};

use crate::support::{digest_of, load, options};

/// Small, so that compiling it often is cheap.
const TINY: &str = r#"(component
    (core module $m (func (export "run") (result i32) i32.const 0))
    (core instance $i (instantiate $m))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $r (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $r)))"#;

fn tiny() -> bytes::Bytes {
    wat::parse_str(TINY).unwrap().into()
}

fn engine(folder: &Path) -> Engine {
    Engine::new(EngineOptions { cache_dir: folder.to_owned(), ..options() }).unwrap()
}

/// What a new engine on the folder does to load the component.
async fn stats_of_load(folder: &Path) -> EngineStats {
    let engine = engine(folder);
    load(&engine, tiny()).await.unwrap();
    engine.stats()
}

const COMPILED: EngineStats = EngineStats { compiled: 1, from_cache: 0 };
const FROM_CACHE: EngineStats = EngineStats { compiled: 0, from_cache: 1 };

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let keys = fs::read_dir(folder).unwrap().map(|key| key.unwrap().path());
    let files = keys.flat_map(|key| fs::read_dir(key).unwrap().map(|file| file.unwrap().path()));
    files.filter(|file| file.extension().is_some_and(|ext| ext == extension)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_load_is_no_compile() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(stats_of_load(folder.path()).await, COMPILED);
    assert_eq!(stats_of_load(folder.path()).await, FROM_CACHE);
    assert_eq!(files(folder.path(), "cwasm").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_engine_loads_a_component_once() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path());
    let loads = (0..10).map(|_| load(&engine, tiny()));
    for loaded in futures::future::join_all(loads).await {
        loaded.unwrap();
    }
    assert_eq!(engine.stats(), COMPILED);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_one_machine_compile_once_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let engines: Vec<Engine> = (0..4).map(|_| engine(folder.path())).collect();
    let loads = engines.iter().map(|engine| load(engine, tiny()));
    for loaded in futures::future::join_all(loads).await {
        loaded.unwrap();
    }
    assert_eq!(engines.iter().map(|engine| engine.stats().compiled).sum::<u64>(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loaded_component_needs_no_source() {
    let folder = tempfile::tempdir().unwrap();
    stats_of_load(folder.path()).await;
    let nowhere = ComponentSource::File("/nowhere.wasm".into());
    engine(folder.path()).load(digest_of(&tiny()), nowhere).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_of_any_kind_is_compiled_anew() {
    let flip: fn(&mut Vec<u8>) = |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
    };
    let truncate: fn(&mut Vec<u8>) = |bytes| bytes.truncate(bytes.len() / 2);
    let empty: fn(&mut Vec<u8>) = Vec::clear;
    for (extension, damage) in [("cwasm", flip), ("cwasm", truncate), ("cwasm", empty), ("sum", flip), ("sum", empty)] {
        let folder = tempfile::tempdir().unwrap();
        stats_of_load(folder.path()).await;
        let file = files(folder.path(), extension).remove(0);
        let mut bytes = fs::read(&file).unwrap();
        damage(&mut bytes);
        fs::write(&file, bytes).unwrap();
        assert_eq!(stats_of_load(folder.path()).await, COMPILED, "damaged {extension}");
        assert_eq!(stats_of_load(folder.path()).await, FROM_CACHE, "mended {extension}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn code_of_another_engine_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    stats_of_load(folder.path()).await;
    // What an engine with other settings or of another version would have written, with a checksum that fits.
    let foreign = wasmtime::Engine::default().precompile_component(&tiny()).unwrap();
    let sum: String = digest_of(&foreign).0.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(files(folder.path(), "cwasm").remove(0), &foreign).unwrap();
    fs::write(files(folder.path(), "sum").remove(0), sum).unwrap();
    assert_eq!(stats_of_load(folder.path()).await, COMPILED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_others_may_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    stats_of_load(folder.path()).await;
    let key = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = Engine::new(EngineOptions { cache_dir: folder.path().to_owned(), ..options() });
    assert!(matches!(refused, Err(EngineError::Cache { .. })), "{refused:?}");
}
