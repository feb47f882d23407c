//! `SET` with all its options, and its older forms.

use crate::command::{Call, Outcome};
use crate::commands::expiry::Unit;
use crate::error::{CommandError, NOT_AN_INTEGER, SYNTAX};
use crate::number::parse_integer;
use crate::reply::Reply;
use crate::value::{Text, Value};

/// The options behind key and value.
#[derive(Debug, Default)]
struct Options {
    expiry: Expiry,
    nx: bool,
    xx: bool,
    get: bool,
}

#[derive(Debug, Default, Clone, Copy)]
enum Expiry {
    #[default]
    None,
    Keep,
    /// Unix milliseconds.
    At(i64),
}

impl Options {
    fn parse(words: &[Vec<u8>], now_ms: u64) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.to_ascii_uppercase().as_slice() {
                b"NX" if !options.xx => options.nx = true,
                b"XX" if !options.nx => options.xx = true,
                b"GET" => options.get = true,
                b"KEEPTTL" => options.set_expiry(Expiry::Keep)?,
                name => {
                    let unit = unit(name).ok_or(SYNTAX)?;
                    let time = words.next().ok_or(SYNTAX)?;
                    let when = resolve(time, unit, now_ms, "set")?;
                    options.set_expiry(Expiry::At(when))?;
                }
            }
        }
        Ok(options)
    }

    fn set_expiry(&mut self, expiry: Expiry) -> Result<(), CommandError> {
        if !matches!(self.expiry, Expiry::None) {
            return Err(SYNTAX);
        }
        self.expiry = expiry;
        Ok(())
    }
}

fn unit(name: &[u8]) -> Option<Unit> {
    match name {
        b"EX" => Some(Unit::InSeconds),
        b"PX" => Some(Unit::InMilliseconds),
        b"EXAT" => Some(Unit::AtSecond),
        b"PXAT" => Some(Unit::AtMillisecond),
        _ => None,
    }
}

/// Unix milliseconds of a time that must be positive.
fn resolve(time: &[u8], unit: Unit, now_ms: u64, name: &str) -> Result<i64, CommandError> {
    let time = parse_integer(time).ok_or(NOT_AN_INTEGER)?;
    let when = Some(time).filter(|time| *time > 0).and_then(|time| unit.resolve(time, now_ms));
    when.ok_or_else(|| CommandError::invalid_expire(name))
}

/// `SET key value [NX|XX] [GET] [EX s|PX ms|EXAT s|PXAT ms|KEEPTTL]`
pub fn set(call: &mut Call) -> Outcome {
    let options = Options::parse(call.rest(3), call.now_ms)?;
    let (key, value) = (call.arg(1), call.arg(2));
    let old = if options.get { Some(Reply::optional(call.keys.read::<Text>(key)?)) } else { None };
    let exists = call.keys.contains(key);
    if options.nx && exists || options.xx && !exists {
        return Ok(old.unwrap_or(Reply::Null));
    }
    store(call, key, value, options.expiry);
    Ok(old.unwrap_or(Reply::Ok))
}

/// `SETEX key seconds value`
pub fn setex(call: &mut Call) -> Outcome {
    set_expiring(call, Unit::InSeconds, "setex")
}

/// `PSETEX key milliseconds value`
pub fn psetex(call: &mut Call) -> Outcome {
    set_expiring(call, Unit::InMilliseconds, "psetex")
}

fn set_expiring(call: &mut Call, unit: Unit, name: &str) -> Outcome {
    let when = resolve(call.arg(2), unit, call.now_ms, name)?;
    store(call, call.arg(1), call.arg(3), Expiry::At(when));
    Ok(Reply::Ok)
}

/// `SETNX key value`
pub fn setnx(call: &mut Call) -> Outcome {
    let key = call.arg(1);
    let absent = !call.keys.contains(key);
    if absent {
        store(call, key, call.arg(2), Expiry::None);
    }
    Ok(Reply::flag(absent))
}

/// `GETSET key value`
pub fn getset(call: &mut Call) -> Outcome {
    let key = call.arg(1);
    let old = Reply::optional(call.keys.read::<Text>(key)?);
    store(call, key, call.arg(2), Expiry::None);
    Ok(old)
}

/// Stores the value, and logs it so that it means the same whenever it is read back.
fn store(call: &mut Call, key: &[u8], value: &[u8], expiry: Expiry) {
    let text = Value::Text(value.to_vec());
    match expiry {
        Expiry::None => {
            call.keys.insert(key, text);
            call.changed_as(&[b"SET", key, value]);
        }
        Expiry::Keep => {
            call.keys.replace(key, text);
            call.changed_as(&[b"SET", key, value, b"KEEPTTL"]);
        }
        Expiry::At(when) => match u64::try_from(when) {
            Ok(when) if when > call.now_ms => {
                call.keys.insert(key, text);
                call.keys.set_expiry(key, Some(when));
                call.changed_as(&[b"SET", key, value, b"PXAT", when.to_string().as_bytes()]);
            }
            // Gone before it came.
            _ => {
                call.keys.remove(key);
                call.changed_as(&[b"DEL", key]);
            }
        },
    }
}
