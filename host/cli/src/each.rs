//! Commands that take several names do what they can, and report each that failed.
use anyhow::anyhow;
use clap::Args;
use minicloud_node::api::types::Changed;
use minicloud_node::client::ClientError;

use crate::output::{Closed, say, warn};

/// `rm NAME…` of whatever has names.
#[derive(Args, Debug)]
pub struct Rm {
    /// Names or ids
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Rm {
    /// Prints the name of each that was removed.
    pub async fn run(&self, remove: impl AsyncFn(&str) -> Result<Changed, ClientError>) -> anyhow::Result<()> {
        each(&self.names, async |name| {
            warn(&remove(name).await?.warnings);
            say!("{name}");
            Ok(())
        })
        .await
    }
}

/// Runs `act` for every name. Each failure is printed; the last one is the command's.
pub async fn each(names: &[String], mut act: impl AsyncFnMut(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut failure = None;
    for name in names {
        let Err(error) = act(name).await else { continue };
        if error.is::<Closed>() {
            return Err(error);
        }
        if let Some(earlier) = failure.replace(error) {
            eprintln!("error: {earlier:#}");
        }
    }
    match failure {
        Some(error) => Err(anyhow!("{error:#}")),
        None => Ok(()),
    }
}
