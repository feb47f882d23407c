//! Builds the web page and the guests, and embeds the bundled images in the binary.
//!
//! The guests are a workspace of their own with a target folder of their own, as cargo cannot build two targets at once.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

const WASM_TARGET: &str = "wasm32-wasip2";
/// Guests that travel inside the binary, by the name of their image.
const BUNDLED: &[&str] = &["rng", "hasher", "worker", "webui", "redis", "registry"];
/// A guest that `minicloud build` runs itself; no image.
const COMPONENTIZE: &str = "componentize";
/// The first C library that reads packed relocations.
const GLIBC_PACKED_RELOCATIONS: (u32, u32) = (2, 36);
/// 10: the smallest, at build time only.
const DEFLATE_LEVEL: u8 = 10;

fn main() {
    if let Err(message) = build() {
        // One line that says what to do; cargo shows it last.
        println!("cargo::error={message}");
    }
}

fn build() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).ok_or("the package has no repository around it")?.to_owned();
    for input in [
        "web/src",
        "web/index.html",
        "web/package.json",
        "web/package-lock.json",
        "web/vite.config.ts",
        "guests/Cargo.toml",
        "guests/Cargo.lock",
        "guests/.cargo/config.toml",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    for guest in BUNDLED.iter().chain(&[COMPONENTIZE, "common"]) {
        println!("cargo::rerun-if-changed={}", root.join("guests").join(guest).display());
    }
    link_small();
    build_web(&root.join("web"))?;
    build_guests(&root.join("guests"))?;
    embed(&root.join("guests"))
}

/// Has the linker put equal functions in one place and pack relocations, where it can: 4 MB less in a release.
fn link_small() {
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|set| set == value);
    let linux = is("TARGET", "x86_64-unknown-linux-gnu") && is("HOST", "x86_64-unknown-linux-gnu");
    if !is("PROFILE", "release") || !linux || !links_with_lld() {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    if glibc().is_some_and(|version| version >= GLIBC_PACKED_RELOCATIONS) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether the toolchain brings the linker that it then links with.
fn links_with_lld() -> bool {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let Ok(output) = rustc.args(["--print", "sysroot"]).output() else { return false };
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    sysroot.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/gcc-ld/ld.lld").is_file()
}

/// Version of the C library of this machine, which the binary is linked against.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn build_web(web: &Path) -> Result<(), String> {
    if newer(&web.join("package-lock.json"), &web.join("node_modules/.package-lock.json")) {
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(web), "install Node.js 20 or later")?;
    }
    run(Command::new("npm").args(["run", "build"]).current_dir(web), "install Node.js 20 or later")
}

/// Whether `source` changed after `product` was made.
fn newer(source: &Path, product: &Path) -> bool {
    let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    match (modified(source), modified(product)) {
        (Some(source), Some(product)) => source > product,
        _ => true,
    }
}

fn build_guests(guests: &Path) -> Result<(), String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--target", WASM_TARGET, "--target-dir", "target"]).current_dir(guests);
    for guest in BUNDLED.iter().chain(&[COMPONENTIZE]) {
        cargo.args(["--package", guest]);
    }
    // What the outer cargo set for the host does not hold for the guests.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(name);
    }
    run(&mut cargo, &format!("if the target is missing: rustup target add {WASM_TARGET}"))
}

fn run(command: &mut Command, hint: &str) -> Result<(), String> {
    let name = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{name} could not be started ({error}); {hint}"))?;
    if output.status.success() {
        return Ok(());
    }
    eprintln!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("{name} failed; {hint}"))
}

/// Writes `bundled.rs`: one entry for each image, with its packed bytes and the defaults of its manifest; and
/// `componentize.rs` with that guest alone.
fn embed(guests: &Path) -> Result<(), String> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let mut code = String::from("&[\n");
    for guest in BUNDLED {
        let packed = pack(guests, guest, &out)?;
        let defaults = defaults(guests, guest)?;
        let _ = writeln!(code, "    Bundled {{ name: {guest:?}, defaults: {defaults:?}, packed: {packed} }},");
    }
    code.push(']');
    std::fs::write(out.join("bundled.rs"), code).map_err(|error| format!("bundled.rs: {error}"))?;
    let packed = pack(guests, COMPONENTIZE, &out)?;
    std::fs::write(out.join("componentize.rs"), packed).map_err(|error| format!("componentize.rs: {error}"))
}

/// Packs a guest's component, and answers the expression of a `Packed` of it.
fn pack(guests: &Path, guest: &str, out: &Path) -> Result<String, String> {
    let path = guests.join("target").join(WASM_TARGET).join("release").join(format!("{guest}.wasm"));
    let component = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let packed = miniz_oxide::deflate::compress_to_vec(&component, DEFLATE_LEVEL);
    std::fs::write(out.join(format!("{guest}.deflate")), packed).map_err(|error| format!("{guest}.deflate: {error}"))?;
    let digest: [u8; 32] = Sha256::digest(&component).into();
    let size = component.len();
    Ok(format!("Packed {{ digest: {digest:?}, size: {size}, deflated: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{guest}.deflate\")) }}"))
}

/// What `[package.metadata.minicloud]` says that services want to know, as TOML.
fn defaults(guests: &Path, guest: &str) -> Result<String, String> {
    const KEYS: &[&str] = &["args", "env", "concurrency", "http-port", "ports", "volumes"];
    let manifest = guests.join(guest).join("Cargo.toml");
    let manifest = std::fs::read_to_string(&manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let manifest: toml::Table = manifest.parse().map_err(|error| format!("guests/{guest}/Cargo.toml: {error}"))?;
    let metadata = manifest.get("package").and_then(|package| package.get("metadata")).and_then(|metadata| metadata.get("minicloud"));
    let mut defaults = metadata.and_then(toml::Value::as_table).cloned().unwrap_or_default();
    defaults.retain(|key, _| KEYS.contains(&key));
    Ok(defaults.to_string())
}
