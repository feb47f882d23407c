//! The golden stories in `tests/scenarios`: commands, a line `----`, and what they print.
//!
//! `UPDATE_SCENARIOS=1 cargo test -p minicloud-core --test scenarios` writes what is printed now into the files.
use std::fs;
use std::path::{Path, PathBuf};

#[path = "world/render.rs"]
mod render;
#[path = "world/script.rs"]
mod script;
mod world;

use world::World;

const SEPARATOR: &str = "----";

#[test]
fn every_story_ends_as_it_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).expect("the folder of scenarios").map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    assert!(!paths.is_empty(), "no scenario in {}", folder.display());
    let failures: Vec<String> = paths.iter().filter_map(|path| tell(path)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Runs one story. What differs from the golden text is returned, or written when that was asked for.
fn tell(path: &Path) -> Option<String> {
    let golden = fs::read_to_string(path).expect("a readable scenario");
    let told = retell(&golden);
    if told == golden {
        return None;
    }
    if std::env::var_os("UPDATE_SCENARIOS").is_some() {
        fs::write(path, told).expect("a writable scenario");
        return None;
    }
    let differs = golden.lines().zip(told.lines()).enumerate().find(|(_, (golden, told))| golden != told);
    let (line, (wanted, got)) = differs.unwrap_or((golden.lines().count().min(told.lines().count()), ("(end)", "(more)")));
    Some(format!("{}:{}\n  wanted: {wanted}\n  got:    {got}", path.display(), line + 1))
}

/// The story with the outputs as they are now. Checks the state after each block.
fn retell(golden: &str) -> String {
    let mut world = World::new();
    let blocks = golden.trim_end().split("\n\n").map(|block| tell_block(&mut world, block));
    blocks.collect::<Vec<_>>().join("\n\n") + "\n"
}

fn tell_block(world: &mut World, block: &str) -> String {
    let commands: Vec<&str> = block.lines().take_while(|line| *line != SEPARATOR).collect();
    let mut text = commands.join("\n");
    let spoken = commands.iter().filter(|line| !line.starts_with('#'));
    let output: Vec<String> = spoken.map(|line| script::run(world, line)).filter(|output| !output.is_empty()).collect();
    world.check();
    if !output.is_empty() || block.lines().any(|line| line == SEPARATOR) {
        text += &format!("\n{SEPARATOR}\n{}", output.join("\n"));
    }
    text.trim_end().to_owned()
}
