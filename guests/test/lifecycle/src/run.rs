//! The `wasi:cli/run` export. The first argument says what to do.

use crate::bindings::minicloud::task::{lifecycle, task_info};
use crate::config;
use guest_common::{clock, log};
use std::time::Duration;
use wasip3::cli::environment::get_arguments;

struct Command;
wasip3::cli::command::export!(Command);

impl wasip3::exports::cli::run::Guest for Command {
    async fn run() -> Result<(), ()> {
        let words = get_arguments();
        let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        match words[..] {
            ["info"] => info(),
            ["late", ms] => {
                log::line("starting");
                clock::sleep(millis(ms)?).await;
                lifecycle::ready();
                log::line("ready");
                lifecycle::stopping().await;
            }
            ["drain", ms] => {
                lifecycle::ready();
                log::line(format_args!("stopping: {}", lifecycle::is_stopping()));
                lifecycle::stopping().await;
                log::line(format_args!("stopping: {}", lifecycle::is_stopping()));
                clock::sleep(millis(ms)?).await;
                log::line("drained");
            }
            ["deaf"] => {
                lifecycle::ready();
                clock::sleep(Duration::from_secs(3600)).await;
            }
            ["config", key] => {
                lifecycle::ready();
                match config::get(key) {
                    Ok(Some(text)) => log::line(text.trim_end()),
                    Ok(None) => log::line("none"),
                    Err(error) => log::line(format_args!("error: {error:?}")),
                }
            }
            ["configs"] => {
                lifecycle::ready();
                config::get_all().map_err(drop)?.iter().for_each(|(key, _)| log::line(key));
            }
            _ => return Err(()),
        }
        Ok(())
    }
}

fn info() {
    lifecycle::ready();
    let (service, slot, node) = (task_info::service(), task_info::slot(), task_info::node());
    log::line(format_args!("{service} {slot} {node} {}", task_info::hostname()));
}

fn millis(text: &str) -> Result<Duration, ()> {
    text.parse().map(Duration::from_millis).map_err(|_| ())
}
