//! `images`, `image` and `tag`: what the node holds, and how it is called there.
use clap::{Args, Subcommand};
use minicloud_node::api::types::{ImageDetail, ImageSummary, TagImage};
use minicloud_node::client::Client;

use crate::each::each;
use crate::inspect::Inspecting;
use crate::output::say;
use crate::render::{Listed, Listing, ago, bytes, facts, milliseconds_now};

/// Characters of a digest that are shown in a table, `sha256:` included.
const DIGEST_WIDTH: usize = 19;

#[derive(Subcommand)]
pub enum Image {
    /// Show one or more images in full
    Inspect(Inspect),
    /// List images
    #[command(alias = "list")]
    Ls(Ls),
    /// Remove components that have no name and that no service refers to
    Prune,
    /// Take names away, and the components where nothing else refers to them
    #[command(alias = "remove")]
    Rm(Rm),
}

#[derive(Args, Debug)]
pub struct Inspect {
    #[command(flatten)]
    inspecting: Inspecting,
    /// Names or digests
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

#[derive(Args, Debug)]
pub struct Ls {
    #[command(flatten)]
    listing: Listing,
}

#[derive(Args, Debug)]
pub struct Rm {
    /// Names or digests
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  minicloud tag web:v1 127.0.0.1:5000/web:v1")]
pub struct Tag {
    /// Name or digest
    source: String,
    /// The further name: [REGISTRY/]NAME[:TAG]
    target: String,
}

impl Image {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Image::Inspect(inspect) => inspect.run(client).await,
            Image::Ls(ls) => ls.run(client).await,
            Image::Prune => prune(client).await,
            Image::Rm(rm) => rm.run(client).await,
        }
    }
}

impl Ls {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        self.listing.print(client.images().await?)
    }
}

impl Inspect {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let now_ms = milliseconds_now();
        self.inspecting.run(&self.images, async |name| Ok(client.image(name).await?), |image| pretty(image, now_ms)).await
    }
}

impl Rm {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        each(&self.images, async |image| {
            let removed = client.remove_image(image).await?;
            say!("Untagged: {}", removed.name);
            if removed.deleted {
                say!("Deleted: {}", removed.digest);
            }
            Ok(())
        })
        .await
    }
}

impl Tag {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        client.tag_image(&TagImage { source: self.source, target: self.target }).await?;
        Ok(())
    }
}

async fn prune(client: &Client) -> anyhow::Result<()> {
    let pruned = client.prune_images().await?;
    for digest in &pruned.digests {
        say!("Deleted: {digest}");
    }
    say!("Total reclaimed space: {}", bytes(pruned.bytes));
    Ok(())
}

fn pretty(image: &ImageDetail, now_ms: u64) -> String {
    let (summary, defaults) = (&image.summary, &image.defaults);
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    facts(&[
        ("Name", summary.name.clone()),
        ("Digest", summary.digest.to_string()),
        ("Manifest", image.manifest.clone().unwrap_or_default()),
        ("Size", bytes(summary.size)),
        (
            "Named",
            summary.named_at_ms.map_or_else(|| if summary.bundled { "bundled".to_owned() } else { String::new() }, |at| ago_ms(at, now_ms)),
        ),
        ("Arguments", defaults.args.join(" ")),
        ("Environment", defaults.env.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")),
        ("Concurrency", number(defaults.concurrency.map(u64::from))),
        ("HTTP port", number(defaults.http_port.map(u64::from))),
        ("Ports", defaults.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")),
        ("Volumes", defaults.volumes.join(", ")),
    ])
}

fn ago_ms(at_ms: u64, now_ms: u64) -> String {
    ago(minicloud_core::time::Timestamp(at_ms), now_ms)
}

impl Listed for ImageSummary {
    const COLUMNS: &'static [&'static str] = &["REPOSITORY", "TAG", "DIGEST", "CREATED", "SIZE"];
    const FILTERS: &'static [&'static str] = &["reference", "bundled", "dangling"];

    fn cells(&self) -> Vec<String> {
        let (repository, tag) = split(self);
        let digest = self.digest.to_string()[..DIGEST_WIDTH].to_owned();
        let created = match self.named_at_ms {
            Some(at_ms) => ago_ms(at_ms, milliseconds_now()),
            None if self.bundled => "bundled".to_owned(),
            None => String::new(),
        };
        vec![repository, tag, digest, created, bytes(self.size)]
    }

    fn handle(&self) -> String {
        self.digest.to_string()
    }

    fn fits(&self, key: &str, value: &str) -> bool {
        match key {
            "reference" => self.name.contains(value),
            "bundled" => self.bundled.to_string() == value,
            _ => is_nameless(self).to_string() == value,
        }
    }
}

fn is_nameless(image: &ImageSummary) -> bool {
    image.name == image.digest.to_string()
}

/// Repository and tag, as Docker shows them.
fn split(image: &ImageSummary) -> (String, String) {
    if is_nameless(image) {
        return ("<none>".to_owned(), "<none>".to_owned());
    }
    match image.name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository.to_owned(), tag.to_owned()),
        _ => (image.name.clone(), "latest".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use minicloud_core::spec::Digest;

    use super::*;
    use crate::render::table;

    #[test]
    fn the_table_is_docker_s() {
        let digest = Digest([0xab; 32]);
        let image = |name: &str, bundled| ImageSummary { name: name.into(), digest, size: 163_000, bundled, named_at_ms: None };
        let rows = [image("redis", true), image("127.0.0.1:5000/web:v1", false), image(&digest.to_string(), false)];
        let table = table(ImageSummary::COLUMNS, rows.iter().map(ImageSummary::cells).collect());
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[1].starts_with("redis                latest   sha256:abababababab   bundled"), "{table}");
        assert!(lines[2].starts_with("127.0.0.1:5000/web   v1 "), "{table}");
        assert!(lines[3].starts_with("<none>               <none>"), "{table}");
        assert!(rows[2].fits("dangling", "true") && rows[0].fits("bundled", "true") && rows[1].fits("reference", "web"));
    }
}
