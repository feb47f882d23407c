//! From words to a command: how flags are read, and what is said when they make no sense.
use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, FromArgMatches};

use crate::commands::{Cli, tree};
use crate::output;
use crate::{parse, unsupported};

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
                let _ = output::raw(format!("{}\n", text.trim_end()).as_bytes());
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
pub fn parse(words: &[OsString]) -> Result<Cli, Answer> {
    let parsed = lenient(tree()).try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| answer(error, words))
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
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Answer::Help(help(words).unwrap_or_else(|| shown(&error))),
        // A noun alone asks what there is to do with it.
        ErrorKind::MissingSubcommand => {
            help(&[words, &["--help".into()]].concat()).map_or_else(|| Answer::Wrong(shown(&error)), Answer::Help)
        }
        ErrorKind::UnknownArgument => Answer::Wrong(unknown_flag(&error, words).unwrap_or_else(|| error.render().to_string())),
        ErrorKind::InvalidSubcommand => Answer::Wrong(unknown_command(&error, words).unwrap_or_else(|| error.render().to_string())),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            Answer::Wrong(wrong_value(&error).unwrap_or_else(|| error.render().to_string()))
        }
        _ => Answer::Wrong(error.render().to_string()),
    }
}

fn help(words: &[OsString]) -> Option<String> {
    let asked = tree().try_get_matches_from(words).err()?;
    matches!(asked.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion).then(|| shown(&asked))
}

fn shown(error: &clap::Error) -> String {
    let text = error.render();
    if std::io::stdout().is_terminal() { text.ansi().to_string() } else { text.to_string() }
}

/// A flag that Docker has is told from a mistyped one.
fn unknown_flag(error: &clap::Error, words: &[OsString]) -> Option<String> {
    let is_compose = noun(words.iter()).is_some_and(|noun| noun == "compose");
    unsupported::flag(context(error, ContextKind::InvalidArg)?, is_compose).map(|text| format!("error: {text}"))
}

/// So is a command.
fn unknown_command(error: &clap::Error, words: &[OsString]) -> Option<String> {
    let name = context(error, ContextKind::InvalidSubcommand)?;
    // Behind a noun it is a mistyped verb.
    let said = match noun(words.iter().take_while(|word| *word != name)) {
        None => unsupported::command(name),
        Some(noun) => unsupported::verb(&noun, name),
    };
    said.map(|text| format!("error: {text}"))
}

/// The first of the words that is a command.
fn noun<'a>(mut words: impl Iterator<Item = &'a OsString>) -> Option<String> {
    let root = tree();
    words.find_map(|word| root.get_subcommands().map(Command::get_name).find(|noun| word == noun).map(str::to_owned))
}

/// One line: the flag, and what its parser says.
fn wrong_value(error: &clap::Error) -> Option<String> {
    let flag = context(error, ContextKind::InvalidArg)?.split([' ', '[']).next()?;
    if let Some(source) = std::error::Error::source(error) {
        return Some(format!("error: {flag}: {source}"));
    }
    match error.get(ContextKind::ValidValue)? {
        ContextValue::Strings(known) if !known.is_empty() => {
            Some(format!("error: {flag}: '{}' is none of {}", context(error, ContextKind::InvalidValue)?, known.join(", ")))
        }
        _ => None,
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod promised;

#[cfg(test)]
mod tests {
    use super::*;

    pub fn said(line: &str) -> String {
        let words: Vec<OsString> = std::iter::once("minicloud").chain(line.split_whitespace()).map(OsString::from).collect();
        match parse(&words) {
            Ok(_) => "understood".to_owned(),
            Err(Answer::Help(text)) => text,
            Err(Answer::Wrong(text)) => text,
        }
    }

    #[test]
    fn everything_has_help() {
        fn check(command: &Command, path: &str) {
            assert!(command.get_about().is_some() || command.is_hide_set(), "{path} has no help");
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{path}: {} has no help", arg.get_id());
            }
            for sub in command.get_subcommands() {
                check(sub, &format!("{path} {}", sub.get_name()));
            }
        }
        check(&tree(), "minicloud");
    }

    #[test]
    fn what_is_laid_out_by_hand_fits_a_narrow_terminal() {
        const COLUMNS: usize = 80;
        fn check(command: &Command, path: &str) {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            // Sentences are wrapped; what is indented would be torn apart.
            for line in after.lines().filter(|line| line.starts_with(' ')) {
                assert!(line.chars().count() <= COLUMNS, "{path}: {line}");
            }
            command.get_subcommands().for_each(|sub| check(sub, &format!("{path} {}", sub.get_name())));
        }
        check(&tree(), "minicloud");
        let overview = tree().term_width(COLUMNS).render_help().to_string();
        for line in overview.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
    }

    #[test]
    fn every_command_is_in_the_overview() {
        let overview = said("help");
        for command in tree().get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(overview.contains(&format!("\n  {} ", command.get_name())), "{}", command.get_name());
        }
        assert!(!overview.contains("daemon"));
        assert_eq!(said(""), overview);
        assert!(said("service").contains("Usage: minicloud service"));
        assert!(said("service create --help").contains("-d, --detach  "), "help shows flags as flags");
    }

    #[test]
    fn a_flag_takes_a_value_too() {
        for line in [
            "service rm -d x",
            "service rm --detach=true x",
            "service rm -d=false x",
            "service rm --detach=1 --detach=0 x",
            "service logs -ft x",
            "service rm -qd x",
        ] {
            assert_eq!(said(line), "understood", "{line}");
        }
        assert_eq!(said("service rm --detach=perhaps x"), "error: --detach: 'perhaps' is neither true nor false");
    }

    #[test]
    fn wrong_values_are_one_line() {
        for (line, expected) in [
            ("service create --limit-memory 64q rng", "error: --limit-memory: '64q' is no size; write for example 64m, 1.5g or 1GiB"),
            (
                "service create --mode replicated-jobs rng",
                "error: --mode: 'replicated-jobs' is none of replicated, global, replicated-job, global-job",
            ),
            ("service create --replicas many rng", "error: --replicas: 'many' is no number that fits; write for example 3"),
            (
                "service scale worker",
                "error: <SERVICE=REPLICAS>...: 'worker' is not of the form SERVICE=REPLICAS; write for example worker=10",
            ),
            ("node update --availability away n1", "error: --availability: 'away' is none of active, pause, drain"),
            ("node ls --format yaml", "error: --format: 'yaml' is none of table, json"),
        ] {
            assert_eq!(said(line), expected);
        }
    }

    #[test]
    fn docker_s_flags_without_a_meaning_say_why() {
        for flag in ["--cap-add", "--sysctl", "--ulimit", "--privileged", "--user", "--entrypoint", "--gpus"] {
            for command in ["create", "update"] {
                let text = said(&format!("service {command} {flag}=x web"));
                assert!(text.starts_with(&format!("error: {flag} means nothing here: ")) && text.lines().count() == 1, "{text}");
            }
        }
        assert!(said("service create -u root rng").contains("no user of the machine"));
    }

    #[test]
    fn typos_are_answered_with_what_was_meant() {
        assert!(said("servise ls").contains("'service'"));
        assert!(said("service create --replica 3 rng").contains("'--replicas'"));
        assert!(said("service crate").contains("'create'"));
        assert!(said("compose upp").contains("'up'"));
        assert_eq!(
            said("compose exec web sh"),
            "error: there is no 'minicloud compose exec': a component is one program and cannot be entered; see 'minicloud compose logs SVC'"
        );
        assert_eq!(
            said("swarm init"),
            "error: there is no 'minicloud swarm': 'minicloud init', 'join', 'join-token' and 'leave' stand alone"
        );
        assert!(said("volume run").contains("unrecognized subcommand"));
        assert_eq!(said("image pull x"), "error: there is no 'minicloud image pull': write 'minicloud pull IMAGE'");
        assert!(said("compose run web").contains("write 'minicloud run --rm --network PROJECT_default"));
        assert!(said("compose events").ends_with("write 'minicloud events'"));
    }

    #[test]
    fn commands_of_docker_are_told_by_name() {
        for name in ["rmi", "system", "cp", "wait", "save", "load", "create", "pause", "ps", "exec", "login"] {
            let text = said(name);
            assert!(text.starts_with(&format!("error: there is no 'minicloud {name}': ")) && text.lines().count() == 1, "{text}");
        }
        for verb in ["volume prune", "network prune", "image build", "image push", "image tag"] {
            assert!(said(verb).starts_with(&format!("error: there is no 'minicloud {verb}': ")), "{verb}");
        }
    }

    #[test]
    fn a_timeout_of_compose_is_no_terminal() {
        for line in ["compose stop -t 1", "compose down -t 0", "compose -p x restart --timeout 3", "compose up -t 3"] {
            let text = said(line);
            assert!(text.contains("is not taken here") && text.contains("stop_grace_period"), "{line}: {text}");
        }
        assert!(said("service create -t rng").contains("no terminal"));
    }
}
