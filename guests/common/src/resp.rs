//! RESP2 as a client sees it: commands out, values in. Pure; the server's side is in `redis`.

use std::fmt;

/// Bytes of the longest bulk string a client accepts: Redis' own bound.
const BULK_BYTES_MAX: i64 = 512 * 1024 * 1024;
/// Elements of the longest array a client accepts.
const ARRAY_ITEMS_MAX: i64 = 1024 * 1024;
/// How deep arrays may nest.
const DEPTH_MAX: usize = 8;

/// An answer of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Array(Vec<Value>),
}

/// The bytes are not RESP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RespError(&'static str);

impl fmt::Display for RespError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed answer: {}", self.0)
    }
}

impl std::error::Error for RespError {}

/// Appends a command as an array of bulk strings.
pub fn encode_command<A: AsRef<[u8]>>(out: &mut Vec<u8>, arguments: &[A]) {
    out.extend_from_slice(format!("*{}\r\n", arguments.len()).as_bytes());
    for argument in arguments {
        let argument = argument.as_ref();
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
}

/// The first value of `bytes` and its length, or `None` while more bytes are needed.
pub fn parse(bytes: &[u8]) -> Result<Option<(Value, usize)>, RespError> {
    let mut cursor = Cursor { bytes, at: 0 };
    let value = cursor.value(DEPTH_MAX)?;
    Ok(value.map(|value| (value, cursor.at)))
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn value(&mut self, depth: usize) -> Result<Option<Value>, RespError> {
        let Some(line) = self.line() else { return Ok(None) };
        let Some((kind, rest)) = line.split_first() else {
            return Err(RespError("empty line"));
        };
        match kind {
            b'+' => Ok(Some(Value::Simple(lossy(rest)))),
            b'-' => Ok(Some(Value::Error(lossy(rest)))),
            b':' => integer(rest).map(|number| Some(Value::Integer(number))),
            b'$' => self.bulk(integer(rest)?),
            b'*' => self.array(integer(rest)?, depth),
            b'_' => Ok(Some(Value::Null)),
            _ => Err(RespError("unknown type")),
        }
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        self.at += end + 2;
        Some(&rest[..end])
    }

    fn bulk(&mut self, length: i64) -> Result<Option<Value>, RespError> {
        if length == -1 {
            return Ok(Some(Value::Null));
        }
        let length = bounded(length, BULK_BYTES_MAX)?;
        let Some(rest) = self.bytes.get(self.at..self.at + length + 2) else { return Ok(None) };
        let (data, end) = rest.split_at(length);
        if end != b"\r\n" {
            return Err(RespError("bulk string without its end"));
        }
        self.at += length + 2;
        Ok(Some(Value::Bulk(data.to_vec())))
    }

    fn array(&mut self, length: i64, depth: usize) -> Result<Option<Value>, RespError> {
        if length == -1 {
            return Ok(Some(Value::Null));
        }
        if depth == 0 {
            return Err(RespError("arrays nested too deep"));
        }
        let length = bounded(length, ARRAY_ITEMS_MAX)?;
        let mut items = Vec::new();
        for _ in 0..length {
            let Some(item) = self.value(depth - 1)? else { return Ok(None) };
            items.push(item);
        }
        Ok(Some(Value::Array(items)))
    }
}

fn integer(digits: &[u8]) -> Result<i64, RespError> {
    let digits = std::str::from_utf8(digits).ok();
    digits.and_then(|digits| digits.parse().ok()).ok_or(RespError("not a number"))
}

fn bounded(length: i64, max: i64) -> Result<usize, RespError> {
    let length = (0..=max).contains(&length).then_some(length);
    length.and_then(|length| usize::try_from(length).ok()).ok_or(RespError("length out of bounds"))
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        let mut out = Vec::new();
        encode_command(&mut out, &[b"INCRBY".as_slice(), b"hashes", b"0"]);
        assert_eq!(out, b"*3\r\n$6\r\nINCRBY\r\n$6\r\nhashes\r\n$1\r\n0\r\n");
    }

    #[test]
    fn values_parse_and_every_prefix_waits_for_more() {
        let bytes = b"*5\r\n:12\r\n$3\r\na\r\n\r\n$-1\r\n+OK\r\n-ERR x\r\n";
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Ok(None), "{end}");
        }
        let (value, used) = parse(bytes).unwrap().unwrap();
        assert_eq!(used, bytes.len());
        let items =
            vec![Value::Integer(12), Value::Bulk(b"a\r\n".to_vec()), Value::Null, Value::Simple("OK".into()), Value::Error("ERR x".into())];
        assert_eq!(value, Value::Array(items));
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic() {
        for bytes in ["?\r\n", "\r\n", "$x\r\n", "$-2\r\n", "$1\r\nabc", "$999999999999\r\n", "*-9\r\n"] {
            assert!(parse(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
        assert!(parse("*1\r\n".repeat(20).as_bytes()).is_err());
    }
}
