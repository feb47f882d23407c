//! `stack ls`
use std::collections::BTreeMap;

use clap::Args;
use minicloud_node::client::Client;
use serde::Serialize;

use super::NAMESPACE;
use crate::output::say;
use crate::render::{Format, print_json, table};

#[derive(Args, Debug)]
pub struct Ls {
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Print only names
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Serialize)]
struct Row {
    name: String,
    services: usize,
}

impl Ls {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let mut stacks: BTreeMap<String, usize> = BTreeMap::new();
        for service in client.services().await? {
            if let Some(name) = service.labels.get(NAMESPACE) {
                *stacks.entry(name.clone()).or_default() += 1;
            }
        }
        let rows: Vec<Row> = stacks.into_iter().map(|(name, services)| Row { name, services }).collect();
        match self.format {
            _ if self.quiet => {
                for row in &rows {
                    say!("{}", row.name);
                }
            }
            Format::Json => print_json(&rows)?,
            Format::Table => {
                say!("{}", table(&["NAME", "SERVICES"], rows.into_iter().map(|row| vec![row.name, row.services.to_string()]).collect()));
            }
        }
        Ok(())
    }
}
