//! The node's process: started in the background by `init`, `join` and `start`, or in the foreground on demand.
//!
//! The starter hands over a [`DaemonRequest`] on standard input, and waits on standard output for one line of JSON
//! that says `ready` or what went wrong; standard error is the daemon's log file from the beginning.
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail};
use minicloud_node::node::{Node, NodeOptions, Start};
use serde::{Deserialize, Serialize};

use crate::bundled;
use crate::executor::EngineExecutor;

/// Name of the hidden subcommand that the starter runs.
pub const SUBCOMMAND: &str = "daemon";
const LOG_FILE: &str = "minicloud.log";

#[derive(Debug, Serialize, Deserialize)]
pub struct DaemonRequest {
    pub data_dir: PathBuf,
    pub start: Start,
}

/// What the daemon says once it serves, or why it does not.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Announcement {
    Ready,
    Error(String),
}

/// Starts the node in the background and returns when it is ready.
pub fn spawn(request: &DaemonRequest) -> anyhow::Result<()> {
    let log_path = request.data_dir.join(LOG_FILE);
    let log = open_log(&log_path)?;
    let program = std::env::current_exe().context("the path of this program is unknown")?;
    let mut child = Command::new(program)
        .arg(SUBCOMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("the node's process could not be started")?;
    let mut stdin = child.stdin.take().context("the node's process has no standard input")?;
    stdin.write_all(&serde_json::to_vec(request)?)?;
    drop(stdin);
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let announced = serde_json::from_str(&line);
    if !matches!(announced, Ok(Announcement::Ready)) {
        // Nothing is to be waited for in it, and it lets go of its folder only with its end.
        let _ = child.kill().and_then(|()| child.wait());
    }
    match announced {
        Ok(Announcement::Ready) => Ok(()),
        Ok(Announcement::Error(message)) => bail!(message),
        Err(_) => bail!("the node ended before it was ready; its log says why: {}", log_path.display()),
    }
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("the log {} cannot be opened", path.display()))
}

/// The body of the hidden subcommand.
pub fn background() -> anyhow::Result<()> {
    // The starter's terminal must not reach us: a Ctrl-C there ends the starter only.
    let _ = rustix::process::setsid();
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let request: DaemonRequest = serde_json::from_str(&text).context("this subcommand is for minicloud itself; use 'minicloud start'")?;
    trace_to_stderr(false);
    let result = serve(request, || announce(&Announcement::Ready));
    if let Err(error) = &result {
        tracing::error!("{error:#}");
        announce(&Announcement::Error(format!("{error:#}")));
    }
    result
}

/// `--foreground`: the same node, logging to the terminal, ended by Ctrl-C.
pub fn foreground(request: DaemonRequest) -> anyhow::Result<()> {
    trace_to_stderr(true);
    serve(request, || tracing::info!("ready"))
}

/// Writes the one line the starter waits for, then lets go of its pipe.
fn announce(announcement: &Announcement) {
    let mut stdout = std::io::stdout().lock();
    if let Ok(line) = serde_json::to_string(announcement) {
        let _ = writeln!(stdout, "{line}");
        let _ = stdout.flush();
    }
    if let Ok(null) = OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

fn trace_to_stderr(colours: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MINICLOUD_LOG").unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new("info,openraft=warn,quinn=warn,wasmtime=warn,cranelift=warn,hickory_server=warn")
    });
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).try_init();
}

fn serve(request: DaemonRequest, ready: impl FnOnce()) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(node_threads()).thread_name("node").enable_all().build()?;
    runtime.block_on(async {
        let executor = Arc::new(EngineExecutor::new(&request.data_dir)?);
        let options = NodeOptions { data_dir: request.data_dir, executor, bundled: bundled::images() };
        let node = Node::start(options, request.start).await?;
        ready();
        node.run_until(termination()).await;
        Ok(())
    })
}

/// Threads for Raft, QUIC and the API, beside those of the guests: half of the cores. A thread more than there is work for
/// costs wake-ups, in idle and on the way of every packet.
fn node_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// Resolves when the process is asked to end.
async fn termination() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => tracing::info!("told to end by SIGTERM"),
        _ = interrupt.recv() => tracing::info!("told to end by SIGINT"),
    }
}
