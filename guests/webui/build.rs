//! Writes the table of files in `web/dist` that `assets.rs` includes.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

/// Another folder to take the files from, for builds outside the source tree.
const DIST_VARIABLE: &str = "MINICLOUD_WEB_DIST";

fn main() {
    if let Err(error) = generate() {
        println!("cargo::error={error}");
    }
}

fn generate() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={DIST_VARIABLE}");
    let dist = dist()?;
    println!("cargo::rerun-if-changed={}", dist.display());
    if !dist.join("index.html").is_file() {
        return Err("web/dist is missing: run `npm ci && npm run build` in web/".into());
    }
    let mut files = BTreeMap::new();
    collect(&dist, "", &mut files)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    fs::write(out.join("assets.rs"), table(&files)?)?;
    Ok(())
}

fn dist() -> Result<PathBuf, Box<dyn Error>> {
    if let Some(dist) = std::env::var_os(DIST_VARIABLE) {
        return Ok(dist.into());
    }
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    Ok(here.join("../../web/dist"))
}

/// All files below `folder`, by their path in a URL.
fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| format!("{name:?} is not UTF-8"))?;
        let path = format!("{prefix}/{name}");
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &path, files)?;
        } else if !name.ends_with(".map") {
            files.insert(path, fs::canonicalize(entry.path())?);
        }
    }
    Ok(())
}

fn table(files: &BTreeMap<String, PathBuf>) -> Result<String, Box<dyn Error>> {
    let mut table = String::from("pub static ASSETS: &[Asset] = &[\n");
    for (path, file) in files {
        let mut hasher = DefaultHasher::new();
        hasher.write(&fs::read(file)?);
        let etag = format!("\"{:016x}\"", hasher.finish());
        let (content_type, immutable) = (content_type(path), is_hashed(path));
        writeln!(
            table,
            "    Asset {{ path: {path:?}, content_type: {content_type:?}, etag: {etag:?}, \
             immutable: {immutable}, bytes: include_bytes!({file:?}) }},"
        )?;
    }
    table.push_str("];\n");
    Ok(table)
}

/// The bundler's `assets/name-<8 or more characters of hash>.ext`.
fn is_hashed(path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return false };
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    // The hash itself may contain dashes, so its length decides.
    let split = stem.len().checked_sub(9);
    let dash = split.is_some_and(|at| stem.as_bytes()[..=at].contains(&b'-'));
    folder.ends_with("/assets") && dash
}

fn content_type(path: &str) -> &'static str {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
