//! Requests as they arrive: arrays of bulk strings, or lines typed by hand.
//!
//! The parser keeps its place between reads, so that a long command costs no second look at what
//! came before, and every length is bounded before memory is taken for it.

use crate::error::OUT_OF_MEMORY;
use crate::limits::{ARGUMENT_BYTES, BULK_BYTES_MAX, INLINE_BYTES_MAX, REQUEST_BYTES_MAX, REQUEST_COPIES, REQUEST_ITEMS_MAX, SMALL_BYTES};
use crate::memory::Claim;
use crate::number::parse_integer;

/// A command and its arguments.
pub type Request = Vec<Vec<u8>>;

/// Why a connection cannot go on; the text of Redis' error reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolError(pub String);

impl ProtocolError {
    fn new(text: &str) -> Self {
        Self(format!("ERR Protocol error: {text}"))
    }
}

/// Splits a stream of bytes into requests.
#[derive(Debug, Default)]
pub struct Parser {
    buffer: Vec<u8>,
    /// Bytes of `buffer` already taken.
    at: usize,
    partial: Option<Partial>,
}

/// An array whose bulk strings have not all arrived.
#[derive(Debug)]
struct Partial {
    items: Request,
    missing: usize,
    bytes: usize,
    bulk_length: Option<usize>,
    claim: Claim,
}

impl Parser {
    /// Hands out the buffer for reading: new bytes belong behind what it holds.
    pub fn take_buffer(&mut self, spare: usize) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.drain(..self.at);
        self.at = 0;
        // A long command is over: do not hold its memory while the client idles.
        if buffer.is_empty() && buffer.capacity() > 4 * spare {
            buffer = Vec::new();
        }
        buffer.reserve(spare);
        buffer
    }

    pub fn put_buffer(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }

    /// Bytes that arrived but belong to no whole request yet. After an array has begun, only those
    /// behind its last whole element count.
    pub fn unread(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// The next whole request, or `None` while more bytes are needed.
    pub fn next_request(&mut self) -> Result<Option<Request>, ProtocolError> {
        loop {
            if self.partial.is_some() {
                return self.continue_array();
            }
            match self.buffer.get(self.at) {
                None => return Ok(None),
                Some(b'*') => {
                    let Some(count) = self.array_length()? else { return Ok(None) };
                    if count == 0 {
                        continue;
                    }
                    self.partial =
                        Some(Partial { items: Vec::new(), missing: count, bytes: 0, bulk_length: None, claim: Claim::default() });
                }
                Some(_) => {
                    let Some(line) = self.line("too big inline request")? else { return Ok(None) };
                    let words = split_words(&line).ok_or_else(|| ProtocolError::new("unbalanced quotes in request"))?;
                    if !words.is_empty() {
                        return Ok(Some(words));
                    }
                }
            }
        }
    }

    fn array_length(&mut self) -> Result<Option<usize>, ProtocolError> {
        let Some(line) = self.line("too big mbulk count string")? else { return Ok(None) };
        let invalid = || ProtocolError::new("invalid multibulk length");
        let count = parse_integer(&line[1..]).ok_or_else(invalid)?;
        // A negative count is an empty request; one beyond this machine's words is none.
        let count = usize::try_from(count.max(0)).ok().filter(|count| *count <= REQUEST_ITEMS_MAX);
        count.map(Some).ok_or_else(invalid)
    }

    fn continue_array(&mut self) -> Result<Option<Request>, ProtocolError> {
        while let Some(partial) = &self.partial {
            if partial.missing == 0 {
                return Ok(self.partial.take().map(|partial| partial.items));
            }
            let length = match partial.bulk_length {
                Some(length) => length,
                None => match self.bulk_length()? {
                    Some(length) => length,
                    None => return Ok(None),
                },
            };
            let end = self.at + length;
            let Some(bulk) = self.buffer.get(self.at..end + 2).map(|bulk| bulk[..length].to_vec()) else {
                return Ok(None);
            };
            self.at = end + 2;
            if let Some(partial) = &mut self.partial {
                partial.items.push(bulk);
                partial.missing -= 1;
                partial.bulk_length = None;
            }
        }
        Ok(None)
    }

    fn bulk_length(&mut self) -> Result<Option<usize>, ProtocolError> {
        match self.buffer.get(self.at) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(&other) => {
                let shown = char::from(if other.is_ascii_graphic() { other } else { b'?' });
                return Err(ProtocolError::new(&format!("expected '$', got '{shown}'")));
            }
        }
        let Some(line) = self.line("too big bulk count string")? else { return Ok(None) };
        let invalid = || ProtocolError::new("invalid bulk length");
        let length = parse_integer(&line[1..]).and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| *length <= BULK_BYTES_MAX).ok_or_else(invalid)?;
        if let Some(partial) = &mut self.partial {
            partial.bytes += length + ARGUMENT_BYTES;
            if partial.bytes > REQUEST_BYTES_MAX + REQUEST_ITEMS_MAX * ARGUMENT_BYTES {
                return Err(invalid());
            }
            if partial.bytes > SMALL_BYTES {
                // A few more at a time: claiming is not free.
                let needed = partial.bytes.next_multiple_of(SMALL_BYTES) * REQUEST_COPIES;
                if !partial.claim.grow_to(needed) {
                    return Err(ProtocolError(OUT_OF_MEMORY.text().to_owned()));
                }
                // In one piece, rather than by doubling.
                self.buffer.reserve_exact((self.at + length + 2).saturating_sub(self.buffer.len()));
            }
            partial.bulk_length = Some(length);
        }
        Ok(Some(length))
    }

    /// Takes a line without its end; `\n` alone ends one too.
    fn line(&mut self, too_long: &str) -> Result<Option<Vec<u8>>, ProtocolError> {
        let rest = &self.buffer[self.at..];
        let searched = &rest[..rest.len().min(INLINE_BYTES_MAX)];
        let Some(end) = searched.iter().position(|byte| *byte == b'\n') else {
            return if rest.len() >= INLINE_BYTES_MAX { Err(ProtocolError::new(too_long)) } else { Ok(None) };
        };
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]).to_vec();
        self.at += end + 1;
        Ok(Some(line))
    }
}

/// Splits a typed line into words; `None` when a quote is left open or is followed by text.
fn split_words(line: &[u8]) -> Option<Request> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (word, after) = word(rest)?;
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Some(words)
}

fn word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        match rest {
            [] => return Some((word, rest)),
            [byte, ..] if byte.is_ascii_whitespace() => return Some((word, rest)),
            [b'"', after @ ..] => {
                rest = double_quoted(after, &mut word)?;
                return closed(rest).then_some((word, rest));
            }
            [b'\'', after @ ..] => {
                rest = single_quoted(after, &mut word)?;
                return closed(rest).then_some((word, rest));
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

/// A closing quote must be followed by a space or nothing.
fn closed(rest: &[u8]) -> bool {
    rest.first().is_none_or(u8::is_ascii_whitespace)
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(hex_digit(*high) << 4 | hex_digit(*low));
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [b'\'', after @ ..] => return Some(after),
            [b'\\', b'\'', after @ ..] => {
                word.push(b'\'');
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(parser: &mut Parser, bytes: &[u8]) {
        let mut buffer = parser.take_buffer(0);
        buffer.extend_from_slice(bytes);
        parser.put_buffer(buffer);
    }

    fn requests(bytes: &[u8]) -> Result<Vec<Request>, ProtocolError> {
        let mut parser = Parser::default();
        feed(&mut parser, bytes);
        let mut all = Vec::new();
        while let Some(request) = parser.next_request()? {
            all.push(request);
        }
        Ok(all)
    }

    fn words(words: &[&str]) -> Request {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    const PIPELINE: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n\r\nPING\r\n*0\r\n*-1\r\n*1\r\n$0\r\n\r\nget 'a b' \"\\x41\\n\"\n";

    #[test]
    fn arrays_and_lines_mix() {
        let expected = vec![words(&["GET", "k"]), words(&["PING"]), words(&[""]), words(&["get", "a b", "A\n"])];
        assert_eq!(requests(PIPELINE).unwrap(), expected);
    }

    #[test]
    fn the_same_requests_come_out_of_single_bytes() {
        let mut parser = Parser::default();
        let mut all = Vec::new();
        for byte in PIPELINE {
            feed(&mut parser, &[*byte]);
            while let Some(request) = parser.next_request().unwrap() {
                all.push(request);
            }
        }
        assert_eq!(all, requests(PIPELINE).unwrap());
    }

    #[test]
    fn garbage_is_refused_in_the_words_of_redis() {
        let long = vec![b'x'; INLINE_BYTES_MAX + 1];
        let cases: [(&[u8], &str); 11] = [
            (b"*x\r\n", "invalid multibulk length"),
            (b"*1048577\r\n", "invalid multibulk length"),
            (b"*99999999999\r\n", "invalid multibulk length"),
            (b"*99999999999999999999\r\n", "invalid multibulk length"),
            (b"*1\r\n!3\r\n", "expected '$', got '!'"),
            (b"*1\r\n\0", "expected '$', got '?'"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$x\r\n", "invalid bulk length"),
            (b"*1\r\n$536870913\r\n", "invalid bulk length"),
            (b"get \"x\r\n", "unbalanced quotes in request"),
            (&long, "too big inline request"),
        ];
        for (bytes, text) in cases {
            assert_eq!(requests(bytes), Err(ProtocolError::new(text)), "{text}");
        }
    }

    #[test]
    fn no_input_panics() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..2000 {
            let mut bytes = PIPELINE.to_vec();
            for _ in 0..4 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = (state as usize) % bytes.len();
                bytes[at] = (state >> 32) as u8;
            }
            let _ = requests(&bytes);
        }
    }
}
