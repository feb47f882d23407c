//! `service create`
use anyhow::bail;
use clap::Args;
use minicloud_core::spec::{EndpointMode, PlacementPreference};
use minicloud_node::api::types::{CreateService, Mode};
use minicloud_node::client::Client;

use super::flags::{HealthFlags, ResourceFlags, RestartFlags, RollbackFlags, UpdateFlags, Waiting, endpoint_mode, misplaced, mode};
use super::{TaskFlags, progress};
use crate::image::ImageArgument;
use crate::output::{say, warn};
use crate::parse;

const EXAMPLES: &str = "\
Examples:
  minicloud service create --name redis redis
  minicloud service create --replicas 3 --network front -p 8000:80 ./web.wasm
  minicloud service create --mount source=db,target=/data redis --appendonly yes
  minicloud service create --mode global --constraint node.role==worker ./a.wasm
  minicloud service create --mode replicated-job --replicas 9 ./convert.wasm

IMAGE is a name that 'minicloud images' shows, one in a registry, or the path of a component file.
Flags go before it; what follows it goes to the tasks.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Create {
    /// Name of the service [default: made from the image's name]
    #[arg(long)]
    name: Option<String>,
    /// A number of tasks, or one task on every node; a job's tasks each run to their end once
    #[arg(long, value_parser = mode(), default_value = "replicated")]
    mode: Mode,
    /// Number of tasks; of a job those that are to complete [default: 1]
    #[arg(long, value_name = "N", value_parser = parse::number::<u32>)]
    replicas: Option<u32>,
    /// Tasks of a replicated job that run at once; 0: all [default: 0]
    #[arg(long, value_name = "N", value_parser = parse::number::<u32>)]
    max_concurrent: Option<u32>,
    /// Whether the name resolves to one virtual address or to those of the tasks
    #[arg(long, value_name = "MODE", value_parser = endpoint_mode(), default_value = "vip")]
    endpoint_mode: EndpointMode,
    /// Arguments of the tasks as one text; the same as ARGS behind the image
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    args: Option<String>,
    /// Most tasks of the service on one node [default: no bound]
    #[arg(long, value_name = "N", value_parser = parse::number::<u32>)]
    replicas_max_per_node: Option<u32>,
    /// Spread tasks over the values of a label of nodes: spread=node.labels.NAME; of several, the first weighs most
    #[arg(long, value_name = "PREF", value_parser = |text: &str| text.parse::<PlacementPreference>())]
    placement_pref: Vec<PlacementPreference>,
    #[command(flatten)]
    task: TaskFlags,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    resources: ResourceFlags,
    #[command(flatten)]
    health: HealthFlags,
    #[command(flatten)]
    restart: RestartFlags,
    #[command(flatten)]
    update: UpdateFlags,
    #[command(flatten)]
    rollback: RollbackFlags,
}

impl Create {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let waiting = self.waiting;
        let mut service = self.request()?;
        warn(&misplaced::<Create>(&service.image, &service.args));
        let image = ImageArgument::new(&service.image).resolve(client).await?;
        (service.image, service.image_name) = (image.image, image.name);
        let created = client.create_service(&service).await?;
        warn(&created.warnings);
        say!("{}", created.id);
        progress::wait(client, &created.name, waiting).await
    }

    /// What the API is asked for; the image still as it was typed.
    fn request(self) -> anyhow::Result<CreateService> {
        let mut service = self.task.request(self.resources)?;
        if let Some(text) = &self.args {
            if !service.args.is_empty() {
                bail!("give arguments either with --args or behind the image, not both");
            }
            service.args = parse::words(text).map_err(anyhow::Error::msg)?;
        }
        if self.mode.is_per_node() && self.replicas.is_some() {
            bail!("--replicas means nothing for a global service: it has one task on every node");
        }
        if self.mode != Mode::ReplicatedJob && self.max_concurrent.is_some() {
            bail!("--max-concurrent means nothing without --mode replicated-job: only its tasks run in turns");
        }
        Ok(CreateService {
            name: self.name,
            mode: self.mode,
            replicas: self.replicas,
            max_concurrent: self.max_concurrent,
            endpoint_mode: self.endpoint_mode,
            replicas_max_per_node: self.replicas_max_per_node,
            placement_preferences: self.placement_pref.iter().map(PlacementPreference::to_string).collect(),
            health: self.health.change(),
            stop_grace_ms: self.restart.stop_grace_period,
            restart: self.restart.change(),
            update: self.update.change(),
            rollback: self.rollback.change(),
            ..service
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        create: Create,
    }

    fn read(line: &str) -> anyhow::Result<CreateService> {
        Line::try_parse_from(std::iter::once("create").chain(line.split(' ')))?.create.request()
    }

    #[test]
    fn a_plain_service() {
        assert_eq!(read("rng").unwrap(), CreateService { image: "rng".into(), ..Default::default() });
    }

    #[test]
    fn what_follows_the_image_goes_to_the_tasks() {
        let service = read("--name db redis --appendfsync always --name other").unwrap();
        assert_eq!((service.name.as_deref(), service.image.as_str()), (Some("db"), "redis"));
        assert_eq!(service.args, ["--appendfsync", "always", "--name", "other"]);
        assert_eq!(read("--args=--port redis").unwrap().args, ["--port"]);
        assert!(read("--args=--port redis 6380").unwrap_err().to_string().contains("not both"));
    }

    #[test]
    fn every_flag_reaches_the_request() {
        let service = read(
            "--name web --replicas 3 --network a --network b -p 8000:80 -p 9000-9001:90-91 -e A=1 -e A=2 --env B= --hostname h \
             --mount type=volume,source=data,target=/data --secret password --config source=settings,target=/etc/web,mode=0400 --limit-memory 64m --limit-cpu 0.5 --reserve-memory 32m --reserve-cpu 0.1 \
             --concurrency 1 --http-port 8080 --restart-condition on-failure --restart-delay 5s --restart-max-attempts 3 --restart-window 1m \
             --stop-grace-period 2s --constraint node.role==worker -l x=y --label z --endpoint-mode dnsrr --update-parallelism 2 \
             --update-delay 1s --update-order stop-first --update-monitor 3s --update-failure-action rollback --update-max-failure-ratio 0.1 \
             --rollback-parallelism 0 --rollback-delay 2s --rollback-order start-first --rollback-monitor 1s --rollback-failure-action continue \
             --rollback-max-failure-ratio 1 --health-http :81/up --health-interval 2s --health-timeout 1s --health-retries 4 \
             --health-start-period 3s --replicas-max-per-node 2 --placement-pref spread=node.labels.zone -d web.wasm",
        )
        .unwrap();
        let json = serde_json::to_value(&service).unwrap();
        let expected = serde_json::json!({
            "name": "web", "image": "web.wasm", "image_name": null, "mode": "replicated", "replicas": 3, "max_concurrent": null, "networks": ["a", "b"], "foreground": false, "aliases": {},
            "endpoint_mode": "dnsrr",
            "ports": [
                {"published": 8000, "target": 80, "protocol": "tcp", "mode": "ingress", "address": null},
                {"published": 9000, "target": 90, "protocol": "tcp", "mode": "ingress", "address": null},
                {"published": 9001, "target": 91, "protocol": "tcp", "mode": "ingress", "address": null},
            ],
            "env": {"A": "2", "B": ""}, "hostname": "h", "args": [],
            "mounts": [{"kind": "volume", "source": "data", "target": "/data", "read_only": false}],
            "secrets": [{"source": "password", "target": null, "mode": null}],
            "configs": [{"source": "settings", "target": "/etc/web", "mode": 256}],
            "limit_memory_bytes": 64 << 20, "limit_cpu_millis": 500, "reserve_memory_bytes": 32 << 20, "reserve_cpu_millis": 100,
            "concurrency": 1, "http_port": 8080, "constraints": ["node.role==worker"], "labels": {"x": "y", "z": ""},
            "replicas_max_per_node": 2, "placement_preferences": ["spread=node.labels.zone"],
            "health": {
                "probe": {"http": {"path": "/up", "port": 81}}, "interval_ms": 2000, "timeout_ms": 1000, "retries": 4,
                "start_period_ms": 3000, "off": false,
            },
            "stop_grace_ms": 2000,
            "restart": {"condition": "on-failure", "delay_ms": 5000, "max_attempts": 3, "window_ms": 60000},
            "update": {"parallelism": 2, "delay_ms": 1000, "order": "stop-first", "monitor_ms": 3000, "failure_action": "rollback", "max_failure_permille": 100},
            "rollback": {"parallelism": 0, "delay_ms": 2000, "order": "start-first", "monitor_ms": 1000, "failure_action": "continue", "max_failure_permille": 1000},
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_global_service_has_no_replicas() {
        assert_eq!(read("--mode global rng").unwrap().mode, Mode::Global);
        assert!(read("--mode global --replicas 2 rng").unwrap_err().to_string().contains("means nothing for a global service"));
        assert!(read("--mode global-job --replicas 2 rng").unwrap_err().to_string().contains("means nothing for a global service"));
    }

    #[test]
    fn a_job_runs_in_turns() {
        let job = read("--mode replicated-job --replicas 10 --max-concurrent 2 rng").unwrap();
        assert_eq!((job.mode, job.replicas, job.max_concurrent), (Mode::ReplicatedJob, Some(10), Some(2)));
        assert_eq!(read("--mode global-job rng").unwrap().mode, Mode::GlobalJob);
        assert!(read("--max-concurrent 2 rng").unwrap_err().to_string().contains("without --mode replicated-job"));
    }

    #[test]
    fn a_flag_behind_the_image_is_pointed_out() {
        let args = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(misplaced::<Create>("redis", &args("--appendfsync always --port=1")), Vec::<String>::new());
        assert!(misplaced::<Create>("rng", &args("--replicas=3 -d"))[0].starts_with("--replicas stands behind the image"));
    }

    #[test]
    fn an_unknown_flag_is_not_taken_for_the_image() {
        assert!(read("--replica 3 rng").unwrap_err().to_string().contains("--replicas"));
        assert!(read("").is_ok_and(|service| service.image.is_empty()), "an empty word is refused by the image");
    }
}
