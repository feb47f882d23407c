//! `compose config`
use clap::Args;
use minicloud_compose::{Flavour, Source, Wanted, yaml};

use super::project::ProjectArgs;
use crate::output::{self, say, warn};

#[derive(Args, Debug)]
pub struct Config {
    /// Only check; print nothing
    #[arg(short, long)]
    quiet: bool,
    /// Print the names of services
    #[arg(long)]
    services: bool,
    /// Print the names of volumes
    #[arg(long)]
    volumes: bool,
    /// Print the images
    #[arg(long)]
    images: bool,
    #[command(flatten)]
    project: ProjectArgs,
}

impl Config {
    pub fn run(self, outer: &ProjectArgs) -> anyhow::Result<()> {
        let args = self.project.within(outer);
        let loaded = args.load()?;
        let project = args.translated(&loaded, Flavour::Compose, Wanted::default())?;
        warn(&project.warnings.iter().map(ToString::to_string).collect::<Vec<_>>());
        if self.quiet {
            return Ok(());
        }
        if !(self.services || self.volumes || self.images) {
            return output::raw(format!("name: {}\n{}", project.name, yaml(&unnamed(&loaded.tree))).as_bytes());
        }
        for service in project.services.iter().filter(|_| self.services) {
            say!("{}", service.key);
        }
        for volume in project.volumes.iter().filter(|_| self.volumes) {
            say!("{}", volume.key);
        }
        for service in project.services.iter().filter(|_| self.images) {
            match &service.source {
                Source::Image(image) => say!("{image}"),
                Source::Build(_) => say!("{}", super::image::name(&project, service)),
            }
        }
        Ok(())
    }
}

/// The tree without the name, which stands above it.
pub fn unnamed(tree: &minicloud_compose::Node) -> minicloud_compose::Node {
    let mut tree = tree.clone();
    tree.remove("name");
    tree
}
