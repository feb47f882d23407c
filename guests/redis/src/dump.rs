//! A key as the commands that make it: what a rewritten append-only file holds. Pure.

use crate::engine::Engine;
use crate::keyspace::{Key, Keyspace};
use crate::number::format_float;
use crate::value::Value;
use guest_common::resp::encode_command;
use std::collections::HashSet;

/// Elements in one command.
const ELEMENTS_MAX: usize = 64;
/// Slots looked at in one step.
const SLOTS_PER_STEP: usize = 64;

/// Walks over all databases while commands go on changing them.
#[derive(Debug, Default)]
pub struct Dump {
    database: usize,
    cursor: u64,
    selected: Option<usize>,
}

impl Dump {
    /// Appends about so many bytes of commands; false when nothing was left.
    ///
    /// A key that changes after it was dumped is among [`Keyspace::take_changes`].
    pub fn step(&mut self, engine: &Engine, bytes: usize, out: &mut Vec<u8>) -> bool {
        while let Some(keys) = engine.databases.get(self.database) {
            let (next, found) = keys.scan(self.cursor, SLOTS_PER_STEP);
            for key in found {
                self.select(self.database, out);
                dump_key(keys, key, out);
            }
            self.cursor = next;
            if next == 0 {
                self.database += 1;
            }
            if out.len() >= bytes {
                return true;
            }
        }
        !out.is_empty()
    }

    /// Appends what has become of the keys that changed.
    pub fn changes(&mut self, engine: &Engine, changes: &Changes, out: &mut Vec<u8>) {
        for (database, changed) in changes.0.iter().enumerate().filter(|(_, changed)| !changed.is_empty()) {
            self.select(database, out);
            for key in changed {
                encode_command(out, &[b"DEL", &**key]);
                dump_key(&engine.databases[database], key, out);
            }
        }
    }

    fn select(&mut self, database: usize, out: &mut Vec<u8>) {
        if self.selected != Some(database) {
            encode_command(out, &["SELECT", &database.to_string()]);
            self.selected = Some(database);
        }
    }
}

/// Keys that changed, by database.
#[derive(Debug)]
pub struct Changes(Vec<HashSet<Key>>);

impl Changes {
    pub fn take(engine: &mut Engine) -> Self {
        Self(engine.databases.iter_mut().map(Keyspace::take_changes).collect())
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(HashSet::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn dump_key(keys: &Keyspace, key: &[u8], out: &mut Vec<u8>) {
    let Some(value) = keys.get(key) else { return };
    let expiry = keys.expires_at_ms(key).map(|when| when.to_string());
    match value {
        Value::Text(text) => encode_command(out, &[b"SET".as_slice(), key, text]),
        Value::List(list) => elements(out, b"RPUSH", key, list.iter().map(|item| [item.as_slice()])),
        Value::Set(set) => elements(out, b"SADD", key, set.iter().map(|member| [member.as_slice()])),
        Value::Hash(hash) => {
            elements(out, b"HSET", key, hash.iter().map(|(field, value)| [field.as_slice(), value]));
        }
        Value::SortedSet(set) => {
            let pairs: Vec<(String, &[u8])> = set.iter().map(|(member, score)| (format_float(score), member)).collect();
            elements(out, b"ZADD", key, pairs.iter().map(|(score, member)| [score.as_bytes(), member]));
        }
    }
    if let Some(when) = expiry {
        encode_command(out, &[b"PEXPIREAT", key, when.as_bytes()]);
    }
}

fn elements<'a, const N: usize>(out: &mut Vec<u8>, command: &'a [u8], key: &'a [u8], elements: impl Iterator<Item = [&'a [u8]; N]>) {
    let mut words = vec![command, key];
    for element in elements {
        words.extend(element);
        if words.len() >= 2 + N * ELEMENTS_MAX {
            encode_command(out, &words);
            words.truncate(2);
        }
    }
    if words.len() > 2 {
        encode_command(out, &words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::journal::Replay;
    use crate::request::Parser;
    use crate::session::ClientId;

    fn run(engine: &mut Engine, client: ClientId, line: &str) {
        let mut parser = Parser::default();
        parser.put_buffer(format!("{line}\n").into_bytes());
        let request = parser.next_request().unwrap().unwrap();
        engine.execute(client, &request, 1000);
    }

    fn texts(engine: &Engine) -> Vec<String> {
        let keys = engine
            .databases
            .iter()
            .enumerate()
            .flat_map(|(index, keys)| keys.iter().map(move |(key, value, expiry)| format!("{index} {key:?} {value:?} {expiry:?}")));
        let mut texts: Vec<String> = keys.collect();
        texts.sort();
        texts
    }

    #[test]
    fn a_file_written_while_keys_change_ends_up_right() {
        let mut engine = Engine::new(Config::default(), 0);
        let client = engine.connect(String::new(), String::new(), 0).unwrap();
        for number in 0..1000 {
            run(&mut engine, client, &format!("RPUSH k{number} {number}"));
        }
        engine.databases.iter_mut().for_each(Keyspace::track_changes);
        let (mut dump, mut bytes, mut file, mut round) = (Dump::default(), Vec::new(), Vec::new(), 0);
        while dump.step(&engine, 100, &mut bytes) {
            file.append(&mut bytes);
            round += 1;
            run(&mut engine, client, &format!("RPUSH k{round} again"));
            run(&mut engine, client, &format!("DEL k{}", 900 + round));
            run(&mut engine, client, &format!("SET new{round} x PXAT {}", 5000 + round));
            if round == 5 {
                run(&mut engine, client, "SELECT 3");
                run(&mut engine, client, "SET three 3");
                run(&mut engine, client, "SELECT 0");
            }
            if round == 12 {
                run(&mut engine, client, "FLUSHDB");
                run(&mut engine, client, "RPUSH k12 anew");
            }
        }
        assert!(round >= 12);
        let changes = Changes::take(&mut engine);
        assert!(!changes.is_empty());
        dump.changes(&engine, &changes, &mut file);
        let mut restored = Engine::new(Config::default(), 0);
        let mut replay = Replay::default();
        replay.feed(&file, |request| restored.replay(&request).unwrap()).unwrap();
        assert_eq!(texts(&restored), texts(&engine));
    }
}
