//! The append-only file as bytes: what is written, and how it is read back. Pure.

use crate::request::{Parser, ProtocolError, Request};
use guest_common::resp::encode_command;

/// Write commands that wait to be appended to the file.
#[derive(Debug, Default)]
pub struct Journal {
    enabled: bool,
    pending: Vec<u8>,
    /// Bytes ever recorded, those still pending included.
    end: u64,
    /// The database the file's last command applies to; none until a `SELECT` is written.
    database: Option<usize>,
    transaction: Boundary,
}

/// Where the journal stands between `MULTI` and `EXEC`.
#[derive(Debug, Default, PartialEq, Eq)]
enum Boundary {
    #[default]
    Outside,
    /// A transaction has begun, and recorded nothing yet.
    Begun,
    Inside,
}

impl Journal {
    /// Starts to record; before this, and without a file, commands are forgotten.
    pub fn enable(&mut self) {
        self.enabled = true;
    }

    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Position behind the last command recorded: whoever has seen that command's effect must not
    /// be told before the file has come this far.
    pub fn end(&self) -> u64 {
        self.end
    }

    pub fn record<A: AsRef<[u8]>>(&mut self, database: usize, command: &[A]) {
        if !self.enabled {
            return;
        }
        let before = self.pending.len();
        if self.transaction == Boundary::Begun {
            encode_command(&mut self.pending, &["MULTI"]);
            self.transaction = Boundary::Inside;
        }
        if self.database != Some(database) {
            encode_command(&mut self.pending, &["SELECT", &database.to_string()]);
            self.database = Some(database);
        }
        encode_command(&mut self.pending, command);
        self.end += (self.pending.len() - before) as u64;
    }

    /// The commands recorded until [`Self::commit`] stand or fall together.
    pub fn begin(&mut self) {
        self.transaction = Boundary::Begun;
    }

    pub fn commit(&mut self) {
        if std::mem::take(&mut self.transaction) == Boundary::Inside {
            let before = self.pending.len();
            encode_command(&mut self.pending, &["EXEC"]);
            self.end += (self.pending.len() - before) as u64;
        }
    }

    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What has to be appended next.
    pub fn take_pending(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// The next command goes to another file, which has selected no database yet.
    pub fn switch_file(&mut self) {
        self.database = None;
    }
}

/// Reads a file back, piece by piece.
#[derive(Debug, Default)]
pub struct Replay {
    parser: Parser,
    /// Commands of a `MULTI` whose `EXEC` has not come yet.
    transaction: Option<Vec<Request>>,
    /// Bytes of the file looked at, and of those the part that stands: whole commands, whole
    /// transactions.
    read: u64,
    whole: u64,
}

impl Replay {
    /// Takes the next piece of the file; `apply` gets every command that stands.
    pub fn feed(&mut self, piece: &[u8], mut apply: impl FnMut(Request)) -> Result<(), ProtocolError> {
        let mut buffer = self.parser.take_buffer(piece.len());
        buffer.extend_from_slice(piece);
        self.parser.put_buffer(buffer);
        self.read += piece.len() as u64;
        while let Some(request) = self.parser.next_request()? {
            self.step(request, &mut apply);
        }
        Ok(())
    }

    fn step(&mut self, request: Request, apply: &mut impl FnMut(Request)) {
        let is = |name: &str| request[0].eq_ignore_ascii_case(name.as_bytes());
        match &mut self.transaction {
            None if is("MULTI") => self.transaction = Some(Vec::new()),
            None => apply(request),
            Some(_) if is("EXEC") => {
                self.transaction.take().into_iter().flatten().for_each(apply);
            }
            Some(queue) => queue.push(request),
        }
        if self.transaction.is_none() {
            self.whole = self.read - self.parser.unread() as u64;
        }
    }

    /// Length of the part that stands; what follows it was torn by a crash.
    pub fn whole(&self) -> u64 {
        self.whole
    }

    pub fn torn(&self) -> u64 {
        self.read - self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(bytes: &[u8], piece: usize) -> (Vec<String>, u64) {
        let mut replay = Replay::default();
        let mut commands = Vec::new();
        for piece in bytes.chunks(piece) {
            let apply = |request: Request| commands.push(String::from_utf8(request.join(&b' ')).unwrap());
            replay.feed(piece, apply).unwrap();
        }
        assert_eq!(replay.whole() + replay.torn(), bytes.len() as u64);
        (commands, replay.whole())
    }

    #[test]
    fn a_database_is_selected_once_and_again_in_a_new_file() {
        let mut journal = Journal::default();
        journal.record(0, &["SET", "lost", "x"]);
        assert_eq!(journal.end(), 0);
        journal.enable();
        journal.record(0, &["SET", "a", "1"]);
        journal.record(0, &["SET", "b", "2"]);
        journal.record(3, &["DEL", "c"]);
        let bytes = journal.take_pending();
        assert_eq!(journal.end(), bytes.len() as u64);
        let (commands, _) = replay(&bytes, 5);
        assert_eq!(commands, ["SELECT 0", "SET a 1", "SET b 2", "SELECT 3", "DEL c"]);
        journal.switch_file();
        journal.record(3, &["DEL", "d"]);
        assert_eq!(replay(&journal.take_pending(), 999).0, ["SELECT 3", "DEL d"]);
    }

    #[test]
    fn a_torn_tail_costs_only_what_was_torn() {
        let mut journal = Journal::default();
        journal.enable();
        journal.record(0, &["SET", "a", "1"]);
        journal.begin();
        journal.record(0, &["INCR", "x"]);
        journal.record(0, &["INCR", "y"]);
        journal.commit();
        journal.begin();
        journal.commit();
        let bytes = journal.take_pending();
        assert_eq!(replay(&bytes, 999).0, ["SELECT 0", "SET a 1", "INCR x", "INCR y"]);
        for cut in 0..=bytes.len() {
            let (commands, whole) = replay(&bytes[..cut], 3);
            let stands = commands.len();
            assert!(matches!(stands, 0 | 1 | 2 | 4), "{cut}: {commands:?}");
            assert!(whole <= cut as u64);
            assert_eq!(replay(&bytes[..whole as usize], 7), (commands, whole));
        }
    }
}
