//! `secret` and `config`: small files that the cluster keeps for tasks. The verbs are the same; only a config shows what
//! it holds.
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use minicloud_core::limits::{CONFIG_BYTES_MAX, SECRET_BYTES_MAX};
use minicloud_core::spec::FileKind;
use minicloud_node::api::types::{Base64, CreateFile, FileDetail, FileSummary, UpdateFile};
use minicloud_node::client::Client;

use crate::each::Rm;
use crate::inspect::{Inspect, labels};
use crate::output::{say, warn};
use crate::parse::{self, KeyValue};
use crate::render::{Listed, Listing, ago, bytes, facts, milliseconds_now};

#[derive(Subcommand)]
pub enum Secret {
    /// Create a secret from a file, or with '-' from standard input; it is kept sealed and shown to tasks alone
    #[command(after_help = "Examples:
  minicloud secret create password ./password.txt
  openssl rand -hex 20 | minicloud secret create password -
  minicloud service create --name db --secret password ./db.wasm

A task of db reads it at /run/secrets/password.")]
    Create(Create),
    /// Show one or more secrets, without what they hold
    Inspect(Inspect),
    /// List secrets
    #[command(alias = "list")]
    Ls(Ls),
    /// Remove secrets that no service has
    #[command(alias = "remove")]
    Rm(Rm),
    /// Change the labels of a secret; what it holds never changes
    Update(Update),
}

#[derive(Subcommand)]
pub enum Config {
    /// Create a config from a file, or with '-' from standard input
    #[command(after_help = "Examples:
  minicloud config create settings ./settings.toml
  minicloud service create --name web \\
    --config source=settings,target=/etc/web.toml ./web.wasm")]
    Create(Create),
    /// Show one or more configs, with what they hold
    Inspect(Inspect),
    /// List configs
    #[command(alias = "list")]
    Ls(Ls),
    /// Remove configs that no service has
    #[command(alias = "remove")]
    Rm(Rm),
    /// Change the labels of a config; what it holds never changes
    Update(Update),
}

#[derive(Args, Debug)]
pub struct Create {
    /// Label
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse::key_value)]
    label: Vec<KeyValue>,
    /// Name
    name: String,
    /// File with the content; '-' is standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
}

#[derive(Args, Debug)]
pub struct Ls {
    #[command(flatten)]
    listing: Listing,
}

#[derive(Args, Debug)]
pub struct Update {
    /// Add or change a label
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse::key_value)]
    label_add: Vec<KeyValue>,
    /// Remove a label
    #[arg(long, value_name = "KEY")]
    label_rm: Vec<String>,
    /// Name or id
    name: String,
}

impl Secret {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let kind = FileKind::Secret;
        match self {
            Secret::Create(create) => create.run(client, kind).await,
            Secret::Inspect(inspect) => inspect.run(async |name| client.file(kind, name).await, pretty).await,
            Secret::Ls(ls) => ls.listing.print(client.files(kind).await?),
            Secret::Rm(rm) => rm.run(async |name| client.remove_file(kind, name).await).await,
            Secret::Update(update) => update.run(client, kind).await,
        }
    }
}

impl Config {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let kind = FileKind::Config;
        match self {
            Config::Create(create) => create.run(client, kind).await,
            Config::Inspect(inspect) => inspect.run(async |name| client.file(kind, name).await, pretty).await,
            Config::Ls(ls) => ls.listing.print(client.files(kind).await?),
            Config::Rm(rm) => rm.run(async |name| client.remove_file(kind, name).await).await,
            Config::Update(update) => update.run(client, kind).await,
        }
    }
}

impl Create {
    async fn run(self, client: &Client, kind: FileKind) -> anyhow::Result<()> {
        let data = Base64(content(kind, &self.name, &self.file)?);
        let labels = self.label.into_iter().map(|label| (label.key, label.value)).collect();
        let created = client.create_file(kind, &CreateFile { name: self.name, labels, data }).await?;
        warn(&created.warnings);
        say!("{}", created.id);
        Ok(())
    }
}

/// What is in a file, or for '-' on standard input. One that is too large is not read to its end: it may have none.
pub fn content(kind: FileKind, name: &str, path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let most = match kind {
        FileKind::Secret => SECRET_BYTES_MAX,
        FileKind::Config => CONFIG_BYTES_MAX,
    };
    let (mut content, limit) = (Vec::new(), most as u64 + 1);
    if path == std::path::Path::new("-") {
        std::io::stdin().take(limit).read_to_end(&mut content).context("cannot read standard input")?;
    } else {
        let file = std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut content));
        file.with_context(|| format!("cannot read {}", path.display()))?;
    }
    if content.len() > most {
        bail!("{kind} '{name}' would have more than {most} bytes, and no more are allowed; put large data on a volume");
    }
    Ok(content)
}

impl Update {
    async fn run(self, client: &Client, kind: FileKind) -> anyhow::Result<()> {
        let labels_add = self.label_add.into_iter().map(|label| (label.key, label.value)).collect();
        let change = UpdateFile { labels_add, labels_rm: self.label_rm };
        if change == UpdateFile::default() {
            bail!("what a {kind} holds never changes; give --label-add or --label-rm, or create a new one and hand it to the services");
        }
        warn(&client.update_file(kind, &self.name, &change).await?.warnings);
        say!("{}", self.name);
        Ok(())
    }
}

fn pretty(file: &FileDetail, now_ms: u64) -> String {
    let summary = &file.summary;
    let mut text = facts(&[
        ("ID", summary.id.to_string()),
        ("Name", summary.name.clone()),
        ("Labels", labels(&summary.labels)),
        ("Size", bytes(summary.size_bytes)),
        ("Services", file.services.join(", ")),
        ("Created", ago(summary.created_at_ms, now_ms)),
        ("Updated", ago(summary.updated_at_ms, now_ms)),
    ]);
    if let Some(data) = &file.data {
        text += &format!("\nData:\n{}", String::from_utf8_lossy(&data.0).trim_end_matches('\n'));
    }
    text
}

impl Listed for FileSummary {
    const COLUMNS: &'static [&'static str] = &["ID", "NAME", "SIZE", "CREATED", "UPDATED"];
    const FILTERS: &'static [&'static str] = &["id", "name", "label"];

    fn cells(&self) -> Vec<String> {
        let now_ms = milliseconds_now();
        let age = |at| ago(at, now_ms);
        vec![self.id.to_string(), self.name.clone(), bytes(self.size_bytes), age(self.created_at_ms), age(self.updated_at_ms)]
    }

    fn handle(&self) -> String {
        self.id.to_string()
    }

    fn fits(&self, key: &str, value: &str) -> bool {
        match key {
            "id" => self.id.to_string().starts_with(value),
            "name" => self.name.contains(value),
            _ => match value.split_once('=') {
                Some((key, value)) => self.labels.get(key).is_some_and(|label| label == value),
                None => self.labels.contains_key(value),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(data: Option<&str>) -> FileDetail {
        let mut detail: FileDetail = serde_json::from_value(serde_json::json!({
            "id": "000000000001", "name": "settings", "labels": {"stage": "two"}, "size_bytes": 14,
            "created_at_ms": 10_000, "updated_at_ms": 90_000, "services": ["web"],
        }))
        .unwrap();
        detail.data = data.map(|text| Base64(text.into()));
        detail
    }

    #[test]
    fn a_config_shows_what_it_holds_and_a_secret_does_not() {
        let secret = "\
ID:        000000000001
Name:      settings
Labels:    stage=two
Size:      14 B
Services:  web
Created:   about a minute ago
Updated:   10 seconds ago";
        assert_eq!(pretty(&detail(None), 100_000), secret);
        assert_eq!(pretty(&detail(Some("colour = blue\n")), 100_000), format!("{secret}\nData:\ncolour = blue"));
    }

    #[test]
    fn lists_are_filtered_by_label_as_docker_s() {
        let summary = detail(None).summary;
        assert!(summary.fits("label", "stage") && summary.fits("label", "stage=two") && summary.fits("name", "sett"));
        assert!(!summary.fits("label", "stage=one") && !summary.fits("label", "two"));
    }

    #[test]
    fn what_is_too_large_is_not_read_to_its_end() {
        let error = content(FileKind::Secret, "endless", std::path::Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.contains("more than 512000 bytes"), "{error}");
        let missing = format!("{:#}", content(FileKind::Config, "a", std::path::Path::new("/nonexistent")).unwrap_err());
        assert!(missing.contains("cannot read /nonexistent: "), "{missing}");
    }
}
