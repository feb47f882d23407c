//! When keys go by themselves. Stored and logged as Unix milliseconds.

use crate::command::{Call, Outcome};
use crate::error::CommandError;
use crate::reply::Reply;

/// How a time is written in a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds from now.
    InSeconds,
    /// Milliseconds from now.
    InMilliseconds,
    /// Unix seconds.
    AtSecond,
    /// Unix milliseconds.
    AtMillisecond,
}

impl Unit {
    /// Unix milliseconds, or `None` when that does not fit.
    pub fn resolve(self, time: i64, now_ms: u64) -> Option<i64> {
        let now_ms = i64::try_from(now_ms).ok()?;
        match self {
            Self::InSeconds => time.checked_mul(1000)?.checked_add(now_ms),
            Self::InMilliseconds => time.checked_add(now_ms),
            Self::AtSecond => time.checked_mul(1000),
            Self::AtMillisecond => Some(time),
        }
    }
}

pub fn expire(call: &mut Call) -> Outcome {
    set(call, Unit::InSeconds, "expire")
}

pub fn pexpire(call: &mut Call) -> Outcome {
    set(call, Unit::InMilliseconds, "pexpire")
}

pub fn expireat(call: &mut Call) -> Outcome {
    set(call, Unit::AtSecond, "expireat")
}

pub fn pexpireat(call: &mut Call) -> Outcome {
    set(call, Unit::AtMillisecond, "pexpireat")
}

/// `EXPIRE key time [NX|XX|GT|LT]` and its kin.
fn set(call: &mut Call, unit: Unit, name: &str) -> Outcome {
    let condition = Condition::parse(call.rest(3))?;
    let when = unit.resolve(call.integer(2)?, call.now_ms);
    let when = when.ok_or_else(|| CommandError::invalid_expire(name))?;
    let key = call.arg(1);
    if !call.keys.contains(key) || !condition.holds(call.keys.expires_at_ms(key), when) {
        return Ok(Reply::Integer(0));
    }
    expire_key_at(call, key, when);
    Ok(Reply::Integer(1))
}

/// Sets the expiry of a key, or removes the key when that time is past.
fn expire_key_at(call: &mut Call, key: &[u8], when: i64) {
    match u64::try_from(when) {
        Ok(when) if when > call.now_ms => {
            call.keys.set_expiry(key, Some(when));
            call.changed_as(&[b"PEXPIREAT", key, when.to_string().as_bytes()]);
        }
        _ => {
            call.keys.remove(key);
            call.changed_as(&[b"DEL", key]);
        }
    }
}

/// When an expiry may be set.
#[derive(Debug, Default)]
struct Condition {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Condition {
    fn parse(words: &[Vec<u8>]) -> Result<Self, CommandError> {
        let mut condition = Self::default();
        for word in words {
            match word.to_ascii_uppercase().as_slice() {
                b"NX" => condition.nx = true,
                b"XX" => condition.xx = true,
                b"GT" => condition.gt = true,
                b"LT" => condition.lt = true,
                _ => {
                    let word = String::from_utf8_lossy(word);
                    return Err(CommandError::new(format!("ERR Unsupported option {word}")));
                }
            }
        }
        if condition.nx && (condition.xx || condition.gt || condition.lt) {
            return Err(CommandError::fixed("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if condition.gt && condition.lt {
            return Err(CommandError::fixed("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(condition)
    }

    /// A key without expiry lives for ever: nothing is greater.
    fn holds(&self, current: Option<u64>, when: i64) -> bool {
        let current = current.map(|current| i64::try_from(current).unwrap_or(i64::MAX));
        !(self.nx && current.is_some()
            || self.xx && current.is_none()
            || self.gt && current.is_none_or(|current| when <= current)
            || self.lt && current.is_some_and(|current| when >= current))
    }
}

/// `PERSIST key`
pub fn persist(call: &mut Call) -> Outcome {
    let key = call.arg(1);
    let persisted = call.keys.expires_at_ms(key).is_some() && call.keys.set_expiry(key, None);
    call.changed_if(persisted);
    Ok(Reply::flag(persisted))
}

/// `TTL key`: seconds, rounded.
pub fn ttl(call: &mut Call) -> Outcome {
    Ok(remaining(call, |left_ms| (left_ms + 500) / 1000))
}

/// `PTTL key`: milliseconds.
pub fn pttl(call: &mut Call) -> Outcome {
    Ok(remaining(call, |left_ms| left_ms))
}

/// `EXPIRETIME key`: Unix seconds.
pub fn expiretime(call: &mut Call) -> Outcome {
    let now_ms = call.now_ms;
    Ok(remaining(call, |left_ms| (left_ms + now_ms + 500) / 1000))
}

/// `PEXPIRETIME key`: Unix milliseconds.
pub fn pexpiretime(call: &mut Call) -> Outcome {
    let now_ms = call.now_ms;
    Ok(remaining(call, |left_ms| left_ms + now_ms))
}

/// -2 without the key, -1 without an expiry.
fn remaining(call: &Call, convert: impl Fn(u64) -> u64) -> Reply {
    let key = call.arg(1);
    if !call.keys.contains(key) {
        return Reply::Integer(-2);
    }
    let Some(when) = call.keys.expires_at_ms(key) else { return Reply::Integer(-1) };
    let left = convert(when.saturating_sub(call.now_ms));
    Reply::Integer(i64::try_from(left).unwrap_or(i64::MAX))
}
