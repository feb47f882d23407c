//! What a command is: its place in the table, and the call its code receives.

use crate::engine::Engine;
use crate::error::{CommandError, NOT_A_FLOAT, NOT_AN_INTEGER};
use crate::keyspace::Keyspace;
use crate::number::{parse_float, parse_integer};
use crate::reply::Reply;
use crate::session::{ClientId, Session};
use crate::table::TABLE;

pub type Outcome = Result<Reply, CommandError>;

/// One entry of the command table.
#[derive(Debug)]
pub struct Spec {
    /// Lowercase.
    pub name: &'static str,
    /// Words including the name; negative when that is the least number.
    pub arity: i64,
    pub access: Access,
    pub keys: KeyPositions,
    pub group: &'static str,
    pub summary: &'static str,
    pub run: Run,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    /// A write that takes no memory worth asking about.
    Free,
    /// Touches no keys.
    Server,
    /// Runs at once even between `MULTI` and `EXEC`.
    Transaction,
    /// Manages subscriptions.
    Subscription,
}

/// Where the keys are among the words: first, last (negative from the end), step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPositions(pub i64, pub i64, pub i64);

#[derive(Debug, Clone, Copy)]
pub enum Run {
    /// Works on the keys of one database.
    Keys(fn(&mut Call) -> Outcome),
    /// Works on the server or on the connection.
    Server(fn(&mut ServerCall) -> Outcome),
}

impl Spec {
    pub fn accepts(&self, words: usize) -> bool {
        let words = i64::try_from(words).unwrap_or(i64::MAX);
        if self.arity >= 0 { words == self.arity } else { words >= -self.arity }
    }
}

/// The command of that name, in any case.
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    let name = name.to_ascii_lowercase();
    let at = TABLE.binary_search_by(|spec| spec.name.as_bytes().cmp(&name)).ok()?;
    TABLE.get(at)
}

/// A command at work on the keys of one database.
#[derive(Debug)]
pub struct Call<'a> {
    pub keys: &'a mut Keyspace,
    /// All words, the name first; the table's arity holds.
    pub args: &'a [Vec<u8>],
    pub now_ms: u64,
    pub effect: Effect,
}

/// What goes to the append-only file.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// Nothing changed.
    #[default]
    None,
    /// The command as it came.
    Verbatim,
    /// Another command to the same end, which means the same at any time.
    As(Vec<Vec<u8>>),
}

impl<'a> Call<'a> {
    pub fn arg(&self, at: usize) -> &'a [u8] {
        &self.args[at]
    }

    /// The words from `at` on.
    pub fn rest(&self, at: usize) -> &'a [Vec<u8>] {
        &self.args[at..]
    }

    pub fn integer(&self, at: usize) -> Result<i64, CommandError> {
        parse_integer(self.arg(at)).ok_or(NOT_AN_INTEGER)
    }

    pub fn float(&self, at: usize) -> Result<f64, CommandError> {
        parse_float(self.arg(at)).ok_or(NOT_A_FLOAT)
    }

    pub fn arity_error(&self) -> CommandError {
        CommandError::arity(&String::from_utf8_lossy(self.arg(0)).to_lowercase())
    }

    /// The command changed something.
    pub fn changed(&mut self) {
        if self.effect == Effect::None {
            self.effect = Effect::Verbatim;
        }
    }

    pub fn changed_if(&mut self, changed: bool) {
        if changed {
            self.changed();
        }
    }

    /// The command changed something, and the file gets `words` instead.
    pub fn changed_as<A: AsRef<[u8]>>(&mut self, words: &[A]) {
        self.effect = Effect::As(words.iter().map(|word| word.as_ref().to_vec()).collect());
    }
}

/// A command at work on the server or on its own connection.
#[derive(Debug)]
pub struct ServerCall<'a> {
    pub engine: &'a mut Engine,
    pub client: ClientId,
    pub args: &'a [Vec<u8>],
    pub now_ms: u64,
}

impl<'a> ServerCall<'a> {
    pub fn arg(&self, at: usize) -> &'a [u8] {
        &self.args[at]
    }

    pub fn session(&mut self) -> &mut Session {
        self.engine.sessions.get_mut(&self.client).expect("a call comes from an open session")
    }

    /// Whether the word at `at` is `name`, in any case.
    pub fn is(&self, at: usize, name: &str) -> bool {
        self.args.get(at).is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Refuses a call whose subcommand takes another number of words.
    pub fn expect_words(&self, words: std::ops::RangeInclusive<usize>, name: &str) -> Result<(), CommandError> {
        if words.contains(&self.args.len()) { Ok(()) } else { Err(CommandError::arity(name)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_found_in_any_case() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(find(b"GeT").map(|spec| spec.name), Some("get"));
        assert!(find(b"gets").is_none());
    }
}
