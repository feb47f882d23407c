//! `COMMAND`: the table, told to clients.

use crate::command::{self, Access, Outcome, ServerCall, Spec};
use crate::error::CommandError;
use crate::reply::Reply;
use crate::table::TABLE;

/// `COMMAND [COUNT | DOCS [name ...] | INFO [name ...] | LIST | GETKEYS command ...]`
pub fn command(call: &mut ServerCall) -> Outcome {
    let Some(subcommand) = call.args.get(1) else {
        return Ok(Reply::Array(TABLE.iter().map(describe).collect()));
    };
    let names = &call.args[2..];
    match subcommand.to_ascii_lowercase().as_slice() {
        b"count" => Ok(Reply::count(TABLE.len())),
        b"list" => Ok(Reply::bulks(TABLE.iter().map(|spec| spec.name))),
        b"docs" if names.is_empty() => Ok(Reply::Map(TABLE.iter().map(document).collect())),
        b"docs" => Ok(Reply::Map(names.iter().filter_map(|name| command::find(name)).map(document).collect())),
        b"info" if names.is_empty() => Ok(Reply::Array(TABLE.iter().map(describe).collect())),
        b"info" => {
            let describe = |name: &Vec<u8>| command::find(name).map_or(Reply::NullArray, describe);
            Ok(Reply::Array(names.iter().map(describe).collect()))
        }
        b"getkeys" => get_keys(names),
        _ => Err(CommandError::unknown_subcommand("command", subcommand)),
    }
}

/// Name, arity, flags, key positions, categories, tips, key specifications, subcommands.
fn describe(spec: &Spec) -> Reply {
    let keys = spec.keys;
    let flags = match spec.access {
        Access::Read => vec![Reply::Simple("readonly")],
        Access::Write => vec![Reply::Simple("write"), Reply::Simple("denyoom")],
        Access::Free => vec![Reply::Simple("write")],
        Access::Subscription => vec![Reply::Simple("pubsub")],
        Access::Server | Access::Transaction => Vec::new(),
    };
    let empty = || Reply::Array(Vec::new());
    Reply::Array(vec![
        Reply::bulk(spec.name),
        Reply::Integer(spec.arity),
        Reply::Set(flags),
        Reply::Integer(keys.0),
        Reply::Integer(keys.1),
        Reply::Integer(keys.2),
        Reply::Set(Vec::new()),
        empty(),
        empty(),
        empty(),
    ])
}

fn document(spec: &Spec) -> (Reply, Reply) {
    let pair = |name: &str, value: &str| (Reply::bulk(name), Reply::bulk(value));
    let fields = vec![pair("summary", spec.summary), pair("since", "1.0.0"), pair("group", spec.group)];
    (Reply::bulk(spec.name), Reply::Map(fields))
}

fn get_keys(words: &[Vec<u8>]) -> Outcome {
    let invalid = || CommandError::fixed("ERR Invalid command specified");
    let name = words.first().ok_or_else(invalid)?;
    let spec = command::find(name).ok_or_else(invalid)?;
    if !spec.accepts(words.len()) {
        return Err(CommandError::fixed("ERR Invalid number of arguments specified for command"));
    }
    let keys = spec.keys;
    let last = if keys.1 < 0 { words.len().cast_signed() as i64 + keys.1 } else { keys.1 };
    let (Ok(first), Ok(last), Ok(step)) = (usize::try_from(keys.0), usize::try_from(last), usize::try_from(keys.2)) else {
        return Err(invalid());
    };
    if first == 0 {
        return Err(CommandError::fixed("ERR The command has no key arguments"));
    }
    Ok(Reply::bulks(words.iter().take(last + 1).skip(first).step_by(step.max(1))))
}
