//! The model in minicloud's words: names get the project's in front, references are resolved, defaults are set.
mod files;
mod mounts;
mod service;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use minicloud_core::spec::Labels;

use crate::files::Files;
use crate::load::Loaded;
use crate::model::{At, KeyValues, ServiceModel};
use crate::place::{Error, Place, Result, Warning};
use crate::project::{Flavour, MountSource, Project, ProjectNetwork, ProjectVolume, Service};
use crate::suggest::hint;

pub const DEFAULT_NETWORK: &str = "default";

/// What is in the project beside its files.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub profiles: Vec<String>,
    /// Only these services and those they need; none: all.
    pub services: Vec<String>,
    /// Numbers of tasks in place of those of the files.
    pub scale: BTreeMap<String, u32>,
}

/// The project that the files and the user describe.
pub fn translate(loaded: &Loaded, flavour: Flavour, wanted: &Wanted, files: &dyn Files) -> Result<Project> {
    let mut context = Context { loaded, flavour, files, warnings: loaded.warnings.clone() };
    for name in wanted.services.iter().chain(wanted.scale.keys()) {
        context.service_exists(name, None)?;
    }
    let enabled = context.enabled(wanted)?;
    let mut services = Vec::new();
    for (key, model) in &loaded.compose.services {
        if enabled.contains(key.as_str()) {
            services.push(context.service(key, model, wanted.scale.get(key).copied())?);
        }
    }
    context.link(&mut services, &enabled)?;
    crate::order::start_order(&services)?;
    let (networks, mut volumes) = (context.networks(&services)?, context.volumes()?);
    context.unnamed_volumes(&services, &mut volumes);
    let (secrets, configs) = (context.files(&loaded.compose.secrets, "secret")?, context.files(&loaded.compose.configs, "config")?);
    let disabled = loaded.compose.services.keys().filter(|key| !enabled.contains(key.as_str())).cloned().collect();
    Ok(Project {
        name: loaded.name.clone(),
        folder: loaded.folder.clone(),
        services,
        disabled,
        networks,
        volumes,
        secrets,
        configs,
        warnings: context.warnings,
    })
}

struct Context<'a> {
    loaded: &'a Loaded,
    flavour: Flavour,
    files: &'a dyn Files,
    warnings: Vec<Warning>,
}

impl<'a> Context<'a> {
    /// `project_key`, which is what it is called in the cluster.
    fn full_name(&self, key: &str) -> String {
        format!("{}_{}", self.loaded.name, key.to_lowercase())
    }

    fn lookup(&self, name: &str) -> Option<String> {
        self.loaded.env.get(name).cloned()
    }

    fn warn(&mut self, at: &Place, message: impl Into<String>) {
        self.warnings.push(Warning::at(at, message));
    }

    fn service_exists(&self, key: &str, at: Option<&Place>) -> Result<&'a At<ServiceModel>> {
        let services = &self.loaded.compose.services;
        services.get(key).ok_or_else(|| {
            let hint = hint(key, services.keys().map(String::as_str));
            Error { at: at.cloned(), message: format!("there is no service '{key}' in project {}{hint}", self.loaded.name) }
        })
    }

    /// Services that run: without profile or with a chosen one, or named by the user, and what they need.
    fn enabled(&self, wanted: &Wanted) -> Result<BTreeSet<&'a str>> {
        let all = wanted.profiles.iter().any(|profile| profile == "*");
        let in_profile = |model: &ServiceModel| {
            all || model.profiles.0.is_empty() || model.profiles.0.iter().any(|profile| wanted.profiles.contains(profile))
        };
        let services = &self.loaded.compose.services;
        let mut enabled: BTreeSet<&str> = BTreeSet::new();
        let mut waiting: Vec<&str> = services.keys().map(String::as_str).collect();
        waiting.retain(|key| {
            if wanted.services.is_empty() { in_profile(&services[*key].value) } else { wanted.services.iter().any(|name| name == key) }
        });
        while let Some(key) = waiting.pop() {
            if !enabled.insert(key) {
                continue;
            }
            for (need, dependency) in &services[key].value.depends_on {
                let required = dependency.value.required != Some(false);
                match services.get_key_value(need.as_str()) {
                    None if required => {
                        self.service_exists(need, Some(&dependency.at))?;
                    }
                    None => {}
                    Some((need, model)) if in_profile(&model.value) => waiting.push(need),
                    Some(_) if required => {
                        let profiles = services[need.as_str()].value.profiles.0.join(", ");
                        let message =
                            format!("service '{key}' needs '{need}', which is only in the profiles {profiles}; choose one with --profile");
                        return Err(Error::at(&dependency.at, message));
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(enabled)
    }

    /// Labels that tell whose it is.
    fn own_labels(&self, key: Option<(&str, &str)>) -> Labels {
        let (project, kind) = match self.flavour {
            Flavour::Compose => ("com.docker.compose.project", Some("com.docker.compose.")),
            Flavour::Stack => ("com.docker.stack.namespace", None),
        };
        let mut labels = Labels::from([(project.to_owned(), self.loaded.name.clone())]);
        if let (Some(prefix), Some((noun, key))) = (kind, key) {
            labels.insert(format!("{prefix}{noun}"), key.to_owned());
        }
        labels
    }

    fn labels(&self, said: &KeyValues, noun: &str, key: &str) -> Labels {
        let mut labels: Labels = said.0.iter().map(|(name, value)| (name.clone(), value.clone().unwrap_or_default())).collect();
        labels.extend(self.own_labels(Some((noun, key))));
        labels
    }

    /// The name in the cluster of something that a file declares.
    fn declared_name(&self, key: &str, name: Option<&At<String>>, external: bool, at: &Place, noun: &str) -> Result<String> {
        let (name, at) = match name {
            Some(name) => (name.value.clone(), &name.at),
            None if external => (key.to_owned(), at),
            None => (self.full_name(key), at),
        };
        valid_name(&name, noun, at)?;
        Ok(name)
    }

    fn networks(&mut self, services: &[Service]) -> Result<Vec<ProjectNetwork>> {
        let used: BTreeSet<&str> = services.iter().flat_map(|service| &service.networks).map(|at| at.network.as_str()).collect();
        let mut networks = Vec::new();
        for (key, declared) in &self.loaded.compose.networks {
            let At { value: model, at } = declared;
            let external = model.external.external;
            let name = model.name.clone().or_else(|| model.external.name.clone().map(|value| At { value, at: at.clone() }));
            let name = self.declared_name(key, name.as_ref(), external, at, "network")?;
            if let Some(driver) =
                model.driver.as_ref().filter(|driver| !["overlay", "bridge", "default", ""].contains(&driver.value.as_str()))
            {
                self.warn(&driver.at, format!("'{}' means nothing here: every network is an overlay", driver.value));
            }
            let pools = &model.ipam.config;
            if let Some(second) = pools.get(1).and_then(|pool| pool.subnet.as_ref()) {
                self.warn(&second.at, "a network has one subnet; the first one is taken");
            }
            networks.push(ProjectNetwork {
                key: key.clone(),
                name,
                external,
                internal: model.internal,
                attachable: model.attachable || self.flavour == Flavour::Compose,
                subnet: pools.first().and_then(|pool| pool.subnet.as_ref()).map(|subnet| subnet.value.clone()),
                labels: self.labels(&model.labels, "network", key),
                at: Some(at.clone()),
            });
        }
        if networks.iter().all(|network| network.key != DEFAULT_NETWORK) {
            networks.push(ProjectNetwork {
                key: DEFAULT_NETWORK.to_owned(),
                name: self.full_name(DEFAULT_NETWORK),
                external: false,
                internal: false,
                attachable: self.flavour == Flavour::Compose,
                subnet: None,
                labels: self.own_labels(Some(("network", DEFAULT_NETWORK))),
                at: None,
            });
        }
        networks.retain(|network| used.contains(network.name.as_str()));
        Ok(networks)
    }

    /// Volumes that a service mounts without naming them.
    fn unnamed_volumes(&self, services: &[Service], volumes: &mut Vec<ProjectVolume>) {
        for mount in services.iter().flat_map(|service| &service.mounts) {
            let MountSource::Volume(name) = &mount.source else { continue };
            if volumes.iter().all(|volume| volume.name != *name) {
                let labels = self.own_labels(None);
                volumes.push(ProjectVolume { key: name.clone(), name: name.clone(), external: false, labels, at: mount.at.clone() });
            }
        }
    }

    fn volumes(&mut self) -> Result<Vec<ProjectVolume>> {
        let mut volumes = Vec::new();
        for (key, At { value: model, at }) in &self.loaded.compose.volumes {
            let external = model.external.external;
            let name = model.name.clone().or_else(|| model.external.name.clone().map(|value| At { value, at: at.clone() }));
            let name = self.declared_name(key, name.as_ref(), external, at, "volume")?;
            if let Some(driver) = model.driver.as_ref().filter(|driver| !["local", "default", ""].contains(&driver.value.as_str())) {
                return Err(Error::at(&driver.at, format!("there is no volume driver '{}'; volumes are local", driver.value)));
            }
            volumes.push(ProjectVolume {
                key: key.clone(),
                name,
                external,
                labels: self.labels(&model.labels, "volume", key),
                at: at.clone(),
            });
        }
        Ok(volumes)
    }
}

/// Names of the cluster: letters, digits, inner hyphens and underscores.
fn valid_name(name: &str, noun: &str, at: &Place) -> Result<()> {
    if matches!(noun, "secret" | "config") {
        return valid_file_name(name, noun, at);
    }
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    let edge = |c: Option<&u8>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let bytes = name.as_bytes();
    let most = minicloud_core::limits::NAME_CHARS_MAX;
    if edge(bytes.first()) && edge(bytes.last()) && bytes.len() <= most && bytes.iter().all(|c| inner(*c)) {
        return Ok(());
    }
    let message = format!("'{name}' cannot name a {noun}; use 1 to {most} lower-case letters, digits, inner hyphens and underscores");
    Err(Error::at(at, message))
}

/// Secrets and configs are called as in Docker.
fn valid_file_name(name: &str, noun: &str, at: &Place) -> Result<()> {
    let inner = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    let edge = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    let most = minicloud_core::limits::FILE_NAME_CHARS_MAX;
    if edge(bytes.first()) && edge(bytes.last()) && bytes.len() <= most && bytes.iter().all(|c| inner(*c)) {
        return Ok(());
    }
    Err(Error::at(at, format!("'{name}' cannot name a {noun}; use 1 to {most} letters, digits, inner hyphens, dots and underscores")))
}
