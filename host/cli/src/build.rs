//! `build`: from a folder of sources, or a ready file, to a component; and `minicloud build`, which gives it a name.
//!
//! [`build`] makes the component and says what it asks for. Whether the cluster offers that is the node's answer when
//! it is handed in; here it is only shown.
mod cargo;
mod componentize;
mod report;
mod settings;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use minicloud_node::api::types::ImageSummary;
use minicloud_node::client::Client;
use minicloud_node::images::{ImageDefaults, Reference};

use crate::output::say;
pub use componentize::World;
use source::Source;

/// What a build makes.
pub struct Built {
    pub component: Bytes,
    /// What it imports and exports.
    pub world: World,
    /// What a service of it gets unless it says otherwise.
    pub defaults: ImageDefaults,
}

/// Makes a component of `context`: a `.wasm` or `.wat` file, or a folder with a Cargo.toml, a minicloud.toml or one such
/// file. Build tools get `args` as variables of their environment, and what they print goes to standard error as it comes.
pub async fn build(context: &Path, args: &BTreeMap<String, String>) -> anyhow::Result<Built> {
    let (context, args) = (context.to_owned(), args.clone());
    let made = tokio::task::spawn_blocking(move || make(&context, &args)).await.context("the build broke off")?;
    let (path, defaults) = made?;
    let input = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let (component, world) = componentize::run(&input).await.with_context(|| path.display().to_string())?;
    Ok(Built { component: component.into(), world, defaults })
}

/// Gives what was built from `context` a name on the node of `client`, in place of what had it. The node tells whether
/// it can run there.
pub async fn hand_in(client: &Client, reference: &Reference, context: &Path, built: &Built) -> anyhow::Result<ImageSummary> {
    let image = client.import_named_image(&reference.to_string(), &built.defaults, built.component.clone()).await;
    image.with_context(|| refused(context, &built.world))
}

/// Runs what makes the file, if anything does; answers where it is.
fn make(context: &Path, args: &BTreeMap<String, String>) -> anyhow::Result<(PathBuf, ImageDefaults)> {
    match source::find(context)? {
        Source::File { path, defaults } => Ok((path, defaults)),
        Source::Cargo { folder, defaults } => {
            let artifact = cargo::build(&folder, args)?;
            Ok((artifact.path, defaults.unwrap_or(artifact.defaults)))
        }
        Source::Command { folder, build, defaults } => Ok((settings::run(&folder, &build, args)?, defaults)),
    }
}

const EXAMPLES: &str = "\
Examples:
  minicloud build -t web:v1 .                      a Cargo project, here
  minicloud build -t 127.0.0.1:5000/web:v1 ./web   then: minicloud push
  minicloud build -t hello hello.wat               a ready .wasm or .wat file

A folder has a Cargo.toml (built for wasm32-wasip2), or a minicloud.toml:
  [build]
  command = \"jco componentize app.js --wit wit -o app.wasm\"
  output = \"app.wasm\"
  [image]
  concurrency = 4";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Build {
    /// Name of the image; may be given several times
    #[arg(short, long, value_name = "NAME[:TAG]", required = true, value_parser = |text: &str| text.parse::<Reference>())]
    tag: Vec<Reference>,
    /// Variable of the build command's environment; without a value that of this one
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = build_arg)]
    build_arg: Vec<(String, String)>,
    /// Print only the digest
    #[arg(short, long)]
    quiet: bool,
    /// Folder of sources, or a file of WebAssembly
    path: PathBuf,
}

impl Build {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let built = build(&self.path, &self.build_arg.into_iter().collect()).await?;
        let mut digest = String::new();
        for reference in &self.tag {
            let image = hand_in(client, reference, &self.path, &built).await?;
            digest = image.digest.to_string();
            if !self.quiet {
                say!("{}", report::text(reference, &image, &built));
            }
        }
        if self.quiet {
            say!("{digest}");
        }
        Ok(())
    }
}

fn build_arg(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => (text, std::env::var(text).map_err(|_| format!("the variable {text} is not set; write {text}=VALUE"))?),
    };
    if name.is_empty() || value.contains('\0') {
        Err(format!("'{text}' is no variable; write NAME=VALUE"))
    } else {
        Ok((name.to_owned(), value))
    }
}

/// Where the cluster will not run it: what was built, and which of its imports nobody offers.
fn refused(path: &Path, world: &World) -> String {
    match report::not_offered(world) {
        names if names.is_empty() => path.display().to_string(),
        names => format!("{}: it imports {}, which the cluster does not offer", path.display(), names.join(", ")),
    }
}
