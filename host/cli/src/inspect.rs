//! `inspect` commands: an array of the objects as JSON, or `--pretty` for people.
use clap::Args;
use minicloud_core::spec::Labels;
use minicloud_node::client::ClientError;
use serde::Serialize;

use crate::each::each;
use crate::output::say;
use crate::render::{Format, milliseconds_now, print_json};

/// `inspect NAME…` of whatever has names.
#[derive(Args, Debug)]
pub struct Inspect {
    #[command(flatten)]
    inspecting: Inspecting,
    /// Names or ids
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Inspect {
    /// `pretty` gets the time too, in ms since the epoch.
    pub async fn run<T: Serialize>(
        &self,
        get: impl AsyncFn(&str) -> Result<T, ClientError>,
        pretty: impl Fn(&T, u64) -> String,
    ) -> anyhow::Result<()> {
        let now_ms = milliseconds_now();
        self.inspecting.run(&self.names, async |name| Ok(get(name).await?), |object| pretty(object, now_ms)).await
    }
}

#[derive(Args, Debug)]
pub struct Inspecting {
    /// Print for people; the same as --format table
    #[arg(long, conflicts_with = "format")]
    pretty: bool,
    /// How to print; JSON is always an array, of one object for each name
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
}

impl Inspecting {
    pub async fn run<T: Serialize>(
        &self,
        names: &[String],
        get: impl AsyncFn(&str) -> anyhow::Result<T>,
        pretty: impl Fn(&T) -> String,
    ) -> anyhow::Result<()> {
        let mut found = Vec::new();
        let outcome = each(names, async |name| {
            found.push(get(name).await?);
            Ok(())
        })
        .await;
        if self.pretty || self.format == Format::Table {
            for (at, object) in found.iter().enumerate() {
                let gap = if at == 0 { "" } else { "\n" };
                say!("{gap}{}", pretty(object));
            }
        } else {
            print_json(&found)?;
        }
        outcome
    }
}

/// `disk=ssd, rack`
pub fn labels(labels: &Labels) -> String {
    let shown: Vec<String> =
        labels.iter().map(|(key, value)| if value.is_empty() { key.clone() } else { format!("{key}={value}") }).collect();
    shown.join(", ")
}
