//! The minicloud command line: parse, call the node's API, render. The hidden `daemon` is the node itself.
mod address;
mod bundled;
mod cluster;
mod commands;
mod connect;
mod daemon;
mod data_dir;
mod demo;
mod each;
mod executor;
mod image;
mod inspect;
mod interrupt;
mod network;
mod node;
mod output;
mod parse;
mod proxy;
mod render;
mod service;
mod tasks;
mod usage;
mod volume;

use std::process::ExitCode;

use interrupt::Interrupted;

/// The command did not do what was asked.
const FAILED: u8 = 1;
/// Ended by Ctrl-C, as shells count it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = match usage::parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(answer) => return answer.print(),
    };
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(&error),
    }
}

/// Says what went wrong in one line.
fn end(error: &anyhow::Error) -> ExitCode {
    if error.is::<output::Closed>() {
        return ExitCode::SUCCESS;
    }
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        eprintln!("{interrupted}");
        return ExitCode::from(INTERRUPTED);
    }
    eprintln!("error: {}", render::one_line(&format!("{error:#}")));
    ExitCode::from(FAILED)
}
