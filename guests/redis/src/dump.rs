//! Keys as the commands that make them: what a rewritten append-only file holds. Pure.

use crate::engine::Engine;
use crate::keyspace::{Key, Keyspace};
use crate::number::format_float;
use crate::value::Value;
use guest_common::resp::encode_command;
use std::collections::VecDeque;

/// Elements in one command.
const ELEMENTS_MAX: usize = 64;
/// Slots looked at in one step.
const SLOTS_PER_STEP: usize = 64;

/// Writes keys out in steps, while commands go on changing them.
///
/// A key that changes while or after it is written is among the next [`Dump::of_changes`], which begins
/// by removing it.
#[derive(Debug)]
pub struct Dump {
    /// Database and slot to look at next; none when only named keys are written.
    walk: Option<(usize, u64)>,
    queue: VecDeque<(usize, Key)>,
    /// The key of which a part is written.
    part: Option<Part>,
    remove_first: bool,
    /// The database that the commands written last apply to.
    selected: Option<usize>,
}

#[derive(Debug)]
struct Part {
    database: usize,
    key: Key,
    /// As it was at the beginning: the rest of a key that has changed does not fit its first part.
    stamp: u64,
    elements_written: usize,
}

impl Dump {
    /// All keys of all databases.
    pub fn of_all() -> Self {
        Self { walk: Some((0, 0)), queue: VecDeque::new(), part: None, remove_first: false, selected: None }
    }

    /// The keys that changed since this was last asked, or since tracking began.
    pub fn of_changes(engine: &mut Engine) -> Self {
        let changes = engine.databases.iter_mut().map(Keyspace::take_changes).enumerate();
        let queue = changes.flat_map(|(database, keys)| keys.into_iter().map(move |key| (database, key))).collect();
        Self { walk: None, queue, part: None, remove_first: true, selected: None }
    }

    /// Keys known to be left.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Appends commands, about so many bytes; false when nothing was left.
    pub fn step(&mut self, engine: &Engine, bytes: usize, out: &mut Vec<u8>) -> bool {
        while out.len() < bytes {
            if let Some(part) = self.part.take() {
                self.part = write_part(&engine.databases[part.database], part, bytes, out);
            } else if let Some((database, key)) = self.queue.pop_front() {
                self.begin(engine, database, key, out);
            } else if !self.look_further(engine) {
                break;
            }
        }
        !out.is_empty()
    }

    fn begin(&mut self, engine: &Engine, database: usize, key: Key, out: &mut Vec<u8>) {
        if self.selected != Some(database) {
            encode_command(out, &["SELECT", &database.to_string()]);
            self.selected = Some(database);
        }
        if self.remove_first {
            encode_command(out, &[b"DEL", &*key]);
        }
        let stamp = engine.databases[database].stamp(&key);
        self.part = Some(Part { database, key, stamp, elements_written: 0 });
    }

    /// Queues the keys of the next slots; false at the end.
    fn look_further(&mut self, engine: &Engine) -> bool {
        let Some((database, cursor)) = self.walk else { return false };
        let Some(keys) = engine.databases.get(database) else { return false };
        let (next, found) = keys.scan(cursor, SLOTS_PER_STEP);
        self.queue.extend(found.into_iter().map(|key| (database, Key::clone(key))));
        self.walk = Some(if next == 0 { (database + 1, 0) } else { (database, next) });
        true
    }
}

/// Appends a part of a key; returns what is left of it.
fn write_part(keys: &Keyspace, part: Part, bytes: usize, out: &mut Vec<u8>) -> Option<Part> {
    let value = keys.get(&part.key)?;
    if keys.stamp(&part.key) != part.stamp {
        return None;
    }
    let mut writer = Writer { key: &part.key, skip: part.elements_written, bytes, out };
    let left = match value {
        Value::Text(text) => {
            encode_command(writer.out, &[b"SET".as_slice(), &part.key, text]);
            None
        }
        Value::List(list) => writer.elements(b"RPUSH", list.iter(), |item, words| words.push(item.clone())),
        Value::Set(set) => writer.elements(b"SADD", set.iter(), |member, words| words.push(member.clone())),
        Value::Hash(hash) => writer.elements(b"HSET", hash.iter(), |(field, value), words| {
            words.extend([field.clone(), value.clone()]);
        }),
        Value::SortedSet(set) => writer.elements(b"ZADD", set.iter(), |(member, score), words| {
            words.extend([format_float(score).into_bytes(), member.to_vec()]);
        }),
    };
    if let Some(elements_written) = left {
        return Some(Part { elements_written, ..part });
    }
    if let Some(when) = keys.expires_at_ms(&part.key) {
        encode_command(out, &[b"PEXPIREAT", &*part.key, when.to_string().as_bytes()]);
    }
    None
}

struct Writer<'a> {
    key: &'a [u8],
    skip: usize,
    bytes: usize,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    /// Writes elements until the step is full; returns how many are written in all, or `None` when
    /// that is every one.
    fn elements<T>(&mut self, command: &[u8], elements: impl Iterator<Item = T>, push: impl Fn(T, &mut Vec<Vec<u8>>)) -> Option<usize> {
        let mut elements = elements.skip(self.skip).peekable();
        let mut written = self.skip;
        while elements.peek().is_some() {
            if self.out.len() >= self.bytes {
                return Some(written);
            }
            let mut words = vec![command.to_vec(), self.key.to_vec()];
            for element in elements.by_ref().take(ELEMENTS_MAX) {
                push(element, &mut words);
                written += 1;
            }
            encode_command(self.out, &words);
        }
        None
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
            run(&mut engine, client, &format!("HSET large f{number} v"));
            run(&mut engine, client, &format!("ZADD calm {number} m{number}"));
        }
        engine.databases.iter_mut().for_each(Keyspace::track_changes);
        let (mut dump, mut bytes, mut file, mut round) = (Dump::of_all(), Vec::new(), Vec::new(), 0);
        while dump.step(&engine, 1000, &mut bytes) {
            file.append(&mut bytes);
            round += 1;
            run(&mut engine, client, &format!("RPUSH k{round} again"));
            run(&mut engine, client, &format!("HSET large g{round} v"));
            if round == 3 {
                run(&mut engine, client, "DEL large");
                run(&mut engine, client, "RPUSH large now a list");
                run(&mut engine, client, "DEL large");
            }
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
        let mut dump = Dump::of_changes(&mut engine);
        assert!(dump.queued() > 0);
        while dump.step(&engine, 1000, &mut bytes) {
            file.append(&mut bytes);
        }
        let mut restored = Engine::new(Config::default(), 0);
        let mut replay = Replay::default();
        replay.feed(&file, |request| restored.replay(&request).unwrap()).unwrap();
        assert_eq!(texts(&restored), texts(&engine));
    }
}
