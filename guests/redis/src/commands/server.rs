//! Commands about the server as a whole.

use crate::command::{Outcome, ServerCall};
use crate::commands::keys::check_flush_mode;
use crate::config::AppendFsync;
use crate::engine::Demand;
use crate::error::{CommandError, SYNTAX};
use crate::reply::Reply;

const NOTHING_TO_SAVE_TO: CommandError = CommandError::fixed("ERR no volume is mounted at /data: there is nothing to save to");

/// `CONFIG GET pattern [pattern ...] | SET name value | RESETSTAT`
pub fn config(call: &mut ServerCall) -> Outcome {
    if call.is(1, "get") {
        call.expect_words(3..=usize::MAX, "config|get")?;
        let settings = call.engine.config.matching(&call.args[2..]).into_iter();
        let pairs = settings.map(|(name, value)| (Reply::bulk(name), Reply::bulk(value)));
        return Ok(Reply::Map(pairs.collect()));
    }
    if call.is(1, "set") {
        call.expect_words(4..=4, "config|set")?;
        return config_set(call);
    }
    if call.is(1, "resetstat") {
        call.expect_words(2..=2, "config|resetstat")?;
        let stats = &mut call.engine.stats;
        (stats.connections, stats.commands, stats.expired_keys, stats.rejected_connections) = (0, 0, 0, 0);
        return Ok(Reply::Ok);
    }
    Err(CommandError::unknown_subcommand("config", call.arg(1)))
}

fn config_set(call: &mut ServerCall) -> Outcome {
    let name = String::from_utf8_lossy(call.arg(2)).to_lowercase();
    let value = String::from_utf8_lossy(call.arg(3));
    match (name.as_str(), AppendFsync::parse(&value)) {
        ("appendfsync", Some(append_fsync)) => {
            call.engine.config.append_fsync = append_fsync;
            // With `always`, replies wait for a sync from now on: have one.
            if call.engine.journal.is_enabled() {
                demand(call, Demand::Sync)?;
            }
            Ok(Reply::Ok)
        }
        ("appendfsync", None) => Err(CommandError::fixed(
            "ERR CONFIG SET failed (possibly related to argument 'appendfsync') - argument(s) must be one of the following: everysec, always, no",
        )),
        _ => Err(CommandError::new(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'"))),
    }
}

/// `FLUSHALL [ASYNC|SYNC]`
pub fn flushall(call: &mut ServerCall) -> Outcome {
    check_flush_mode(&call.args[1..])?;
    let database = call.session().database;
    call.engine.databases.iter_mut().for_each(|keys| keys.clear());
    call.engine.journal.record(database, call.args);
    Ok(Reply::Ok)
}

/// `SAVE`: answered once everything written before is on the disk.
pub fn save(call: &mut ServerCall) -> Outcome {
    demand(call, Demand::Sync)?;
    call.session().reply_after_sync = true;
    Ok(Reply::Ok)
}

/// `BGSAVE [SCHEDULE]`
pub fn bgsave(call: &mut ServerCall) -> Outcome {
    if call.args.len() > 2 || call.args.len() == 2 && !call.is(1, "schedule") {
        return Err(SYNTAX);
    }
    demand(call, Demand::Sync)?;
    Ok(Reply::Simple("Background saving started"))
}

/// `BGREWRITEAOF`
pub fn bgrewriteaof(call: &mut ServerCall) -> Outcome {
    if call.engine.stats.rewriting {
        return Err(CommandError::fixed("ERR Background append only file rewriting already in progress"));
    }
    demand(call, Demand::Rewrite)?;
    Ok(Reply::Simple("Background append only file rewriting started"))
}

fn demand(call: &mut ServerCall, demand: Demand) -> Result<(), CommandError> {
    if !call.engine.journal.is_enabled() {
        return Err(NOTHING_TO_SAVE_TO);
    }
    if !call.engine.demands.contains(&demand) {
        call.engine.demands.push(demand);
    }
    Ok(())
}

/// `LASTSAVE`: Unix seconds.
pub fn lastsave(call: &mut ServerCall) -> Outcome {
    let seconds = call.engine.stats.saved_at_ms / 1000;
    Ok(Reply::Integer(seconds.cast_signed()))
}

/// `TIME`: Unix seconds, and microseconds in the current one.
pub fn time(call: &mut ServerCall) -> Outcome {
    let (seconds, milliseconds) = (call.now_ms / 1000, call.now_ms % 1000);
    Ok(Reply::bulks([seconds.to_string(), (milliseconds * 1000).to_string()]))
}
