//! What the server remembers of one client.

use crate::reply::Protocol;
use crate::request::Request;
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

#[derive(Debug)]
pub struct Session {
    pub id: ClientId,
    pub peer: String,
    pub local: String,
    pub connected_at_ms: u64,
    pub active_at_ms: u64,
    pub name: Vec<u8>,
    pub library: Vec<u8>,
    pub library_version: Vec<u8>,
    pub protocol: Protocol,
    pub database: usize,
    pub transaction: Option<Transaction>,
    pub watched: Vec<Watched>,
    pub channels: BTreeSet<Vec<u8>>,
    pub patterns: BTreeSet<Vec<u8>>,
    pub last_command: String,
    /// Encoded replies and messages that wait to be sent.
    pub output: Vec<u8>,
    /// The output may be sent only when all writes before it are on the disk.
    pub reply_after_sync: bool,
    pub end: Option<End>,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After what is waiting has been sent.
    Flush,
    /// At once.
    Drop,
}

/// Commands queued since `MULTI`.
#[derive(Debug, Default)]
pub struct Transaction {
    pub queue: Vec<Request>,
    pub bytes: usize,
    /// A command could not be queued: `EXEC` will refuse.
    pub broken: bool,
}

/// A key as `WATCH` saw it.
#[derive(Debug)]
pub struct Watched {
    pub database: usize,
    pub key: Vec<u8>,
    pub stamp: u64,
}

impl Session {
    pub fn new(id: ClientId, peer: String, local: String, now_ms: u64) -> Self {
        Self {
            id,
            peer,
            local,
            connected_at_ms: now_ms,
            active_at_ms: now_ms,
            name: Vec::new(),
            library: Vec::new(),
            library_version: Vec::new(),
            protocol: Protocol::default(),
            database: 0,
            transaction: None,
            watched: Vec::new(),
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            last_command: "NULL".to_owned(),
            output: Vec::new(),
            reply_after_sync: false,
            end: None,
        }
    }

    pub fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// A RESP2 client with subscriptions may only manage those.
    pub fn only_listens(&self) -> bool {
        self.protocol == Protocol::Resp2 && self.subscriptions() > 0
    }
}
