//! `proxy`: a SOCKS5 door from this machine into a network of the cluster.
use std::net::SocketAddr;

use clap::Args;
use minicloud_node::client::Client;

#[derive(Args, Debug)]
pub struct Proxy {
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1080")]
    listen: SocketAddr,
    /// Network to open
    #[arg(long)]
    network: String,
}

impl Proxy {
    pub async fn run(self, _client: Client) -> anyhow::Result<()> {
        Ok(())
    }
}
