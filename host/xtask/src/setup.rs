//! What a fresh machine with Rust and Node.js still needs, installed or asked for in one line.
use anyhow::{bail, ensure};

use crate::run;

const WASM_TARGET: &str = "wasm32-wasip2";
/// Oldest Node.js that builds the web page.
const NODE_JS_MAJOR_MIN: u32 = 20;

/// Adds the WebAssembly target with rustup when it is missing.
pub fn wasm_target() -> anyhow::Result<()> {
    let sysroot = run::output("rustc", &["--print", "sysroot"]).unwrap_or_default();
    if std::path::Path::new(&sysroot).join("lib/rustlib").join(WASM_TARGET).is_dir() {
        return Ok(());
    }
    ensure!(
        run::exists("rustup"),
        "the Rust target {WASM_TARGET} is missing and there is no rustup to add it; install Rust with rustup, or the target with your system's packages"
    );
    run::program(".", "rustup", &["target", "add", WASM_TARGET])
}

/// Checks that Node.js is there and new enough to build the web page.
pub fn node_js() -> anyhow::Result<()> {
    let version = run::output("node", &["--version"]).unwrap_or_default();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= NODE_JS_MAJOR_MIN => Ok(()),
        Some(_) => bail!("Node.js {version} is too old; install Node.js {NODE_JS_MAJOR_MIN} or later"),
        None => bail!("Node.js is missing; install Node.js {NODE_JS_MAJOR_MIN} or later (it builds the web page)"),
    }
}

/// Builds the web page and every guest, the test guests included.
pub fn guests() -> anyhow::Result<()> {
    wasm_target()?;
    node_js()?;
    web()?;
    run::program("guests", "cargo", &["build", "--release", "--workspace", "--target", WASM_TARGET, "--target-dir", "target"])
}

fn web() -> anyhow::Result<()> {
    run::program("web", "npm", &["ci", "--no-audit", "--no-fund"])?;
    run::program("web", "npm", &["run", "build"])
}

/// Programs of the tests with real clients, and the Debian package of each.
const CLIENTS: &[(&str, &str)] = &[
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("curl", "curl"),
    ("dig", "dnsutils"),
    ("redis-cli", "redis-tools"),
    ("httping", "httping"),
    ("ip", "iproute2"),
    ("skopeo", "skopeo"),
    ("docker-registry", "docker-registry"),
    ("openssl", "openssl"),
    ("zsh", "zsh"),
    ("fish", "fish"),
];

/// Packages of PyPI that tests need, each in an environment of its own in the target folder, and how it is imported.
const PYTHON: &[(&str, &str, &str)] = &[("oras", "oras", "oras"), ("componentize-py", "componentize-py==0.25.1", "componentize_py")];

/// The package of npm that makes components of JavaScript, in the target folder. Later ones find no files on Node.js 20.
const JCO: (&str, &str) = ("jco", "@bytecodealliance/jco@1.17.9");

/// Installs the clients where that is possible; tests that miss theirs count as skipped.
pub fn clients() -> anyhow::Result<()> {
    debian_clients()?;
    for (folder, package, module) in PYTHON {
        if let Err(error) = python(folder, package, module) {
            eprintln!("note: tests that need {folder} of PyPI are skipped: {error:#}");
        }
    }
    if let Err(error) = jco() {
        eprintln!("note: tests that need {} of npm are skipped: {error:#}", JCO.1);
    }
    Ok(())
}

fn python(folder: &str, package: &str, module: &str) -> anyhow::Result<()> {
    let venv = run::target_dir().join(folder).display().to_string();
    let python = format!("{venv}/bin/python");
    if run::output(&python, &["-c", &format!("import {module}")]).is_some() {
        return Ok(());
    }
    ensure!(run::exists("python3"), "there is no python3 to make its environment with");
    run::program(".", "python3", &["-m", "venv", &venv])?;
    run::program(".", &python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package])
}

fn jco() -> anyhow::Result<()> {
    let (folder, package) = JCO;
    let folder = run::target_dir().join(folder);
    if folder.join("node_modules/.bin/jco").is_file() {
        return Ok(());
    }
    ensure!(run::exists("npm"), "there is no npm");
    let prefix = folder.display().to_string();
    run::program(".", "npm", &["install", "--silent", "--no-audit", "--no-fund", "--prefix", &prefix, package])
}

/// Where the benchmark looks for programs to compare with that are not on the path, in the target folder.
const PEERS: &str = "peers";

/// Brings the programs that figures are held against; figures that miss theirs are skipped.
///
/// They are unpacked, not installed: Debian would start each as a service, on the ports that ours want.
pub fn peers() -> anyhow::Result<()> {
    debian_clients()?;
    for (program, package) in [("docker-registry", "docker-registry"), ("etcd", "etcd-server")] {
        if let Err(error) = unpacked(program, package) {
            eprintln!("note: figures that need {package} are skipped: {error:#}");
        }
    }
    redis_server()
}

/// A program of a package of Debian that needs no other.
fn unpacked(program: &str, package: &str) -> anyhow::Result<()> {
    let folder = run::target_dir().join(PEERS);
    if run::exists(program) || folder.join("usr/bin").join(program).is_file() {
        return Ok(());
    }
    ensure!(run::exists("apt-get") && run::exists("dpkg-deb"), "it is unpacked from Debian's package, and this is no Debian");
    let script = format!(
        "cd \"$(mktemp -d)\" && apt-get -qq -o APT::Sandbox::User=root download {package} && dpkg-deb -x ./*.deb '{}' && rm -r \"$PWD\"",
        folder.display()
    );
    run::program(".", "sh", &["-c", &script])
}

/// The server and the tools of Redis are one program, which goes by its name.
fn redis_server() -> anyhow::Result<()> {
    let link = run::target_dir().join(PEERS).join("usr/bin/redis-server");
    if run::exists("redis-server") || !run::exists("redis-check-rdb") || link.exists() {
        return Ok(());
    }
    let folder = link.with_file_name("").display().to_string();
    let script = format!("mkdir -p '{folder}' && ln -sf \"$(command -v redis-check-rdb)\" '{}'", link.display());
    run::program(".", "sh", &["-c", &script])
}

fn debian_clients() -> anyhow::Result<()> {
    let missing: Vec<_> = CLIENTS.iter().filter(|(program, _)| !run::exists(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    let root = run::output("id", &["-u"]).as_deref() == Some("0");
    if !root || !run::exists("apt-get") {
        eprintln!("note: tests that need {} are skipped; on Debian, as root: apt-get install {}", packages.join(", "), packages.join(" "));
        return Ok(());
    }
    run::program(".", "apt-get", &["-qq", "update"])?;
    let mut install = vec!["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "install", "--yes", "--no-install-recommends"];
    install.extend(packages);
    run::program(".", "env", &install)
}
