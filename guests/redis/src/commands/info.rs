//! `INFO`.

use crate::command::{Outcome, ServerCall};
use crate::commands::connection::VERSION;
use crate::engine::Engine;
use crate::memory::linear_memory_bytes;
use crate::reply::Reply;
use std::fmt::Write;

type Lines = Vec<(String, String)>;
type Section = (&'static str, fn(&Engine, u64) -> Lines);

/// Name and content of each section, in the order they are printed.
const SECTIONS: [Section; 7] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("Keyspace", keyspace),
];

/// `INFO [section ...]`
pub fn info(call: &mut ServerCall) -> Outcome {
    let words: Vec<String> = call.args[1..].iter().map(|word| String::from_utf8_lossy(word).to_lowercase()).collect();
    let all = words.is_empty() || words.iter().any(|word| matches!(word.as_str(), "all" | "default" | "everything"));
    let wanted = |name: &str| all || words.contains(&name.to_lowercase());
    let mut text = String::new();
    for (name, lines) in SECTIONS.iter().filter(|(name, _)| wanted(name)) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "# {name}\r\n");
        for (name, value) in lines(call.engine, call.now_ms) {
            let _ = write!(text, "{name}:{value}\r\n");
        }
    }
    Ok(Reply::Verbatim(text))
}

fn line(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

fn server(engine: &Engine, now_ms: u64) -> Lines {
    let uptime = now_ms.saturating_sub(engine.stats.started_at_ms) / 1000;
    vec![
        line("redis_version", VERSION),
        line("redis_mode", "standalone"),
        line("server_name", "minicloud"),
        line("os", "wasi"),
        line("arch_bits", usize::BITS),
        line("tcp_port", engine.config.port),
        line("uptime_in_seconds", uptime),
        line("uptime_in_days", uptime / 86_400),
    ]
}

fn clients(engine: &Engine, _: u64) -> Lines {
    let subscribers = engine.sessions.values().filter(|session| session.subscriptions() > 0);
    vec![
        line("connected_clients", engine.sessions.len()),
        line("maxclients", crate::limits::CLIENTS_MAX),
        line("blocked_clients", 0),
        line("pubsub_clients", subscribers.count()),
    ]
}

fn memory(_: &Engine, _: u64) -> Lines {
    let bytes = linear_memory_bytes();
    vec![
        line("used_memory", bytes),
        line("used_memory_human", format!("{:.2}M", bytes as f64 / 1_048_576.0)),
        line("maxmemory", 0),
        line("maxmemory_policy", "noeviction"),
    ]
}

fn persistence(engine: &Engine, _: u64) -> Lines {
    let status = if engine.write_error.is_none() { "ok" } else { "err" };
    vec![
        line("loading", 0),
        line("rdb_changes_since_last_save", 0),
        line("rdb_bgsave_in_progress", 0),
        line("rdb_last_save_time", engine.stats.saved_at_ms / 1000),
        line("rdb_last_bgsave_status", status),
        line("aof_enabled", u8::from(engine.journal.is_enabled())),
        line("aof_rewrite_in_progress", u8::from(engine.stats.rewriting)),
        line("aof_last_write_status", status),
        line("aof_current_size", engine.stats.file_bytes),
    ]
}

fn stats(engine: &Engine, _: u64) -> Lines {
    vec![
        line("total_connections_received", engine.stats.connections),
        line("total_commands_processed", engine.stats.commands),
        line("rejected_connections", engine.stats.rejected_connections),
        line("expired_keys", engine.stats.expired_keys),
        line("evicted_keys", 0),
    ]
}

fn replication(_: &Engine, _: u64) -> Lines {
    vec![line("role", "master"), line("connected_slaves", 0)]
}

fn keyspace(engine: &Engine, _: u64) -> Lines {
    let used = engine.databases.iter().enumerate().filter(|(_, keys)| !keys.is_empty());
    let describe = |keys: &crate::keyspace::Keyspace| format!("keys={},expires={},avg_ttl=0", keys.len(), keys.expiring());
    used.map(|(index, keys)| (format!("db{index}"), describe(keys))).collect()
}
