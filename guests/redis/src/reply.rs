//! Replies, and their encoding in RESP2 and RESP3.

use crate::error::CommandError;
use crate::number::format_float;

/// The protocol a client has chosen with `HELLO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

/// What a command answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Ok,
    Simple(&'static str),
    Integer(i64),
    Bulk(Vec<u8>),
    Null,
    NullArray,
    Double(f64),
    Array(Vec<Reply>),
    /// An array in RESP2.
    Set(Vec<Reply>),
    /// A flat array in RESP2.
    Map(Vec<(Reply, Reply)>),
    /// An array of pairs in RESP3, a flat array in RESP2.
    Pairs(Vec<(Reply, Reply)>),
    /// Out of band in RESP3, an array in RESP2.
    Push(Vec<Reply>),
    /// Plain text meant for people.
    Verbatim(String),
    Error(CommandError),
    /// Several replies to one command.
    Many(Vec<Reply>),
}

impl Reply {
    pub fn bulk(text: impl AsRef<[u8]>) -> Self {
        Self::Bulk(text.as_ref().to_vec())
    }

    pub fn count(count: usize) -> Self {
        Self::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }

    pub fn flag(flag: bool) -> Self {
        Self::Integer(i64::from(flag))
    }

    pub fn optional(value: Option<impl AsRef<[u8]>>) -> Self {
        value.map_or(Self::Null, Self::bulk)
    }

    pub fn bulks<T: AsRef<[u8]>>(values: impl IntoIterator<Item = T>) -> Self {
        Self::Array(values.into_iter().map(Self::bulk).collect())
    }

    /// Appends the encoded reply.
    pub fn encode(&self, out: &mut Vec<u8>, protocol: Protocol) {
        Encoder { out, resp3: protocol == Protocol::Resp3 }.reply(self);
    }
}

impl From<Result<Reply, CommandError>> for Reply {
    fn from(outcome: Result<Reply, CommandError>) -> Self {
        outcome.unwrap_or_else(Reply::Error)
    }
}

struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    resp3: bool,
}

impl Encoder<'_> {
    fn reply(&mut self, reply: &Reply) {
        match reply {
            Reply::Ok => self.out.extend_from_slice(b"+OK\r\n"),
            Reply::Simple(text) => self.line('+', text),
            Reply::Error(error) => self.line('-', error.text()),
            Reply::Integer(number) => self.line(':', number),
            Reply::Bulk(bytes) => self.bulk(bytes),
            Reply::Null if self.resp3 => self.line('_', ""),
            Reply::Null => self.line('$', "-1"),
            Reply::NullArray if self.resp3 => self.line('_', ""),
            Reply::NullArray => self.line('*', "-1"),
            Reply::Double(number) if self.resp3 => self.line(',', format_float(*number)),
            Reply::Double(number) => self.bulk(format_float(*number).as_bytes()),
            Reply::Array(items) => self.items('*', items),
            Reply::Set(items) => self.items(if self.resp3 { '~' } else { '*' }, items),
            Reply::Push(items) => self.items(if self.resp3 { '>' } else { '*' }, items),
            Reply::Map(pairs) if self.resp3 => {
                self.line('%', pairs.len());
                self.flat(pairs);
            }
            Reply::Pairs(pairs) if self.resp3 => {
                self.line('*', pairs.len());
                for (left, right) in pairs {
                    self.line('*', 2);
                    self.reply(left);
                    self.reply(right);
                }
            }
            Reply::Map(pairs) | Reply::Pairs(pairs) => {
                self.line('*', pairs.len() * 2);
                self.flat(pairs);
            }
            Reply::Verbatim(text) if self.resp3 => {
                self.line('=', text.len() + 4);
                self.out.extend_from_slice(b"txt:");
                self.out.extend_from_slice(text.as_bytes());
                self.out.extend_from_slice(b"\r\n");
            }
            Reply::Verbatim(text) => self.bulk(text.as_bytes()),
            Reply::Many(replies) => replies.iter().for_each(|reply| self.reply(reply)),
        }
    }

    fn line(&mut self, kind: char, text: impl std::fmt::Display) {
        use std::io::Write;
        // Writing to a vector cannot fail.
        let _ = write!(self.out, "{kind}{text}\r\n");
    }

    fn bulk(&mut self, bytes: &[u8]) {
        self.line('$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    fn items(&mut self, kind: char, items: &[Reply]) {
        self.line(kind, items.len());
        items.iter().for_each(|item| self.reply(item));
    }

    fn flat(&mut self, pairs: &[(Reply, Reply)]) {
        for (left, right) in pairs {
            self.reply(left);
            self.reply(right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(reply: &Reply, protocol: Protocol) -> String {
        let mut out = Vec::new();
        reply.encode(&mut out, protocol);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_kind_in_both_protocols() {
        let pair = vec![(Reply::bulk("a"), Reply::Integer(1))];
        let cases = [
            (Reply::Ok, "+OK\r\n", "+OK\r\n"),
            (Reply::Error(crate::error::SYNTAX), "-ERR syntax error\r\n", "-ERR syntax error\r\n"),
            (Reply::Integer(-3), ":-3\r\n", ":-3\r\n"),
            (Reply::bulk(""), "$0\r\n\r\n", "$0\r\n\r\n"),
            (Reply::Null, "$-1\r\n", "_\r\n"),
            (Reply::NullArray, "*-1\r\n", "_\r\n"),
            (Reply::Double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n"),
            (Reply::bulks(["a"]), "*1\r\n$1\r\na\r\n", "*1\r\n$1\r\na\r\n"),
            (Reply::Set(vec![]), "*0\r\n", "~0\r\n"),
            (Reply::Map(pair.clone()), "*2\r\n$1\r\na\r\n:1\r\n", "%1\r\n$1\r\na\r\n:1\r\n"),
            (Reply::Pairs(pair), "*2\r\n$1\r\na\r\n:1\r\n", "*1\r\n*2\r\n$1\r\na\r\n:1\r\n"),
            (Reply::Push(vec![Reply::Null]), "*1\r\n$-1\r\n", ">1\r\n_\r\n"),
            (Reply::Verbatim("x".into()), "$1\r\nx\r\n", "=5\r\ntxt:x\r\n"),
        ];
        for (reply, resp2, resp3) in cases {
            assert_eq!(encoded(&reply, Protocol::Resp2), resp2, "{reply:?}");
            assert_eq!(encoded(&reply, Protocol::Resp3), resp3, "{reply:?}");
        }
    }
}
