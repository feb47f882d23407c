//! The image of a service: a name, a file, or what its build makes.
use std::path::Path;

use anyhow::Context;
use minicloud_compose::{Project, Service, Source};
use minicloud_node::client::Client;
use minicloud_node::images::Reference;

use crate::build;
use crate::image::ImageArgument;

/// What the API takes.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub image: String,
    pub name: Option<String>,
}

/// When a service with a build is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildWhen {
    Missing,
    Always,
    Never,
}

pub async fn resolve(client: &Client, project: &Project, service: &Service, when: BuildWhen) -> anyhow::Result<Resolved> {
    match &service.source {
        Source::Image(image) => named(client, &project.folder, image).await.with_context(|| format!("service {}", service.key)),
        Source::Build(_) => {
            let name = name(project, service);
            let known = when != BuildWhen::Always && is_known(client, &name).await?;
            if !known {
                if when == BuildWhen::Never {
                    anyhow::bail!("service {} was not built yet; leave --no-build out", service.key);
                }
                build(client, project, service).await?;
            }
            Ok(Resolved { image: name, name: None })
        }
    }
}

/// Whether the node has an image of this name already.
async fn is_known(client: &Client, name: &str) -> anyhow::Result<bool> {
    let reference: Reference = name.parse()?;
    let same = |other: &str| other.parse::<Reference>().is_ok_and(|other| other == reference);
    Ok(client.images().await?.iter().any(|image| same(&image.name)))
}

/// Name of what the service's build makes, as docker compose names it.
pub fn name(project: &Project, service: &Service) -> String {
    match &service.source {
        Source::Build(build) => build.image.clone().unwrap_or_else(|| format!("{}-{}", project.name, service.key.to_lowercase())),
        Source::Image(image) => image.clone(),
    }
}

/// Builds the service; nothing to do for one that has none.
pub async fn build(client: &Client, project: &Project, service: &Service) -> anyhow::Result<()> {
    let Source::Build(source) = &service.source else { return Ok(()) };
    let place = || format!("{}: service {}", source.at, service.key);
    let name = name(project, service);
    let reference: Reference = name.parse().with_context(place)?;
    eprintln!("Building {name} in {}", source.folder.display());
    let built = build::build(&source.folder).await.with_context(place)?;
    build::hand_in(client, &reference, &source.folder, &built).await.with_context(place)?;
    Ok(())
}

/// A bundled name or a reference; a path starts from the project's folder.
async fn named(client: &Client, folder: &Path, image: &str) -> anyhow::Result<Resolved> {
    let argument = if image.starts_with("./") || image.starts_with("../") || image.ends_with(".wasm") {
        ImageArgument::File(folder.join(image))
    } else {
        ImageArgument::new(image)
    };
    let resolved = argument.resolve(client).await?;
    Ok(Resolved { image: resolved.image, name: resolved.name.map(|_| image.to_owned()) })
}
