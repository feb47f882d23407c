//! `version`
use clap::Args;
use minicloud_node::api::types::Version;
use serde::Serialize;

use super::block_on;
use crate::connect;
use crate::data_dir::Choice;
use crate::output::say;
use crate::render::{Format, facts, print_json};

#[derive(Args, Debug)]
pub struct ShowVersion {
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Serialize)]
struct Versions {
    /// This program.
    client: String,
    /// The node; absent when none runs.
    node: Option<Version>,
}

impl ShowVersion {
    /// Works without a node too.
    pub fn run(self, choice: &Choice) -> anyhow::Result<()> {
        let node = block_on(async { Ok::<_, anyhow::Error>(connect::client(choice).await?.version().await?) }).ok();
        let versions = Versions { client: env!("CARGO_PKG_VERSION").to_owned(), node };
        match self.format {
            Format::Json => print_json(&versions)?,
            Format::Table => say!("{}", text(&versions)),
        }
        Ok(())
    }
}

fn text(versions: &Versions) -> String {
    let platform = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    let node = match &versions.node {
        Some(node) => format!("{}, API {} ({} {})", node.version, node.api_version, node.os, node.arch),
        None => "none runs here".to_owned(),
    };
    facts(&[("Client", format!("{} ({platform})", versions.client)), ("Node", node)])
}
