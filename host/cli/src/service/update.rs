//! `service update`
use anyhow::bail;
use clap::Args;
use minicloud_core::spec::{Constraint, EndpointMode, Mount, PlacementPreference};
use minicloud_node::api::types::{FileUse, Mode, UpdateService};
use minicloud_node::client::Client;

use super::flags::{HealthFlags, ResourceFlags, RestartFlags, RollbackFlags, UpdateFlags, Waiting, endpoint_mode, mode};
use super::{progress, rollback};
use crate::image::ImageArgument;
use crate::output::{say, warn};
use crate::parse::{self, EnvArg, KeyValue, Ports};

const EXAMPLES: &str = "\
Examples:
  minicloud service update --image ./web-2.wasm --update-delay 5s web
  minicloud service update --env-add LOG=debug --publish-add 9000:90 web
  minicloud service update --force web   replace tasks though nothing changed";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Update {
    /// Image of the tasks: a bundled name or the path of a component file
    #[arg(long)]
    image: Option<String>,
    /// A number of tasks, or one task on every node; a job's tasks each run to their end once
    #[arg(long, value_parser = mode())]
    mode: Option<Mode>,
    /// Number of tasks
    #[arg(long, value_name = "N", value_parser = parse::number::<u32>)]
    replicas: Option<u32>,
    /// Tasks of a replicated job that run at once; 0: all
    #[arg(long, value_name = "N", value_parser = parse::number::<u32>)]
    max_concurrent: Option<u32>,
    /// Arguments of the tasks, as one text
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, value_parser = arguments)]
    args: Option<Arguments>,
    /// Replace every task though nothing else changed
    #[arg(long)]
    force: bool,
    /// Go back to the previous version; the same as 'service rollback'
    #[arg(long)]
    rollback: bool,
    /// Add or change a variable of the environment
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse::env)]
    env_add: Vec<EnvArg>,
    /// Remove a variable of the environment
    #[arg(long, value_name = "KEY")]
    env_rm: Vec<String>,
    /// Publish a port, see 'service create'
    #[arg(long, value_name = "PORT", value_parser = parse::publish)]
    publish_add: Vec<Ports>,
    /// Publish a port of the tasks no longer
    #[arg(long, value_name = "TARGET", value_parser = parse::target_port)]
    publish_rm: Vec<u16>,
    /// Attach to a network
    #[arg(long, value_name = "NETWORK")]
    network_add: Vec<String>,
    /// Detach from a network
    #[arg(long, value_name = "NETWORK")]
    network_rm: Vec<String>,
    /// Add or change a label of the service
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse::key_value)]
    label_add: Vec<KeyValue>,
    /// Remove a label of the service
    #[arg(long, value_name = "KEY")]
    label_rm: Vec<String>,
    /// Add a constraint
    #[arg(long, value_name = "CONSTRAINT", value_parser = |text: &str| text.parse::<Constraint>())]
    constraint_add: Vec<Constraint>,
    /// Remove a constraint
    #[arg(long, value_name = "CONSTRAINT", value_parser = |text: &str| text.parse::<Constraint>())]
    constraint_rm: Vec<Constraint>,
    /// Most tasks of the service on one node; 0: no bound
    #[arg(long, value_name = "N", value_parser = parse::number::<u32>)]
    replicas_max_per_node: Option<u32>,
    /// Spread tasks over the values of a label, see 'service create'
    #[arg(long, value_name = "PREF", value_parser = |text: &str| text.parse::<PlacementPreference>())]
    placement_pref_add: Vec<PlacementPreference>,
    /// Spread tasks over the values of a label no longer
    #[arg(long, value_name = "PREF", value_parser = |text: &str| text.parse::<PlacementPreference>())]
    placement_pref_rm: Vec<PlacementPreference>,
    /// Mount a volume or folder, see 'service create'
    #[arg(long, value_name = "MOUNT", value_parser = parse::mount)]
    mount_add: Vec<Mount>,
    /// Remove the mount at this path
    #[arg(long, value_name = "TARGET")]
    mount_rm: Vec<String>,
    /// Give the tasks a secret, see 'service create'; one with the same target takes the place of the old one
    #[arg(long, value_name = "SECRET", value_parser = parse::file_use)]
    secret_add: Vec<FileUse>,
    /// Take a secret from the tasks
    #[arg(long, value_name = "NAME")]
    secret_rm: Vec<String>,
    /// Give the tasks a config, see 'service create'; one with the same target takes the place of the old one
    #[arg(long, value_name = "CONFIG", value_parser = parse::file_use)]
    config_add: Vec<FileUse>,
    /// Take a config from the tasks
    #[arg(long, value_name = "NAME")]
    config_rm: Vec<String>,
    /// Hostname of the tasks
    #[arg(long)]
    hostname: Option<String>,
    /// Whether the name resolves to one virtual address or to those of the tasks
    #[arg(long, value_name = "MODE", value_parser = endpoint_mode())]
    endpoint_mode: Option<EndpointMode>,
    #[command(flatten)]
    waiting: Waiting,
    /// Name or id
    service: String,
    #[command(flatten)]
    resources: ResourceFlags,
    #[command(flatten)]
    health: HealthFlags,
    #[command(flatten)]
    restart: RestartFlags,
    #[command(flatten)]
    update: UpdateFlags,
    #[command(flatten)]
    back: RollbackFlags,
}

/// The words of `--args`; a type of its own, as clap takes a vector for a flag that is given several times.
#[derive(Clone, Debug)]
struct Arguments(Vec<String>);

fn arguments(text: &str) -> Result<Arguments, String> {
    parse::words(text).map(Arguments)
}

impl Update {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let (service, waiting, back) = (self.service.clone(), self.waiting, self.rollback);
        let mut change = self.request();
        if back {
            if change != UpdateService::default() {
                bail!("--rollback goes back to the version before as it was, and takes no other change with it");
            }
            return rollback::back(client, &service, waiting).await;
        }
        if let Some(image) = &change.image {
            let image = ImageArgument::new(image).resolve(client).await?;
            (change.image, change.image_name) = (Some(image.image), image.name);
        }
        let changed = client.update_service(&service, &change).await?;
        warn(&changed.warnings);
        say!("{service}");
        progress::wait(client, &service, waiting).await
    }

    /// What the API is asked for; the image still as it was typed.
    fn request(self) -> UpdateService {
        UpdateService {
            version: None,
            image: self.image,
            image_name: None,
            mode: self.mode,
            replicas: self.replicas,
            max_concurrent: self.max_concurrent,
            networks_add: self.network_add,
            networks_rm: self.network_rm,
            endpoint_mode: self.endpoint_mode,
            ports_add: self.publish_add.into_iter().flat_map(|ports| ports.0).collect(),
            ports_rm: self.publish_rm,
            env_add: parse::resolve_env(self.env_add, |key| std::env::var(key).ok()),
            env_rm: self.env_rm,
            hostname: self.hostname,
            args: self.args.map(|arguments| arguments.0),
            mounts_add: self.mount_add,
            mounts_rm: self.mount_rm,
            secrets_add: self.secret_add,
            secrets_rm: self.secret_rm,
            configs_add: self.config_add,
            configs_rm: self.config_rm,
            limit_memory_bytes: self.resources.limit_memory,
            limit_cpu_millis: self.resources.limit_cpu,
            reserve_memory_bytes: self.resources.reserve_memory,
            reserve_cpu_millis: self.resources.reserve_cpu,
            concurrency: self.resources.concurrency,
            http_port: self.resources.http_port,
            constraints_add: self.constraint_add.iter().map(Constraint::to_string).collect(),
            constraints_rm: self.constraint_rm.iter().map(Constraint::to_string).collect(),
            replicas_max_per_node: self.replicas_max_per_node,
            placement_preferences_add: self.placement_pref_add.iter().map(PlacementPreference::to_string).collect(),
            placement_preferences_rm: self.placement_pref_rm.iter().map(PlacementPreference::to_string).collect(),
            labels_add: self.label_add.into_iter().map(|label| (label.key, label.value)).collect(),
            labels_rm: self.label_rm,
            health: self.health.change(),
            stop_grace_ms: self.restart.stop_grace_period,
            restart: self.restart.change(),
            update: self.update.change(),
            rollback: self.back.change(),
            force: self.force,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        update: Update,
    }

    fn read(words: &[&str]) -> UpdateService {
        Line::try_parse_from(std::iter::once(&"update").chain(words)).unwrap().update.request()
    }

    #[test]
    fn what_is_not_named_stays() {
        assert_eq!(read(&["web"]), UpdateService::default());
    }

    #[test]
    fn every_flag_reaches_the_request() {
        let update = read(&[
            "--image=b",
            "--mode=global",
            "--replicas=2",
            "--max-concurrent=4",
            "--args=--port '63 80'",
            "--force",
            "--env-add=A=1",
            "--env-rm=B",
            "--publish-add=8000:80",
            "--publish-rm=8001:81",
            "--network-add=a",
            "--network-rm=b",
            "--label-add=c=d",
            "--label-rm=e",
            "--constraint-add=node.role==worker",
            "--constraint-rm=node.role!=worker",
            "--mount-add=source=data,target=/data",
            "--mount-rm=/old",
            "--secret-add=source=new,target=password",
            "--secret-rm=old",
            "--config-add=settings",
            "--config-rm=past",
            "--hostname=h",
            "--endpoint-mode=dnsrr",
            "--limit-memory=0",
            "--concurrency=0",
            "--http-port=81",
            "--restart-condition=none",
            "--stop-grace-period=1s",
            "--update-order=start-first",
            "--rollback-parallelism=3",
            "--health-tcp=6379",
            "--replicas-max-per-node=1",
            "--placement-pref-add=spread=node.labels.zone",
            "--placement-pref-rm=spread=node.labels.rack",
            "web",
        ]);
        let mut expected = UpdateService {
            image: Some("b".into()),
            mode: Some(Mode::Global),
            replicas: Some(2),
            max_concurrent: Some(4),
            args: Some(vec!["--port".into(), "63 80".into()]),
            force: true,
            ports_add: parse::publish("8000:80").unwrap().0,
            ports_rm: vec![81],
            env_add: [("A".to_owned(), "1".to_owned())].into(),
            env_rm: vec!["B".into()],
            networks_add: vec!["a".into()],
            networks_rm: vec!["b".into()],
            labels_add: [("c".to_owned(), "d".to_owned())].into(),
            labels_rm: vec!["e".into()],
            constraints_add: vec!["node.role==worker".into()],
            constraints_rm: vec!["node.role!=worker".into()],
            mounts_add: vec![parse::mount("source=data,target=/data").unwrap()],
            mounts_rm: vec!["/old".into()],
            secrets_add: vec![parse::file_use("source=new,target=password").unwrap()],
            secrets_rm: vec!["old".into()],
            configs_add: vec![parse::file_use("settings").unwrap()],
            configs_rm: vec!["past".into()],
            hostname: Some("h".into()),
            endpoint_mode: Some(EndpointMode::Dnsrr),
            limit_memory_bytes: Some(0),
            concurrency: Some(0),
            http_port: Some(81),
            stop_grace_ms: Some(1_000),
            ..Default::default()
        };
        expected.restart.condition = Some(minicloud_core::spec::RestartCondition::None);
        expected.rollback.parallelism = Some(3);
        expected.health.probe = Some(minicloud_core::spec::HealthProbe::Tcp { port: 6379 });
        expected.replicas_max_per_node = Some(1);
        expected.placement_preferences_add = vec!["spread=node.labels.zone".into()];
        expected.placement_preferences_rm = vec!["spread=node.labels.rack".into()];
        expected.update.order = Some(minicloud_core::spec::UpdateOrder::StartFirst);
        assert_eq!(update, expected);
    }

    #[test]
    fn arguments_can_be_taken_away() {
        assert_eq!(read(&["--args", "", "web"]).args, Some(Vec::new()));
    }
}
