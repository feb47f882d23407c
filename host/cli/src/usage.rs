//! From words to a command: how flags are read, and what is said when they make no sense.
use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches};

use crate::commands::Cli;
use crate::output;
use crate::{parse, service};

/// The words make no command.
const USAGE: u8 = 2;

/// Why there is no command to run: help was asked for, or the words are wrong.
pub enum Answer {
    Help(String),
    Wrong(String),
}

impl Answer {
    pub fn print(self) -> ExitCode {
        match self {
            Answer::Help(text) => {
                let _ = output::raw(text.as_bytes());
                ExitCode::SUCCESS
            }
            Answer::Wrong(text) => {
                eprintln!("{}", text.trim_end());
                ExitCode::from(USAGE)
            }
        }
    }
}

/// Reads the command line.
pub fn parse(words: Vec<OsString>) -> Result<Cli, Answer> {
    let parsed = lenient(Cli::command()).try_get_matches_from(&words).and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| answer(error, &words))
}

/// The same tree, in which a flag takes `=true` and `=false` too, as Docker's users type them.
///
/// Help and completions come from the tree as it is written, where a flag is just a flag.
fn lenient(command: Command) -> Command {
    command.mut_args(take_boolean).mut_subcommands(lenient)
}

fn take_boolean(arg: Arg) -> Arg {
    if !matches!(arg.get_action(), ArgAction::SetTrue) {
        return arg;
    }
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .default_value("false")
        .value_parser(ValueParser::new(parse::boolean))
}

fn answer(error: clap::Error, words: &[OsString]) -> Answer {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::DisplayVersion => {
            Answer::Help(help(error, words))
        }
        ErrorKind::UnknownArgument => Answer::Wrong(unknown_flag(&error)),
        ErrorKind::ValueValidation => Answer::Wrong(wrong_value(&error)),
        _ => Answer::Wrong(error.render().to_string()),
    }
}

fn help(error: clap::Error, words: &[OsString]) -> String {
    use std::io::IsTerminal;
    let plain = Cli::command().try_get_matches_from(words).err().filter(|plain| plain.kind() == error.kind());
    let text = plain.unwrap_or(error).render();
    if std::io::stdout().is_terminal() { text.ansi().to_string() } else { text.to_string() }
}

/// A flag that exists in Docker but cannot exist here is told from a mistyped one.
fn unknown_flag(error: &clap::Error) -> String {
    if let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
        && let Some(why) = service::why_not(flag)
    {
        return format!("error: {flag} means nothing here: {why}");
    }
    error.render().to_string()
}

/// One line: the flag, and what its parser says.
fn wrong_value(error: &clap::Error) -> String {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => flag.split(' ').next().unwrap_or(flag).to_owned(),
        _ => String::new(),
    };
    match std::error::Error::source(error) {
        Some(source) => format!("error: {flag}: {source}"),
        None => error.render().to_string(),
    }
}
