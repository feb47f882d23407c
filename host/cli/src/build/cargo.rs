//! A Cargo project, built for wasm32-wasip2.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use minicloud_node::images::ImageDefaults;
use serde::Deserialize;

const TARGET: &str = "wasm32-wasip2";

/// What Cargo made.
pub struct Artifact {
    pub path: PathBuf,
    /// `[package.metadata.minicloud]`
    pub defaults: ImageDefaults,
}

/// A line of `cargo build --message-format json`, as far as it matters here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

/// Builds the package in `folder` in release mode. What Cargo says goes to standard error.
pub fn build(folder: &Path, args: &BTreeMap<String, String>) -> anyhow::Result<Artifact> {
    let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
    require_target(&folder)?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    cargo.envs(args).current_dir(&folder).stdout(Stdio::piped());
    let output = cargo.spawn().map_err(not_started)?.wait_with_output().context("cargo")?;
    if !output.status.success() {
        bail!("cargo could not build {} ({})", folder.display(), output.status);
    }
    let manifest = folder.join("Cargo.toml");
    let path = artifact(&String::from_utf8_lossy(&output.stdout), &manifest)?;
    Ok(Artifact { path, defaults: defaults(&manifest)? })
}

/// Says what to install, before Cargo fails with many words.
fn require_target(folder: &Path) -> anyhow::Result<()> {
    let rustc = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).current_dir(folder).output();
    let output = rustc.map_err(not_started)?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if output.status.success() && !libraries.is_dir() {
        bail!("the Rust target {TARGET} is not installed: rustup target add {TARGET}");
    }
    Ok(())
}

fn not_started(error: std::io::Error) -> anyhow::Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => anyhow::anyhow!("a Cargo.toml needs Rust, and cargo is not installed: see https://rustup.rs"),
        _ => anyhow::Error::new(error).context("cargo could not be started"),
    }
}

/// The one component that was made of the package with this manifest.
fn artifact(messages: &str, manifest: &Path) -> anyhow::Result<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let own = messages.filter(|message| message.reason == "compiler-artifact" && message.manifest_path.as_deref() == Some(manifest));
    let runnable = own.filter(|message| {
        let kinds = message.target.iter().flat_map(|target| &target.kind);
        kinds.into_iter().any(|kind| kind == "bin" || kind == "cdylib")
    });
    let files = runnable.flat_map(|message| message.filenames);
    let made: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|extension| extension == "wasm")).collect();
    match &made[..] {
        [path] => Ok(path.clone()),
        [] => bail!(
            "{} makes no component: it needs a binary, or a library with crate-type = [\"cdylib\"]; for a workspace name the folder of a package",
            manifest.display()
        ),
        several => bail!(
            "{} makes {} components: keep one, or name the file in a minicloud.toml ([build] command and output)",
            manifest.display(),
            several.len()
        ),
    }
}

fn defaults(manifest: &Path) -> anyhow::Result<ImageDefaults> {
    const KEYS: &[&str] = &["args", "env", "concurrency", "http-port", "ports", "volumes"];
    let text = std::fs::read_to_string(manifest).with_context(|| manifest.display().to_string())?;
    let manifest_table: toml::Table = text.parse().with_context(|| manifest.display().to_string())?;
    let metadata = manifest_table.get("package").and_then(|package| package.get("metadata")?.get("minicloud"));
    let mut defaults = metadata.and_then(toml::Value::as_table).cloned().unwrap_or_default();
    defaults.retain(|key, _| KEYS.contains(&key));
    let place = || format!("[package.metadata.minicloud] of {}", manifest.display());
    let defaults: ImageDefaults = defaults.try_into().with_context(place)?;
    defaults.check().map_err(anyhow::Error::msg).with_context(place)?;
    Ok(defaults)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(manifest: &str, kind: &str, file: &str) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","manifest_path":"{manifest}","target":{{"kind":["{kind}"],"name":"x"}},"filenames":["{file}"]}}"#
        )
    }

    #[test]
    fn the_component_of_the_package_is_found() {
        let dependency = message("/dep/Cargo.toml", "bin", "/t/dep.wasm");
        let library = message("/app/Cargo.toml", "lib", "/t/libapp.rlib");
        let program = message("/app/Cargo.toml", "bin", "/t/app.wasm");
        let lines = [dependency.as_str(), "no json", library.as_str(), program.as_str()].join("\n");
        let manifest = Path::new("/app/Cargo.toml");
        assert_eq!(artifact(&lines, manifest).unwrap(), Path::new("/t/app.wasm"));
        assert!(artifact(&library, manifest).unwrap_err().to_string().contains("cdylib"));
        let twice = [program.as_str(), program.as_str()].join("\n");
        assert!(artifact(&twice, manifest).unwrap_err().to_string().contains("makes 2 components"));
    }

    #[test]
    fn defaults_stand_in_the_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("Cargo.toml");
        std::fs::write(&manifest, "[package.metadata.minicloud]\nkind = \"http\"\nconcurrency = 1\n").unwrap();
        assert_eq!(defaults(&manifest).unwrap().concurrency, Some(1));
        std::fs::write(&manifest, "[package.metadata.minicloud]\nconcurrency = \"one\"\n").unwrap();
        assert!(format!("{:#}", defaults(&manifest).unwrap_err()).contains("package.metadata.minicloud"));
    }
}
