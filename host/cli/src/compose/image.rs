//! The image of a service: a name, a file, or what its build makes.
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use minicloud_compose::{Project, Pull, Service, Source};
use minicloud_node::api::types::{ErrorKind, ImageDetail};
use minicloud_node::client::Client;
use minicloud_node::images::Reference;

use crate::build;
use crate::image::{ImageArgument, has_registry};
use crate::transfer::{self, Verb};

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

/// The image of every service by its key: first of those that only have to be there, so that a wrong name costs no build.
/// Those that are built are built one after the other, as each takes all cores.
pub async fn resolve_all(
    client: &Client,
    project: &Project,
    when: BuildWhen,
    pull: Option<Pull>,
) -> anyhow::Result<BTreeMap<String, Resolved>> {
    let mut images = BTreeMap::new();
    let (builds, named): (Vec<_>, Vec<_>) = project.services.iter().partition(|service| matches!(service.source, Source::Build(_)));
    for service in named.into_iter().chain(builds) {
        images.insert(service.key.clone(), resolve(client, project, service, when, pull).await?);
    }
    Ok(images)
}

/// The service's image, built or fetched where that is due. `pull`: when it is fetched, in place of what the file says.
async fn resolve(client: &Client, project: &Project, service: &Service, when: BuildWhen, pull: Option<Pull>) -> anyhow::Result<Resolved> {
    let source = match &service.source {
        Source::Image(image) => {
            let found = named(client, &project.folder, image, pull.or(service.pull)).await;
            return found.with_context(|| format!("service {}", service.key));
        }
        Source::Build(source) => source,
    };
    let name = name(project, service);
    match when {
        BuildWhen::Missing if !source.always && is_known(client, &name).await? => {}
        BuildWhen::Never if is_known(client, &name).await? => {}
        BuildWhen::Never => bail!("service {} was not built yet; leave --no-build out", service.key),
        BuildWhen::Always | BuildWhen::Missing => build(client, project, service).await?,
    }
    Ok(Resolved { image: name, name: None })
}

/// Fetches the service's image anew; `None` when it comes from no registry.
pub async fn pull(client: &Client, service: &Service) -> anyhow::Result<Option<ImageDetail>> {
    match &service.source {
        Source::Image(image) if !is_file(image) && has_registry(image) => {
            transfer::pull(client, image, Verb::Pulling).await.map(Some).with_context(|| format!("service {}", service.key))
        }
        Source::Image(image) if !is_file(image) && !is_known(client, image).await? => {
            bail!("service {}: there is no image '{image}' on this node, and its name has no registry to fetch it from", service.key)
        }
        Source::Image(_) | Source::Build(_) => Ok(None),
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
    let built = build::build(&source.folder, &source.args).await.with_context(place)?;
    build::hand_in(client, &reference, &source.folder, &built).await.with_context(place)?;
    Ok(())
}

/// A bundled name or a reference; a path starts from the project's folder.
async fn named(client: &Client, folder: &Path, image: &str, pull: Option<Pull>) -> anyhow::Result<Resolved> {
    if is_file(image) {
        let resolved = ImageArgument::File(folder.join(image)).resolve(client).await?;
        return Ok(Resolved { image: resolved.image, name: Some(image.to_owned()) });
    }
    let detail = match pull.filter(|_| has_registry(image)) {
        None => {
            let resolved = ImageArgument::new(image).resolve(client).await?;
            // A service of a name that stands for nothing would be refused too, when others run already.
            if resolved.name.is_none() {
                is_there(client, image).await?;
            }
            return Ok(Resolved { image: resolved.image, name: resolved.name.map(|_| image.to_owned()) });
        }
        Some(Pull::Missing | Pull::Never) if is_known(client, image).await? => client.image(image).await?,
        Some(Pull::Never) => {
            bail!("there is no image {image} on this node, and its pull policy is never; fetch it with 'minicloud pull {image}'")
        }
        Some(Pull::Always | Pull::Missing) => transfer::pull(client, image, Verb::Pulling).await?,
    };
    Ok(Resolved { image: detail.summary.digest.to_string(), name: Some(image.to_owned()) })
}

async fn is_there(client: &Client, image: &str) -> anyhow::Result<()> {
    match client.image(image).await {
        Err(error) if error.kind() == Some(ErrorKind::NotFound) => bail!(
            "there is no image '{image}' on this node, and its name has no registry to fetch it from: build it with \
             'minicloud build -t {image} PATH', write REGISTRY/{image}, or name one of 'minicloud images'"
        ),
        other => Ok(other.map(drop)?),
    }
}

/// A component file beside the compose file, and no name.
fn is_file(image: &str) -> bool {
    image.starts_with("./") || image.starts_with("../") || image.ends_with(".wasm")
}
