//! Keys of any kind: are they there, what are they, away with them.

use crate::command::{Call, Outcome};
use crate::error::{INVALID_CURSOR, NOT_AN_INTEGER, SYNTAX};
use crate::glob;
use crate::keyspace::Key;
use crate::number::parse_integer;
use crate::reply::Reply;

/// Slots that one `SCAN` looks at unless told.
const SCAN_COUNT: usize = 10;

/// `DEL key [key ...]`, and `UNLINK`.
pub fn del(call: &mut Call) -> Outcome {
    let removed = call.rest(1).iter().filter(|key| call.keys.remove(key).is_some()).count();
    call.changed_if(removed > 0);
    Ok(Reply::count(removed))
}

/// `EXISTS key [key ...]`: a key named twice counts twice.
pub fn exists(call: &mut Call) -> Outcome {
    Ok(Reply::count(call.rest(1).iter().filter(|key| call.keys.contains(key)).count()))
}

/// `TYPE key`
pub fn type_of(call: &mut Call) -> Outcome {
    Ok(Reply::Simple(call.keys.get(call.arg(1)).map_or("none", |value| value.type_name())))
}

/// `DBSIZE`
pub fn dbsize(call: &mut Call) -> Outcome {
    Ok(Reply::count(call.keys.len()))
}

/// `KEYS pattern`
pub fn keys(call: &mut Call) -> Outcome {
    let pattern = call.arg(1);
    let keys = call.keys.iter().map(|(key, _, _)| key);
    Ok(Reply::bulks(keys.filter(|key| glob::matches(pattern, key))))
}

/// `FLUSHDB [ASYNC|SYNC]`
pub fn flushdb(call: &mut Call) -> Outcome {
    check_flush_mode(call.rest(1))?;
    call.changed_if(!call.keys.is_empty());
    call.keys.clear();
    Ok(Reply::Ok)
}

/// The optional word of `FLUSHDB` and `FLUSHALL`, which changes nothing here.
pub fn check_flush_mode(words: &[Vec<u8>]) -> Result<(), crate::error::CommandError> {
    match words {
        [] => Ok(()),
        [word] if word.eq_ignore_ascii_case(b"ASYNC") || word.eq_ignore_ascii_case(b"SYNC") => Ok(()),
        _ => Err(SYNTAX),
    }
}

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`
pub fn scan(call: &mut Call) -> Outcome {
    let cursor = std::str::from_utf8(call.arg(1)).ok().and_then(|cursor| cursor.parse().ok());
    let cursor: u64 = cursor.ok_or(INVALID_CURSOR)?;
    let filter = Filter::parse(call.rest(2))?;
    let (next, keys) = call.keys.scan(cursor, filter.count);
    let keys = keys.into_iter().filter(|key| filter.accepts(call, key));
    Ok(Reply::Array(vec![Reply::bulk(next.to_string()), Reply::bulks(keys)]))
}

struct Filter<'a> {
    pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
    count: usize,
}

impl<'a> Filter<'a> {
    fn parse(words: &'a [Vec<u8>]) -> Result<Self, crate::error::CommandError> {
        let mut filter = Self { pattern: None, type_name: None, count: SCAN_COUNT };
        for option in words.chunks(2) {
            let [name, value] = option else { return Err(SYNTAX) };
            match name.to_ascii_uppercase().as_slice() {
                b"MATCH" => filter.pattern = Some(value),
                b"TYPE" => filter.type_name = Some(value),
                b"COUNT" => {
                    let count = parse_integer(value).ok_or(NOT_AN_INTEGER)?;
                    filter.count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or(SYNTAX)?;
                }
                _ => return Err(SYNTAX),
            }
        }
        Ok(filter)
    }

    fn accepts(&self, call: &Call, key: &Key) -> bool {
        let type_name = call.keys.get(key).map_or("none", |value| value.type_name());
        self.pattern.is_none_or(|pattern| glob::matches(pattern, key))
            && self.type_name.is_none_or(|wanted| wanted.eq_ignore_ascii_case(type_name.as_bytes()))
    }
}
