//! `proxy`: a SOCKS5 door from this machine into a network of the cluster.
//!
//! It listens in this process; each connection is carried by the node, as if a task had opened it.
mod socks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use minicloud_node::api::types::ErrorKind;
use minicloud_node::client::{Client, ClientError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::address;
use crate::output::say;
use socks::Reply;

/// Connections that are open at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 1_024;
/// How long a client may take to say where it wants to go.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Wait after a failed `accept`, for example when this process has no more descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

#[derive(Args, Debug)]
#[command(after_help = "Example:
  minicloud network create --attachable back
  minicloud service create --name rng --network back rng
  minicloud proxy --network back &
  curl --socks5-hostname 127.0.0.1:1080 http://rng/32")]
pub struct Proxy {
    /// Address to listen on
    #[arg(long, value_name = "ADDR", value_parser = address::local::<1080>, default_value = "127.0.0.1:1080")]
    listen: SocketAddr,
    /// Network to reach
    #[arg(long)]
    network: String,
}

impl Proxy {
    pub async fn run(self, client: Client) -> anyhow::Result<()> {
        self.check(&client).await?;
        let listener = TcpListener::bind(self.listen).await.with_context(|| format!("--listen {} cannot be bound", self.listen))?;
        let address = listener.local_addr()?;
        say!("SOCKS5 into network {} at {address}, until Ctrl-C; for example:", self.network);
        say!("  curl --socks5-hostname {address} http://SERVICE/");
        if !address.ip().is_loopback() {
            eprintln!("warning: everybody who reaches {address} reaches network {}", self.network);
        }
        serve(listener, Arc::new(client), self.network.into()).await
    }

    /// A network that cannot be entered is told now, not to every connection. A worker cannot tell.
    async fn check(&self, client: &Client) -> anyhow::Result<()> {
        let name = &self.network;
        match client.network(name).await {
            Ok(network) if !network.summary.attachable => {
                bail!("network '{name}' is not attachable; create it with 'minicloud network create --attachable {name}'")
            }
            Err(ClientError::Api { kind: ErrorKind::Unavailable, .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

async fn serve(listener: TcpListener, client: Arc<Client>, network: Arc<str>) -> anyhow::Result<()> {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await.context("the proxy is closed")?;
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            continue;
        };
        let (client, network) = (Arc::clone(&client), Arc::clone(&network));
        tokio::spawn(async move {
            // A client that breaks off or talks nonsense is its own trouble.
            let _ = carry(stream, &client, &network).await;
            drop(slot);
        });
    }
}

async fn carry(mut stream: TcpStream, client: &Client, network: &str) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let target = tokio::time::timeout(HANDSHAKE_TIMEOUT, socks::accept(&mut stream)).await??;
    match client.connect_on_network(network, &target.host, target.port).await {
        Ok(mut remote) => {
            socks::answer(&mut stream, Reply::Succeeded).await?;
            tokio::io::copy_bidirectional(&mut stream, &mut remote).await?;
        }
        Err(error) => {
            eprintln!("{}:{}: {error}", target.host, target.port);
            socks::answer(&mut stream, reply_to(&error)).await?;
        }
    }
    Ok(())
}

fn reply_to(error: &ClientError) -> Reply {
    match error.kind() {
        Some(ErrorKind::NotFound) => Reply::HostUnreachable,
        Some(ErrorKind::Invalid | ErrorKind::Conflict) => Reply::NotAllowed,
        Some(ErrorKind::Unavailable) => Reply::ConnectionRefused,
        _ => Reply::GeneralFailure,
    }
}
