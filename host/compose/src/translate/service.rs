//! One service.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use minicloud_core::spec::{
    Constraint, EndpointMode, FailureAction, Labels, Protocol, PublishMode, PublishedPort, Resources, RestartCondition, RestartPolicy,
    UpdateOrder,
};

use super::{Context, DEFAULT_NETWORK, source, valid_name};
use crate::canonical::range;
use crate::dotenv;
use crate::health::health;
use crate::model::{
    ActionWord, At, ConditionWord, DeployMode, EndpointWord, FileModel, FileMountModel, ModeWord, OrderWord, PortModel, ProtocolWord,
    RestartWord, ServiceModel, UpdateModel,
};
use crate::place::{Error, Place, Result};
use crate::project::{Condition, Dependency, FileMount, Flavour, Mode, NetworkRef, Service, Update, specific};
use crate::suggest::hint;

impl Context<'_> {
    pub(super) fn service(&mut self, key: &str, declared: &At<ServiceModel>, scale: Option<u32>) -> Result<Service> {
        let At { value: model, at } = declared;
        valid_name(&key.to_lowercase(), "service", at)?;
        let name = self.full_name(key);
        valid_name(&name, "service", at)?;
        let deploy = &model.deploy;
        Ok(Service {
            key: key.to_owned(),
            name,
            at: at.clone(),
            source: self.source(key, model, at)?,
            args: model.command.as_ref().map(|command| command.value.0.clone()).unwrap_or_default(),
            env: self.environment(model)?,
            hostname: model.hostname.as_ref().map(|hostname| hostname.value.clone()),
            mode: mode(key, model, scale, at)?,
            max_per_node: deploy.placement.max_replicas_per_node.filter(|most| *most > 0),
            spread: deploy.placement.preferences.iter().map(|preference| preference.value.spread.clone()).collect(),
            constraints: constraints(&deploy.placement.constraints)?,
            networks: self.attachments(key, model)?,
            endpoint_mode: match deploy.endpoint_mode.as_ref().map(|mode| mode.value) {
                Some(EndpointWord::Dnsrr) => EndpointMode::Dnsrr,
                Some(EndpointWord::Vip) | None => EndpointMode::Vip,
            },
            ports: model.ports.iter().map(port).collect::<Result<_>>()?,
            mounts: self.mounts(key, model)?,
            secrets: self.file_mounts(&model.secrets, &self.loaded.compose.secrets, "secret")?,
            configs: self.file_mounts(&model.configs, &self.loaded.compose.configs, "config")?,
            labels: self.service_labels(key, model)?,
            resources: resources(model),
            restart: self.restart(model)?,
            update: update(&deploy.update_config),
            rollback: update(&deploy.rollback_config),
            health: model.healthcheck.as_ref().map(health).transpose()?.flatten(),
            stop_grace_ms: model.stop_grace_period.map(|period| period.0),
            concurrency: model.minicloud.concurrency,
            http_port: model.minicloud.http_port,
            needs: needs(model),
            attach: model.attach != Some(false),
            pull: source::pull(model)?,
        })
    }

    fn environment(&mut self, model: &ServiceModel) -> Result<BTreeMap<String, String>> {
        let mut env = BTreeMap::new();
        for file in &model.env_file {
            let path = Path::new(&file.path.value);
            if !self.files.is_file(path) {
                if file.required == Some(false) {
                    continue;
                }
                return Err(Error::at(&file.path.at, format!("there is no file {}", path.display())));
            }
            let text = self.files.read(path).map_err(|error| Error::at(&file.path.at, format!("{}: {error}", path.display())))?;
            let read = dotenv::parse(&path.display().to_string(), &text, &|name| self.lookup(name))?;
            env.extend(read);
        }
        for (name, value) in &model.environment.0 {
            match value.clone().or_else(|| self.lookup(name)) {
                Some(value) => env.insert(name.clone(), value),
                None => env.remove(name),
            };
        }
        Ok(env)
    }

    fn service_labels(&self, key: &str, model: &ServiceModel) -> Result<Labels> {
        let mut labels = Labels::new();
        for file in &model.label_file.0 {
            let text = self.files.read(Path::new(file)).map_err(|error| Error::new(format!("{file}: {error}")))?;
            labels.extend(dotenv::parse(file, &text, &|name| self.lookup(name))?);
        }
        labels.extend(self.labels(&model.labels, "service", key));
        labels.extend(self.labels(&model.deploy.labels, "service", key));
        Ok(labels)
    }

    fn attachments(&mut self, key: &str, model: &ServiceModel) -> Result<Vec<NetworkRef>> {
        let own = |aliases: Vec<String>| -> Vec<String> {
            let all: BTreeSet<String> = std::iter::once(key.to_lowercase()).chain(aliases).collect();
            all.into_iter().collect()
        };
        let Some(networks) = &model.networks else {
            let network = self.network_name(DEFAULT_NETWORK, None)?;
            return Ok(vec![NetworkRef { network, aliases: own(Vec::new()) }]);
        };
        let mut attachments = Vec::new();
        for (name, At { value: attachment, at }) in networks {
            let mut aliases = Vec::new();
            for alias in &attachment.aliases {
                let lower = alias.value.to_lowercase();
                valid_name(&lower, "network alias", &alias.at)?;
                aliases.push(lower);
            }
            attachments.push(NetworkRef { network: self.network_name(name, Some(at))?, aliases: own(aliases) });
        }
        Ok(attachments)
    }

    fn network_name(&self, key: &str, at: Option<&Place>) -> Result<String> {
        let networks = &self.loaded.compose.networks;
        match networks.get(key) {
            Some(declared) => {
                let model = &declared.value;
                let external = model.external.name.clone().map(|value| At { value, at: declared.at.clone() });
                self.declared_name(key, model.name.as_ref().or(external.as_ref()), model.external.external, &declared.at, "network")
            }
            None if key == DEFAULT_NETWORK => Ok(self.full_name(key)),
            None => {
                let hint = hint(key, networks.keys().map(String::as_str));
                Err(Error { at: at.cloned(), message: format!("the network '{key}' is not declared under networks{hint}") })
            }
        }
    }

    fn file_mounts(&self, mounts: &[At<FileMountModel>], declared: &BTreeMap<String, At<FileModel>>, noun: &str) -> Result<Vec<FileMount>> {
        let mut files = Vec::new();
        for At { value: mount, at } in mounts {
            let source = mount.source.as_deref().ok_or_else(|| Error::at(at, format!("the {noun} has no source")))?;
            let Some(file) = declared.get(source) else {
                let hint = hint(source, declared.keys().map(String::as_str));
                return Err(Error::at(at, format!("the {noun} '{source}' is not declared under {noun}s{hint}")));
            };
            let external = file.value.external.name.clone().map(|value| At { value, at: file.at.clone() });
            let name = file.value.name.as_ref().or(external.as_ref());
            files.push(FileMount {
                name: self.declared_name(source, name, file.value.external.external, &file.at, noun)?,
                target: mount.target.clone().unwrap_or_else(|| source.to_owned()),
            });
        }
        Ok(files)
    }

    fn restart(&self, model: &ServiceModel) -> Result<RestartPolicy> {
        if let Some(policy) = model.deploy.restart_policy {
            return Ok(RestartPolicy {
                condition: match policy.condition {
                    Some(RestartWord::None) => RestartCondition::None,
                    Some(RestartWord::OnFailure) => RestartCondition::OnFailure,
                    Some(RestartWord::Any) | None => RestartCondition::Any,
                },
                delay_ms: policy.delay.map(|delay| delay.0),
                max_attempts: policy.max_attempts.unwrap_or(0),
                window_ms: policy.window.map_or(0, |window| window.0),
            });
        }
        let plain = |condition, max_attempts| RestartPolicy { condition, max_attempts, ..RestartPolicy::default() };
        let Some(restart) = &model.restart else {
            return Ok(match self.flavour {
                Flavour::Compose => plain(RestartCondition::None, 0),
                Flavour::Stack => RestartPolicy::default(),
            });
        };
        match restart.value.as_str() {
            "no" | "false" | "" => Ok(plain(RestartCondition::None, 0)),
            "always" | "unless-stopped" => Ok(plain(RestartCondition::Any, 0)),
            "on-failure" => Ok(plain(RestartCondition::OnFailure, 0)),
            other => match other.strip_prefix("on-failure:").and_then(|times| times.parse().ok()) {
                Some(times) => Ok(plain(RestartCondition::OnFailure, times)),
                None => {
                    let known = ["no", "always", "on-failure", "unless-stopped"];
                    let hint = hint(other, known);
                    let hint = if hint.is_empty() { format!("; there are {}", known.join(", ")) } else { hint };
                    Err(Error::at(&restart.at, format!("'{other}' is no restart policy{hint}")))
                }
            },
        }
    }

    /// `links`: a further name of the other service, and an order to start in.
    pub(super) fn link(&mut self, services: &mut [Service], enabled: &BTreeSet<&str>) -> Result<()> {
        for (key, At { value: model, .. }) in &self.loaded.compose.services {
            for link in model.links.iter().filter(|_| enabled.contains(key.as_str())) {
                let (other, alias) = link.value.split_once(':').unwrap_or((&link.value, &link.value));
                self.service_exists(other, Some(&link.at))?;
                let alias = alias.to_lowercase();
                valid_name(&alias, "network alias", &link.at)?;
                for attachment in services.iter_mut().filter(|service| service.key == other).flat_map(|service| &mut service.networks) {
                    if !attachment.aliases.contains(&alias) {
                        attachment.aliases.push(alias.clone());
                    }
                }
                for service in services.iter_mut().filter(|service| service.key == *key) {
                    if service.needs.iter().all(|need| need.key != other) {
                        service.needs.push(Dependency { key: other.to_owned(), condition: Condition::Started, required: true });
                    }
                }
            }
        }
        Ok(())
    }
}

fn needs(model: &ServiceModel) -> Vec<Dependency> {
    let need = |(key, dependency): (&String, &At<crate::model::DependencyModel>)| Dependency {
        key: key.clone(),
        condition: match dependency.value.condition {
            ConditionWord::ServiceStarted => Condition::Started,
            ConditionWord::ServiceHealthy => Condition::Healthy,
            ConditionWord::ServiceCompletedSuccessfully => Condition::Completed,
        },
        required: dependency.value.required != Some(false),
    };
    model.depends_on.iter().map(need).collect()
}

fn mode(key: &str, model: &ServiceModel, scale: Option<u32>, at: &Place) -> Result<Mode> {
    let deploy = &model.deploy;
    let said = scale.or(deploy.replicas).or(model.scale);
    if let (Some(a), Some(b)) = (deploy.replicas, model.scale)
        && a != b
        && scale.is_none()
    {
        return Err(Error::at(at, format!("service '{key}' has scale {b} and deploy.replicas {a}; give it one number")));
    }
    let is_job = matches!(deploy.mode, DeployMode::ReplicatedJob | DeployMode::GlobalJob);
    let rolling = [&deploy.update_config, &deploy.rollback_config].map(update);
    if is_job && rolling.iter().any(|config| *config != Update::default()) {
        let why = "a job is begun anew, not updated task by task: leave update_config and rollback_config out";
        return Err(Error::at(at, format!("service '{key}': {why}")));
    }
    match (deploy.mode, said) {
        (DeployMode::Replicated, said) => Ok(Mode::Replicated { replicas: said.unwrap_or(1) }),
        (DeployMode::ReplicatedJob, said) => Ok(Mode::ReplicatedJob { completions: said.unwrap_or(1) }),
        (DeployMode::Global, None) => Ok(Mode::Global),
        (DeployMode::GlobalJob, None) => Ok(Mode::GlobalJob),
        (DeployMode::Global | DeployMode::GlobalJob, Some(_)) => {
            Err(Error::at(at, format!("service '{key}' is global: it has one task on every node and no number of replicas")))
        }
    }
}

fn constraints(texts: &[At<String>]) -> Result<Vec<Constraint>> {
    texts.iter().map(|text| text.value.parse::<Constraint>().map_err(|error| Error::at(&text.at, error.to_string()))).collect()
}

fn port(port: &At<PortModel>) -> Result<PublishedPort> {
    let At { value: port, at } = port;
    if port.target == 0 {
        return Err(Error::at(at, "a port has a target: the port of the task"));
    }
    let published = match port.published.as_deref().filter(|published| !published.is_empty()) {
        None | Some("0") => 0,
        Some(text) => range(text).ok_or_else(|| Error::at(at, format!("'{text}' is no port; write for example 8000")))?.0,
    };
    let address = match port.host_ip.as_deref().filter(|ip| !ip.is_empty()) {
        None => None,
        Some(text) => {
            let address: IpAddr =
                text.parse().map_err(|_| Error::at(at, format!("'{text}' is no IP address; write for example 127.0.0.1")))?;
            specific(address)
        }
    };
    Ok(PublishedPort {
        published,
        target: port.target,
        protocol: if port.protocol == Some(ProtocolWord::Udp) { Protocol::Udp } else { Protocol::Tcp },
        mode: if port.mode == Some(ModeWord::Host) { PublishMode::Host } else { PublishMode::Ingress },
        address,
    })
}

fn resources(model: &ServiceModel) -> Resources {
    let (limits, reservations) = (model.deploy.resources.limits, model.deploy.resources.reservations);
    Resources {
        limit_memory_bytes: limits.memory.or(model.mem_limit).map_or(0, |bytes| bytes.0),
        limit_cpu_millis: limits.cpus.or(model.cpus).map_or(0, |cores| cores.0),
        reserve_memory_bytes: reservations.memory.or(model.mem_reservation).map_or(0, |bytes| bytes.0),
        reserve_cpu_millis: reservations.cpus.map_or(0, |cores| cores.0),
    }
}

fn update(model: &UpdateModel) -> Update {
    Update {
        parallelism: model.parallelism,
        delay_ms: model.delay.map(|delay| delay.0),
        order: model.order.map(|order| match order {
            OrderWord::StartFirst => UpdateOrder::StartFirst,
            OrderWord::StopFirst => UpdateOrder::StopFirst,
        }),
        monitor_ms: model.monitor.map(|monitor| monitor.0),
        failure_action: model.failure_action.map(|action| match action {
            ActionWord::Pause => FailureAction::Pause,
            ActionWord::Continue => FailureAction::Continue,
            ActionWord::Rollback => FailureAction::Rollback,
        }),
        max_failure_permille: model.max_failure_ratio.map(|ratio| ratio.0),
    }
}
