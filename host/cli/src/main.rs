//! The minicloud command line: parse, call the node's API, render. The hidden `daemon` is the node itself.
mod address;
mod build;
mod bundled;
mod cluster;
mod commands;
mod compose;
mod connect;
mod daemon;
mod data_dir;
#[expect(clippy::print_stdout, reason = "the demo draws on a terminal")]
mod demo;
mod each;
mod events;
mod executor;
mod exit;
mod file;
mod image;
mod images;
mod inspect;
mod interrupt;
mod network;
mod node;
mod output;
mod parse;
mod proxy;
mod render;
mod run;
mod screen;
mod service;
mod stack;
mod stats;
mod tasks;
mod transfer;
mod unsupported;
mod usage;
mod volume;

use std::process::ExitCode;

use interrupt::Interrupted;

/// The command did not do what was asked.
const FAILED: u8 = 1;
/// Ended by Ctrl-C, as shells count it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    // Not in the tree: it is for this program's own use.
    let outcome = if words.get(1).is_some_and(|word| word == daemon::SUBCOMMAND) {
        daemon::background()
    } else {
        match usage::parse(&words) {
            Ok(cli) => cli.run(),
            Err(answer) => return answer.print(),
        }
    };
    outcome.map_or_else(|error| end(&error), |()| ExitCode::SUCCESS)
}

/// Says what went wrong in one line.
fn end(error: &anyhow::Error) -> ExitCode {
    if error.is::<output::Closed>() {
        return ExitCode::SUCCESS;
    }
    if let Some(exit) = error.downcast_ref::<exit::Exit>() {
        if let Some(why) = &exit.why {
            eprintln!("error: {}", render::one_line(why));
        }
        return ExitCode::from(exit.code);
    }
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        eprintln!("{interrupted}");
        return ExitCode::from(INTERRUPTED);
    }
    eprintln!("error: {}", render::one_line(&format!("{error:#}")));
    ExitCode::from(FAILED)
}
