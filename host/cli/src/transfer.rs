//! `push` and `pull`: images between this node and a registry, with a bar that shows how far they are.
use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use minicloud_node::api::types::{ImageDetail, Transfer, TransferImage};
use minicloud_node::client::{Client, Lines};
use minicloud_node::images::Reference;
use minicloud_node::oci::{DockerConfig, Login};

use crate::output::{say, warn};

#[derive(Args, Debug)]
#[command(after_help = "Example:
  minicloud pull 127.0.0.1:5000/web:v1")]
pub struct Pull {
    /// Print only the digest
    #[arg(short, long)]
    quiet: bool,
    /// REGISTRY/NAME[:TAG]
    image: String,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  minicloud build -t 127.0.0.1:5000/web:v1 ./web
  minicloud push 127.0.0.1:5000/web:v1

The registry is that in the image's name; 'minicloud tag' gives an image such a name.
Logins are taken from the docker config file (~/.docker/config.json), or from the credential helper that it names.")]
pub struct Push {
    /// Print only the digest
    #[arg(short, long)]
    quiet: bool,
    /// REGISTRY/NAME[:TAG]
    image: String,
}

/// What to say, and how much.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Pulling,
    Pushing,
    Quiet,
}

impl Pull {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let verb = if self.quiet { Verb::Quiet } else { Verb::Pulling };
        let image = pull(client, &self.image, verb).await?;
        tell(&image, self.quiet)
    }
}

impl Push {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let verb = if self.quiet { Verb::Quiet } else { Verb::Pushing };
        let lines = client.push_image(&request(&self.image, false).await).await?;
        let image = follow(lines, &self.image, verb).await?;
        tell(&image, self.quiet)
    }
}

/// Fetches an image from its registry; fails when the registry does not answer.
pub async fn pull(client: &Client, image: &str, verb: Verb) -> anyhow::Result<ImageDetail> {
    follow(client.pull_image(&request(image, false).await).await?, image, verb).await
}

/// Fetches an image from its registry; what the node has under that name will do when the registry does not answer.
pub async fn resolve(client: &Client, image: &str) -> anyhow::Result<ImageDetail> {
    follow(client.pull_image(&request(image, true).await).await?, image, Verb::Pulling).await
}

async fn request(image: &str, known_will_do: bool) -> TransferImage {
    let registry = image.parse::<Reference>().ok().and_then(|reference| reference.registry);
    let login = match &registry {
        Some(registry) => login(registry).await,
        None => None,
    };
    TransferImage { image: image.to_owned(), login, known_will_do }
}

/// The user's login: what the credential helper keeps, else what the docker config file has. Without a helper that
/// answers it is tried without a login.
async fn login(registry: &str) -> Option<Login> {
    let config = DockerConfig::own();
    let kept = match config.helper(registry) {
        Some(helper) => helper.get().await,
        None => Ok(None),
    };
    if let Err(error) = &kept {
        warn(&[error.to_string()]);
    }
    kept.ok().flatten().or_else(|| config.login(registry))
}

async fn follow(mut lines: Lines<Transfer>, image: &str, verb: Verb) -> anyhow::Result<ImageDetail> {
    let bar = bar(image, verb);
    let outcome = loop {
        let Some(line) = lines.next().await else { bail!("the node broke off: see its log") };
        let transfer = line.context("the node broke off")?;
        bar.set_length(transfer.total_bytes);
        bar.set_position(transfer.done_bytes);
        match (transfer.image, transfer.error) {
            (Some(image), _) => {
                warn(&transfer.warnings);
                break Ok(image);
            }
            (None, Some(error)) => break Err(anyhow::anyhow!(error.error)),
            (None, None) => {}
        }
    };
    bar.finish_and_clear();
    outcome
}

/// Drawn only where standard error is a terminal.
fn bar(image: &str, verb: Verb) -> ProgressBar {
    let word = match verb {
        Verb::Pulling => "Pulling",
        Verb::Pushing => "Pushing",
        Verb::Quiet => return ProgressBar::hidden(),
    };
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
    ProgressBar::new(0).with_style(style).with_message(format!("{word} {image}"))
}

fn tell(image: &ImageDetail, quiet: bool) -> anyhow::Result<()> {
    let digest = image.manifest.clone().unwrap_or_else(|| image.summary.digest.to_string());
    if quiet {
        say!("{digest}");
    } else {
        say!("{}  digest: {digest}  component: {}  size: {}", image.summary.name, image.summary.digest, image.summary.size);
    }
    Ok(())
}
