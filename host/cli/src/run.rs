//! `run`: one task in the foreground. It is a job of one that is never restarted, so that `service ls` and `ps` show it.
mod foreground;
mod outcome;

use std::hash::{BuildHasher, RandomState};

use anyhow::bail;
use clap::Args;
use minicloud_core::spec::RestartCondition;
use minicloud_node::api::types::{CreateService, Mode, RestartChange};
use minicloud_node::client::Client;

use crate::cluster::block_on;
use crate::connect;
use crate::data_dir::Choice;
use crate::exit::Exit;
use crate::image::ImageArgument;
use crate::output::{Closed, say, warn};
use crate::parse;
use crate::service::{ResourceFlags, TaskFlags, misplaced};
use foreground::Signals;
use outcome::NOT_RUN;

/// Label of the services that this command makes.
const LABEL: &str = "minicloud.run";
/// Characters of an image's name that go into the name of the service.
const STEM_CHARS_MAX: usize = 40;

const EXAMPLES: &str = "\
Examples:
  minicloud run --rm ./hello.wasm
  minicloud run --rm --network back -e LEVEL=debug ./check.wasm --all
  minicloud run --rm --secret password -e DB=db ./migrate.wasm
  minicloud run -d --name night ./convert.wasm; minicloud service logs -f night

What the task writes to its standard output and error comes out here line by line, and this command
ends with its exit code: 134 when it trapped, 125 when it was not run at all. Ctrl-C stops the task;
said twice, this command ends at once. Standard input is not attached: a task reads an empty one.
A network must be attachable. IMAGE is a name that 'minicloud images' shows, one in a registry, or the
path of a component file. Flags go before it; what follows it goes to the task.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Run {
    /// Remove the service with its task once that has ended, however it ended
    #[arg(long, conflicts_with = "detach")]
    rm: bool,
    /// Print the id of the service and return at once
    #[arg(short, long)]
    detach: bool,
    /// Name of the service [default: made from the image's name]
    #[arg(long)]
    name: Option<String>,
    /// Time that the task may take to end in order [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms)]
    stop_grace_period: Option<u64>,
    #[command(flatten)]
    task: TaskFlags,
    #[command(flatten)]
    resources: ResourceFlags,
}

impl Run {
    pub fn run(self, choice: &Choice) -> anyhow::Result<()> {
        let ended = block_on(async { self.go(&connect::client(choice).await?).await });
        ended.map_err(|error| match error.is::<Exit>() || error.is::<Closed>() {
            true => error,
            false => Exit::new(NOT_RUN, format!("{error:#}")).into(),
        })
    }

    async fn go(self, client: &Client) -> anyhow::Result<()> {
        let (rm, detach) = (self.rm, self.detach);
        let mut service = self.request()?;
        warn(&misplaced::<Run>(&service.image, &service.args));
        // From here on a signal ends the task, not this program before it has removed what it made.
        let mut signals = Signals::listen()?;
        let image = tokio::select! {
            image = ImageArgument::new(&service.image).resolve(client) => image?,
            code = signals.next() => return Err(Exit { code, why: None }.into()),
        };
        (service.image, service.image_name) = (image.image, image.name);
        let created = client.create_service(&service).await?;
        warn(&created.warnings);
        if detach {
            say!("{}", created.id);
            return Ok(());
        }
        let ended = foreground::attend(client, &created.name, &mut signals).await;
        if rm {
            let removed = client.remove_service(&created.name).await;
            if let (Ok(()), Err(error)) = (&ended, removed) {
                bail!("service {} could not be removed: {error}", created.name);
            }
        }
        ended
    }

    /// What the API is asked for; the image still as it was typed.
    fn request(self) -> anyhow::Result<CreateService> {
        let mut service = self.task.request(self.resources)?;
        service.labels.insert(LABEL.to_owned(), "true".to_owned());
        Ok(CreateService {
            name: Some(self.name.unwrap_or_else(|| unused_name(&service.image))),
            mode: Mode::ReplicatedJob,
            foreground: true,
            stop_grace_ms: self.stop_grace_period,
            restart: RestartChange { condition: Some(RestartCondition::None), ..RestartChange::default() },
            ..service
        })
    }
}

/// `hello-x7k2p9`: many may be run at once.
fn unused_name(image: &str) -> String {
    let file = image.rsplit('/').next().unwrap_or(image);
    let stem = file.split(['.', ':', '@']).next().unwrap_or(file).to_ascii_lowercase();
    let clean: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(STEM_CHARS_MAX).collect();
    let base = match clean.trim_matches('-') {
        "" => "run",
        name => name,
    };
    let mut random = RandomState::new().hash_one(image);
    let mut digit = || {
        let digit = random % 36;
        random /= 36;
        char::from_digit(u32::try_from(digit).unwrap_or_default(), 36).unwrap_or('0')
    };
    let suffix: String = std::iter::repeat_with(&mut digit).take(6).collect();
    format!("{base}-{suffix}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: Run,
    }

    fn read(line: &str) -> CreateService {
        Line::try_parse_from(std::iter::once("run").chain(line.split(' '))).unwrap().run.request().unwrap()
    }

    #[test]
    fn a_run_is_a_job_of_one_that_is_not_restarted() {
        let service = read("./build/Hello.wasm --all");
        assert_eq!((service.mode, service.replicas, service.restart.condition), (Mode::ReplicatedJob, None, Some(RestartCondition::None)));
        assert_eq!((service.image.as_str(), service.args.as_slice()), ("./build/Hello.wasm", ["--all".to_owned()].as_slice()));
        assert!(service.foreground && service.labels.contains_key(LABEL));
        let name = service.name.unwrap();
        assert!(name.starts_with("hello-") && name.len() == "hello-".len() + 6, "{name}");
        assert_ne!(unused_name("a"), unused_name("a"));
        assert!(unused_name("127.0.0.1:5000/é:v1").starts_with("run-"));
    }

    #[test]
    fn every_flag_reaches_the_request() {
        let service = read(
            "--rm --name n --network a --network b -p 8000:80 -e A=1 --hostname h --mount source=data,target=/data \
             --constraint node.role==worker -l x=y --stop-grace-period 2s --limit-memory 64m --secret password \
             --config source=settings,target=/etc/web,mode=0400 redis",
        );
        assert_eq!((service.name.as_deref(), service.networks.len(), service.ports.len()), (Some("n"), 2, 1));
        assert_eq!((service.env["A"].as_str(), service.hostname.as_deref(), service.mounts.len()), ("1", Some("h"), 1));
        assert_eq!((service.constraints.len(), service.labels["x"].as_str(), service.stop_grace_ms), (1, "y", Some(2_000)));
        assert_eq!(service.limit_memory_bytes, Some(64 << 20));
        assert_eq!((service.secrets[0].source.as_str(), service.configs[0].mode), ("password", Some(0o400)));
    }

    #[test]
    fn what_is_left_to_itself_is_not_removed() {
        assert!(Line::try_parse_from(["run", "--rm", "-d", "rng"]).is_err());
    }
}
