//! `minicloud stats`: what tasks use, again and again as on a meter.
mod live;
mod rates;
mod sampler;
mod tasks;
pub mod top;

use std::io::IsTerminal;

use clap::Args;
use minicloud_node::client::Client;

use crate::output::say;
use crate::render::{Format, print_json};
use crate::screen::Screen;
use live::View;
use sampler::{Sample, Sampler};

#[derive(Args, Debug)]
#[command(after_help = "CPU % is of one core: a task that keeps two cores busy has 200 %. A rate is that of the last second.

Examples:
  minicloud stats                        all tasks, until Ctrl-C
  minicloud stats --no-stream worker     the tasks of a service, once
  minicloud stats --format json rng.1    one JSON value a second")]
pub struct Show {
    /// Print once, after a second in which was measured; so it is where the output is no terminal
    #[arg(long)]
    no_stream: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Names or ids of services or tasks [default: all]
    #[arg(value_name = "SERVICE|TASK")]
    of: Vec<String>,
}

impl Show {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let sampler = Sampler::new(client, &self.of);
        match self.format {
            _ if self.no_stream => once(sampler, self.format).await,
            Format::Json => for_ever(sampler).await,
            Format::Table if std::io::stdout().is_terminal() => live::show(sampler, Tasks).await,
            Format::Table => once(sampler, self.format).await,
        }
    }
}

async fn once(sampler: Sampler, format: Format) -> anyhow::Result<()> {
    let sample = sampler.one().await?;
    match format {
        Format::Json => print_json(&tasks::rows(&sample))?,
        Format::Table => say!("{}", tasks::table(&tasks::rows(&sample), "CPU %", Screen::width())),
    }
    Ok(())
}

/// A value on each line, for programs.
async fn for_ever(mut sampler: Sampler) -> anyhow::Result<()> {
    sampler.next().await?;
    loop {
        let sample = sampler.next().await?;
        say!("{}", serde_json::to_string(&tasks::rows(&sample))?);
    }
}

/// The live table of `stats`.
struct Tasks;

impl View for Tasks {
    fn lines(&self, sample: &Sample) -> Vec<String> {
        let rows = tasks::rows(sample);
        let mut lines: Vec<String> = tasks::table(&rows, "CPU %", Screen::width()).lines().map(str::to_owned).collect();
        if rows.is_empty() {
            lines.push("no task runs; see 'minicloud service ls'".to_owned());
        }
        lines.extend(live::silent(sample));
        lines
    }

    fn key(&mut self, _: u8) {}
}
