//! What `service create` and `run` both say of a task: its image, and all that it is given.
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use minicloud_core::spec::{Constraint, Mount};
use minicloud_node::api::types::{CreateService, FileUse};

use super::flags::ResourceFlags;
use crate::parse::{self, EnvArg, KeyValue, Ports};

#[derive(Args, Debug)]
pub struct TaskFlags {
    /// Network to attach to; may be given several times
    #[arg(long, value_name = "NETWORK")]
    network: Vec<String>,
    /// Port to publish on every node: [IP:]PUBLISHED:TARGET[/udp], or published=,target=,protocol=,mode=ingress|host
    #[arg(short, long, value_name = "PORT", value_parser = parse::publish)]
    publish: Vec<Ports>,
    /// Variable of the environment: KEY=VALUE, or KEY to take it from here
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse::env)]
    env: Vec<EnvArg>,
    /// File with such variables, one on each line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Hostname of a task [default: SERVICE-SLOT]
    #[arg(long)]
    hostname: Option<String>,
    /// Volume, or folder or file of the node, to mount: type=volume|bind,source=NAME|PATH,target=PATH[,readonly]
    #[arg(long, value_name = "MOUNT", value_parser = parse::mount)]
    mount: Vec<Mount>,
    /// Secret that a task reads at /run/secrets/NAME: NAME, or source=NAME,target=PATH,mode=0400
    #[arg(long, value_name = "SECRET", value_parser = parse::file_use)]
    secret: Vec<FileUse>,
    /// Config that a task reads at /NAME: NAME, or source=NAME,target=PATH,mode=0444
    #[arg(long, value_name = "CONFIG", value_parser = parse::file_use)]
    config: Vec<FileUse>,
    /// Where a task may run, for example node.role==worker or node.labels.disk!=hdd
    #[arg(long, value_name = "CONSTRAINT", value_parser = |text: &str| text.parse::<Constraint>())]
    constraint: Vec<Constraint>,
    /// Label of the service
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse::key_value)]
    label: Vec<KeyValue>,
    /// Image, and the arguments of its tasks
    #[arg(required = true, trailing_var_arg = true, num_args = 1.., value_names = ["IMAGE", "ARGS"])]
    command: Vec<String>,
}

impl TaskFlags {
    /// What the API is asked for, all else left to its defaults; the image still as it was typed.
    pub fn request(self, resources: ResourceFlags) -> anyhow::Result<CreateService> {
        let (image, args) = self.command.split_first().context("name an image")?;
        let mut variables = Vec::new();
        for path in &self.env_file {
            variables.extend(parse::env_file(path)?);
        }
        variables.extend(self.env);
        Ok(CreateService {
            image: image.clone(),
            args: args.to_vec(),
            networks: self.network,
            ports: self.publish.into_iter().flat_map(|ports| ports.0).collect(),
            env: parse::resolve_env(variables, |key| std::env::var(key).ok()),
            hostname: self.hostname,
            mounts: self.mount,
            secrets: self.secret,
            configs: self.config,
            limit_memory_bytes: resources.limit_memory,
            limit_cpu_millis: resources.limit_cpu,
            reserve_memory_bytes: resources.reserve_memory,
            reserve_cpu_millis: resources.reserve_cpu,
            concurrency: resources.concurrency,
            http_port: resources.http_port,
            constraints: self.constraint.iter().map(Constraint::to_string).collect(),
            labels: self.label.into_iter().map(|label| (label.key, label.value)).collect(),
            ..CreateService::default()
        })
    }
}
