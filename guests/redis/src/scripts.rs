//! Golden scripts: what clients say, and what they hear. Each tells one story.
//!
//! `> GET k` is a request of the current client, `client b` makes another current, `after 1500` lets
//! milliseconds pass, `crash` starts a new server from what the journal holds. The lines that follow
//! are what arrives. `GOLDEN=write cargo test -p redis` writes them anew. Every script ends with the
//! check that the journal, read back, gives the same databases.

use crate::config::Config;
use crate::dump::Dump;
use crate::engine::Engine;
use crate::journal::Replay;
use crate::request::Parser;
use crate::session::ClientId;
use guest_common::resp::{self, Value};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const START_MS: u64 = 1_700_000_000_000;

struct World {
    engine: Engine,
    clients: BTreeMap<String, ClientId>,
    current: String,
    now_ms: u64,
    /// The append-only file.
    file: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let mut engine = Engine::new(Config::default(), START_MS);
        engine.journal.enable();
        let clients = BTreeMap::new();
        Self { engine, clients, current: "a".to_owned(), now_ms: START_MS, file: Vec::new() }
    }

    fn client(&mut self) -> ClientId {
        if let Some(id) = self.clients.get(&self.current) {
            return *id;
        }
        let peer = format!("10.0.0.{}:5000", self.clients.len() + 2);
        let id = self.engine.connect(peer, "10.0.0.1:6379".to_owned(), self.now_ms).unwrap();
        self.clients.insert(self.current.clone(), id);
        id
    }

    /// Runs one line; returns what arrives.
    fn step(&mut self, line: &str) -> String {
        let client = self.client();
        if let Some(name) = line.strip_prefix("client ") {
            self.current = name.to_owned();
        } else if let Some(ms) = line.strip_prefix("after ") {
            self.now_ms += ms.parse::<u64>().unwrap();
        } else if line == "crash" {
            self.crash();
        } else if let Some(request) = line.strip_prefix("> ") {
            let mut parser = Parser::default();
            parser.put_buffer(format!("{request}\n").into_bytes());
            while let Some(request) = parser.next_request().unwrap() {
                self.engine.execute(client, &request, self.now_ms);
            }
        } else {
            panic!("no such step: {line}");
        }
        self.file.extend(self.engine.journal.take_pending());
        self.arrivals()
    }

    /// A new server reads the file back; all clients have to come again.
    fn crash(&mut self) {
        self.engine = restored_from(&self.file);
        self.engine.journal.enable();
        self.clients.clear();
    }

    fn arrivals(&mut self) -> String {
        let mut text = String::new();
        for (name, id) in &self.clients {
            let bytes = self.engine.take_output(*id).bytes;
            let prefix = if *name == self.current { String::new() } else { format!("{name} hears ") };
            for line in rendered(&bytes) {
                writeln!(text, "{prefix}{line}").unwrap();
            }
        }
        text
    }

    fn check(&mut self) {
        self.engine.expire(self.now_ms);
        self.file.extend(self.engine.journal.take_pending());
        let restored = restored_from(&self.file);
        assert_eq!(content(&restored), content(&self.engine), "the journal tells another story");
        let (mut dump, mut step, mut rewritten) = (Dump::of_all(), Vec::new(), Vec::new());
        while dump.step(&self.engine, 1, &mut step) {
            rewritten.append(&mut step);
        }
        let restored = restored_from(&rewritten);
        assert_eq!(content(&restored), content(&self.engine), "a rewritten file tells another story");
    }
}

fn restored_from(file: &[u8]) -> Engine {
    let mut engine = Engine::new(Config::default(), START_MS);
    let mut replay = Replay::default();
    let apply = |request: Vec<Vec<u8>>| engine.replay(&request).unwrap();
    replay.feed(file, apply).unwrap();
    assert_eq!(replay.torn(), 0);
    engine.end_replay();
    engine
}

/// All databases in an order that can be compared.
fn content(engine: &Engine) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, keys) in engine.databases.iter().enumerate() {
        for (key, value, expiry) in keys.iter() {
            let key = String::from_utf8_lossy(key);
            lines.push(format!("{index} {key} {expiry:?} {}", sorted(value)));
        }
    }
    lines.sort();
    lines
}

fn sorted(value: &crate::value::Value) -> String {
    use crate::value::Value::{self, Hash, Set};
    match value {
        Hash(hash) => format!("{:?}", hash.iter().collect::<BTreeMap<_, _>>()),
        Value::SortedSet(set) => format!("{:?}", set.iter().collect::<Vec<_>>()),
        Set(set) => format!("{:?}", set.iter().collect::<std::collections::BTreeSet<_>>()),
        other => format!("{other:?}"),
    }
}

/// Replies as text; RESP3 as it is.
fn rendered(mut bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        match resp::parse(bytes) {
            Ok(Some((value, used))) => {
                lines.push(shown(&value));
                bytes = &bytes[used..];
            }
            _ => {
                lines.push(format!("raw {}", String::from_utf8_lossy(bytes).escape_debug()));
                break;
            }
        }
    }
    lines
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Simple(text) => text.clone(),
        Value::Error(text) => format!("error {text}"),
        Value::Integer(number) => number.to_string(),
        Value::Bulk(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
    }
}

fn is_step(line: &str) -> bool {
    line.starts_with("> ") || line.starts_with("client ") || line.starts_with("after ") || line == "crash"
}

/// The script with what arrives now.
fn played(script: &str) -> String {
    let mut world = World::new();
    let mut text = String::new();
    for line in script.lines().filter(|line| line.is_empty() || line.starts_with('#') || is_step(line)) {
        writeln!(text, "{line}").unwrap();
        if is_step(line) {
            text.push_str(&world.step(line));
        }
    }
    world.check();
    text
}

#[test]
fn every_script_plays_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let script = std::fs::read_to_string(&path).unwrap();
        let now = played(&script);
        if std::env::var_os("GOLDEN").is_some() {
            std::fs::write(&path, now).unwrap();
        } else {
            for (number, (now, golden)) in now.lines().zip(script.lines()).enumerate() {
                assert_eq!(now, golden, "{}:{}", path.display(), number + 1);
            }
            assert_eq!(now.lines().count(), script.lines().count(), "{}", path.display());
        }
    }
}
