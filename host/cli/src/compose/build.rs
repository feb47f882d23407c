//! `compose build` and `compose pull`
use clap::Args;
use minicloud_compose::{Project, Source, Wanted};

use super::image;
use super::node::ProjectNode;
use super::project::ProjectArgs;
use crate::cluster::block_on;
use crate::data_dir::Choice;

#[derive(Args, Debug)]
pub struct Build {
    /// Services to build [default: all that have a build]
    #[arg(value_name = "SVC")]
    services: Vec<String>,
    #[command(flatten)]
    project: ProjectArgs,
}

#[derive(Args, Debug)]
pub struct Pull {
    /// Services whose images are fetched [default: all that have one]
    #[arg(value_name = "SVC")]
    services: Vec<String>,
    #[command(flatten)]
    project: ProjectArgs,
}

impl Build {
    pub fn run(self, choice: &Choice, outer: &ProjectArgs) -> anyhow::Result<()> {
        let project = self.project.within(outer).project(Wanted { services: self.services.clone(), ..Wanted::default() })?;
        if !project.services.iter().any(|service| is_built(&service.source)) {
            eprintln!("No service has a build.");
            return Ok(());
        }
        let (_, client) = ProjectNode::ensure(choice, &project.name, None)?;
        block_on(async {
            for service in chosen(&project, &self.services) {
                image::build(&client, &project, service).await?;
            }
            Ok::<_, anyhow::Error>(())
        })
    }
}

impl Pull {
    pub fn run(self, choice: &Choice, outer: &ProjectArgs) -> anyhow::Result<()> {
        let project = self.project.within(outer).project(Wanted { services: self.services.clone(), ..Wanted::default() })?;
        let (_, client) = ProjectNode::ensure(choice, &project.name, None)?;
        block_on(async {
            for service in chosen(&project, &self.services).filter(|service| !is_built(&service.source)) {
                match image::pull(&client, service).await? {
                    Some(image) => eprintln!("Service {}  pulled {} ({})", service.key, image.summary.name, image.summary.digest),
                    None => eprintln!("Service {}  has its image", service.key),
                }
            }
            Ok::<_, anyhow::Error>(())
        })
    }
}

fn is_built(source: &Source) -> bool {
    matches!(source, Source::Build(_))
}

/// The services that were named, without those that they need.
fn chosen<'a>(project: &'a Project, keys: &'a [String]) -> impl Iterator<Item = &'a minicloud_compose::Service> {
    project.services.iter().filter(move |service| keys.is_empty() || keys.contains(&service.key))
}
