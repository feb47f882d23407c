//! `init`, `join`, `start`, `stop`, `leave`: a node's process and its place in a cluster.
mod further;
mod info;
mod join_token;
mod leave;
pub mod remains;
mod version;

use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use minicloud_core::state::{Availability, Role};
use minicloud_node::api::types::Info;
use minicloud_node::client::Client;
use minicloud_node::node::{Addresses, DnsDoor, Start as NodeStart};
use tokio::time::timeout;

use crate::connect::{self, holds_node};
use crate::daemon::{self, DaemonRequest};
use crate::data_dir::{Choice, process_id, program};
use crate::node;
use crate::output::say;
use crate::{address, data_dir, parse};

pub use info::ShowInfo;
pub use join_token::JoinTokenArgs;
pub use leave::Leave;
pub use version::ShowVersion;

/// Longest wait for a node to end in order before it is said that it does not.
const STOP_WAIT: Duration = Duration::from_secs(30);
/// How often it is looked whether the node's process is gone.
const STOP_LOOK: Duration = Duration::from_millis(20);
/// How long a process that was killed may take to end.
const KILLED_WAIT: Duration = Duration::from_secs(5);
/// How long a node that lives may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

#[derive(Args)]
pub struct AddressArgs {
    /// Address that other nodes use: IP, interface name, with or without a port
    #[arg(long, value_name = "ADDR")]
    advertise_addr: Option<String>,
    /// Address to listen on for other nodes (UDP): IP, interface name, with or without a port
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:2377")]
    listen_addr: String,
    /// Address on which published ports are bound [default: the IP of --listen-addr]
    #[arg(long, value_name = "IP", value_parser = address::local_ip)]
    ingress_addr: Option<IpAddr>,
    /// Address of the DNS server that answers service names, or 'off' [default: a loopback address, port 5300]
    #[arg(long, value_name = "ADDR", value_parser = address::dns)]
    dns_addr: Option<DnsDoor>,
}

impl AddressArgs {
    fn resolve(&self) -> anyhow::Result<Addresses> {
        let listen = address::listen(Some(&self.listen_addr))?;
        let advertise = address::advertise(self.advertise_addr.as_deref(), listen)?;
        Ok(Addresses {
            listen,
            advertise,
            ingress: self.ingress_addr.unwrap_or(listen.ip()),
            dns: self.dns_addr.unwrap_or_else(|| address::default_dns(listen)),
            port_offset: 0,
        })
    }
}

#[derive(Args)]
pub struct Init {
    #[command(flatten)]
    addresses: AddressArgs,
    /// Whether the node gets tasks
    #[arg(long, value_name = "STATE", value_parser = node::availability(), default_value = "active")]
    availability: Availability,
    /// Address range that networks get their subnets from
    #[arg(long, value_name = "CIDR", value_parser = parse::subnet, default_value = "10.0.0.0/8")]
    default_addr_pool: ipnet::Ipv4Net,
    /// Hostname of the node in the cluster [default: this machine's]
    #[arg(long)]
    hostname: Option<String>,
    /// Stay in the foreground and log to the terminal
    #[arg(long)]
    foreground: bool,
}

impl Init {
    pub fn run(self, choice: &Choice) -> anyhow::Result<()> {
        let folder = choice.for_new()?;
        refuse_existing(choice, &folder, || further::init(&program(), &folder))?;
        let start = NodeStart::Found {
            addresses: self.addresses.resolve()?,
            availability: self.availability,
            address_pool: self.default_addr_pool,
            hostname: self.hostname,
        };
        let running = launch(&folder, start, self.foreground, Creates::Cluster)?;
        if let Some(client) = running {
            print_founded(choice, &folder, &client)?;
        }
        Ok(())
    }
}

#[derive(Args)]
pub struct Join {
    #[command(flatten)]
    addresses: AddressArgs,
    /// Token of the role the node shall have; `minicloud join-token worker` prints it
    #[arg(long)]
    token: String,
    /// Whether the node gets tasks
    #[arg(long, value_name = "STATE", value_parser = node::availability(), default_value = "active")]
    availability: Availability,
    /// Hostname of the node in the cluster [default: this machine's]
    #[arg(long)]
    hostname: Option<String>,
    /// Stay in the foreground and log to the terminal
    #[arg(long)]
    foreground: bool,
    /// Address of a manager: IP or host name, with or without a port
    #[arg(value_name = "ADDR")]
    manager: String,
}

impl Join {
    pub fn run(self, choice: &Choice) -> anyhow::Result<()> {
        let folder = choice.for_new()?;
        let manager = address::remote(&self.manager)?;
        refuse_existing(choice, &folder, || further::join(&program(), &folder, &self.token, manager))?;
        let start = NodeStart::Join {
            addresses: self.addresses.resolve()?,
            availability: self.availability,
            manager,
            token: self.token,
            hostname: self.hostname,
        };
        let running = launch(&folder, start, self.foreground, Creates::Member)?;
        if let Some(client) = running {
            let info = block_on(client.info())?;
            say!("This node ({}) joined the cluster as a {}.", info.node_id, info.role);
        }
        Ok(())
    }
}

#[derive(Args)]
pub struct Start {
    /// Stay in the foreground and log to the terminal
    #[arg(long)]
    foreground: bool,
}

impl Start {
    pub fn run(self, choice: &Choice) -> anyhow::Result<()> {
        let folder = choice.for_new()?;
        if !is_free(&folder) {
            bail!("the node in {} runs already", folder.display());
        }
        if !holds_node(&folder) {
            bail!(connect::not_running(&folder, &choice.flag(&folder)));
        }
        let running = launch(&folder, NodeStart::Open, self.foreground, Creates::Nothing)?;
        if let Some(client) = running {
            let info = block_on(client.info())?;
            say!("Node {} runs again.", info.node_id);
        }
        Ok(())
    }
}

/// `minicloud stop`: ends the node in order and waits until its process is gone.
pub fn stop(choice: &Choice) -> anyhow::Result<()> {
    let folder = choice.for_running()?;
    let pid = process_id(&folder).filter(|_| data_dir::process_lives(&folder));
    let Some(pid) = pid else { bail!(connect::not_running(&folder, &choice.flag(&folder))) };
    end_node(&folder, pid)?;
    say!("The node in {} is stopped; start it again with '{}{} start'.", folder.display(), program(), choice.flag(&folder));
    Ok(())
}

/// Tells the node to end, and waits until its process is gone.
pub fn end_node(folder: &Path, pid: rustix::process::Pid) -> anyhow::Result<()> {
    if let Err(error) = block_on(async { Client::connect_data_dir(folder).await?.stop().await }) {
        // A signal means the same to it, and needs nobody who answers.
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .with_context(|| format!("{error:#}; process {} cannot be told", pid.as_raw_nonzero()))?;
    }
    wait_for_end(pid, folder)
}

/// Waits until the process is gone.
pub fn wait_for_end(pid: rustix::process::Pid, folder: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + STOP_WAIT;
    while data_dir::lives(pid) {
        if Instant::now() > deadline {
            bail!(
                "process {pid} has not ended in {} s; its log: {}",
                STOP_WAIT.as_secs(),
                folder.join("minicloud.log").display(),
                pid = pid.as_raw_nonzero()
            );
        }
        std::thread::sleep(STOP_LOOK);
    }
    data_dir::unregister(folder);
    Ok(())
}

/// Whether no node runs in `folder`. One that does not answer may just have been killed, and is given time to end.
fn is_free(folder: &Path) -> bool {
    let info = async || Client::connect_data_dir(folder).await?.info().await;
    let answers = || block_on(async { timeout(ANSWER_WAIT, info()).await?.map_err(anyhow::Error::from) }).is_ok();
    let deadline = Instant::now() + KILLED_WAIT;
    while data_dir::process_lives(folder) {
        if answers() || Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(STOP_LOOK);
    }
    true
}

/// A second `init` or `join` on one machine is told the command that works.
fn refuse_existing(choice: &Choice, folder: &Path, further: impl Fn() -> String) -> anyhow::Result<()> {
    let shown = folder.display();
    if data_dir::process_lives(folder) {
        bail!("a node runs in {shown} already; for a further node on this machine: {}", further());
    }
    if holds_node(folder) {
        let start = format!("{}{} start", program(), choice.flag(folder));
        bail!("there is a node in {shown} already; start it with '{start}'; for a further node on this machine: {}", further());
    }
    remains::make_room(folder)
}

/// What a start makes, and so takes away again when it fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Creates {
    Cluster,
    /// A node of a cluster that counts on it once it is made.
    Member,
    Nothing,
}

pub fn launch(folder: &Path, start: NodeStart, foreground: bool, creates: Creates) -> anyhow::Result<Option<Client>> {
    let existed = folder.is_dir();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    data_dir::register(folder);
    let request = DaemonRequest { data_dir: folder.to_owned(), start };
    let outcome = if foreground { daemon::foreground(request) } else { daemon::spawn(&request) };
    let outcome = outcome.map_err(|error| with_last_words(error, folder));
    let is_made = holds_node(folder);
    if foreground || outcome.is_err() {
        data_dir::unregister(folder);
    }
    match creates {
        Creates::Member if is_made => outcome
            .with_context(|| format!("this node belongs to the cluster now; go on with '{}{} start'", program(), data_dir::flag(folder)))?,
        Creates::Cluster | Creates::Member if outcome.is_err() => {
            clear(folder, existed);
            outcome?;
        }
        _ => outcome?,
    }
    if foreground { Ok(None) } else { Ok(Some(block_on(Client::connect_data_dir(folder))?)) }
}

/// An error that points to the log, with the end of that log, as it may be cleared away.
fn with_last_words(error: anyhow::Error, folder: &Path) -> anyhow::Error {
    let path = folder.join("minicloud.log");
    if !error.to_string().contains(&path.display().to_string()) {
        return error;
    }
    let log = std::fs::read(&path).unwrap_or_default();
    match String::from_utf8_lossy(&log).lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => anyhow::anyhow!("{error:#}: {line}"),
        None => error,
    }
}

/// A node that could not be made leaves nothing behind.
fn clear(folder: &Path, existed: bool) {
    // What a process holds is its own, such as that of another `init` which was faster.
    if remains::clear(folder).is_ok() && !existed {
        let _ = std::fs::remove_dir(folder);
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

fn print_founded(choice: &Choice, folder: &Path, client: &Client) -> anyhow::Result<()> {
    let (info, worker): (Info, _) =
        block_on(async { Ok::<_, anyhow::Error>((client.info().await?, client.join_token(Role::Worker).await?)) })?;
    say!("Cluster {} is founded: this node ({}) is its first manager.\n", info.cluster_id, info.node_id);
    say!("{}\n", join_token::instructions(&worker, &program(), folder));
    say!("To add a manager, see '{}{} join-token manager'.", program(), choice.flag(folder));
    Ok(())
}

/// Runs one client call to its end; the command line is a sequence of them.
pub fn block_on<T, E: Into<anyhow::Error>>(future: impl Future<Output = Result<T, E>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(future).map_err(Into::into)
}
