//! Networks, volumes, secrets, configs and services of a project, made as they are described; what is there is left.
use std::collections::BTreeMap;

use anyhow::{Context, bail};
use futures::future::try_join_all;
use ipnet::Ipv4Net;
use minicloud_compose::{Health, Mode, MountSource, Probe, Project, Service, Update};
use minicloud_core::spec::{FileKind, HealthProbe, Mount, MountKind};
use minicloud_node::api::types::{
    CreateNetwork, CreateService, CreateVolume, Declared, HealthChange, Mode as ApiMode, RestartChange, UpdateConfigChange,
};
use minicloud_node::client::Client;

use super::files::{self, MadeFile, Names};
use super::image::Resolved;

/// Something that was made.
pub enum Made {
    Network(String),
    Volume(String),
    File(MadeFile),
}

/// Creates what is not there; what the project does not own must be. Answers what was made, and what its files are called.
pub async fn surroundings(client: &Client, project: &Project) -> anyhow::Result<(Vec<Made>, Names)> {
    let all = tokio::try_join!(networks(client, project), volumes(client, project), files::declare(client, project));
    let (networks, volumes, (names, files)) = all?;
    Ok((networks.into_iter().chain(volumes).chain(files.into_iter().map(Made::File)).collect(), names))
}

async fn networks(client: &Client, project: &Project) -> anyhow::Result<Vec<Made>> {
    let existing: Vec<String> = client.networks().await?.into_iter().map(|network| network.name).collect();
    let mut made = Vec::new();
    for network in project.networks.iter().filter(|network| !existing.contains(&network.name)) {
        if network.external {
            let at = network.at.as_ref().map_or_else(String::new, |at| format!("{at}: "));
            let name = &network.name;
            bail!("{at}the network '{name}' is external and does not exist; create it with 'minicloud network create {name}'");
        }
        let subnet: Option<Ipv4Net> = match &network.subnet {
            None => None,
            Some(text) => Some(text.parse().with_context(|| format!("network {}: '{text}' is no range of IPv4 addresses", network.name))?),
        };
        let request = CreateNetwork {
            name: network.name.clone(),
            driver: None,
            subnet,
            internal: network.internal,
            attachable: network.attachable,
            labels: network.labels.clone(),
        };
        client.create_network(&request).await?;
        made.push(Made::Network(network.name.clone()));
    }
    Ok(made)
}

async fn volumes(client: &Client, project: &Project) -> anyhow::Result<Vec<Made>> {
    let existing: Vec<String> = client.volumes().await?.into_iter().map(|volume| volume.name).collect();
    let mut made = Vec::new();
    for volume in project.volumes.iter().filter(|volume| !existing.contains(&volume.name)) {
        if volume.external {
            let (at, name) = (&volume.at, &volume.name);
            bail!("{at}: the volume '{name}' is external and does not exist; create it with 'minicloud volume create {name}'");
        }
        client.create_volume(&CreateVolume { name: volume.name.clone(), driver: None, labels: volume.labels.clone() }).await?;
        made.push(Made::Volume(volume.name.clone()));
    }
    Ok(made)
}

/// Refuses what none of the services can be, before anything of the project is made.
pub async fn check(client: &Client, project: &Project, images: &BTreeMap<String, Resolved>) -> anyhow::Result<()> {
    let checked = project.services.iter().map(async |service| {
        let request = request(service, &images[service.key.as_str()], &Names::default())?;
        client.check_service(&request).await.with_context(|| format!("service {}", service.key))
    });
    try_join_all(checked).await.map(drop)
}

/// Makes the service as it is described.
pub async fn service(client: &Client, service: &Service, image: &Resolved, names: &Names) -> anyhow::Result<Declared> {
    let request = request(service, image, names)?;
    client.declare_service(&request).await.with_context(|| format!("service {}", service.key))
}

fn request(service: &Service, image: &Resolved, names: &Names) -> anyhow::Result<CreateService> {
    let (mode, replicas) = match service.mode {
        Mode::Replicated { replicas } => (ApiMode::Replicated, Some(replicas)),
        Mode::Global => (ApiMode::Global, None),
        Mode::ReplicatedJob { completions } => (ApiMode::ReplicatedJob, Some(completions)),
        Mode::GlobalJob => (ApiMode::GlobalJob, None),
    };
    let given = |value: u64| Some(value).filter(|value| *value > 0);
    let millis = |value: u32| Some(value).filter(|value| *value > 0);
    Ok(CreateService {
        name: Some(service.name.clone()),
        image: image.image.clone(),
        image_name: image.name.clone(),
        mode,
        replicas,
        max_concurrent: None,
        networks: service.networks.iter().map(|at| at.network.clone()).collect(),
        foreground: false,
        aliases: service.networks.iter().map(|at| (at.network.clone(), at.aliases.clone())).collect(),
        endpoint_mode: service.endpoint_mode,
        ports: service.ports.clone(),
        env: service.env.clone(),
        hostname: service.hostname.clone(),
        args: service.args.clone(),
        mounts: service.mounts.iter().map(mount).collect(),
        secrets: names.uses(service, FileKind::Secret),
        configs: names.uses(service, FileKind::Config),
        limit_memory_bytes: given(service.resources.limit_memory_bytes),
        limit_cpu_millis: millis(service.resources.limit_cpu_millis),
        reserve_memory_bytes: given(service.resources.reserve_memory_bytes),
        reserve_cpu_millis: millis(service.resources.reserve_cpu_millis),
        concurrency: service.concurrency,
        http_port: service.http_port,
        constraints: service.constraints.iter().map(ToString::to_string).collect(),
        labels: service.labels.clone(),
        stop_grace_ms: service.stop_grace_ms,
        restart: RestartChange {
            condition: Some(service.restart.condition),
            delay_ms: service.restart.delay_ms,
            max_attempts: Some(service.restart.max_attempts),
            window_ms: Some(service.restart.window_ms),
        },
        update: change(&service.update),
        rollback: change(&service.rollback),
        replicas_max_per_node: service.max_per_node,
        placement_preferences: service.spread.iter().map(|label| format!("spread={label}")).collect(),
        health: service.health.as_ref().map_or_else(HealthChange::default, health),
    })
}

fn mount(mount: &minicloud_compose::VolumeMount) -> Mount {
    let (kind, source) = match &mount.source {
        MountSource::Volume(name) => (MountKind::Volume, name.clone()),
        MountSource::Host { path, .. } => (MountKind::Bind, path.display().to_string()),
    };
    Mount { kind, source, target: mount.target.clone(), read_only: mount.read_only }
}

fn health(health: &Health) -> HealthChange {
    HealthChange {
        probe: Some(match &health.probe {
            Probe::Http { port, path } => HealthProbe::Http { path: path.clone(), port: *port },
            Probe::Tcp { port } => HealthProbe::Tcp { port: *port },
        }),
        interval_ms: health.interval_ms,
        timeout_ms: health.timeout_ms,
        retries: health.retries,
        start_period_ms: health.start_period_ms,
        off: false,
    }
}

fn change(update: &Update) -> UpdateConfigChange {
    UpdateConfigChange {
        parallelism: update.parallelism,
        delay_ms: update.delay_ms,
        order: update.order,
        monitor_ms: update.monitor_ms,
        failure_action: update.failure_action,
        max_failure_permille: update.max_failure_permille,
    }
}
