//! The server without its sockets and files: sessions, databases, and the way of a command. Pure.

use crate::command::{self, Access, Call, Effect, KeyPositions, Run, ServerCall, Spec};
use crate::config::{AppendFsync, Config};
use crate::error::{CommandError, OUT_OF_MEMORY};
use crate::journal::Journal;
use crate::keyspace::Keyspace;
use crate::limits::{
    ARGUMENT_BYTES, CLIENTS_MAX, DATABASES, PUSHED_BYTES_MAX, REPLY_COPIES, REQUEST_COPIES, SMALL_BYTES, TRANSACTION_BYTES_MAX,
};
use crate::memory;
use crate::reply::Reply;
use crate::request::{ProtocolError, Request};
use crate::session::{ClientId, End, Session};
use crate::value::Value;
use std::collections::BTreeMap;

/// The session that replays the append-only file.
const REPLAY_CLIENT: ClientId = ClientId(0);

#[derive(Debug)]
pub struct Engine {
    pub config: Config,
    pub databases: Vec<Keyspace>,
    pub sessions: BTreeMap<ClientId, Session>,
    pub journal: Journal,
    pub stats: Stats,
    /// What commands ask of the part that holds the file.
    pub demands: Vec<Demand>,
    /// Why the append-only file cannot be written; writes are refused meanwhile.
    pub write_error: Option<String>,
    /// Clients that have output, or an end, which another client caused.
    woken: Vec<ClientId>,
    last_client: u64,
}

#[derive(Debug, Default)]
pub struct Stats {
    pub started_at_ms: u64,
    pub connections: u64,
    pub commands: u64,
    pub expired_keys: u64,
    pub rejected_connections: u64,
    pub saved_at_ms: u64,
    pub file_bytes: u64,
    pub rewriting: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Bring what is written to the disk now.
    Sync,
    /// Write the append-only file anew.
    Rewrite,
}

/// Replies, and what has to happen before they may be sent.
#[derive(Debug, Default)]
pub struct Output {
    pub bytes: Vec<u8>,
    /// The file must hold the journal up to here.
    pub position: u64,
    /// Being in the file is not enough: it must be on the disk.
    pub sync: bool,
}

impl Engine {
    pub fn new(config: Config, now_ms: u64) -> Self {
        let stats = Stats { started_at_ms: now_ms, saved_at_ms: now_ms, ..Stats::default() };
        Self {
            config,
            databases: (0..DATABASES).map(|_| Keyspace::default()).collect(),
            sessions: BTreeMap::new(),
            journal: Journal::default(),
            stats,
            demands: Vec::new(),
            write_error: None,
            woken: Vec::new(),
            last_client: 0,
        }
    }

    /// Takes in a new client, or says why not.
    pub fn connect(&mut self, peer: String, local: String, now_ms: u64) -> Result<ClientId, CommandError> {
        if self.sessions.len() >= CLIENTS_MAX {
            self.stats.rejected_connections += 1;
            return Err(CommandError::fixed("ERR max number of clients reached"));
        }
        self.stats.connections += 1;
        self.last_client += 1;
        let id = ClientId(self.last_client);
        self.sessions.insert(id, Session::new(id, peer, local, now_ms));
        Ok(id)
    }

    pub fn disconnect(&mut self, client: ClientId) {
        self.sessions.remove(&client);
    }

    /// Runs one request; its reply is added to the client's output.
    pub fn execute(&mut self, client: ClientId, request: &[Vec<u8>], now_ms: u64) {
        self.expire(now_ms);
        self.stats.commands += 1;
        let reply = self.dispatch(client, request, now_ms);
        if let Some(session) = self.sessions.get_mut(&client) {
            session.active_at_ms = now_ms;
            reply.encode(&mut session.output, session.protocol);
        }
    }

    /// Tells the client what is wrong with its bytes, and ends the connection.
    pub fn refuse(&mut self, client: ClientId, error: ProtocolError) {
        if let Some(session) = self.sessions.get_mut(&client) {
            let reply = Reply::Error(CommandError::new(error.0));
            reply.encode(&mut session.output, session.protocol);
            session.end = Some(End::Flush);
        }
    }

    /// Takes what waits to be sent to the client.
    pub fn take_output(&mut self, client: ClientId) -> Output {
        let position = self.journal.end();
        let always = self.config.append_fsync == AppendFsync::Always;
        let Some(session) = self.sessions.get_mut(&client) else { return Output::default() };
        let sync = std::mem::take(&mut session.reply_after_sync) || always;
        Output { bytes: std::mem::take(&mut session.output), position, sync }
    }

    /// Clients with output they did not cause themselves, since the last time this was asked.
    pub fn take_woken(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.woken)
    }

    /// Removes every key whose time has come.
    pub fn expire(&mut self, now_ms: u64) {
        for (database, keys) in self.databases.iter_mut().enumerate() {
            while let Some(key) = keys.pop_expired(now_ms) {
                self.journal.record(database, &[b"DEL", &*key]);
                self.stats.expired_keys += 1;
            }
        }
    }

    /// Sends a message to a client; one that does not read for long is disconnected.
    pub fn push(&mut self, client: ClientId, message: &Reply) {
        let Some(session) = self.sessions.get_mut(&client) else { return };
        if session.end.is_some() {
            return;
        }
        message.encode(&mut session.output, session.protocol);
        if session.output.len() > PUSHED_BYTES_MAX {
            session.output = Vec::new();
            session.end = Some(End::Drop);
        }
        self.woken.push(client);
    }

    /// Ends another client's connection.
    pub fn kill(&mut self, client: ClientId) {
        if let Some(session) = self.sessions.get_mut(&client) {
            session.end = Some(End::Drop);
            self.woken.push(client);
        }
    }

    /// Runs one command of the append-only file. Nothing expires meanwhile: the file says itself
    /// what did.
    pub fn replay(&mut self, request: &[Vec<u8>]) -> Result<(), String> {
        let session = || Session::new(REPLAY_CLIENT, String::new(), String::new(), 0);
        self.sessions.entry(REPLAY_CLIENT).or_insert_with(session);
        match self.dispatch(REPLAY_CLIENT, request, 0) {
            Reply::Error(error) => Err(error.text().to_owned()),
            _ => Ok(()),
        }
    }

    pub fn end_replay(&mut self) {
        self.sessions.remove(&REPLAY_CLIENT);
        self.woken.clear();
        self.demands.clear();
    }

    fn dispatch(&mut self, client: ClientId, request: &[Vec<u8>], now_ms: u64) -> Reply {
        let Some(session) = self.sessions.get_mut(&client) else { return Reply::Null };
        let spec = match admit(session, request) {
            Ok(spec) => spec,
            Err(error) => {
                if let Some(transaction) = &mut session.transaction {
                    transaction.broken = true;
                }
                return Reply::Error(error);
            }
        };
        spec.name.clone_into(&mut session.last_command);
        if session.transaction.is_some() && spec.access != Access::Transaction {
            return queue(session, spec, request).into();
        }
        self.run(client, spec, request, now_ms)
    }

    /// Runs a command that has been admitted.
    pub fn run(&mut self, client: ClientId, spec: &Spec, request: &[Vec<u8>], now_ms: u64) -> Reply {
        if let Err(error) = self.permit(client, spec, request) {
            return Reply::Error(error);
        }
        match spec.run {
            Run::Server(run) => run(&mut ServerCall { engine: self, client, args: request, now_ms }).into(),
            Run::Keys(run) => {
                let database = self.sessions.get(&client).map_or(0, |session| session.database);
                let keys = &mut self.databases[database];
                let mut call = Call { keys, args: request, now_ms, effect: Effect::None };
                let outcome = run(&mut call);
                match call.effect {
                    Effect::None => {}
                    Effect::Verbatim => self.journal.record(database, request),
                    Effect::As(words) => self.journal.record(database, &words),
                }
                outcome.into()
            }
        }
    }

    /// Refuses what the file or the memory cannot take now.
    fn permit(&self, client: ClientId, spec: &Spec, request: &[Vec<u8>]) -> Result<(), CommandError> {
        let writes = matches!(spec.access, Access::Write | Access::Free);
        if let (true, Some(error)) = (writes, &self.write_error) {
            return Err(CommandError::new(format!("MISCONF Errors writing to the AOF file: {error}")));
        }
        // What was acknowledged once must come back, whatever it takes.
        if client == REPLAY_CLIENT {
            return Ok(());
        }
        let keys = &self.databases[self.sessions.get(&client).map_or(0, |session| session.database)];
        let bytes = match spec.access {
            Access::Write => write_bytes(keys, request),
            Access::Read => reply_bytes(keys, spec, request) * REPLY_COPIES,
            _ => return Ok(()),
        };
        let small = spec.access == Access::Read && bytes <= SMALL_BYTES;
        if small || memory::has_room(bytes) { Ok(()) } else { Err(OUT_OF_MEMORY) }
    }
}

/// What a write may need, at most: its own bytes, and tables that grow.
fn write_bytes(keys: &Keyspace, request: &[Vec<u8>]) -> usize {
    let bytes: usize = request.iter().map(Vec::len).sum();
    let value = request.get(1).and_then(|key| keys.get(key));
    let growth = value.map_or(0, |value| value.growth(request.len(), bytes));
    bytes * REQUEST_COPIES + growth + keys.growth(request.len())
}

/// What the reply may need, at most, of a command that can answer with all of a value.
fn reply_bytes(keys: &Keyspace, spec: &Spec, request: &[Vec<u8>]) -> usize {
    const WHOLE: [&str; 9] = ["get", "hgetall", "hkeys", "hvals", "keys", "lrange", "mget", "smembers", "zrange"];
    if !WHOLE.contains(&spec.name) {
        return 0;
    }
    let named = match (spec.keys, request) {
        (KeyPositions(1, -1, 1), [_, keys @ ..]) => keys,
        (KeyPositions(1, ..), [_, key, ..]) => std::slice::from_ref(key),
        _ => return keys.len() * ARGUMENT_BYTES,
    };
    named.iter().filter_map(|key| keys.get(key)).map(Value::weight).sum()
}

/// Finds the command and refuses what the session's state does not allow.
fn admit(session: &Session, request: &[Vec<u8>]) -> Result<&'static Spec, CommandError> {
    let name = request.first().map_or(&[][..], Vec::as_slice);
    let spec = command::find(name).ok_or_else(|| CommandError::unknown_command(request))?;
    if !spec.accepts(request.len()) {
        return Err(CommandError::arity(spec.name));
    }
    let manages = spec.access == Access::Subscription || matches!(spec.name, "ping" | "quit" | "reset");
    if session.only_listens() && !manages {
        return Err(CommandError::new(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            spec.name
        )));
    }
    if session.transaction.is_some() && spec.access == Access::Subscription {
        return Err(CommandError::fixed("ERR Command not allowed inside a transaction"));
    }
    Ok(spec)
}

fn queue(session: &mut Session, spec: &Spec, request: &[Vec<u8>]) -> Result<Reply, CommandError> {
    debug_assert_ne!(spec.access, Access::Transaction);
    let bytes: usize = request.iter().map(Vec::len).sum();
    if let Some(transaction) = &mut session.transaction {
        transaction.bytes += bytes;
        if transaction.bytes > TRANSACTION_BYTES_MAX {
            transaction.broken = true;
            transaction.queue = Vec::new();
            return Err(CommandError::fixed("ERR transaction too large"));
        }
        transaction.queue.push(Request::from(request));
    }
    Ok(Reply::Simple("QUEUED"))
}
