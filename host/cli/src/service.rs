//! `service`: create, list, inspect, scale, update and remove services, and read what their tasks write.
mod create;
mod flags;
mod inspect;
mod logs;
mod ls;
pub mod ports;
pub mod progress;
mod ps;
mod rm;
mod rollback;
mod scale;
mod task;
mod update;

use clap::Subcommand;
pub use flags::{ResourceFlags, Waiting, misplaced};
use minicloud_node::client::Client;
pub use task::TaskFlags;

#[derive(Subcommand)]
pub enum Service {
    /// Create a service and wait until its tasks run
    Create(Box<create::Create>),
    /// Show one or more services in full
    Inspect(inspect::Inspect),
    /// Show what the tasks of a service, or one task, wrote
    Logs(logs::Logs),
    /// List services
    #[command(alias = "list")]
    Ls(ls::Ls),
    /// List the tasks of one or more services, and why one does not run
    Ps(ps::Ps),
    /// Remove one or more services and wait until their tasks have stopped
    #[command(alias = "remove")]
    Rm(rm::Rm),
    /// Go back to the version of a service before its last change
    Rollback(rollback::Rollback),
    /// Set the number of tasks of one or more replicated services
    Scale(scale::Scale),
    /// Change a service; tasks that must be replaced are replaced one after the other
    Update(Box<update::Update>),
}

impl Service {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Service::Create(create) => create.run(client).await,
            Service::Inspect(inspect) => inspect.run(client).await,
            Service::Logs(logs) => logs.run(client).await,
            Service::Ls(ls) => ls.run(client).await,
            Service::Ps(ps) => ps.run(client).await,
            Service::Rm(rm) => rm.run(client).await,
            Service::Rollback(rollback) => rollback.run(client).await,
            Service::Scale(scale) => scale.run(client).await,
            Service::Update(update) => update.run(client).await,
        }
    }
}
