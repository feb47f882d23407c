//! Commands that take several names do what they can, and report each that failed.
use anyhow::anyhow;

use crate::output::Closed;

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
